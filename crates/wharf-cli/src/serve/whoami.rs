//! `/whoami`: what a connection looks like from here, behind whatever proxies it came through, told once.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;
use wharf::{CloseCode, Context, Extension, Handler, Request};

use super::live::Traffic;

/// Tells one client how its handshake arrived, and closes.
///
/// No header goes back but `Host` and `Origin`: any page can open this endpoint from the browser of somebody else, whose
/// cookies come along.
pub(super) struct Whoami {
    asked: Asked,
    traffic: Arc<Traffic>,
}

/// What is known of a client before it is accepted.
#[derive(Debug, Serialize)]
struct Asked {
    /// The client, as far as the options on proxies let it be known.
    remote_address: String,
    /// The client, then each proxy, the socket's peer last.
    remote_addresses: Vec<String>,
    /// Of the socket's peer, if it has one.
    socket_address: Option<SocketAddr>,
    /// With its path and query.
    resource: String,
    host: String,
    origin: Option<String>,
    http_version: String,
    websocket_version: u8,
}

/// The one message.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    asked: &'a Asked,
    protocol: Option<&'a str>,
    /// As `Sec-WebSocket-Extensions` has them.
    extensions: Vec<String>,
}

impl Whoami {
    pub(super) fn new(request: &Request, traffic: Arc<Traffic>) -> Self {
        let asked = Asked {
            remote_address: request.remote_address().to_owned(),
            remote_addresses: request.remote_addresses().to_vec(),
            socket_address: request.socket_address(),
            resource: request.resource().to_owned(),
            host: request.host().to_owned(),
            origin: request.origin().map(ToOwned::to_owned),
            http_version: format!("{:?}", request.http_request().version),
            websocket_version: request.websocket_version().number(),
        };
        Self { asked, traffic }
    }
}

impl Handler for Whoami {
    fn connect(&mut self, context: &mut Context<'_>) {
        let connection = context.connection().clone();
        let extensions = connection.extensions().iter().map(in_header).collect();
        let answer = Answer { asked: &self.asked, protocol: connection.protocol(), extensions };
        let answer =
            serde_json::to_string(&answer).expect("texts and numbers under fixed names are always JSON");
        // Refused only where the connection is closing already: then there is nobody to tell.
        if context.send(answer.as_str()).is_ok() {
            self.traffic.sent(answer.len());
        }
        let _ = context.close(CloseCode::NORMAL, None);
    }
}

fn in_header(extension: &Extension) -> String {
    let params = extension.params.iter().map(|(name, value)| match value {
        Some(value) => format!("; {name}={value}"),
        None => format!("; {name}"),
    });
    std::iter::once(extension.name.clone()).chain(params).collect()
}
