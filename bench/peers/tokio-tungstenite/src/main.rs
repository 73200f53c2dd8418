//! tokio-tungstenite, as its `examples/autobahn-server.rs` shows it; batched, as its `examples/echo-server.rs` does; publishing,
//! as its chat does, `examples/server.rs`.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use contract::{Ended, Mode, Options, Peer, Stream, echo_in_batches, not_possible, run};
use futures_channel::mpsc::{UnboundedSender, unbounded};
use futures_util::{SinkExt, StreamExt, TryStreamExt, future};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

fn main() {
    let options = Options::of_this_process();
    options.refuse_deflate("tokio-tungstenite");
    if options.mode == Mode::Broadcast {
        not_possible("tokio-tungstenite has no publish of its own, and its chat spares the sender");
    }
    run(&options, Tungstenite { mode: options.mode, peers: Arc::default() })
}

#[derive(Clone)]
struct Tungstenite {
    mode: Mode,
    peers: Arc<Mutex<Peers>>,
}

/// Where what is for each connection goes.
#[derive(Default)]
struct Peers {
    senders: HashMap<u64, UnboundedSender<Message>>,
    next: u64,
}

impl Peer for Tungstenite {
    async fn serve<S: Stream>(self, stream: S) -> Ended {
        let mut socket = accept_async(stream).await?;
        match self.mode {
            Mode::Publish => return Ok(chat(&self.peers, socket).await?),
            Mode::Batched => return Ok(echo_in_batches(socket, is_answered).await?),
            Mode::Echo | Mode::Broadcast => {}
        }
        while let Some(message) = socket.try_next().await? {
            if is_answered(&message) {
                socket.send(message).await?;
            }
        }
        Ok(())
    }
}

async fn chat<S: Stream>(
    peers: &Mutex<Peers>,
    socket: WebSocketStream<S>,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    let peers = || peers.lock().unwrap_or_else(PoisonError::into_inner);
    let (sender, published) = unbounded();
    let own = {
        let mut peers = peers();
        let own = peers.next;
        peers.next += 1;
        peers.senders.insert(own, sender);
        own
    };
    let (outgoing, incoming) = socket.split();
    let publish = incoming.try_for_each(|message| {
        if is_answered(&message) {
            for (_, sender) in peers().senders.iter().filter(|(peer, _)| **peer != own) {
                // Fails only where that connection has ended.
                let _ = sender.unbounded_send(message.clone());
            }
        }
        future::ok(())
    });
    let deliver = published.map(Ok).forward(outgoing);
    let ended = future::select(pin!(publish), pin!(deliver)).await.factor_first().0;
    peers().senders.remove(&own);
    ended
}

fn is_answered(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}
