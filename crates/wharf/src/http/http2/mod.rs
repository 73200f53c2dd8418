//! HTTP/2 on one connection (RFC 9113): ordinary requests, and beside them WebSockets by extended CONNECT (RFC 8441).
//!
//! hyper speaks it. What it leaves to its users is here: that a connection where nothing happens ends, that an answer which
//! nobody takes does, and that WebSockets outlive the HTTP server that they came to.

mod body;
mod idle;
mod io;
mod stream;
mod streams;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use hyper::body::{Body, Incoming};
use hyper::ext::Protocol;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

pub(super) use stream::Http2Stream;

use super::limits::Limits;
use super::listener::Slot;
use super::service::{ErasedService, ResponseBody, text};
use super::stream::HttpStream;
use super::upgrade::{Arrival, Mount, decide};
use super::{Phase, Terms, closing};
use crate::driver::{IntoStream, ResidentTask};
use body::WatchedBody;
use idle::IdleWatch;
use io::{Ending, Http2Io, Progress};
use streams::{Counts, StreamExecutor, Streams};

/// What a client that knows that we speak HTTP/2 begins with (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether a request asks for a WebSocket (RFC 8441 §4, §5).
pub(crate) fn is_extended_connect<B>(request: &Request<B>) -> bool {
    let protocol = request.extensions().get::<Protocol>();
    request.method() == Method::CONNECT
        && protocol.is_some_and(|protocol| protocol.as_str().eq_ignore_ascii_case("websocket"))
}

/// Serves HTTP/2 on `stream`. Ends with the connection; where the server closes, with its last request, and then the
/// WebSockets on it go on by themselves.
pub(super) async fn serve<S: IntoStream>(
    stream: HttpStream<S>,
    service: Box<dyn ErasedService>,
    arrival: Arrival,
    terms: Arc<Terms>,
    mut stop: watch::Receiver<Phase>,
    mut slot: Slot,
) {
    let limits = terms.limits;
    // Streams of many kinds share the socket, and none is to wait for what another has under way.
    let _ = stream.get_ref().tcp().map(|tcp| tcp.set_nodelay(true));
    let streams = Arc::new(Streams::new(limits.write_timeout));
    let mut counts = streams.counts();
    let service = Http2Service { service, mount: Arc::clone(&terms.mount), arrival, limits };
    let (stream, progress, given_back) = Http2Io::new(stream);
    let builder = http2(&limits, StreamExecutor::new(Arc::clone(&streams)));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = Ending::new(connection, given_back, limits);
    let tell_to_go = |connection: &mut Ending<http2::Connection<_, _, _>, S>| {
        connection.connection().into_iter().for_each(http2::Connection::graceful_shutdown);
    };

    let mut watch = IdleWatch::of(&limits);
    // When one is dropped whose place others have taken, and which goes on as if it had not been told to go.
    let mut without_place = None;
    let deadline = loop {
        tokio::select! {
            biased;
            () = &mut connection => return,
            _ = counts.changed() => {
                let counts = *counts.borrow_and_update();
                if counts.given_up > MOST_GIVEN_UP {
                    return;
                }
                // A connection of WebSockets is no longer HTTP, so that those who come have its place.
                if counts.upgraded > 0 {
                    slot.leave();
                    without_place = None;
                } else if slot.take() {
                    without_place = None;
                } else {
                    tell_to_go(&mut connection);
                    without_place.get_or_insert_with(|| Instant::now() + limits.write_timeout);
                }
                watch.counted(counts);
            }
            () = sleep_until(watch.until), if watch.is_idle => {
                if watch.has_ended(progress.moved()) {
                    return;
                }
                tell_to_go(&mut connection);
            }
            () = sleep_until(without_place.unwrap_or(watch.until)), if without_place.is_some() => return,
            deadline = closing(&mut stop) => break deadline,
        }
    };

    say_goodbye(connection, tell_to_go, streams, counts, progress, limits, deadline).await;
}

/// Ends a connection as its server closes: with its last request, at the deadline at the latest. WebSockets go on by
/// themselves.
async fn say_goodbye<C, S>(
    mut connection: Ending<C, S>,
    tell_to_go: impl FnOnce(&mut Ending<C, S>),
    streams: Arc<Streams>,
    mut counts: watch::Receiver<Counts>,
    progress: Progress,
    limits: Limits,
    deadline: Instant,
) where
    C: Future + Send + 'static,
    S: IntoStream,
{
    // Some clients drop the WebSockets of a connection that they are told to leave, Firefox and undici among them, and whoever
    // closes the server may be closing those, too, and in order.
    let patience = deadline.min(Instant::now() + limits.close_timeout);
    let mut until = patience;
    while counts.borrow().upgraded > 0 || until < patience {
        tokio::select! {
            biased;
            () = &mut connection => return,
            _ = counts.changed() => {
                let has_ended = counts.borrow_and_update().upgraded == 0;
                until = if has_ended { patience.min(Instant::now() + MOMENT) } else { patience };
            }
            () = sleep_until(until) => break,
        }
    }
    tell_to_go(&mut connection);
    let mut farewell = deadline.min(Instant::now() + limits.close_timeout);
    let mut moved = progress.moved();
    let mut are_dropped = false;
    loop {
        // Each time anew: what the client had sent before it was told comes later, and can become a WebSocket.
        let streams_now = *counts.borrow_and_update();
        let asks = streams_now.requests > 0 && !are_dropped;
        if !asks && streams_now.upgraded > 0 {
            let resident = ResidentTask::here();
            tokio::spawn(async move {
                outlive(connection, streams, counts, limits).await;
                drop(resident);
            });
            return;
        }
        tokio::select! {
            biased;
            () = &mut connection => return,
            _ = counts.changed() => {}
            () = sleep_until(deadline), if asks => {
                streams.drop_requests();
                are_dropped = true;
            }
            () = sleep_until(farewell), if !asks => {
                // The end of an answer may still be on its way.
                if Instant::now() >= deadline || progress.moved() == moved {
                    return;
                }
                moved = progress.moved();
                farewell = deadline.min(Instant::now() + limits.close_timeout);
            }
        }
    }
}

/// Goes on with the WebSockets of a connection whose server has gone, and with nothing else: not every client hears that it is
/// to ask for no more.
async fn outlive(
    mut connection: impl Future<Output = ()> + Unpin,
    streams: Arc<Streams>,
    mut counts: watch::Receiver<Counts>,
    limits: Limits,
) {
    // What it sent before it was told is on its way until then.
    let farewell = Instant::now() + limits.close_timeout;
    let mut are_dropped = false;
    let mut end = None;
    loop {
        let Counts { requests, upgraded, given_up } = *counts.borrow_and_update();
        if given_up > MOST_GIVEN_UP {
            return;
        }
        end = match end {
            _ if upgraded > 0 || requests > 0 && !are_dropped => None,
            None => Some(Instant::now() + limits.close_timeout),
            end => end,
        };
        tokio::select! {
            biased;
            () = &mut connection => return,
            _ = counts.changed() => {}
            () = sleep_until(farewell), if !are_dropped => {
                streams.drop_requests();
                are_dropped = true;
            }
            () = sleep_until(end.unwrap_or(farewell)), if end.is_some() => return,
        }
    }
}

fn http2(limits: &Limits, executor: StreamExecutor) -> http2::Builder<StreamExecutor> {
    let mut builder = http2::Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        // RFC 8441 §3: said once, and never taken back.
        .enable_connect_protocol()
        .max_concurrent_streams(limits.max_concurrent_streams)
        .max_header_list_size(u32::try_from(limits.max_header_size).unwrap_or(u32::MAX))
        .max_send_buf_size(SEND_BUFFER_SIZE)
        .initial_stream_window_size(limits.http2_window_size)
        // So much that one who is not read holds nobody else up.
        .initial_connection_window_size(connection_window(limits));
    builder
}

/// More than the windows of all streams together (RFC 9113 §6.9.1: at most 2^31 - 1 bytes): half of it is what h2 allows for
/// the cost of small frames that lie unread, before it takes the client to be hostile. By default that is enough for some seven
/// WebSockets that are not read and have their windows full of messages of one byte.
fn connection_window(limits: &Limits) -> u32 {
    const LEAST: u32 = 8 << 20;
    const LARGEST: u32 = (1 << 31) - 1;
    let all = limits.http2_window_size.saturating_mul(limits.max_concurrent_streams);
    all.saturating_mul(4).clamp(LEAST, LARGEST)
}

/// Answers the requests of one connection.
struct Http2Service {
    service: Box<dyn ErasedService>,
    mount: Arc<Mount>,
    arrival: Arrival,
    limits: Limits,
}

impl hyper::service::Service<Request<Incoming>> for Http2Service {
    type Response = Response<WatchedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        if request.headers().len() > self.limits.max_headers {
            let refusal = text(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too many header fields\n");
            return Box::pin(async { Ok(refusal.map(WatchedBody::new)) });
        }
        let is_head = request.method() == Method::HEAD;
        // RFC 8441 §4: the authority says whom it is for, and is no host to make a tunnel to.
        let owner = if is_extended_connect(&request) { self.mount.owner() } else { None };
        let response = match owner {
            Some(owner) => {
                decide(owner, request, Arrival { started: Instant::now(), ..self.arrival.clone() })
            }
            None => self.service.call(request),
        };
        Box::pin(async move {
            let mut response = response.await;
            if is_head {
                without_body(&mut response);
            }
            streams::answered();
            Ok(response.map(WatchedBody::new))
        })
    }
}

/// Leaves of a response what answers HEAD, its length included (RFC 9110 §9.3.2). In HTTP/1.1 hyper does so by itself.
fn without_body(response: &mut Response<ResponseBody>) {
    let body = std::mem::replace(response.body_mut(), ResponseBody::empty());
    if let (Some(len), header::Entry::Vacant(entry)) =
        (body.size_hint().exact(), response.headers_mut().entry(header::CONTENT_LENGTH))
    {
        entry.insert(len.into());
    }
}

/// How much of what a stream sends waits in the connection's own buffer, in bytes, before more is asked for.
const SEND_BUFFER_SIZE: usize = 64 * 1024;

/// What a client has to see of the end of its last WebSocket before it hears that the connection ends, too: undici takes the
/// one for the other where they come together.
const MOMENT: Duration = Duration::from_millis(100);

/// So many more requests than were answered may a client give up. One that opens streams to reset them makes work and takes
/// none of it (CVE-2023-44487).
const MOST_GIVEN_UP: usize = 1000;
