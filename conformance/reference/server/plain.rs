//! What answers requests that no WebSocket server takes.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;

/// The HTTP service: what it answers can be told from what a WebSocket server answers.
#[derive(Clone)]
pub(crate) struct Plain;

impl tower_service::Service<http::Request<Incoming>> for Plain {
    type Response = http::Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Incoming>) -> Self::Future {
        let mut response = http::Response::new(Full::from("plain"));
        response.headers_mut().insert("x-plain", http::HeaderValue::from_static("1"));
        ready(Ok(response))
    }
}
