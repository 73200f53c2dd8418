//! A tower layer over an axum application: handshakes go to the server, whose events are decided in one place, all other
//! requests to the routes.
//!
//! ```sh
//! cargo run -p wharf --example axum_layer
//! cargo run --release -- connect ws://127.0.0.1:9001/anywhere
//! ```
//!
//! An argument is another address to listen on.

use std::error::Error;

use axum::Router;
use axum::routing::get;
use wharf::{Accept, Event, Server, ServerConfig};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example says where it listens")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("ws://{}/", listener.local_addr()?);

    let server = Server::new(ServerConfig::default());
    // A layer of the router's is asked after its routes, for which a WebSocket would have to have one; this one goes first.
    let app = tower_layer::Layer::layer(&server.guest()?, Router::new().route("/", get("hello\n")));
    tokio::spawn(greet(server));
    axum::serve(listener, tower::make::Shared::new(app)).await?;
    Ok(())
}

async fn greet(server: Server) {
    while let Some(event) = server.next_event().await {
        if let Event::Request(request) = event {
            let path = request.path().to_owned();
            if let Ok(connection) = request.accept(Accept::new()) {
                let _ = connection.try_send(format!("hello from {path}"));
            }
        }
    }
}
