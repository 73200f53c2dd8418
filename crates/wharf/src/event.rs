//! What happens at a server, to be taken one by one.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::connection::Connection;
use crate::proto::connection::Ending;
use crate::proto::handshake::HandshakeError;
use crate::request::Request;

/// Something that happened at a [`Server`](crate::Server).
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client asks for a WebSocket; not with
    /// [`auto_accept_connections`](crate::ServerConfig::auto_accept_connections).
    Request(Request),
    /// A request was accepted.
    Connect(Connection),
    /// A connection has ended: once for each `Connect`, whatever ended it. It has left
    /// [`Server::connections`](crate::Server::connections) by then.
    Close {
        /// Which.
        connection: Connection,
        /// How. [`Ending::code`] and [`Ending::description`] are the reference's two values.
        ending: Ending,
    },
    /// A request for an upgrade was no valid opening handshake; it has been refused, with 400 or 426.
    ///
    /// Not told while [`max_pending_events`](crate::ServerConfig::max_pending_events) wait to be taken.
    #[doc(alias = "upgradeError")]
    UpgradeError(HandshakeError),
    /// A request was decided, whichever way and by whomever: the application, `close_all_connections`, a deadline.
    /// [`RequestAccepted`](Self::RequestAccepted) or [`RequestRejected`](Self::RequestRejected) follows. All three are
    /// told only after [`Server::tell_decisions`](crate::Server::tell_decisions).
    #[doc(alias = "requestResolved")]
    RequestResolved {
        /// Its [`Request::id`].
        request: u64,
    },
    /// A request was accepted, and [`Connect`](Self::Connect) has been told of its connection.
    #[doc(alias = "requestAccepted")]
    RequestAccepted {
        /// Its [`Request::id`].
        request: u64,
        /// What it became.
        connection: Connection,
    },
    /// A request was rejected, or refused undecided.
    #[doc(alias = "requestRejected")]
    RequestRejected {
        /// Its [`Request::id`].
        request: u64,
        /// What its client gets.
        status: u16,
    },
}

/// Events on their way to the application: bounded, because requests are refused while it is full.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    /// Somebody takes events, or is to: a server whose requests are all decided elsewhere may be one that nobody listens to.
    is_awaited: bool,
    /// Nobody can take events any more.
    is_abandoned: bool,
}

impl EventQueue {
    pub(crate) fn push(&self, event: Event) {
        // Out of the lock: dropping a request or connection runs code of theirs.
        drop(self.push_or_return(event));
    }

    /// The event, where nobody can take it any more.
    #[must_use]
    pub(crate) fn push_or_return(&self, event: Event) -> Option<Event> {
        let mut state = self.lock();
        if state.is_abandoned || !state.is_awaited {
            return Some(event);
        }
        state.events.push_back(event);
        drop(state);
        self.changed.notify_waiters();
        None
    }

    /// The next event; `None` when there is none and `is_over` said before that no further one would come.
    pub(crate) async fn next(&self, is_over: impl Fn() -> bool) -> Option<Event> {
        loop {
            // Created before the look, so that what comes between look and wait is not missed.
            let changed = self.changed.notified();
            // Before the look, too: the last connection's end is pushed no later than it counts as gone.
            let is_over = is_over();
            if let Some(event) = self.pop() {
                return Some(event);
            }
            if is_over {
                return None;
            }
            changed.await;
        }
    }

    fn pop(&self) -> Option<Event> {
        let mut state = self.lock();
        state.is_awaited = true;
        state.events.pop_front()
    }

    /// From now on there are requests that somebody decides who takes them from here.
    pub(crate) fn await_listener(&self) {
        self.lock().is_awaited = true;
    }

    /// Lets those who wait look again.
    pub(crate) fn nudge(&self) {
        self.changed.notify_waiters();
    }

    /// Nobody will take events any more: those that wait are dropped, which rejects the requests among them.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.is_abandoned = true;
        let events = std::mem::take(&mut state.events);
        drop(state);
        drop(events);
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.lock().is_abandoned
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().events.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
