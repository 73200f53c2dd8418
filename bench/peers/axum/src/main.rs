//! axum, as the documentation of `axum::extract::ws` shows it.

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use contract::{Ended, Mode, Options, Peer, Stream, echo_in_batches, run};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;

fn main() {
    let options = Options::of_this_process();
    options.refuse_deflate("axum");
    options.refuse_broadcast("axum");
    let is_batched = options.mode == Mode::Batched;
    let router = Router::new().fallback(async move |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(move |socket| async move {
            // How it ends is the client's affair.
            let _ = if is_batched { echo_in_batches(socket, is_answered).await } else { echo(socket).await };
        })
    });
    run(&options, Axum(router))
}

#[derive(Clone)]
struct Axum(Router);

impl Peer for Axum {
    /// What `axum::serve` does with a connection, over any stream.
    async fn serve<S: Stream>(self, stream: S) -> Ended {
        Builder::new(TokioExecutor::new())
            .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(self.0))
            .await
    }
}

async fn echo(mut socket: WebSocket) -> Result<(), axum::Error> {
    while let Some(message) = socket.recv().await.transpose()? {
        if is_answered(&message) {
            socket.send(message).await?;
        }
    }
    Ok(())
}

fn is_answered(message: &Message) -> bool {
    matches!(message, Message::Text(_) | Message::Binary(_))
}
