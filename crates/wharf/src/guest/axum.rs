//! An axum handler that decides about a WebSocket by itself.
//!
//! ```no_run
//! use axum::Router;
//! use axum::response::Response;
//! use axum::routing::any;
//! use wharf::axum::WebSocketRequest;
//! use wharf::{Accept, AcceptError, Server, ServerConfig};
//!
//! async fn echo(request: WebSocketRequest) -> Result<Response, AcceptError> {
//!     let connected = request.accept(Accept::new(), |connection| async move {
//!         while let Some(message) = connection.recv().await {
//!             if connection.send(message).await.is_err() {
//!                 break;
//!             }
//!         }
//!     });
//!     connected.await
//! }
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::new(ServerConfig::default());
//! let app = Router::new().route("/echo", any(echo)).with_state(server.guest()?);
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
//! axum::serve(listener, app).await?;
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, FromRef, FromRequestParts};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Extensions, StatusCode, Version};
use hyper::upgrade::OnUpgrade;

use super::{Guest, asks_for_websocket, refusal};
use crate::connection::Connection;
use crate::error::{AcceptError, RejectError};
use crate::handler::Handler;
use crate::http::request::UpgradeRequest;
use crate::http::upgrade::{Decided, conclude};
use crate::request::{Accept, Rejection, Request};

/// A WebSocket that a client asks a handler for: an extractor, where a [`Guest`] is the router's state or a part of it
/// ([`FromRef`]).
///
/// The handler decides; [`Event::Request`](crate::Event::Request) is not told. All else is as for every connection of the
/// server: its options and limits, broadcasts, the shutdown, and [`Event::Connect`](crate::Event::Connect) and
/// [`Event::Close`](crate::Event::Close), once somebody has asked for the first event: a server that decides all of its
/// requests so need not be listened to. Dropped undecided, the client gets 403.
///
/// What is no handshake, or comes when the server is full or gone, is answered without the handler: with 400, 426, 501 or 503.
///
/// It reads as a [`Request`]: `request.path()`, `request.protocols()`. Over HTTP/2 a WebSocket is asked for by the method
/// CONNECT, so that its route has to take more than GET: `any(handler)`.
pub struct WebSocketRequest {
    request: Request,
    decided: Pin<Box<dyn Future<Output = Decided> + Send>>,
    on_upgrade: OnUpgrade,
    version: Version,
}

impl WebSocketRequest {
    /// Accepts, and runs `serve` with the connection in a task of its own. What the handler is to return.
    ///
    /// # Errors
    /// [`AcceptError`], as for [`Request::accept`]; as a response it is 500.
    pub async fn accept<S, F>(self, accept: Accept, serve: S) -> Result<Response, AcceptError>
    where
        S: FnOnce(Connection) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let (request, answer) = self.into_parts();
        let connection = request.accept(accept)?;
        tokio::spawn(serve(connection));
        Ok(answer.await)
    }

    /// Accepts, and gives all that is received to `handler`. What the handler of the route is to return.
    ///
    /// # Errors
    /// As for [`accept`](Self::accept).
    pub async fn accept_with(self, accept: Accept, handler: impl Handler) -> Result<Response, AcceptError> {
        let (request, answer) = self.into_parts();
        request.accept_with(accept, handler)?;
        Ok(answer.await)
    }

    /// Rejects. What the handler is to return.
    ///
    /// # Errors
    /// [`RejectError`], as for [`Request::reject`]; as a response it is 500.
    pub async fn reject(self, rejection: Rejection) -> Result<Response, RejectError> {
        let (request, answer) = self.into_parts();
        request.reject(rejection)?;
        Ok(answer.await)
    }

    /// The request, to be decided by whoever gets it, and the answer that the decision leads to, for the handler to return.
    pub fn into_parts(self) -> (Request, impl Future<Output = Response> + Send) {
        let Self { request, decided, on_upgrade, version } = self;
        let answer = async move { conclude(decided.await, version, on_upgrade).map(|_| Body::empty()) };
        (request, answer)
    }
}

impl Deref for WebSocketRequest {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.request
    }
}

impl<S> FromRequestParts<S> for WebSocketRequest
where
    Guest: FromRef<S>,
    S: Sync,
{
    /// The refusal.
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let guest = Guest::from_ref(state);
        let version = parts.version;
        let refuse = |status, reason| refusal(status, reason, version).map(|_| Body::empty());
        if guest.owner().is_none() {
            return Err(refuse(503, "The server is going away."));
        }
        let request = http::Request::from_parts(parts.clone(), ());
        if !asks_for_websocket(&request) {
            return Err(refuse(426, "There are only WebSockets here."));
        }
        let Some(on_upgrade) = parts.extensions.remove::<OnUpgrade>() else {
            return Err(refuse(501, "The HTTP server that this came to lets go of no connection."));
        };
        let arrival = guest.arrival(&parts.extensions);
        let http = Arc::new(request.into_parts().0);
        match guest.mounted.ask(UpgradeRequest::of_parts(&http), arrival) {
            Ok((request, decided)) => Ok(Self { request, decided: Box::pin(decided), on_upgrade, version }),
            Err(refused) => Err(conclude(refused, version, on_upgrade).map(|_| Body::empty())),
        }
    }
}

impl IntoResponse for AcceptError {
    fn into_response(self) -> Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

impl IntoResponse for RejectError {
    fn into_response(self) -> Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

/// What axum's `into_make_service_with_connect_info` tells.
pub(super) fn connect_info(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|&ConnectInfo(address)| address)
}

impl fmt::Debug for WebSocketRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.fmt(f)
    }
}
