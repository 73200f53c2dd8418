//! Messages of any length, none of which is ever in memory as a whole.
//!
//! `cargo run -p wharf --example relay FILE`
//!
//! `/relay` joins each two clients: what one sends, the other gets. `/file` sends FILE as one message. `/upload` answers
//! each message with its length.

#![expect(clippy::print_stdout, reason = "a program that says where it listens")]

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::File;
use wharf::{Accept, CloseCode, Connection, Event, HttpServer, MessageKind, Rejection, Server, ServerConfig};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let file = std::env::args_os().nth(1).ok_or("which file is /file to send?")?;
    let http = HttpServer::bind("127.0.0.1:9001").await?;
    println!("ws://{0}/relay ws://{0}/file ws://{0}/upload", http.local_addr());
    serve(&http, file.into()).await
}

pub(crate) async fn serve(http: &HttpServer, file: PathBuf) -> Result<(), Error> {
    // Fragments are handed on as they come, so that a message has no limit.
    let server = Server::new(ServerConfig::default().assemble_fragments(false));
    server.mount([http])?;
    let mut waiting: Option<Connection> = None;
    while let Some(event) = server.next_event().await {
        let Event::Request(request) = event else { continue };
        let path = request.path().to_owned();
        if !["/relay", "/file", "/upload"].contains(&&*path) {
            // Fails, as accepting does, where the request was decided before, such as by a deadline.
            let _ = request.reject(Rejection::new(404));
            continue;
        }
        let Ok(connection) = request.accept(Accept::new()) else { continue };
        match &*path {
            "/file" => {
                let file = file.clone();
                tokio::spawn(async move { send_file(connection, &file).await });
            }
            "/upload" => {
                tokio::spawn(count(connection));
            }
            _ => match waiting.take().filter(Connection::is_connected) {
                None => waiting = Some(connection),
                Some(other) => {
                    tokio::spawn(relay(other.clone(), connection.clone()));
                    tokio::spawn(relay(connection, other));
                }
            },
        }
    }
    Ok(())
}

/// Sends on what comes, each fragment as soon as it is there. While `to` takes nothing, nothing is read, and TCP holds the
/// sender back.
async fn relay(from: Connection, to: Connection) {
    while let Some(message) = from.recv_reader().await {
        if let Err(error) = to.send_reader(message.kind(), message).await {
            println!("cut off: {error}");
            break;
        }
    }
    // Where a message was cut in its middle, this comes second: the peer has been told 1011.
    let _ = to.close(CloseCode::GOING_AWAY, None);
}

async fn send_file(connection: Connection, file: &Path) -> io::Result<()> {
    connection.send_reader(MessageKind::Binary, File::open(file).await?).await?;
    connection.close(CloseCode::NORMAL, None).map_err(io::Error::other)
}

async fn count(connection: Connection) -> Result<(), Error> {
    while let Some(mut upload) = connection.recv_reader().await {
        let mut len = 0;
        while let Some(chunk) = upload.chunk().await? {
            len += chunk.len();
        }
        connection.send(format!("{len} bytes")).await?;
    }
    Ok(())
}
