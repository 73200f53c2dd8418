//! A whiteboard: a page on which several people draw together, and whoever comes later sees what was drawn before.
//!
//! ```sh
//! cargo run -p wharf --example whiteboard
//! ```
//!
//! Open the address that it prints in two windows. An argument is another address to listen on.

mod board;
mod page;

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use board::Board;
use page::Page;
use wharf::{
    Accept, CloseCode, Connection, Context, Ending, Event, Handler, HttpServer, MessageRef, Rejection,
    Server, ServerConfig, TrySendError,
};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example says where it listens")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let http = HttpServer::builder().service(Page).bind(address).await?;
    let server = Server::new(ServerConfig::default());
    server.mount([&http])?;
    println!("http://{}/", http.local_addr());

    let room = Room { server: server.clone(), board: Arc::default() };
    while let Some(event) = server.next_event().await {
        let Event::Request(request) = event else { continue };
        // Fail only where the request was decided before.
        let _ = if request.path() == "/board" {
            request.accept_with(Accept::new().protocol("whiteboard"), room.clone()).map(drop).is_ok()
        } else {
            request.reject(Rejection::new(404)).is_ok()
        };
    }
    Ok(())
}

/// What all who draw share.
#[derive(Clone)]
struct Room {
    server: Server,
    board: Arc<Mutex<Board>>,
}

impl Room {
    /// Says something to everybody. Whoever is so far behind that it finds no room would miss strokes for good: their
    /// page connects anew, and gets the whole board.
    fn tell_all(&self, text: &str) {
        for connection in self.server.connections() {
            if let Err(TrySendError::Full(_)) = connection.try_send(text) {
                connection.drop_silently(CloseCode::TRY_AGAIN_LATER, Some("too far behind"));
            }
        }
    }

    fn tell_all_how_many(&self) {
        self.tell_all(&board::people(self.server.connection_count()));
    }

    /// The board, locked while what changes it is told, so that everybody hears of changes in one order.
    fn with_board(&self, change: impl FnOnce(&mut Board)) {
        change(&mut self.board.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Handler for Room {
    fn connect(&mut self, context: &mut Context<'_>) {
        self.with_board(|board| {
            // Closing already: then nobody looks.
            let _ = context.send(board.history().as_str());
        });
        self.tell_all_how_many();
    }

    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        let drawn = match message {
            MessageRef::Text(text) => board::Drawing::parse(text),
            MessageRef::Binary(_) => Err("a drawing is text".to_owned()),
        };
        match drawn {
            Ok(drawing) => self.with_board(|board| {
                self.tell_all(&drawing.to_json());
                board.add(drawing);
            }),
            Err(reason) => {
                // Closing already, or the reason is too long for a Close.
                let _ = context.close(CloseCode::POLICY_VIOLATION, reason.get(..reason.len().min(120)));
            }
        }
    }

    fn close(&mut self, _: &Connection, _: &Ending) {
        self.tell_all_how_many();
    }
}
