//! Where to send the load.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::{fmt, io};

use http::Uri;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

/// A server, and what to ask of it.
#[derive(Clone)]
pub struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) protocol: Protocol,
    pub(crate) tls: Option<Tls>,
}

/// What is spoken.
#[derive(Clone, Debug)]
pub(crate) enum Protocol {
    WebSocket {
        /// As `Host` has it.
        authority: String,
        resource: String,
        /// Further header fields.
        fields: Vec<(String, String)>,
    },
    /// Frames, but no opening handshake; they come back as they were sent, masked.
    Raw,
}

#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
}

/// A URL that leads nowhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// It is no URL with a host.
    #[error("{url:?} is no URL such as ws://127.0.0.1:9001/echo")]
    Url {
        /// The text.
        url: String,
    },
    /// Its scheme is not `ws` or `wss`.
    #[error("{scheme:?} is not ws or wss")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// `wss` needs to know which certificates to believe.
    #[error("wss:// needs certificates to believe")]
    NoTls,
    /// No certificate can be made out to the host.
    #[error("{host:?} is not a name that a certificate can have")]
    ServerName {
        /// The host.
        host: String,
    },
    /// The host has no address.
    #[error("{host:?} has no address: {source}")]
    Resolve {
        /// The host.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
}

impl Target {
    /// The server that a `ws://` URL names; its first address is taken.
    ///
    /// # Errors
    /// [`TargetError`].
    pub fn new(url: &str) -> Result<Self, TargetError> {
        Self::with(url, None)
    }

    /// The server that a `ws://` or `wss://` URL names; on `wss://` it is believed where `tls` believes it.
    ///
    /// # Errors
    /// [`TargetError`].
    pub fn with_tls(url: &str, tls: Arc<ClientConfig>) -> Result<Self, TargetError> {
        Self::with(url, Some(tls))
    }

    /// A server without a protocol, which sends back the bytes that it gets.
    pub const fn raw(address: SocketAddr) -> Self {
        Self { address, protocol: Protocol::Raw, tls: None }
    }

    /// A further header field of the opening handshake.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Protocol::WebSocket { fields, .. } = &mut self.protocol {
            fields.push((name.into(), value.into()));
        }
        self
    }

    fn with(url: &str, tls: Option<Arc<ClientConfig>>) -> Result<Self, TargetError> {
        let no_url = || TargetError::Url { url: url.to_owned() };
        let uri: Uri = url.parse().map_err(|_| no_url())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(no_url());
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let (default_port, tls) = match (scheme, tls) {
            ("ws", _) => (80, None),
            ("wss", Some(config)) => {
                let name = ServerName::try_from(host.clone());
                let name = name.map_err(|_| TargetError::ServerName { host: host.clone() })?;
                (443, Some(Tls { config, name }))
            }
            ("wss", None) => return Err(TargetError::NoTls),
            (scheme, _) => return Err(TargetError::Scheme { scheme: scheme.to_owned() }),
        };
        let port = authority.port_u16().unwrap_or(default_port);
        let address = first_address(&host, port)
            .map_err(|source| TargetError::Resolve { host: host.clone(), source })?;
        let resource = uri.path_and_query().map_or("/", |resource| resource.as_str()).to_owned();
        let protocol =
            Protocol::WebSocket { authority: authority.as_str().to_owned(), resource, fields: Vec::new() };
        Ok(Self { address, protocol, tls })
    }
}

fn first_address(host: &str, port: u16) -> io::Result<SocketAddr> {
    let mut addresses = (host, port).to_socket_addrs()?;
    addresses.next().ok_or_else(|| io::Error::other("the resolver knows none"))
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("address", &self.address)
            .field("protocol", &self.protocol)
            .field("is_secure", &self.tls.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_connect_and_what_to_ask_for() {
        let target = Target::new("ws://127.0.0.1:9001/echo?a=1").unwrap();
        assert_eq!(target.address, "127.0.0.1:9001".parse().unwrap());
        let Protocol::WebSocket { authority, resource, .. } = target.protocol else { panic!("raw") };
        assert_eq!((authority.as_str(), resource.as_str()), ("127.0.0.1:9001", "/echo?a=1"));
        assert_eq!(Target::new("ws://[::1]").unwrap().address, "[::1]:80".parse().unwrap());
    }

    #[test]
    fn a_url_that_leads_nowhere_is_an_error_that_says_why() {
        for (url, expected) in [
            ("/echo", "is no URL"),
            ("http://127.0.0.1/", "is not ws or wss"),
            ("wss://127.0.0.1/", "certificates"),
        ] {
            let error = Target::new(url).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
