//! tokio-websockets, as its README and its `examples/echo_server.rs` show it.

use contract::{Corked, Ended, Mode, Options, Peer, Stream, run};
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::task::unconstrained;
use tokio_websockets::{Error, Message, ServerBuilder};

fn main() {
    let options = Options::of_this_process();
    options.refuse_deflate("tokio-websockets");
    options.refuse_broadcast("tokio-websockets");
    run(&options, TokioWebSockets { is_batched: options.mode == Mode::Batched })
}

#[derive(Clone)]
struct TokioWebSockets {
    is_batched: bool,
}

/// Bytes of answers that are gathered.
const BATCH: usize = 64 * 1024;

impl Peer for TokioWebSockets {
    async fn serve<S: Stream>(self, stream: S) -> Ended {
        unconstrained(async {
            if self.is_batched {
                // It writes what is fed before it reads on, so the stream has to gather.
                echo(Corked::new(stream, BATCH)).await?.shutdown().await?;
            } else {
                echo(stream).await?;
            }
            Ok(())
        })
        .await
    }
}

/// Answers until the connection ends. Gives the stream back.
async fn echo<S: Stream>(stream: S) -> Result<S, Error> {
    let (_, mut socket) = ServerBuilder::new().accept(stream).await?;
    while let Some(message) = socket.next().await.transpose()? {
        if is_answered(&message) {
            socket.send(message).await?;
        }
    }
    Ok(socket.into_inner())
}

fn is_answered(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}
