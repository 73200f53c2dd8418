//! A client: sends each line of standard input as a text, and prints what comes back.
//!
//! ```sh
//! cargo run -p wharf --example client ws://127.0.0.1:9001/echo
//! cargo run -p wharf --example client wss://example.com/chat chat.v2 chat.v1
//! ```
//!
//! What follows the URL are subprotocols to ask for. At the end of the input it closes, and waits for the server's answer.

use std::error::Error;
use std::io::BufRead;

use tokio::sync::mpsc;
use wharf::{Client, ClientConfig, CloseCode, ConnectError, ConnectRequest, Message};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "what it is for")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("usage: client URL [SUBPROTOCOL]...")?;
    let client = Client::new(ClientConfig::default().keepalive(true))?;
    let request = ConnectRequest::new(url)?.protocols(arguments);
    let connection = match client.connect(request).await {
        Ok(connection) => connection,
        Err(ConnectError::HttpResponse(response)) if response.headers().contains_key("location") => {
            // Followed by whoever wants to: another place may deserve less trust than this one.
            return Err(format!("it has moved to {:?}", response.headers()["location"]).into());
        }
        Err(error) => return Err(error.into()),
    };
    println!("connected to {}, protocol {:?}", connection.remote_address(), connection.protocol());

    let mut lines = lines_of_input();
    let mut input_has_ended = false;
    loop {
        tokio::select! {
            message = connection.recv() => match message {
                Some(Message::Text(text)) => println!("{text}"),
                Some(Message::Binary(bytes)) => println!("{} bytes", bytes.len()),
                None => break,
            },
            line = lines.recv(), if !input_has_ended => {
                input_has_ended = line.is_none();
                match line {
                    // Fails only where the server is closing: then `recv` is about to say so.
                    Some(line) => drop(connection.send(line).await),
                    None => connection.close(CloseCode::NORMAL, None)?,
                }
            }
        }
    }
    let ending = connection.closed().await;
    println!("closed: {} {}", ending.code().get(), ending.description());
    Ok(())
}

/// On a thread of its own, which the program does not wait for: a read of standard input cannot be given up.
fn lines_of_input() -> mpsc::Receiver<String> {
    let (lines, input) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                break;
            }
        }
    });
    input
}
