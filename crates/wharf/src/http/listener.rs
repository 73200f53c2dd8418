//! Takes connections in, whatever happens to any of them.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::io::AsyncRead;
#[cfg(feature = "tls")]
use tokio::io::AsyncWrite;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::yield_now;
#[cfg(feature = "tls")]
use tokio::time::Instant;
use tokio::time::{sleep, timeout_at};
#[cfg(feature = "tls")]
use tokio_rustls::TlsAcceptor;

#[cfg(feature = "tls")]
use super::connection::end;
use super::connection::serve;
use super::limits::Limits;
use super::proxy_protocol::read_proxy_header;
use super::service::ErasedService;
use super::upgrade::Arrival;
use super::{Phase, Terms, closing, turned_away};
use crate::driver::{IntoStream, ResidentTask, Stream};
#[cfg(feature = "tls")]
use crate::tls::{ServerTls, TlsStream};

/// Where connections come from. A fake one stands in where a test needs errors that no kernel gives on demand.
pub(crate) trait Accept: Send + 'static {
    type Stream: IntoStream;

    /// The next connection. Dropping the future loses none.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Arrival)>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Arrival)> {
        // Each listener has one task that takes from it, and needs no more than to be woken.
        let (stream, peer) = poll_fn(|cx| self.poll_accept(cx)).await?;
        Ok((stream, Arrival::of_peer(Some(peer))))
    }
}

/// What a server has for connections, however they come.
pub(crate) struct Offer {
    pub(crate) service: Box<dyn ErasedService>,
    pub(crate) terms: Arc<Terms>,
    pub(crate) security: Security,
    /// One for each connection that may be in HTTP at once.
    pub(crate) slots: Arc<Semaphore>,
}

impl Clone for Offer {
    fn clone(&self) -> Self {
        let Terms { mount, limits } = self.terms.as_ref();
        Self {
            service: self.service.clone_box(),
            // Each its own, since all connections of a worker count on it.
            terms: Arc::new(Terms { mount: Arc::clone(mount), limits: *limits }),
            security: self.security.clone(),
            slots: Arc::clone(&self.slots),
        }
    }
}

/// What the connections of one listener are served by and under.
#[derive(Clone)]
pub(crate) struct Serving {
    pub(crate) offer: Offer,
    pub(crate) stop: watch::Receiver<Phase>,
    /// Whether each connection begins with a PROXY header.
    pub(crate) proxy_protocol: bool,
}

impl Serving {
    /// Serves a connection, in a task of its own.
    fn take<S: IntoStream>(&self, stream: S, arrival: Arrival, slot: Slot) {
        let Self { offer: Offer { service, terms, security, .. }, stop, proxy_protocol } = self;
        let (service, terms, stop) = (service.clone_box(), Arc::clone(terms), stop.clone());
        let limits = terms.limits;
        // Boxed, because tokio would move them several times.
        match security {
            Security::Plain if !proxy_protocol => {
                tokio::spawn(Box::pin(serve(stream, arrival, service, terms, stop, slot)));
            }
            Security::Plain => {
                tokio::spawn(Box::pin(async move {
                    let introduced = introduced(stream, arrival, limits, stop.clone()).await;
                    if let Some((stream, arrival)) = introduced {
                        serve(stream, arrival, service, terms, stop, slot).await;
                    }
                }));
            }
            #[cfg(feature = "tls")]
            Security::Tls(tls) => {
                let acceptor = TlsAcceptor::from(tls.config(limits.is_http2_spoken));
                let proxy_protocol = *proxy_protocol;
                tokio::spawn(Box::pin(async move {
                    let introduced = if proxy_protocol {
                        introduced(stream, arrival, limits, stop.clone()).await
                    } else {
                        Some((stream, arrival))
                    };
                    let Some((stream, arrival)) = introduced else { return };
                    let secured = secure(stream, &acceptor, arrival.started, limits, stop.clone()).await;
                    if let Some(stream) = secured {
                        let client_certificate = stream.peer_certificate();
                        let arrival = Arrival { client_certificate, ..arrival };
                        serve(stream, arrival, service, terms, stop, slot).await;
                    }
                }));
            }
        }
    }

    /// Serves a stream that no listener brought, once there is a place for it, which its handshake's time includes.
    pub(crate) async fn take_given(mut self, stream: Stream, peer: Option<SocketAddr>) {
        let arrival = Arrival::of_peer(peer);
        let slots = Arc::clone(&self.offer.slots);
        let mut stop = self.stop.clone();
        let place = async {
            mounted(&mut self.stop).await;
            slots.acquire_owned().await.ok()
        };
        let until = arrival.started + self.offer.terms.limits.handshake_timeout;
        let placed = tokio::select! {
            biased;
            placed = timeout_at(until, place) => placed,
            _ = closing(&mut stop) => return,
        };
        let Ok(Some(permit)) = placed else { return };
        let slot = Slot::new(Some(permit));
        match stream {
            Stream::Tcp(stream) => self.take(stream, arrival, slot),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => self.take(stream, arrival, slot),
            Stream::Other(stream) => self.take(stream, arrival, slot),
        }
    }
}

/// Waits for a WebSocket server, where the server does so.
async fn mounted(stop: &mut watch::Receiver<Phase>) {
    // Fails where the server has gone, which is closing.
    let _ = stop.wait_for(|phase| !matches!(phase, Phase::Unmounted)).await;
}

/// Serves each connection that comes and for which there is a slot, until the server closes.
pub(crate) async fn accept_connections<L: Accept>(listener: L, serving: Serving) {
    let mut own_stop = serving.stop.clone();
    mounted(&mut own_stop).await;
    let mut closing = pin!(closing(&mut own_stop));
    let mut pause = SHORTEST_PAUSE;
    let mut accepted_in_a_row = 0;
    loop {
        accepted_in_a_row += 1;
        if accepted_in_a_row > ACCEPTS_A_TURN {
            accepted_in_a_row = 0;
            yield_now().await;
        }
        let (accepted, slot) = tokio::select! {
            biased;
            next = next(&listener, &serving.offer.slots, &serving.stop) => next,
            _ = &mut closing => break,
        };
        match accepted {
            Ok((stream, arrival)) => {
                pause = SHORTEST_PAUSE;
                serving.take(stream, arrival, Slot::new(slot));
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(_) => {
                tokio::select! {
                    _ = &mut closing => break,
                    () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                }
            }
        }
    }
    // Before `stop`, whose end tells that nobody listens any more.
    drop(listener);
}

/// The place of a connection among those that may be in HTTP at once, and on its worker.
#[derive(Default)]
pub(crate) struct Slot {
    slots: Option<Arc<Semaphore>>,
    permit: Option<OwnedSemaphorePermit>,
    _resident: Option<ResidentTask>,
}

impl Slot {
    fn new(permit: Option<OwnedSemaphorePermit>) -> Self {
        let slots = permit.as_ref().map(|permit| Arc::clone(permit.semaphore()));
        Self { slots, permit, _resident: ResidentTask::here() }
    }

    /// Somebody else may be in HTTP instead.
    pub(crate) fn leave(&mut self) {
        self.permit = None;
    }

    /// Whether there is a place, which was never left or can be had again.
    pub(crate) fn take(&mut self) -> bool {
        if let (None, Some(slots)) = (&self.permit, &self.slots) {
            self.permit = Arc::clone(slots).try_acquire_owned().ok();
            return self.permit.is_some();
        }
        true
    }
}

/// The next connection, and its slot.
///
/// One that has no slot stays with the kernel, and so the slot comes first; but no slot is held while no connection comes:
/// other listeners have need of it. A closing server takes none, though it came before.
async fn next<L: Accept>(
    listener: &L,
    slots: &Arc<Semaphore>,
    stop: &watch::Receiver<Phase>,
) -> (io::Result<(L::Stream, Arrival)>, Option<OwnedSemaphorePermit>) {
    let mut accept = pin!(listener.accept());
    let mut acquire = pin!(Arc::clone(slots).acquire_owned());
    poll_fn(|cx| {
        if matches!(*stop.borrow(), Phase::Closing { .. }) {
            return Poll::Pending;
        }
        let slot = ready!(acquire.as_mut().poll(cx)).ok();
        let accepted = accept.as_mut().poll(cx);
        if accepted.is_pending() {
            acquire.set(Arc::clone(slots).acquire_owned());
        }
        accepted.map(|accepted| (accepted, slot))
    })
    .await
}

/// Reads the PROXY header with which each connection of its listener begins, before TLS and HTTP; it is part of the opening
/// handshake's time. `None`: it has not come, and the connection is over.
async fn introduced<S>(
    mut stream: S,
    arrival: Arrival,
    limits: Limits,
    mut stop: watch::Receiver<Phase>,
) -> Option<(S, Arrival)>
where
    S: AsyncRead + Unpin,
{
    let header = read_proxy_header(&mut stream);
    let proxied = tokio::select! {
        header = timeout_at(arrival.started + limits.handshake_timeout, header) => header.ok()?.ok()?,
        () = turned_away(&mut stop, arrival.started + limits.first_request_grace) => return None,
    };
    Some((stream, Arrival { proxied, ..arrival }))
}

/// Whether connections are secured by TLS.
#[derive(Clone)]
pub(crate) enum Security {
    Plain,
    #[cfg(feature = "tls")]
    Tls(ServerTls),
}

/// Makes the TLS handshake, which is part of the opening handshake's time. `None` where it fails or is late: rustls has
/// told the client why it failed (RFC 6455 §4.2.2). A closing server gives those under way a moment, as they have asked for nothing yet.
#[cfg(feature = "tls")]
async fn secure<S>(
    stream: S,
    acceptor: &TlsAcceptor,
    started: Instant,
    limits: Limits,
    mut stop: watch::Receiver<Phase>,
) -> Option<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let secured = async {
        let handshake = acceptor.accept(stream).into_fallible();
        match timeout_at(started + limits.handshake_timeout, handshake).await.ok()? {
            Ok(stream) => Some(TlsStream::new(stream.into())),
            Err((_, mut stream)) => {
                // In TLS 1.3 a client whose certificate is refused has sent its request by then, and is yet to read why
                // nobody takes it.
                end(&mut stream, &limits, false).await;
                None
            }
        }
    };
    tokio::select! {
        secured = secured => secured,
        () = turned_away(&mut stop, started + limits.first_request_grace) => None,
    }
}

/// The connection was gone before it was taken; the next may well be there.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, NotConnected};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | NotConnected
    )
}

/// After so many in a row others of the same worker get their turn, those just accepted among them: where thousands come at
/// once, few are on their way through the handshake at the same time, and its memory is taken once for all.
const ACCEPTS_A_TURN: usize = 16;

/// Out of file descriptors or memory, `accept` fails at once, again and again, until something else is closed.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::pending;
    use std::sync::Mutex;
    use std::task::{Context, Waker};

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::Instant;

    use super::super::limits::Limits;
    use super::super::service::NotFound;
    use super::super::support::{ORDINARY, read_head};
    use super::super::upgrade::Mount;
    use super::*;

    /// Fails with these errors one after the other, then brings these connections, and then none.
    struct Failing {
        errors: Mutex<VecDeque<io::Error>>,
        streams: Mutex<Vec<DuplexStream>>,
    }

    impl Accept for Failing {
        type Stream = DuplexStream;

        async fn accept(&self) -> io::Result<(DuplexStream, Arrival)> {
            let error = self.errors.lock().unwrap().pop_front();
            let stream = self.streams.lock().unwrap().pop();
            match (error, stream) {
                (Some(error), unused) => {
                    self.streams.lock().unwrap().extend(unused);
                    Err(error)
                }
                (None, Some(stream)) => {
                    let addr = "127.0.0.1:1".parse().unwrap();
                    Ok((stream, Arrival::of_peer(Some(addr))))
                }
                (None, None) => pending().await,
            }
        }
    }

    impl Failing {
        fn new(errors: impl IntoIterator<Item = io::Error>, stream: Option<DuplexStream>) -> Self {
            let streams = stream.into_iter().collect();
            Self { errors: Mutex::new(errors.into_iter().collect()), streams: Mutex::new(streams) }
        }

        async fn served(self, slots: Arc<Semaphore>, stop: watch::Receiver<Phase>) {
            let (mount, limits) = (Arc::new(Mount::default()), Limits::default());
            let terms = Arc::new(Terms { mount, limits });
            let offer = Offer { service: Box::new(NotFound), terms, security: Security::Plain, slots };
            accept_connections(self, Serving { offer, stop, proxy_protocol: false }).await;
        }
    }

    async fn time_until_served(errors: impl IntoIterator<Item = io::Error>) -> Duration {
        let (mut client, stream) = duplex(1024);
        let listener = Failing::new(errors, Some(stream));
        let (_stop, stopped) = watch::channel(Phase::Serving);
        let started = Instant::now();
        tokio::spawn(listener.served(Arc::new(Semaphore::new(1)), stopped));
        client.write_all(ORDINARY.as_bytes()).await.unwrap();
        assert!(read_head(&mut client).await.starts_with("HTTP/1.1 404 "));
        started.elapsed()
    }

    fn out_of_file_descriptors() -> io::Error {
        const EMFILE: i32 = 24;
        io::Error::from_raw_os_error(EMFILE)
    }

    #[tokio::test(start_paused = true)]
    async fn accepting_goes_on_after_a_shortage_and_waits_longer_each_time_while_it_lasts() {
        let once = time_until_served([out_of_file_descriptors()]).await;
        assert!(once < Duration::from_millis(20), "{once:?}");

        // 5, 10, 20 … 640 ms, then a second each: thirteen attempts in five seconds, not millions.
        let lasting = time_until_served((0..13).map(|_| out_of_file_descriptors())).await;
        assert!(lasting > Duration::from_secs(5), "{lasting:?}");
        assert!(lasting < Duration::from_secs(7), "{lasting:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_gone_before_it_is_taken_holds_nobody_up() {
        let errors = (0..1000).map(|_| io::ErrorKind::ConnectionAborted.into());
        assert_eq!(time_until_served(errors).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closing_server_takes_no_connection_that_waited_for_a_slot() {
        let slots = Arc::new(Semaphore::new(0));
        let (stop, stopped) = watch::channel(Phase::Serving);
        let (mut client, stream) = duplex(1024);
        client.write_all(ORDINARY.as_bytes()).await.unwrap();
        let served = tokio::spawn(Failing::new([], Some(stream)).served(Arc::clone(&slots), stopped));
        yield_now().await;
        stop.send(Phase::Closing { deadline: Instant::now() + Duration::from_secs(1) }).unwrap();
        slots.add_permits(1);
        served.await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_nobody_comes_to_leaves_the_slots_to_the_others() {
        let slots = Arc::new(Semaphore::new(1));
        let (_stop, stopped) = watch::channel(Phase::Serving);
        let mut deserted = pin!(Failing::new([], None).served(Arc::clone(&slots), stopped.clone()));
        assert!(deserted.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());

        let (mut client, stream) = duplex(1024);
        tokio::spawn(Failing::new([], Some(stream)).served(slots, stopped));
        client.write_all(ORDINARY.as_bytes()).await.unwrap();
        assert!(read_head(&mut client).await.starts_with("HTTP/1.1 404 "));
    }
}
