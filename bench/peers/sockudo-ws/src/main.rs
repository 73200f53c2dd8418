//! sockudo-ws, as its `examples/simple_echo.rs` and `examples/pubsub_echo.rs` show it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use contract::{Ended, Mode, Options, Peer, Stream, echo_in_batches, run};
use futures_util::{Sink, SinkExt, StreamExt};
use sockudo_ws::deflate::{DeflateConfig, DeflateNegotiation, negotiate_server_deflate};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::{CompressedWebSocketStream, Config, Error, Message, PubSub, Result, Role, SubscriberId, WebSocketStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

fn main() {
    let options = Options::of_this_process();
    let deflate = options.deflate.map(|level| DeflateConfig {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        compression_level: level.into(),
        compression_threshold: 0,
        ..DeflateConfig::default()
    });
    run(&options, Sockudo { mode: options.mode, deflate, topics: Arc::new(PubSub::new()) })
}

#[derive(Clone)]
struct Sockudo {
    mode: Mode,
    deflate: Option<DeflateConfig>,
    topics: Arc<PubSub>,
}

impl Peer for Sockudo {
    async fn serve<S: Stream>(self, mut stream: S) -> Ended {
        let (deflate, leftover) = accept(&mut stream, self.deflate.as_ref()).await?;
        // Its own limits let messages of 16 MiB through.
        let config = Config::default();
        match deflate {
            Some(deflate) => {
                self.answer(CompressedWebSocketStream::server_with_leftover(
                    stream,
                    config,
                    deflate,
                    Some(leftover),
                ))
                .await?;
            }
            None => {
                self.answer(WebSocketStream::from_raw_with_leftover(
                    stream,
                    Role::Server,
                    config,
                    Some(leftover),
                ))
                .await?;
            }
        }
        Ok(())
    }
}

/// The opening handshake, by hand, because its `WebSocketServer` agrees on no extension: what is agreed on, and what came
/// behind the request.
async fn accept<S: Stream>(
    stream: &mut S,
    deflate: Option<&DeflateConfig>,
) -> Result<(Option<DeflateConfig>, Bytes)> {
    let mut received = BytesMut::with_capacity(4096);
    loop {
        if stream.read_buf(&mut received).await? == 0 {
            return Err(Error::ConnectionClosed);
        }
        let Some((request, length)) = parse_request(&received)? else { continue };
        let agreed = deflate
            .and_then(|policy| negotiate_server_deflate(request.extensions.unwrap_or_default(), policy));
        let extensions = agreed.as_ref().map(DeflateNegotiation::to_response_header);
        let response = build_response(&generate_accept_key(request.key), None, extensions.as_deref());
        stream.write_all(&response).await?;
        stream.flush().await?;
        return Ok((agreed.map(|agreed| agreed.config), received.split_off(length).freeze()));
    }
}

/// A connection, compressed or not.
trait Socket: futures_util::Stream<Item = Result<Message>> + Sink<Message, Error = Error> + Unpin {}

impl<S: futures_util::Stream<Item = Result<Message>> + Sink<Message, Error = Error> + Unpin> Socket for S {}

impl Sockudo {
    async fn answer(&self, mut socket: impl Socket) -> Result<()> {
        match self.mode {
            Mode::Echo => {
                while let Some(message) = socket.next().await.transpose()? {
                    if is_answered(&message) {
                        socket.send(message).await?;
                    }
                }
                Ok(())
            }
            Mode::Batched => echo_in_batches(socket, is_answered).await,
            Mode::Broadcast | Mode::Publish => {
                let (sender, published) = mpsc::unbounded_channel();
                let subscriber = self.topics.create_subscriber(sender);
                self.topics.subscribe(subscriber, TOPIC);
                let ended = self.publish(socket, published, subscriber).await;
                self.topics.remove_subscriber(subscriber);
                ended
            }
        }
    }

    async fn publish(
        &self,
        mut socket: impl Socket,
        mut published: mpsc::UnboundedReceiver<Message>,
        own: SubscriberId,
    ) -> Result<()> {
        loop {
            tokio::select! {
                message = socket.next() => match message.transpose()? {
                    Some(message) if is_answered(&message) => drop(match self.mode {
                        Mode::Publish => self.topics.publish_excluding(own, TOPIC, message),
                        _ => self.topics.publish(TOPIC, message),
                    }),
                    Some(_) => {}
                    None => return Ok(()),
                },
                Some(message) = published.recv() => socket.send(message).await?,
            }
        }
    }
}

const TOPIC: &str = "all";

fn is_answered(message: &Message) -> bool {
    matches!(message, Message::Text(_) | Message::Binary(_))
}
