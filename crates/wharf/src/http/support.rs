//! What the tests of this folder share: raw clients, services and owners made of closures.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::request::UpgradeRequest;
use super::service::{BoxError, ErasedService, Tower};
use super::upgrade::{Arrival, Decided, UpgradeOwner};
use crate::proto::handshake::Refusal;

/// A service that answers with what `answer` returns.
pub(crate) fn service<F, A, B>(answer: F) -> Box<dyn ErasedService>
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    Box::new(Tower::new(ServiceFn(answer)))
}

#[derive(Clone)]
struct ServiceFn<F>(F);

impl<F, A, B> tower_service::Service<Request<Incoming>> for ServiceFn<F>
where
    F: Fn(Request<Incoming>) -> A,
    A: Future<Output = Response<B>> + Send + 'static,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let answer = (self.0)(request);
        Box::pin(async { Ok(answer.await) })
    }
}

/// An owner that decides as `decide` does.
pub(crate) fn owner<F, A>(decide: F) -> Arc<dyn UpgradeOwner>
where
    F: Fn(Parts, Arrival) -> A + Send + Sync + 'static,
    A: Future<Output = Decided> + Send + 'static,
{
    Arc::new(OwnerFn(decide))
}

struct OwnerFn<F>(F);

impl<F, A> UpgradeOwner for OwnerFn<F>
where
    F: Fn(Parts, Arrival) -> A + Send + Sync + 'static,
    A: Future<Output = Decided> + Send + 'static,
{
    fn upgrade(
        self: Arc<Self>,
        request: UpgradeRequest<'_>,
        arrival: Arrival,
    ) -> Pin<Box<dyn Future<Output = Decided> + Send>> {
        Box::pin((self.0)(request.http.parts().clone(), arrival))
    }
}

/// A refusal with this status.
pub(crate) fn refused(status: u16) -> Decided {
    refused_because(status, None)
}

pub(crate) fn refused_because(status: u16, reason: Option<&str>) -> Decided {
    Decided::Refuse(Refusal { status, reason, ..Refusal::default() }.answer().unwrap())
}

pub(crate) fn answer<B>(status: StatusCode, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

pub(crate) const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The handshake on both of its ways: on the short one, and on hyper's, which one that tells of a body takes.
pub(crate) fn both_ways() -> [String; 2] {
    [HANDSHAKE.to_owned(), HANDSHAKE.replace("Host", "Content-Length: 0\r\nHost")]
}

pub(crate) const ORDINARY: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Reads a response's head, to its empty line. What follows stays unread.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Reads to the end that the other side makes.
pub(crate) async fn read_rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    rest
}

/// The lines of a head, without the date, which no test can know.
pub(crate) fn undated(head: &str) -> Vec<&str> {
    head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date: ")).collect()
}
