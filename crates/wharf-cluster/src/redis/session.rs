//! Connects, and connects again: for as long as there is a hub.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use wharf::hub::{BrokerError, BrokerHealth, Incoming, TopicPattern};

use super::builder::Options;
use super::commands::{self, Commands};
use super::connection::{Connection, away};
use super::inbox::Inbox;
use super::scripts::Scripts;
use super::subscriptions::{Change, Subscriptions};
use crate::backoff::Backoff;

/// What those who ask share with the task that connects.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) options: Options,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    link: Result<Link, Arc<str>>,
    /// What is subscribed to again when a connection was lost.
    wanted: HashSet<TopicPattern>,
}

/// The way to Redis, while it is there.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) commands: Commands,
    pub(super) changes: mpsc::Sender<Change>,
    pub(super) scripts: Scripts,
}

/// Two connections on which nothing is awaited, one of which subscribes to all that is wanted.
struct Established<'a> {
    commands: Connection,
    subscriptions: Subscriptions<'a>,
    scripts: Scripts,
}

impl Session {
    pub(super) fn new(options: Options) -> Self {
        let link = Err("it was not connected yet".into());
        Self { options, state: Mutex::new(State { link, wanted: HashSet::new() }) }
    }

    /// The way to Redis.
    ///
    /// # Errors
    /// [`BrokerError::Away`]
    pub(super) fn link(&self) -> Result<Link, BrokerError> {
        self.lock().link.clone().map_err(BrokerError::Away)
    }

    /// From now on this is subscribed to again when a connection was lost.
    pub(super) fn want(&self, pattern: &TopicPattern) {
        self.lock().wanted.insert(pattern.clone());
    }

    pub(super) fn want_no_longer(&self, pattern: &TopicPattern) {
        self.lock().wanted.remove(pattern);
    }

    /// Keeps the connections up, and tells how they stand, until the hub is gone.
    pub(super) async fn keep(&self, incoming: Incoming, mut inbox: Inbox) {
        let max_delay = self.options.max_reconnect_delay;
        let mut backoff = Backoff::new(max_delay);
        loop {
            let mut connected = None;
            let served = self.connect_and_serve(&incoming, &mut inbox, &mut connected).await;
            let Err(error) = served else { return };
            let reason = match error {
                BrokerError::Away(reason) => reason,
                error => error.to_string().into(),
            };
            self.lock().link = Err(reason.clone());
            incoming.health(BrokerHealth::Away { reason });
            // One that is lost again at once, each time, is not asked more often for it.
            if connected.is_some_and(|since: Instant| since.elapsed() > max_delay) {
                backoff.reset();
            }
            tokio::select! {
                () = sleep(backoff.next()) => {}
                () = incoming.gone() => return,
            }
        }
    }

    /// Until the hub is gone, or why a connection was lost, and since when it was there.
    async fn connect_and_serve(
        &self,
        incoming: &Incoming,
        inbox: &mut Inbox,
        connected: &mut Option<Instant>,
    ) -> Result<(), BrokerError> {
        let limit = self.options.connect_timeout;
        let established = tokio::select! {
            established = timeout(limit, self.establish(inbox)) => established,
            () = incoming.gone() => return Ok(()),
        };
        let Established { commands, subscriptions, scripts } =
            established.map_err(|_| away(format!("not connected within {limit:?}")))??;
        let (to_commands, handed_over) = Commands::channel();
        let (changes, mut to_change) = mpsc::channel(1);
        self.lock().link = Ok(Link { commands: to_commands, changes, scripts });
        *connected = Some(Instant::now());
        incoming.health(BrokerHealth::Connected);
        let serve_commands = commands::run(commands, handed_over, &self.options);
        let serve_subscriptions = subscriptions.run(&mut to_change);
        let end = async {
            incoming.gone().await;
            // What was handed over is still written and answered, which ends both.
            self.lock().link = Err("the hub is gone".into());
            Ok(())
        };
        tokio::try_join!(serve_commands, serve_subscriptions, end).map(|_| ())
    }

    async fn establish<'a>(&'a self, inbox: &'a mut Inbox) -> Result<Established<'a>, BrokerError> {
        let wanted: Vec<_> = self.lock().wanted.iter().cloned().collect();
        let commands = async {
            let mut commands = Connection::open(&self.options).await?;
            let scripts = Scripts::load(&mut commands).await?;
            Ok((commands, scripts))
        };
        let subscriptions = async {
            let connection = Connection::open(&self.options).await?;
            let mut subscriptions = Subscriptions::new(connection, inbox, &self.options);
            subscriptions.resume(&wanted).await?;
            Ok(subscriptions)
        };
        let ((commands, scripts), subscriptions) = tokio::try_join!(commands, subscriptions)?;
        Ok(Established { commands, subscriptions, scripts })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
