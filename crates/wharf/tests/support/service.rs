//! A tower service for HTTP servers.

#![allow(unreachable_pub, reason = "the tests that have need of it share it")]

use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use tower_service::Service;

/// A service made of a function.
#[derive(Clone)]
pub struct ServiceFn<F>(pub F);

impl<F, A, B, E> Service<Request<Incoming>> for ServiceFn<F>
where
    F: Fn(Request<Incoming>) -> A,
    A: Future<Output = Result<Response<B>, E>>,
{
    type Response = Response<B>;
    type Error = E;
    type Future = A;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> A {
        (self.0)(request)
    }
}
