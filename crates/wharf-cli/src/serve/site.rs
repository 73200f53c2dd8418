//! What HTTP alone is answered: the page, and those who publish.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower_service::Service;

use super::hub::{BoxError, Publishing, is_for_publishing};
use super::page;

/// Serves the page to browsers, and topics to those who publish.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub(super) publishing: Publishing,
}

impl<B: BodyExt<Data: Send, Error: Into<BoxError> + Send> + Send + 'static> Service<Request<B>> for Site {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !is_for_publishing(request.uri().path()) {
            return Box::pin(ready(Ok(page::answer(request.method(), request.uri().path()))));
        }
        let publishing = self.publishing.clone();
        Box::pin(async { Ok(publishing.answer(request).await) })
    }
}
