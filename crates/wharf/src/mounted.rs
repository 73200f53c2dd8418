//! A mount of a server: where upgrade requests come in, and under which options.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::driver::{self, Stream};
use crate::event::Event;
use crate::http::request::UpgradeRequest;
use crate::http::upgrade::{Arrival, Decided};
use crate::http::{UpgradeOwner, socket};
use crate::options::Options;
use crate::proto;
use crate::proto::handshake::{HandshakeError, Refusal};
use crate::registry::Registry;
use crate::request::{Asked, Decision, Host, Launch, Request, Verdict};
use crate::timer;

/// One call of `mount`: the server, under these options.
pub(crate) struct Mounted {
    pub(crate) registry: Arc<Registry>,
    pub(crate) options: Arc<Options>,
}

impl UpgradeOwner for Mounted {
    fn upgrade(
        self: Arc<Self>,
        request: UpgradeRequest<'_>,
        arrival: Arrival,
    ) -> Pin<Box<dyn Future<Output = Decided> + Send>> {
        let started = arrival.started;
        let asked = Asked::read(request, arrival, &self.options.config).map(Box::new);
        Box::pin(self.decide(asked, started))
    }
}

impl Mounted {
    /// Answers a handshake: with the decision, or with why there is none to be made (RFC 6455 §4.2.1, §4.2.2).
    async fn decide(self: Arc<Self>, asked: Result<Box<Asked>, HandshakeError>, started: Instant) -> Decided {
        self.registry.events.await_listener();
        let config = &self.options.config;
        let is_nobody_there = self.registry.events.is_abandoned() && !config.auto_accept_connections;
        let (request, undecided) = match self.admit(asked, started, is_nobody_there) {
            Ok(admitted) => admitted,
            Err(refused) => return refused,
        };
        let _pending = if config.auto_accept_connections {
            let pending = self.registry.pending(&undecided.decision, None);
            // A request that cannot be accepted so has been refused with 500: its own client's matter alone.
            drop(request.auto_accept());
            pending
        } else {
            self.registry.pending(&undecided.decision, Some(Event::Request(request)))
        };
        undecided.decided(&self.registry).await
    }

    /// A request for somebody who decides it without the server's events, and what comes of it.
    ///
    /// # Errors
    /// The refusal of what nobody is to be asked about.
    #[cfg(feature = "axum")]
    pub(crate) fn ask(
        self: &Arc<Self>,
        request: UpgradeRequest<'_>,
        arrival: Arrival,
    ) -> Result<(Request, impl Future<Output = Decided> + Send + 'static), Decided> {
        let started = arrival.started;
        let asked = Asked::read(request, arrival, &self.options.config).map(Box::new);
        let (request, undecided) = self.admit(asked, started, false)?;
        let pending = self.registry.pending(&undecided.decision, None);
        let registry = self.registry.clone();
        let decided = async move {
            let _pending = pending;
            undecided.decided(&registry).await
        };
        Ok((request, decided))
    }

    /// What is to be decided, or the refusal of what is not: a request that is no handshake, or that there is no room for.
    fn admit(
        &self,
        asked: Result<Box<Asked>, HandshakeError>,
        started: Instant,
        is_nobody_there: bool,
    ) -> Result<(Request, Undecided), Decided> {
        let config = &self.options.config;
        let counts = &self.registry.counts;
        counts.handshakes.increment();
        let asked = match asked {
            Ok(asked) => asked,
            Err(error) => {
                counts.invalid.increment();
                let refused = Decided::Refuse(error.answer());
                // Its client knows; an application that is behind is not to be sent further behind by it.
                if self.registry.events.len() < config.max_pending_events {
                    self.registry.events.push(Event::UpgradeError(error));
                }
                return Err(refused);
            }
        };
        if !asked.is_of_allowed_origin(config) {
            counts.refused.increment();
            return Err(refuse(403, "Pages of this origin may not connect."));
        }
        // A client of another version is told which ones there are, whether or not anybody would decide.
        if is_nobody_there {
            counts.refused.increment();
            return Err(refuse(404, "No handler is configured to accept the connection."));
        }
        if let Some(full) = self.registry.what_is_full(config) {
            counts.refused.increment();
            return Err(refuse(503, full));
        }
        let (answer, verdict) = oneshot::channel();
        let decision = Arc::new(Decision::new(self.registry.next_id(), answer));
        let (options, host) = (self.options.clone(), self.registry.clone());
        let request = Request::new(asked, options, host, decision.clone());
        Ok((request, Undecided { decision, verdict, deadline: started + config.handshake_timeout }))
    }
}

/// A request that waits for its decision.
struct Undecided {
    decision: Arc<Decision>,
    verdict: oneshot::Receiver<Verdict>,
    deadline: Instant,
}

impl Undecided {
    async fn decided(self, registry: &Registry) -> Decided {
        match self.verdict(registry).await {
            Some(Verdict::Accept(answer, launch)) => {
                // Without a stream the launch is dropped, and that ends the connection.
                Decided::Switch(answer, Box::new(|stream, already_read| launch.start(stream, already_read)))
            }
            Some(Verdict::Refuse(answer)) => Decided::Refuse(answer),
            None => refuse(500, "The request was not decided."),
        }
    }

    /// Waits for the decision until the deadline; whoever comes first has decided.
    async fn verdict(mut self, registry: &Registry) -> Option<Verdict> {
        if let Some(verdict) = timer::by(self.deadline, &mut self.verdict).await {
            return verdict.ok();
        }
        let reason = Some("The request was not decided in time.");
        let refusal = Refusal { status: 503, reason, ..Refusal::default() };
        registry.refuse(&self.decision, refusal, &registry.counts.undecided);
        self.verdict.await.ok()
    }
}

impl Launch {
    pub(crate) fn start(mut self, stream: Stream, already_read: Vec<u8>) {
        let Some(receiver) = self.receiver.take() else { return };
        if let Some(tcp) = stream.tcp() {
            // A socket that refuses an option is about to fail, and the driver will find that.
            let _ = socket::configure(tcp, &self.options.config);
        }
        let now = Instant::now().into_std();
        let core = proto::Connection::server(self.options.core.clone(), now);
        let core = match self.compression.take() {
            Some(negotiated) => core.with_deflate(negotiated),
            None => core,
        };
        driver::start(core, stream, already_read, self.shared.clone(), self.owner.clone(), receiver);
    }
}

fn refuse(status: u16, reason: &str) -> Decided {
    let refusal = Refusal { status, reason: Some(reason), ..Refusal::default() };
    Decided::Refuse(refusal.answer().unwrap_or_else(|error| error.answer()))
}
