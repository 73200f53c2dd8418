//! Prints each frame as it comes, control frames too, with nothing put together (`assemble_fragments` off).
//!
//! ```sh
//! cargo run -p wharf --example frames
//! cargo run --release -- connect ws://127.0.0.1:9001/
//! ```
//!
//! An argument is another address to listen on.

#![expect(clippy::print_stdout, reason = "an example that prints what it sees")]

use std::error::Error;

use wharf::{Accept, Event, HttpServer, Server, ServerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let http = HttpServer::bind(address).await?;
    let server = Server::new(ServerConfig::default().assemble_fragments(false));
    server.mount([&http])?;
    println!("ws://{}/", http.local_addr());

    while let Some(event) = server.next_event().await {
        let Event::Request(request) = event else { continue };
        let Ok(connection) = request.accept(Accept::new()) else { continue };
        tokio::spawn(async move {
            while let Some(frame) = connection.recv_frame().await {
                let header = frame.header;
                let end = if header.fin { "the last" } else { "more follow" };
                println!("{:?}, {} bytes, {end}", header.opcode, frame.payload.len());
            }
            let ending = connection.closed().await;
            println!("closed: {} {}", ending.code(), ending.description());
        });
    }
    Ok(())
}
