//! One connection to a server, from its beginning to its end. The next is another: what was handed to this one and had not
//! left goes with it, so that nothing is sent late, behind what comes after it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_nats::jetstream::ContextBuilder;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::{AuthError, Client, ConnectOptions, Event, ServerAddr};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::timeout;
use wharf::hub::{
    Acknowledgement, BrokerError, HistoryOptions, HistoryRead, HistoryRequest, Incoming, Outgoing,
    TopicPattern,
};

use super::builder::{NatsNotice, Options};
use super::echo::Echo;
use super::envelope;
use super::names::Names;
use super::receiving::{Receiving, Subscription, reason};
use super::streams::Streams;

/// Why a connection is over, if it is.
pub(super) type Ended = Option<Arc<str>>;

/// A connection that is open, or was until a moment ago.
pub(super) struct Session {
    client: Client,
    names: Names,
    options: Arc<Options>,
    streams: Arc<Streams>,
    echo: Echo,
    /// Dropped, a sender ends the subscription.
    subscribed: Mutex<HashMap<TopicPattern, oneshot::Sender<()>>>,
    added: mpsc::UnboundedSender<Subscription>,
    ended: watch::Receiver<Ended>,
}

/// Messages that were dropped before they came to the hub.
#[derive(Debug, Default)]
pub(super) struct Losses(Notify);

impl Losses {
    pub(super) fn add(&self) {
        self.0.notify_one();
    }

    /// Waits until there are some that nobody has waited for.
    pub(super) async fn happen(&self) {
        self.0.notified().await;
    }
}

impl Session {
    /// Connects to a server: the connection, and what is to be run while it lasts.
    pub(super) async fn open(
        server: &ServerAddr,
        names: Names,
        options: Arc<Options>,
        incoming: Incoming,
    ) -> Result<(Arc<Self>, impl Future<Output = Arc<str>>), Arc<str>> {
        let losses = Arc::<Losses>::default();
        let (end, ended) = watch::channel(None);
        let once = Once::default();
        let connecting =
            connect_options(server, &options, &once, losses.clone(), end).connect(server.clone());
        let client = match timeout(options.connect_timeout, connecting).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => return Err(cannot_connect(server, &error.to_string())),
            Err(_) => return Err(cannot_connect(server, "it does not answer")),
        };
        once.make();
        let echo = Echo::start(client.clone(), names.echo(rand::random()))
            .await
            .map_err(|error| cannot_connect(server, &error.to_string()))?;
        let jetstream = ContextBuilder::new().timeout(options.request_timeout).build(client.clone());
        let streams = Arc::new(Streams::new(jetstream, names.clone(), options.clone()));
        let (added, to_receive) = mpsc::unbounded_channel();
        let receiving = Receiving { incoming, names: names.clone(), streams: streams.clone(), losses };
        let running = receiving.run(to_receive, ended.clone());
        let subscribed = Mutex::default();
        let session = Self { client, names, options, streams, echo, subscribed, added, ended };
        Ok((Arc::new(session), running))
    }

    /// Waits until the server has taken all that was sent to it before.
    pub(super) async fn round_trip(&self) -> Result<(), BrokerError> {
        let answered = self.echo.ask();
        match timeout(self.options.request_timeout, answered).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.over()),
            Err(_) => Err(self.timed_out()),
        }
    }

    /// Asks the server for what matches, unless it was asked before. It knows when it has answered a
    /// [`round_trip`](Self::round_trip).
    pub(super) async fn subscribe(&self, pattern: &TopicPattern) -> Result<(), BrokerError> {
        if self.lock().contains_key(pattern) {
            return Ok(());
        }
        let subscribing = self.client.subscribe(self.names.live(pattern));
        let subscriber = match timeout(self.options.request_timeout, subscribing).await {
            Ok(Ok(subscriber)) => subscriber,
            Ok(Err(error)) => return Err(BrokerError::Away(error.to_string().into())),
            Err(_) => return Err(self.timed_out()),
        };
        let (end, until) = oneshot::channel();
        self.lock().insert(pattern.clone(), end);
        // Fails only where the connection is over, and all its subscriptions are.
        let _ = self.added.send(Subscription { pattern: pattern.clone(), subscriber, until });
        Ok(())
    }

    pub(super) fn unsubscribe(&self, pattern: &TopicPattern) {
        self.lock().remove(pattern);
    }

    pub(super) async fn publish(&self, outgoing: &Outgoing) -> Result<Acknowledgement, BrokerError> {
        match outgoing.history {
            Some(history) => self.publish_to_stream(outgoing, history).await,
            None => self.publish_to_all(outgoing).await,
        }
    }

    pub(super) async fn history(&self, request: &HistoryRequest) -> Result<HistoryRead, BrokerError> {
        let mut ended = self.ended.clone();
        tokio::select! {
            read = self.streams.read(request) => read,
            reason = reason(&mut ended) => Err(BrokerError::Away(reason)),
        }
    }

    async fn publish_to_all(&self, outgoing: &Outgoing) -> Result<Acknowledgement, BrokerError> {
        let subject = self.names.live(&outgoing.publication.topic);
        let payload = outgoing.publication.message.clone().into_bytes();
        let publishing = self.client.publish_with_headers(subject, envelope::headers(outgoing), payload);
        match timeout(self.options.request_timeout, publishing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.kind() == async_nats::PublishErrorKind::Send => return Err(self.over()),
            Ok(Err(error)) => return Err(BrokerError::Refused(error.to_string().into())),
            Err(_) => return Err(self.timed_out()),
        }
        let answered = self.echo.ask();
        let (ended, within) = (self.ended.clone(), self.options.request_timeout);
        Ok(Box::pin(async move {
            match timeout(within, answered).await {
                Ok(Ok(())) => Ok(None),
                Ok(Err(_)) => Err(over(&ended)),
                Err(_) => Err(BrokerError::TimedOut(within)),
            }
        }))
    }

    async fn publish_to_stream(
        &self,
        outgoing: &Outgoing,
        history: HistoryOptions,
    ) -> Result<Acknowledgement, BrokerError> {
        let topic = outgoing.publication.topic.clone();
        self.streams.ensure(&topic, history).await?;
        let message = PublishMessage::build()
            .payload(outgoing.publication.message.clone().into_bytes())
            .headers(envelope::headers(outgoing));
        let publishing = self.streams.jetstream().send_publish(self.names.kept(&topic), message);
        let acknowledgement = publishing.await.map_err(|error| self.not_published(&error))?;
        let (streams, mut ended, within) =
            (self.streams.clone(), self.ended.clone(), self.options.request_timeout);
        Ok(Box::pin(async move {
            let acknowledged = tokio::select! {
                acknowledged = acknowledgement.into_future() => acknowledged,
                reason = reason(&mut ended) => return Err(BrokerError::Away(reason)),
            };
            match acknowledged {
                Ok(acknowledged) => {
                    let (offset, is_repeated) = (acknowledged.sequence, acknowledged.duplicate);
                    streams.acknowledged(&topic, offset, is_repeated).await.map(Some)
                }
                Err(error) => Err(match error.kind() {
                    PublishErrorKind::StreamNotFound => {
                        // Published again, it is made again.
                        streams.forget(&topic);
                        BrokerError::Away("the stream is gone".into())
                    }
                    PublishErrorKind::TimedOut => BrokerError::TimedOut(within),
                    PublishErrorKind::BrokenPipe => over(&ended),
                    _ => BrokerError::Refused(error.to_string().into()),
                }),
            }
        }))
    }

    fn not_published(&self, error: &async_nats::jetstream::context::PublishError) -> BrokerError {
        match error.kind() {
            PublishErrorKind::TimedOut => self.timed_out(),
            PublishErrorKind::MaxPayloadExceeded => BrokerError::Refused(error.to_string().into()),
            _ => self.over(),
        }
    }

    fn over(&self) -> BrokerError {
        over(&self.ended)
    }

    fn timed_out(&self) -> BrokerError {
        BrokerError::TimedOut(self.options.request_timeout)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TopicPattern, oneshot::Sender<()>>> {
        self.subscribed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn over(ended: &watch::Receiver<Ended>) -> BrokerError {
    let reason = ended.borrow().clone();
    BrokerError::Away(reason.unwrap_or_else(|| "the connection was lost".into()))
}

/// Without the password that a URL may have.
fn cannot_connect(server: &ServerAddr, reason: &str) -> Arc<str> {
    format!("{}:{} cannot be reached: {reason}", server.host(), server.port()).into()
}

/// Lets async-nats make one connection, and no other: it would make one by itself, and send on it what it had not sent on the
/// one that was lost, though all that is known to be lost is published again, and in order. Asked for credentials a
/// second time, it is given none.
#[derive(Clone, Debug, Default)]
struct Once(Arc<AtomicBool>);

impl Once {
    fn make(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_made(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

fn connect_options(
    server: &ServerAddr,
    options: &Arc<Options>,
    once: &Once,
    losses: Arc<Losses>,
    end: watch::Sender<Ended>,
) -> ConnectOptions {
    let (server, credentials, once) = (server.clone(), options.credentials.clone(), once.clone());
    let answer = move |nonce: Vec<u8>| {
        let answer = if once.is_made() {
            Err(AuthError::new("the connection is over"))
        } else {
            credentials.answer(&server, &nonce)
        };
        std::future::ready(answer)
    };
    let notice = options.notice.clone();
    let reason = Mutex::new(Arc::<str>::from("the connection was lost"));
    let told = move |event| {
        match event {
            Event::Disconnected | Event::Closed => {
                let reason = reason.lock().unwrap_or_else(PoisonError::into_inner).clone();
                end.send_if_modified(|ended| ended.replace(reason).is_none());
            }
            Event::SlowConsumer(_) => {
                losses.add();
                notice(NatsNotice::Dropped);
            }
            Event::ServerError(error) => {
                let error = error.to_string();
                *reason.lock().unwrap_or_else(PoisonError::into_inner) = error.as_str().into();
                notice(NatsNotice::Server { error });
            }
            _ => {}
        }
        std::future::ready(())
    };
    let mut connecting = ConnectOptions::with_auth_callback(answer)
        .event_callback(told)
        .name("wharf")
        .max_reconnects(1)
        .reconnect_delay_callback(|_| std::time::Duration::ZERO)
        .ignore_discovered_servers()
        .connection_timeout(options.connect_timeout)
        .request_timeout(Some(options.request_timeout))
        .ping_interval(options.ping_interval)
        .subscription_capacity(options.max_pending_messages)
        .require_tls(options.require_tls);
    if let Some(path) = &options.root_certificates {
        connecting = connecting.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &options.client_certificate {
        connecting = connecting.add_client_certificate(certificate.clone(), key.clone());
    }
    connecting
}
