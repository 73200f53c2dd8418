//! A chat: the first message of a client is its name, each further one is said to everybody.
//!
//! ```sh
//! cargo run -p wharf --example chat
//! cargo run --release -- connect ws://127.0.0.1:9001/    # in two terminals
//! ```
//!
//! An argument is another address to listen on.

use std::error::Error;

use wharf::{Accept, CloseCode, Connection, Event, HttpServer, Message, Server, ServerConfig};

/// In characters.
const LONGEST_NAME: usize = 30;

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
            tokio::spawn(talk(server.clone(), connection));
        }
    }
    Ok(())
}

async fn talk(server: Server, connection: Connection) {
    let Some(Message::Text(name)) = connection.recv().await else {
        return refuse(&connection, "a name is text");
    };
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        return refuse(&connection, "a name has 1 to 30 characters");
    }
    server.broadcast(format!("{name} has come"));
    while let Some(message) = connection.recv().await {
        let Message::Text(text) = message else {
            refuse(&connection, "this chat is of text");
            break;
        };
        // Framed once for all. A client that does not read what it gets is passed over while its output is full.
        server.broadcast(format!("{name}: {text}"));
    }
    server.broadcast(format!("{name} has left"));
}

fn refuse(connection: &Connection, reason: &str) {
    // Refused itself only for a code or a reason that no Close may have.
    let _ = connection.close(CloseCode::POLICY_VIOLATION, Some(reason));
}
