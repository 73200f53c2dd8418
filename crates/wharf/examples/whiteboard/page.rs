//! The page, out of the program itself.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use tower_service::Service;

/// A tower service: any other would do as well, such as an axum router.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page;

const FILES: [(&str, &str, &str); 3] = [
    ("/", "text/html; charset=utf-8", include_str!("index.html")),
    ("/whiteboard.css", "text/css; charset=utf-8", include_str!("whiteboard.css")),
    ("/whiteboard.js", "text/javascript; charset=utf-8", include_str!("whiteboard.js")),
];

impl<B> Service<Request<B>> for Page {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        let file = FILES.iter().find(|(name, ..)| *name == path && request.method() == Method::GET);
        let (status, content_type, content) = file.map_or(
            (StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "not found\n"),
            |(_, content_type, content)| (StatusCode::OK, *content_type, *content),
        );
        let mut response = Response::new(Full::new(Bytes::from_static(content.as_bytes())));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            header::HeaderValue::from_static("default-src 'self'; img-src data:; base-uri 'none'"),
        );
        ready(Ok(response))
    }
}
