//! The user's own service, for every request that is not a WebSocket's.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body, Incoming};
use tower_service::Service;

use crate::date::imf_fixdate;

/// The body of any response that an HTTP server gives.
pub type ResponseBody = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// A service whose type is forgotten.
pub(super) type AnyService =
    Box<dyn Fn(Request<Incoming>) -> BoxFuture<Response<ResponseBody>> + Send + Sync>;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(super) fn any_service<S, B>(service: S) -> AnyService
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    Box::new(move |request| {
        let mut service = service.clone();
        Box::pin(async move {
            // A service that fails has no answer of its own, and its error's text is not for the client.
            if poll_fn(|cx| service.poll_ready(cx)).await.is_err() {
                return failed();
            }
            let called = service.call(request);
            match called.await {
                Ok(response) => response.map(|body| UnsyncBoxBody::new(body.map_err(Into::into))),
                Err(_) => failed(),
            }
        })
    })
}

/// What answers where the user gave no service.
pub(super) fn not_found() -> AnyService {
    Box::new(|_| {
        let text = "Not Found: only WebSocket connections are served here.\n";
        Box::pin(async { plain_text(StatusCode::NOT_FOUND, text) })
    })
}

pub(crate) fn empty_body() -> ResponseBody {
    UnsyncBoxBody::new(Empty::new().map_err(never))
}

/// RFC 9110 §6.6.1: a server with a clock dates its responses; a 101 needs none.
pub(super) fn date(response: &mut Response<ResponseBody>) {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS || response.headers().contains_key(DATE) {
        return;
    }
    let now = imf_fixdate(SystemTime::now()).and_then(|date| HeaderValue::try_from(date).ok());
    if let Some(now) = now {
        response.headers_mut().insert(DATE, now);
    }
}

fn failed() -> Response<ResponseBody> {
    plain_text(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error\n")
}

fn plain_text(status: StatusCode, text: &'static str) -> Response<ResponseBody> {
    let mut response = Response::new(UnsyncBoxBody::new(Full::from(text).map_err(never)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn never(never: Infallible) -> Box<dyn Error + Send + Sync> {
    match never {}
}
