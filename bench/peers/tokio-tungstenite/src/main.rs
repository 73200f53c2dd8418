//! tokio-tungstenite, as its `examples/autobahn-server.rs` shows it; batched, as its `examples/echo-server.rs` does.

use contract::{Ended, Mode, Options, Peer, Stream, echo_in_batches, run};
use futures_util::{SinkExt, TryStreamExt};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

fn main() {
    let options = Options::of_this_process();
    options.refuse_deflate("tokio-tungstenite");
    options.refuse_broadcast("tokio-tungstenite");
    run(&options, Tungstenite { is_batched: options.mode == Mode::Batched })
}

#[derive(Clone)]
struct Tungstenite {
    is_batched: bool,
}

impl Peer for Tungstenite {
    async fn serve<S: Stream>(self, stream: S) -> Ended {
        let socket = accept_async(stream).await?;
        if self.is_batched {
            return Ok(echo_in_batches(socket, is_answered).await?);
        }
        let mut socket = socket;
        while let Some(message) = socket.try_next().await? {
            if is_answered(&message) {
                socket.send(message).await?;
            }
        }
        Ok(())
    }
}

fn is_answered(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}
