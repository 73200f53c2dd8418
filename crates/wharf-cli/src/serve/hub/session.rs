//! One client of the hub: its requests, in order, and their answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};
use wharf::hub::{Hub, Publish, PublishError, Published, Subscribe, SubscribeError, Topic, TopicPattern};
use wharf::{CloseCode, Connection, Message};

use super::access::Access;
use super::permissions::{Grant, Name};
use super::request::{Asked, NotRequest, Request, Since};
use super::said::{Code, Done, Said};
use super::subscriptions::{Serial, Subscriptions};
use crate::serve::live::Traffic;
use crate::serve::secret::Secret;

/// A client, for as long as its connection is open.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) hub: Hub,
    pub(super) access: Arc<Access>,
    pub(super) grant: Grant,
    pub(super) traffic: Arc<Traffic>,
    pub(super) state: State,
}

/// What a session has on its way.
#[derive(Default)]
pub(super) struct State {
    subscriptions: Subscriptions,
    /// When its token expires, for who waits for that.
    expires: watch::Sender<Option<Instant>>,
    /// Requests that are not answered yet.
    pending: FuturesUnordered<BoxFuture<'static, Settled>>,
    /// How many of them are subscriptions.
    subscribing: usize,
    /// Answers to subscriptions since it was last waited for the client to take what there was for it.
    replies: usize,
    /// Messages in a row that were no requests.
    mistakes: u32,
}

/// What became of a request that took a while.
enum Settled {
    Subscribed { id: u64, topic: TopicPattern, serial: Serial, result: Result<(), SubscribeError> },
    Published { id: u64, result: Result<Published, PublishError> },
}

/// A token has expired, and was not renewed.
const EXPIRED: CloseCode = CloseCode::new(4401);

/// How long a client whose token has expired may take for what was on its way to it.
const FAREWELL: Duration = Duration::from_secs(5);

/// How many requests may wait for their answers before no more are read.
const MOST_PENDING: usize = 256;

/// How many subscriptions are answered before it is waited for the client to take them: answers are not counted among
/// what may wait for a slow consumer.
const MOST_REPLIES: usize = 64;

/// After so many messages in a row that are no requests the connection is closed.
const MOST_MISTAKES: u32 = 16;

impl Session {
    /// Serves it until its connection ends, or its token expires.
    pub(super) async fn run(self) {
        let connection = self.connection.clone();
        self.state.expires.send_replace(self.grant.expires);
        let expires = self.state.expires.subscribe();
        tokio::select! {
            () = self.serve() => return,
            // Beside the requests: one may wait for a client that takes nothing.
            () = expiry(expires) => {}
        }
        let description = "the token has expired";
        // Refused only for a code that cannot be sent.
        let _ = connection.close(EXPIRED, Some(description));
        let end = async { while connection.recv().await.is_some() {} };
        if timeout(FAREWELL, end).await.is_err() {
            let _ = connection.drop_now(EXPIRED, Some(description));
        }
    }

    async fn serve(mut self) {
        let member = match &self.grant.name {
            Name::Fixed(name) => Some(name.as_str()),
            Name::Chosen | Name::Nameless => None,
        };
        let welcome = Said::Welcome { member, expires_in: seconds_until(self.grant.expires) }.json();
        self.send(welcome).await;
        let connection = self.connection.clone();
        let mut closed = std::pin::pin!(connection.closed());
        loop {
            let may_read = self.state.pending.len() < MOST_PENDING;
            tokio::select! {
                message = connection.recv(), if may_read => match message {
                    Some(message) => self.received(&message).await,
                    None => return,
                },
                Some(settled) = self.state.pending.next() => self.settled(settled).await,
                // What it sent before it closed is still to be done.
                _ = &mut closed, if !may_read => return,
            }
        }
    }

    async fn received(&mut self, message: &Message) {
        self.traffic.received(message.len());
        let asked = match message {
            Message::Text(text) => Asked::read(text),
            Message::Binary(_) => {
                Err(NotRequest { id: None, message: "a request is a text message".to_owned() })
            }
        };
        match asked {
            Ok(Asked { id, request }) => {
                self.state.mistakes = 0;
                self.act(id, request).await;
            }
            Err(NotRequest { id, message }) => {
                self.send(Said::Error { id, code: Code::BadRequest, message: &message }.json()).await;
                self.state.mistakes += 1;
                if self.state.mistakes >= MOST_MISTAKES {
                    let description = "too many messages that are no requests";
                    let _ = self.connection.close(CloseCode::POLICY_VIOLATION, Some(description));
                }
            }
        }
    }

    async fn act(&mut self, id: u64, request: Request<'_>) {
        match request {
            Request::Subscribe { topic, since, member } => self.subscribe(id, topic, since, member).await,
            Request::Unsubscribe { topic } => {
                self.state.subscriptions.end(&topic);
                // Fails only for what is no pattern.
                let _ = self.connection.unsubscribe(&topic);
                self.send(Said::Ok(Done::new(id)).json()).await;
            }
            Request::Publish { topic, data, key } => {
                if !self.grant.permissions.may_publish(&topic) {
                    return self.refuse(id, Code::NotPermitted, &may_not("publish on", &topic)).await;
                }
                self.publish(id, topic, data.get(), key).await;
            }
            Request::Presence { topic } => {
                if !self.grant.permissions.may_ask_who_is_there(&topic) {
                    return self.refuse(id, Code::NotPermitted, &may_not("ask who is at", &topic)).await;
                }
                if !self.hub.topic_options(&topic).presence {
                    let message = format!("it is not kept who has subscribed to {topic:?}");
                    return self.refuse(id, Code::NoPresence, &message).await;
                }
                let presence = self.hub.presence(&topic);
                self.send(Said::Ok(Done::presence(id, &presence)).json()).await;
            }
            Request::Ping => self.send(Said::Ok(Done::new(id)).json()).await,
            Request::Token { token } => self.renew(id, &token).await,
        }
    }

    async fn subscribe(
        &mut self,
        id: u64,
        topic: TopicPattern,
        since: Option<Since>,
        member: Option<Arc<str>>,
    ) {
        if !self.grant.permissions.may_subscribe(&topic) {
            return self.refuse(id, Code::NotPermitted, &may_not("subscribe to", &topic)).await;
        }
        let asks_for_member = member.is_some();
        let member = match self.grant.member(member) {
            Ok(member) => member,
            Err(name) => {
                let message = format!("this client may not appear under the name {name:?}");
                return self.refuse(id, Code::NotPermitted, &message).await;
            }
        };
        if self.state.replies >= MOST_REPLIES {
            self.replies_taken().await;
        }
        self.state.replies += 1;
        let keeps_presence = topic.topic().is_some_and(|topic| self.hub.topic_options(&topic).presence);
        let Ok(mut subscribe) = Subscribe::new(&topic) else { return };
        match since {
            None => {}
            Some(Since::Position(position)) => subscribe = subscribe.since(position),
            Some(Since::Oldest) => subscribe = subscribe.since_oldest(),
        }
        // A name that comes with the token is for those topics that keep names.
        if let Some(member) = member.filter(|_| asks_for_member || keeps_presence) {
            subscribe = subscribe.member(member);
        }
        let subscribe = subscribe.reply(move |subscribed| Said::Ok(Done::subscribed(id, subscribed)).into());
        match self.connection.subscribe_with(subscribe) {
            Ok(subscribing) => {
                let serial = self.state.subscriptions.ask(&topic);
                self.state.subscribing += 1;
                self.state.pending.push(Box::pin(async move {
                    Settled::Subscribed { id, topic, serial, result: subscribing.await.map(|_| ()) }
                }));
            }
            Err(error) => self.refuse(id, Code::from(&error), &error.to_string()).await,
        }
    }

    async fn publish(&mut self, id: u64, topic: Topic, data: &str, key: Option<Arc<str>>) {
        let published = Publish::new(topic, data).map_err(PublishError::from).and_then(|publish| {
            let publish = match key {
                Some(key) => publish.key(key),
                None => publish,
            };
            self.hub.publish_with(publish)
        });
        match published {
            Ok(publishing) => self
                .state
                .pending
                .push(Box::pin(async move { Settled::Published { id, result: publishing.await } })),
            Err(error) => self.refuse(id, Code::from(&error), &error.to_string()).await,
        }
    }

    async fn renew(&mut self, id: u64, token: &Secret) {
        let grant = self.access.of_token(token).and_then(|grant| self.grant.renewed_by(grant));
        match grant {
            Err(error) => self.refuse(id, Code::BadToken, &error.to_string()).await,
            Ok(grant) => {
                self.grant = grant;
                self.state.expires.send_replace(self.grant.expires);
                self.send(Said::Ok(Done::renewed(id, seconds_until(self.grant.expires))).json()).await;
                let Self { grant, state, .. } = self;
                let ended = state.subscriptions.end_all_but(|topic| grant.permissions.may_subscribe(topic));
                for topic in ended {
                    let _ = self.connection.unsubscribe(&topic);
                    self.send(Said::Unsubscribed { topic: &topic }.json()).await;
                }
            }
        }
    }

    /// Waits until the client has taken the answers to its subscriptions. More may come for it all the while, so that it is
    /// not waited until there is nothing.
    async fn replies_taken(&mut self) {
        while self.state.subscribing > 0 {
            let Some(settled) = self.state.pending.next().await else { break };
            self.settled(settled).await;
        }
        // Fails only where the connection has ended.
        let _ = self.connection.flush().await;
        self.state.replies = 0;
    }

    async fn settled(&mut self, settled: Settled) {
        match settled {
            Settled::Subscribed { id, topic, serial, result } => {
                self.state.subscribing -= 1;
                self.state.subscriptions.answered(&topic, serial, result.is_ok());
                // Otherwise the hub has answered, before the first message.
                if let Err(error) = result {
                    self.refuse(id, Code::from(&error), &error.to_string()).await;
                }
            }
            Settled::Published { id, result: Ok(published) } => {
                self.send(Said::Ok(Done::published(id, published.position)).json()).await;
            }
            Settled::Published { id, result: Err(error) } => {
                self.refuse(id, Code::from(&error), &error.to_string()).await;
            }
        }
    }

    async fn refuse(&mut self, id: u64, code: Code, message: &str) {
        self.send(Said::Error { id: Some(id), code, message }.json()).await;
    }

    /// Waits while the client does not take what there is for it: then nothing more of it is read, either.
    async fn send(&mut self, json: String) {
        self.traffic.sent(json.len());
        // Fails only where the connection has ended.
        let _ = self.connection.send(json).await;
    }
}

fn may_not(what: &str, topic: &str) -> String {
    format!("this client may not {what} {topic:?}")
}

fn seconds_until(time: Option<Instant>) -> Option<u64> {
    time.map(|time| time.saturating_duration_since(Instant::now()).as_secs())
}

/// Waits until the token has expired, and was not renewed before.
async fn expiry(mut expires: watch::Receiver<Option<Instant>>) {
    loop {
        let time = *expires.borrow_and_update();
        tokio::select! {
            () = until(time) => return,
            renewed = expires.changed() => if renewed.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
