//! Sends back what it gets: text as text, bytes as bytes.
//!
//! ```sh
//! cargo run -p wharf --example echo
//! cargo run --release -- connect ws://127.0.0.1:9001/
//! ```
//!
//! An argument is another address to listen on.

use std::error::Error;

use wharf::{Accept, Connection, Event, HttpServer, Server, ServerConfig};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example says where it listens")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let http = HttpServer::bind(address).await?;
    let server = Server::new(ServerConfig::default());
    server.mount([&http])?;
    println!("ws://{}/", http.local_addr());

    while let Some(event) = server.next_event().await {
        if let Event::Request(request) = event
            && let Ok(connection) = request.accept(Accept::new())
        {
            tokio::spawn(echo(connection));
        }
    }
    Ok(())
}

async fn echo(connection: Connection) {
    while let Some(message) = connection.recv().await {
        // Waits where the client does not read, and with it our reading.
        if connection.send(message).await.is_err() {
            break;
        }
    }
}
