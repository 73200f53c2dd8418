//! A broker on NATS.
//!
//! ```no_run
//! use wharf::hub::Hub;
//! use wharf_cluster::nats::Nats;
//!
//! # async fn cluster() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Hub::builder().broker(Nats::new("nats://127.0.0.1:4222")?).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! # For programs that are not hubs
//! With the prefix `wharf`, that can be [another](NatsBuilder::prefix), what is published on the topic `rooms.lobby` is sent on
//! the subject `wharf.t.rooms.lobby`, and whoever publishes there publishes on the topic. A payload is a text if it is UTF-8
//! and the header `Wharf-Kind` does not say `binary`. `Wharf-Key` is the message's key, percent-encoded, and `Nats-Msg-Id`
//! tells it from all others. No header has to be there.
//!
//! A topic with a history has a stream of JetStream, which takes what is published on `wharf.h.rooms.lobby`, and sends it on
//! `wharf.t.rooms.lobby`, with the headers that NATS has for that: `Nats-Sequence` is the offset. Who publishes to
//! `wharf.t.` there passes the history by. The stream's name is its subject with `_` for dots and all other characters than
//! letters, digits and `-` as `=` and two hexadecimal digits: `wharf_h_rooms_lobby`. It is made by the first hub
//! that publishes on the topic, for to subscribe makes none, changed by those whose options are others, and stays when nobody
//! needs it.
//!
//! # What it costs
//! A subscription of a node is one of NATS, of which async-nats keeps about 6 KiB. What a node publishes on topics that it has
//! subscribed to comes back to it, and is thrown away.

mod builder;
mod connection;
mod credentials;
mod echo;
mod envelope;
mod names;
mod receiving;
mod session;
mod streams;

use std::fmt;
use std::sync::Arc;

pub use builder::{NatsBuilder, NatsError, NatsNotice};

use connection::Shared;
use wharf::hub::{
    Acknowledgement, BoxFuture, Broker, BrokerError, HistoryRead, HistoryRequest, Incoming, Interest,
    Outgoing, TopicPattern,
};

/// Shares topics with the hubs of other nodes by NATS: core NATS for topics without history, JetStream for those with one.
///
/// It connects when a hub is made with it, and again, without end, when a connection is lost.
pub struct Nats {
    shared: Arc<Shared>,
}

impl Nats {
    /// A broker on the server with this URL, or on one of several, with commas between them:
    /// `nats://127.0.0.1:4222`. `tls://` is for TLS, and `nats://user:password@host` for a password.
    ///
    /// # Errors
    /// [`NatsError`]: it is not the URL of a server of NATS.
    pub fn new(servers: &str) -> Result<Self, NatsError> {
        Self::builder(servers).build()
    }

    /// A broker with other options.
    pub fn builder(servers: &str) -> NatsBuilder {
        NatsBuilder::new(servers)
    }
}

impl Broker for Nats {
    fn start(&self, incoming: Incoming) {
        tokio::spawn(connection::run(self.shared.clone(), incoming));
    }

    fn publish<'a>(&'a self, outgoing: &'a Outgoing) -> BoxFuture<'a, Result<Acknowledgement, BrokerError>> {
        Box::pin(async move { self.shared.session()?.publish(outgoing).await })
    }

    fn subscribe<'a>(&'a self, interest: &'a Interest) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(self.shared.subscribe(&interest.pattern))
    }

    fn unsubscribe<'a>(&'a self, pattern: &'a TopicPattern) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.shared.unsubscribe(pattern);
        Box::pin(std::future::ready(Ok(())))
    }

    fn history<'a>(&'a self, request: &'a HistoryRequest) -> BoxFuture<'a, Result<HistoryRead, BrokerError>> {
        Box::pin(async move { self.shared.session()?.history(request).await })
    }
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("options", self.shared.options()).finish_non_exhaustive()
    }
}
