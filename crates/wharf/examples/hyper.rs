//! WebSockets on a server of hyper's own, over HTTP/1.1 and HTTP/2, beside whatever else it answers.
//!
//! ```sh
//! cargo run -p wharf --example hyper
//! cargo run --release -- connect ws://127.0.0.1:9001/
//! ```
//!
//! An argument is another address to listen on.

use std::convert::Infallible;
use std::error::Error;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tower_layer::Layer;
use wharf::{Accept, Context, Event, Handler, MessageRef, Server, ServerConfig};

struct Echo;

impl Handler for Echo {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        // Fails only where the connection is closing: then there is nobody to answer.
        let _ = context.send(message);
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example says where it listens")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("ws://{}/", listener.local_addr()?);

    let server = Server::new(ServerConfig::default());
    let guest = server.guest()?;
    tokio::spawn(accept_all(server));
    loop {
        let (stream, peer) = listener.accept().await?;
        let service = guest.clone().with_peer(peer).layer(tower::service_fn(hello));
        tokio::spawn(async move {
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http2().enable_connect_protocol();
            let service = TowerToHyperService::new(service);
            // How it ended is for those to know who had requests on it.
            let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
        });
    }
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello\n")))
}

async fn accept_all(server: Server) {
    while let Some(event) = server.next_event().await {
        if let Event::Request(request) = event {
            // Fails where the request was decided before, such as by a deadline.
            let _ = request.accept_with(Accept::new(), Echo);
        }
    }
}
