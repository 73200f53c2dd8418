//! The layer: handshakes go to the server, all else to the service under it.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{Guest, asks_for_websocket};

/// A service whose handshakes a [`Guest`] answers: what its layer makes of a service.
#[derive(Clone, Debug)]
pub struct Hosted<S> {
    guest: Guest,
    service: S,
}

impl<S> Layer<S> for Guest {
    type Service = Hosted<S>;

    fn layer(&self, service: S) -> Hosted<S> {
        Hosted { guest: self.clone(), service }
    }
}

impl<S, B, R> Service<Request<B>> for Hosted<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: 'static,
    R: Default + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Either<Answered<R, S::Error>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let owner = if asks_for_websocket(&request) { self.guest.owner() } else { None };
        let Some(owner) = owner else { return Either::Right(self.service.call(request)) };
        let answering = self.guest.decide(owner, request);
        Either::Left(Box::pin(async {
            // No answer to a handshake has a body.
            Ok(answering.await.map(|_| R::default()))
        }))
    }
}

type Answered<R, E> = Pin<Box<dyn Future<Output = Result<Response<R>, E>> + Send>>;
