//! `/hub`: topics for clients of the subprotocol `wharf.json.v1`, which `docs/hub-protocol.md` describes.

mod access;
mod jwt;
mod options;
mod permissions;
mod presentation;
mod publishing;
mod request;
mod said;
mod session;
mod signatures;
mod subscriptions;
mod tokens;

use std::sync::Arc;

use wharf::hub::Hub;
use wharf::{Accept, Rejection, Request};

pub(super) use access::Access;
use access::AccessError;
pub(super) use options::{HubOptions, in_words};
pub(super) use presentation::InJson;
pub(super) use publishing::{BoxError, Publishing, is_for as is_for_publishing};
use session::{Session, State};

use super::live::Traffic;

/// The subprotocol.
const PROTOCOL: &str = "wharf.json.v1";

/// Lets clients in.
#[derive(Debug)]
pub(super) struct HubEndpoint {
    hub: Hub,
    access: Arc<Access>,
}

impl HubEndpoint {
    pub(super) const fn new(hub: Hub, access: Arc<Access>) -> Self {
        Self { hub, access }
    }

    /// Accepts those that speak the subprotocol and may begin.
    pub(super) fn open(&self, request: Request, traffic: Arc<Traffic>) {
        // Of those that are offered no other may be in the answer: one of them can be a token.
        if !request.protocols().iter().any(|protocol| protocol.eq_ignore_ascii_case(PROTOCOL)) {
            let reason = format!("The hub speaks the subprotocol {PROTOCOL} alone, which was not offered.");
            return drop(request.reject(Rejection::new(400).reason(reason)));
        }
        let grant = match self.access.of_handshake(&request) {
            Ok(grant) => grant,
            Err(error) => return drop(request.reject(rejection(error))),
        };
        // A request can be decided already only because the server is shutting down.
        let Ok(connection) = request.accept(Accept::new().protocol(PROTOCOL)) else { return };
        let session = Session {
            connection,
            hub: self.hub.clone(),
            access: self.access.clone(),
            grant,
            traffic,
            state: State::default(),
        };
        tokio::spawn(session.run());
    }
}

fn rejection(error: AccessError) -> Rejection {
    let rejection = Rejection::new(error.status().as_u16()).reason(error.to_string());
    match error {
        AccessError::Token(_) | AccessError::Unreadable | AccessError::NoToken => {
            rejection.header("WWW-Authenticate", "Bearer")
        }
        AccessError::Origin | AccessError::NotFromHere | AccessError::NotConfigured => rejection,
    }
}
