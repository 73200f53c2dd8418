//! What answers a request that is no handshake, and what an answer is made of.

use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;
pub(crate) type ResponseFuture = Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>;

/// A tower service whose type does not show, so that [`HttpServer`](super::HttpServer) has no type parameters.
pub(crate) trait ErasedService: Send {
    fn call(&self, request: Request<Incoming>) -> ResponseFuture;
    fn clone_box(&self) -> Box<dyn ErasedService>;
}

pub(crate) struct Tower<S>(S);

impl<S> Tower<S> {
    pub(crate) fn new(service: S) -> Self {
        Self(service)
    }
}

impl<S, B> ErasedService for Tower<S>
where
    S: tower_service::Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn call(&self, request: Request<Incoming>) -> ResponseFuture {
        let mut service = self.0.clone();
        Box::pin(async move {
            if poll_fn(|cx| service.poll_ready(cx)).await.is_err() {
                return internal_server_error();
            }
            match service.call(request).await {
                Ok(response) => response.map(ResponseBody::boxed),
                Err(_) => internal_server_error(),
            }
        })
    }

    fn clone_box(&self) -> Box<dyn ErasedService> {
        Box::new(Self(self.0.clone()))
    }
}

/// The service of a server that was given none.
pub(crate) struct NotFound;

impl ErasedService for NotFound {
    fn call(&self, _: Request<Incoming>) -> ResponseFuture {
        Box::pin(async { text(StatusCode::NOT_FOUND, "not found\n") })
    }

    fn clone_box(&self) -> Box<dyn ErasedService> {
        Box::new(Self)
    }
}

fn internal_server_error() -> Response<ResponseBody> {
    text(StatusCode::INTERNAL_SERVER_ERROR, "internal server error\n")
}

pub(super) fn text(status: StatusCode, text: &'static str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// The body of an answer: bytes that are there, or any other body.
pub(crate) enum ResponseBody {
    Full(Full<Bytes>),
    Boxed(Pin<Box<dyn BytesBody + Send>>),
}

impl ResponseBody {
    pub(crate) fn empty() -> Self {
        Self::from(Bytes::new())
    }

    fn boxed<B>(body: B) -> Self
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::Boxed(Box::pin(body))
    }
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        Self::Full(Full::new(bytes))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Full(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Boxed(body) => body.as_mut().poll_bytes(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(body) => body.is_end_stream(),
            Self::Boxed(body) => body.has_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(body) => body.size_hint(),
            Self::Boxed(body) => body.remaining(),
        }
    }
}

/// A [`Body`] of whatever data and errors, seen as one of [`Bytes`]. The adapters of `http-body-util` forget how long
/// a body is, and its response would go out in chunks instead of with its length.
pub(crate) trait BytesBody {
    fn poll_bytes(self: Pin<&mut Self>, cx: &mut Context<'_>)
    -> Poll<Option<Result<Frame<Bytes>, BoxError>>>;

    fn has_ended(&self) -> bool;

    fn remaining(&self) -> SizeHint;
}

impl<B> BytesBody for B
where
    B: Body,
    B::Error: Into<BoxError>,
{
    fn poll_bytes(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // Costs nothing where the data are `Bytes` already.
        let to_bytes =
            |frame: Frame<B::Data>| frame.map_data(|mut data| data.copy_to_bytes(data.remaining()));
        self.poll_frame(cx).map_ok(to_bytes).map_err(Into::into)
    }

    fn has_ended(&self) -> bool {
        self.is_end_stream()
    }

    fn remaining(&self) -> SizeHint {
        self.size_hint()
    }
}
