//! The echo server as a user of wharf writes it, by a handler, on one thread: what the two drivers leave out, wharf has.

use std::io;

use wharf::{Accept, Context, Event, Handler, HttpServer, MessageRef, Server, ServerConfig};

struct Echo;

impl Handler for Echo {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        // Fails only once the connection is closing.
        let _ = context.send(message);
    }
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn serve() -> io::Result<()> {
    let http = HttpServer::bind("127.0.0.1:0").await.map_err(io::Error::other)?;
    let config = ServerConfig::default()
        .max_received_frame_size(16 * 1024 * 1024)
        .max_connections(20_000)
        .fragment_outgoing_messages(false);
    let server = Server::mounted(config, [&http]).map_err(io::Error::other)?;
    crate::session::announce(Some(http.local_addr()));
    while let Some(event) = server.next_event().await {
        if let Event::Request(request) = event {
            // Its client gave up.
            let _ = request.accept_with(Accept::new(), Echo);
        }
    }
    Ok(())
}
