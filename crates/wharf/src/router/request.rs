//! A request that a route was found for.

use std::fmt;
use std::ops::Deref;

use super::pattern::Parameters;
use crate::connection::Connection;
use crate::error::{AcceptError, RejectError};
use crate::handler::Handler;
use crate::request::{Accept, Rejection, Request};

/// A [`Request`], with what its route says of it: all of a request can be asked of it, too.
///
/// Dropped undecided it is rejected with 403, as any request is.
#[doc(alias = "WebSocketRouterRequest")]
pub struct RouterRequest {
    request: Request,
    /// In lower case.
    protocol: Option<String>,
    parameters: Parameters,
}

impl RouterRequest {
    pub(super) const fn new(request: Request, protocol: Option<String>, parameters: Parameters) -> Self {
        Self { request, protocol, parameters }
    }

    /// The subprotocol that the route was found by, in lower case; `None` where the client offers none.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// What stands in the path where the route has `{name}`, as the client sent it: nothing is decoded.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The names of the route's path and what stands in their places, in order.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The request itself.
    #[doc(alias = "webSocketRequest")]
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// Accepts as [`Request::accept`] does, with the subprotocol that the route was found by, in the client's
    /// spelling. One that `accept` names is not looked at.
    ///
    /// # Errors
    /// As for [`Request::accept`].
    pub fn accept(self, accept: Accept) -> Result<Connection, AcceptError> {
        let Self { request, protocol, .. } = self;
        request.accept(accept.protocol(protocol.unwrap_or_default()))
    }

    /// Accepts as [`accept`](Self::accept) does, and gives all that is received to `handler`.
    ///
    /// # Errors
    /// As for [`Request::accept`].
    pub fn accept_with(self, accept: Accept, handler: impl Handler) -> Result<Connection, AcceptError> {
        let Self { request, protocol, .. } = self;
        request.accept_with(accept.protocol(protocol.unwrap_or_default()), handler)
    }

    /// Rejects as [`Request::reject`] does.
    ///
    /// # Errors
    /// As for [`Request::reject`].
    pub fn reject(self, rejection: Rejection) -> Result<(), RejectError> {
        self.request.reject(rejection)
    }
}

impl Deref for RouterRequest {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.request
    }
}

impl fmt::Debug for RouterRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterRequest")
            .field("protocol", &self.protocol)
            .field("parameters", &self.parameters)
            .field("request", &self.request)
            .finish()
    }
}
