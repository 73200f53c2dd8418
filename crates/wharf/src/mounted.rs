//! A mount of a server: where upgrade requests come in, and under which options.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::request::Parts;
use tokio::sync::oneshot;

use crate::driver::{self, Stream};
use crate::event::Event;
use crate::http::upgrade::{Arrival, Decided};
use crate::http::{UpgradeOwner, socket};
use crate::options::Options;
use crate::proto;
use crate::proto::handshake::{self, Fields, HttpVersion, Refusal, RequestHead};
use crate::registry::Registry;
use crate::request::{Decision, Host, Launch, Request, Verdict};
use crate::timer;

/// One call of `mount`: the server, under these options.
pub(crate) struct Mounted {
    pub(crate) registry: Arc<Registry>,
    pub(crate) options: Arc<Options>,
}

impl UpgradeOwner for Mounted {
    fn upgrade(
        self: Arc<Self>,
        request: Parts,
        arrival: Arrival,
    ) -> Pin<Box<dyn Future<Output = Decided> + Send>> {
        Box::pin(async move { self.decide(request, arrival).await })
    }
}

impl Mounted {
    /// Answers a handshake: with the decision, or with why there is none to be made (RFC 6455 §4.2.1, §4.2.2).
    async fn decide(&self, http: Parts, arrival: Arrival) -> Decided {
        let config = &self.options.config;
        let counts = &self.registry.counts;
        counts.handshakes.increment();
        let handshake = match read_handshake(&http) {
            Ok(handshake) => handshake,
            Err(error) => {
                counts.invalid.increment();
                let refused = Decided::Refuse(error.answer());
                // Its client knows; an application that is behind is not to be sent further behind by it.
                if self.registry.events.len() < config.max_pending_events {
                    self.registry.events.push(Event::UpgradeError(error));
                }
                return refused;
            }
        };
        // A client of another version is told which ones there are, whether or not anybody would decide.
        if self.registry.events.is_abandoned() && !config.auto_accept_connections {
            counts.refused.increment();
            return refuse(404, "No handler is configured to accept the connection.");
        }
        if let Some(full) = self.registry.what_is_full(config) {
            counts.refused.increment();
            return refuse(503, full);
        }
        let (answer, decided) = oneshot::channel();
        let decision = Arc::new(Decision::new(self.registry.next_id(), answer));
        let options = self.options.clone();
        let request =
            Request::new(handshake, http, arrival.peer, options, self.registry.clone(), decision.clone());
        let _pending = if config.auto_accept_connections {
            let pending = self.registry.pending(&decision, None);
            // A request that cannot be accepted so has been refused with 500: its own client's matter alone.
            drop(request.auto_accept());
            pending
        } else {
            self.registry.pending(&decision, Some(Event::Request(request)))
        };
        let deadline = arrival.started + config.handshake_timeout;
        match self.verdict(decided, deadline, &decision).await {
            Some(Verdict::Accept(answer, launch)) => {
                // Without a stream the launch is dropped, and that ends the connection.
                Decided::Switch(answer, Box::new(|stream, already_read| launch.start(stream, already_read)))
            }
            Some(Verdict::Refuse(answer)) => Decided::Refuse(answer),
            None => refuse(500, "The request was not decided."),
        }
    }

    /// Waits for the decision until the deadline; whoever comes first has decided.
    async fn verdict(
        &self,
        mut decided: oneshot::Receiver<Verdict>,
        deadline: tokio::time::Instant,
        decision: &Decision,
    ) -> Option<Verdict> {
        if let Some(verdict) = timer::by(deadline, &mut decided).await {
            return verdict.ok();
        }
        let reason = Some("The request was not decided in time.");
        let refusal = Refusal { status: 503, reason, ..Refusal::default() };
        self.registry.refuse(decision, refusal, &self.registry.counts.undecided);
        decided.await.ok()
    }
}

impl Launch {
    fn start(mut self, stream: Stream, already_read: Vec<u8>) {
        let Some(receiver) = self.receiver.take() else { return };
        // A socket that refuses an option is about to fail, and the driver will find that.
        let _ = socket::configure(stream.tcp(), &self.options.config);
        let now = tokio::time::Instant::now().into_std();
        let core = proto::Connection::server(self.options.core.clone(), now);
        let core = match self.compression.take() {
            Some(negotiated) => core.with_deflate(negotiated),
            None => core,
        };
        driver::start(core, stream, already_read, self.shared.clone(), self.owner.clone(), receiver);
    }
}

fn read_handshake(request: &Parts) -> Result<handshake::Request, handshake::HandshakeError> {
    let target = request.uri.to_string();
    let version =
        if request.version >= http::Version::HTTP_11 { HttpVersion::Http11 } else { HttpVersion::Http10 };
    let fields: Fields<'_> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    handshake::Request::read(&RequestHead {
        method: request.method.as_str(),
        target: &target,
        version,
        fields,
    })
}

fn refuse(status: u16, reason: &str) -> Decided {
    let refusal = Refusal { status, reason: Some(reason), ..Refusal::default() };
    Decided::Refuse(refusal.answer().unwrap_or_else(|error| error.answer()))
}
