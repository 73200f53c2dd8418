//! Connects to a server, and to another when that is lost, without end.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::ServerAddr;
use rand::seq::SliceRandom;
use tokio::time::sleep;
use wharf::hub::{BrokerError, BrokerHealth, Incoming, TopicPattern};

use super::builder::Options;
use super::names::Names;
use super::session::Session;
use crate::backoff::Backoff;

/// What the hub's calls and the task that connects have in common.
pub(super) struct Shared {
    servers: Vec<ServerAddr>,
    names: Names,
    options: Arc<Options>,
    state: Mutex<State>,
}

struct State {
    /// The connection, or why there is none.
    session: Result<Arc<Session>, Arc<str>>,
    /// What the hub has subscribed to.
    patterns: HashSet<TopicPattern>,
}

/// Connects, and goes on until the hub is gone.
pub(super) async fn run(shared: Arc<Shared>, incoming: Incoming) {
    let mut backoff = Backoff::new(shared.options.max_reconnect_delay);
    let connecting = async {
        loop {
            let reason = shared.connect(&incoming, &mut backoff).await;
            shared.lock().session = Err(reason.clone());
            incoming.health(BrokerHealth::Away { reason });
            sleep(backoff.next()).await;
        }
    };
    tokio::select! {
        () = connecting => {}
        () = incoming.gone() => shared.lock().session = Err("the hub is gone".into()),
    }
}

impl Shared {
    pub(super) fn new(servers: Vec<ServerAddr>, names: Names, options: Options) -> Self {
        let state = State { session: Err("it was not connected yet".into()), patterns: HashSet::new() };
        Self { servers, names, options: Arc::new(options), state: Mutex::new(state) }
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// The connection that is open.
    pub(super) fn session(&self) -> Result<Arc<Session>, BrokerError> {
        self.lock().session.clone().map_err(BrokerError::Away)
    }

    pub(super) async fn subscribe(&self, pattern: &TopicPattern) -> Result<(), BrokerError> {
        let session = self.session()?;
        // Whatever connection comes next subscribes to it.
        self.lock().patterns.insert(pattern.clone());
        let subscribed = match session.subscribe(pattern).await {
            Ok(()) => session.round_trip().await,
            Err(error) => Err(error),
        };
        if subscribed.is_err() {
            self.unsubscribe(pattern);
            session.unsubscribe(pattern);
        }
        subscribed
    }

    pub(super) fn unsubscribe(&self, pattern: &TopicPattern) {
        let mut state = self.lock();
        state.patterns.remove(pattern);
        if let Ok(session) = &state.session {
            session.unsubscribe(pattern);
        }
    }

    /// Connects to the first server that can be reached, in an order of its own, and stays until the connection is over: why
    /// it is, or why there was none.
    async fn connect(&self, incoming: &Incoming, backoff: &mut Backoff) -> Arc<str> {
        let mut servers: Vec<_> = self.servers.iter().collect();
        servers.shuffle(&mut rand::rng());
        let mut reason = Arc::from("there is no server");
        for server in servers {
            let opening = Session::open(server, self.names.clone(), self.options.clone(), incoming.clone());
            match opening.await {
                Ok((session, running)) => {
                    return match self.resume(&session).await {
                        Ok(()) => {
                            backoff.reset();
                            incoming.health(BrokerHealth::Connected);
                            drop(session);
                            running.await
                        }
                        Err(error) => error.to_string().into(),
                    };
                }
                Err(error) => reason = error,
            }
        }
        reason
    }

    /// Subscribes to all that was subscribed to before, and gives the connection to those who publish.
    async fn resume(&self, session: &Arc<Session>) -> Result<(), BrokerError> {
        let patterns: Vec<_> = self.lock().patterns.iter().cloned().collect();
        for pattern in &patterns {
            session.subscribe(pattern).await?;
        }
        session.round_trip().await?;
        self.lock().session = Ok(session.clone());
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
