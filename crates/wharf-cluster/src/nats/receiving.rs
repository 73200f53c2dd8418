//! What a connection brings, on its way to the hub: one message after the other, so that those that several patterns bring
//! stay in order.

use std::sync::Arc;
use std::time::Duration;

use async_nats::header::{NATS_SEQUENCE, NATS_STREAM};
use async_nats::{Message, Subscriber};
use futures_util::stream::{SelectAll, TakeUntil};
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use wharf::hub::{Arrived, BrokerError, Incoming, Publication, Topic, TopicPattern};

use super::envelope::Envelope;
use super::names::Names;
use super::session::{Ended, Losses};
use super::streams::Streams;

/// A pattern that the server brings until the sender is dropped.
pub(super) struct Subscription {
    pub(super) pattern: TopicPattern,
    pub(super) subscriber: Subscriber,
    pub(super) until: oneshot::Receiver<()>,
}

/// Passes on what comes by the subscriptions.
pub(super) struct Receiving {
    pub(super) incoming: Incoming,
    pub(super) names: Names,
    pub(super) streams: Arc<Streams>,
    pub(super) losses: Arc<Losses>,
}

/// How long it waits, when messages were dropped, for others that are.
const SETTLED: Duration = Duration::from_millis(100);

impl Receiving {
    /// Goes on until the connection is over: why it is.
    pub(super) async fn run(
        self,
        added: mpsc::UnboundedReceiver<Subscription>,
        ended: watch::Receiver<Ended>,
    ) -> Arc<str> {
        tokio::select! {
            reason = self.receive(added, ended) => reason,
            never = self.tell_losses() => match never {},
        }
    }

    async fn receive(
        &self,
        mut added: mpsc::UnboundedReceiver<Subscription>,
        mut ended: watch::Receiver<Ended>,
    ) -> Arc<str> {
        let mut messages = SelectAll::new();
        let ending = async move { reason(&mut ended).await };
        tokio::pin!(ending);
        let reason = loop {
            tokio::select! {
                Some(subscription) = added.recv() => messages.push(brought(subscription)),
                Some((via, message)) = messages.next(), if !messages.is_empty() => {
                    self.pass_on(&via, message).await;
                }
                reason = &mut ending => break reason,
            }
        };
        // What had come before.
        while let Some(Some((via, message))) = messages.next().now_or_never() {
            self.pass_on(&via, message).await;
        }
        reason
    }

    /// What was dropped of topics with a history is to be read from there.
    async fn tell_losses(&self) -> std::convert::Infallible {
        loop {
            self.losses.happen().await;
            sleep(SETTLED).await;
            self.incoming.missed();
        }
    }

    async fn pass_on(&self, via: &TopicPattern, message: Message) {
        match self.open(via, message).await {
            Ok(Some(arrived)) => self.incoming.arrived(arrived).await,
            Ok(None) => {}
            // Its place is not known: it has to be read, with its place.
            Err(_) => self.losses.add(),
        }
    }

    /// What has come; nothing, where it is not for those who have subscribed to the pattern.
    async fn open(&self, via: &TopicPattern, message: Message) -> Result<Option<Arrived>, BrokerError> {
        let Message { subject, headers, payload, .. } = message;
        let Some(topic) = self.names.topic(&subject).filter(|topic| via.matches(topic)) else {
            return Ok(None);
        };
        let Envelope { message, id, key } = Envelope::open(headers.as_ref(), payload);
        let position = match headers.and_then(|headers| self.offset(&topic, &headers)) {
            Some(offset) => Some(self.streams.arrived(&topic, offset, via).await?),
            None => None,
        };
        let mut publication = Publication::new(topic, message);
        (publication.key, publication.position) = (key, position);
        Ok(Some(Arrived::new(publication, id, Some(via.clone()))))
    }

    /// The offset of a message that the stream of its topic has sent.
    fn offset(&self, topic: &Topic, headers: &async_nats::HeaderMap) -> Option<u64> {
        let offset = headers.get(NATS_SEQUENCE)?.as_str().parse().ok()?;
        let stream = headers.get(NATS_STREAM)?.as_str();
        self.names.stream(topic).is_ok_and(|own| own == stream).then_some(offset)
    }
}

/// What a subscription brings, with its pattern.
fn brought(subscription: Subscription) -> impl Stream<Item = (TopicPattern, Message)> + Unpin {
    let Subscription { pattern, subscriber, until } = subscription;
    let messages: TakeUntil<Subscriber, oneshot::Receiver<()>> = subscriber.take_until(until);
    messages.map(move |message| (pattern.clone(), message))
}

/// Waits until a connection is over: why it is.
pub(super) async fn reason(ended: &mut watch::Receiver<Ended>) -> Arc<str> {
    match ended.wait_for(Option::is_some).await {
        Ok(ended) => ended.clone().unwrap_or_default(),
        Err(_) => "the connection was lost".into(),
    }
}
