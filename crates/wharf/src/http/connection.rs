//! HTTP on one connection, from its first byte until it has ended or is no longer HTTP.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::limits::{DEFAULT_MAX_HEADERS, Limits};
use super::listener::Slot;
use super::opening::{Opened, open};
use super::service::{BoxError, ErasedService, ResponseBody};
use super::stream::HttpStream;
use super::upgrade::{Arrival, Mount, decide, is_upgrade};
use super::{Phase, Terms, closing, http2};
use crate::date::imf_fixdate;
use crate::driver::IntoStream;
use crate::timer::by;

/// Serves HTTP on `stream`. Ends with the connection, with its upgrade, or at the deadline of the server's closing, and lets
/// go of `slot` then, if not before.
///
/// One block that takes everything from here, for what an async function is given it moves within itself, and holds twice.
pub(crate) fn serve<S>(
    stream: S,
    arrival: Arrival,
    service: Box<dyn ErasedService>,
    terms: Arc<Terms>,
    mut stop: watch::Receiver<Phase>,
    slot: Slot,
) -> impl Future<Output = ()> + Send
where
    S: IntoStream,
{
    let mut stream = HttpStream::new(stream, terms.limits.write_timeout);
    let mut open_stop = stop.clone();
    async move {
        let mut deadline = pin!(async { Box::pin(sleep_until(closing(&mut stop).await)).await });
        let opened = tokio::select! {
            biased;
            opened = open(&mut stream, &arrival, &terms, &mut open_stop) => opened,
            () = &mut deadline => Opened::Lost,
        };
        if let Opened::Http2(read) = opened {
            // It has a way of its own to end, because WebSockets may go on that came on it.
            Box::pin(http2::serve(stream.before(read), service, arrival, terms, open_stop, slot)).await;
            return;
        }
        // Boxed, because they are large, and few connections of a WebSocket server come here.
        let rest: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = match opened {
            Opened::Http(read) => {
                let progress = Progress::new(arrival.started);
                let mount = Arc::clone(&terms.mount);
                let service = ConnectionService { service, mount, arrival, progress };
                Some(Box::pin(run(stream.before(read), service, terms.limits, open_stop)))
            }
            Opened::Switched(begin, read) => {
                begin(stream.into_inner().into_stream(), read);
                None
            }
            Opened::Over { owes_an_answer } => {
                Some(Box::pin(async move { end(&mut stream, &terms.limits, owes_an_answer).await }))
            }
            Opened::Http2(_) | Opened::Lost => None,
        };
        if let Some(rest) = rest {
            tokio::select! {
                biased;
                () = rest => {}
                () = deadline => {}
            }
        }
        drop(slot);
    }
}

async fn run<S>(
    stream: HttpStream<S>,
    service: ConnectionService,
    limits: Limits,
    mut stop: watch::Receiver<Phase>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let progress = service.progress.clone();
    let mut connection = http1(limits).serve_connection(TokioIo::new(stream), service).with_upgrades();
    let ended = tokio::select! {
        // The connection first: what was read of it is a request that a closing server answers, too.
        biased;
        ended = &mut connection => ended,
        _ = closing(&mut stop) => {
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };

    let (mut stream, unread) = match connection.into_parts() {
        Some(parts) => (parts.io.into_inner(), parts.read_buf),
        None => match progress.refused_stream().await {
            Some(refused) => refused,
            None => return, // It is no longer HTTP, and somebody else's.
        },
    };
    let owes_an_answer = ended.is_err_and(|error| error.is_timeout()) && !unread.is_empty();
    drop(unread);
    // Part of a response is out: anything behind it would be read as the rest.
    if !stream.is_stalled() {
        end(&mut stream, &limits, owes_an_answer).await;
    }
}

fn http1(limits: Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.handshake_timeout)
        .max_header_size(limits.max_header_size)
        .max_buf_size(limits.buffer_size())
        // Clients that look for `Upgrade: websocket` as it stands in the RFC exist, though names have no case.
        .title_case_headers(true)
        // A 101 has none; `ConnectionService` dates everything else.
        .auto_date_header(false);
    if limits.max_headers != DEFAULT_MAX_HEADERS {
        builder.max_headers(limits.max_headers);
    }
    builder
}

/// Ends our half and waits for the client to end its own, up to the close timeout. Closing with bytes unread would make TCP
/// reset the connection, and the client could lose the answer (RFC 9112 §9.6).
pub(super) async fn end<S>(stream: &mut S, limits: &Limits, owes_an_answer: bool)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // Boxed, because it holds a buffer that few tasks come to need. Errors and the deadline end it alike.
    let _ = by(Instant::now() + limits.close_timeout, Box::pin(linger(stream, owes_an_answer))).await;
}

async fn linger<S>(stream: &mut S, owes_an_answer: bool) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if owes_an_answer {
        let date = imf_fixdate(SystemTime::now()).map(|date| format!("Date: {date}\r\n")).unwrap_or_default();
        let answer =
            format!("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n{date}\r\n");
        stream.write_all(answer.as_bytes()).await?;
    }
    stream.shutdown().await?;
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

/// Answers the requests of one connection, one after the other.
struct ConnectionService {
    service: Box<dyn ErasedService>,
    mount: Arc<Mount>,
    arrival: Arrival,
    progress: Progress,
}

impl hyper::service::Service<Request<Incoming>> for ConnectionService {
    type Response = Response<TimedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let owner = if is_upgrade(request.headers()) { self.mount.owner() } else { None };
        let is_connect = request.method() == Method::CONNECT;
        self.progress.asked_for_upgrade(request.extensions().get());
        let response = match owner {
            Some(owner) => {
                decide(owner, request, Arrival { started: self.progress.started(), ..self.arrival.clone() })
            }
            None => self.service.call(request),
        };
        let progress = self.progress.clone();
        Box::pin(async move {
            let mut response = response.await;
            let status = response.status();
            let switches = status == StatusCode::SWITCHING_PROTOCOLS;
            if switches || is_connect && status.is_success() {
                progress.upgraded();
            }
            if !switches {
                date(response.headers_mut());
            }
            Ok(response.map(|body| TimedBody { body, progress }))
        })
    }
}

/// RFC 9110 §6.6.1.
fn date(headers: &mut HeaderMap) {
    if let header::Entry::Vacant(entry) = headers.entry(header::DATE) {
        let now = imf_fixdate(SystemTime::now());
        if let Some(Ok(now)) = now.map(HeaderValue::try_from) {
            entry.insert(now);
        }
    }
}

/// How far a connection has come, as its service sees it.
#[derive(Clone)]
struct Progress(Arc<Mutex<ProgressState>>);

struct ProgressState {
    /// When the request head began that is under way or will be next.
    started: Instant,
    /// The upgrade that a request asked for and was not granted. hyper does not tell the two apart: a connection
    /// that saw such a request hands its stream over when it ends, and would close it at once where nobody takes it.
    refused: Option<OnUpgrade>,
}

impl Progress {
    fn new(started: Instant) -> Self {
        Self(Arc::new(Mutex::new(ProgressState { started, refused: None })))
    }

    fn started(&self) -> Instant {
        self.lock().started
    }

    fn response_ended(&self) {
        self.lock().started = Instant::now();
    }

    fn asked_for_upgrade(&self, upgrade: Option<&OnUpgrade>) {
        if let Some(upgrade) = upgrade {
            self.lock().refused = Some(upgrade.clone());
        }
    }

    fn upgraded(&self) {
        self.lock().refused = None;
    }

    /// The stream of a connection that has ended, if it asked for an upgrade in vain.
    async fn refused_stream<S>(&self) -> Option<(HttpStream<S>, Bytes)>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let refused = self.lock().refused.take()?;
        let parts = refused.await.ok()?.downcast::<TokioIo<HttpStream<S>>>().ok()?;
        Some((parts.io.into_inner(), parts.read_buf))
    }

    fn lock(&self) -> MutexGuard<'_, ProgressState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A response's body whose end starts the time of the next request on its connection.
struct TimedBody {
    body: ResponseBody,
    progress: Progress,
}

impl Drop for TimedBody {
    fn drop(&mut self) {
        self.progress.response_ended();
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
