//! A client that asks for a WebSocket, and the decision about it.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::oneshot;

use crate::config::ServerConfig;
use crate::connection::Connection;
use crate::cookie::{Cookies, SetCookie, set_cookie_values};
use crate::driver::{self, Receiver};
use crate::error::{AcceptError, RejectError};
use crate::handler::Handler;
use crate::http::client_address::{self, ClientAddress};
use crate::http::proxy_protocol::Proxied;
use crate::http::request::{HttpRequest, UpgradeRequest};
use crate::http::upgrade::Arrival;
use crate::hub::Home;
use crate::options::Options;
use crate::proto::deflate::{self, Negotiated};
use crate::proto::handshake::{self, Answer, Extension, Fields, HandshakeError, Refusal, Version};
use crate::shared::{Opening, Owner, Shared};

/// A valid opening handshake that waits for a decision: [`accept`](Self::accept) or [`reject`](Self::reject).
///
/// It knows no socket; deciding sends the answer to whoever holds that. Dropped undecided it is rejected with 403,
/// and left undecided for longer than [`handshake_timeout`](crate::ServerConfig::handshake_timeout) with 503.
///
/// ```no_run
/// # async fn requests(server: wharf::Server) {
/// use wharf::{Accept, Event, Rejection};
///
/// while let Some(event) = server.next_event().await {
///     let Event::Request(request) = event else { continue };
///     if request.path() == "/chat" {
///         let connection = request.accept(Accept::new().protocol("chat"));
///     } else {
///         let _ = request.reject(Rejection::new(404).reason("no such endpoint"));
///     }
/// }
/// # }
/// ```
#[doc(alias = "WebSocketRequest")]
pub struct Request {
    asked: Box<Asked>,
    options: Arc<Options>,
    host: Arc<dyn Host>,
    decision: Arc<Decision>,
    /// Where its connection will live: it is made there.
    home: Home,
}

/// What a client asks for, and who it is.
pub(crate) struct Asked {
    handshake: handshake::Request,
    http: HttpRequest,
    arrival: Arrival,
    /// Resolved when they are asked for, where the socket's peer speaks for nobody else.
    addresses: OnceLock<ClientAddress>,
    cookies: Cookies,
}

/// What a request asks of the server that it came to.
pub(crate) trait Host: Owner {
    /// A number for the next request or connection.
    fn next_id(&self) -> u64;
    /// The request is decided: its connection is in the list, and `connect` is told.
    fn request_accepted(&self, request: u64, connection: &Arc<Shared>);
    /// The request is decided: its client gets this status.
    fn request_rejected(&self, request: u64, status: u16);
    fn as_owner(self: Arc<Self>) -> Arc<dyn Owner>;
}

/// Where the answer goes, once.
pub(crate) struct Decision {
    /// The request's.
    pub(crate) id: u64,
    answer: Mutex<Option<oneshot::Sender<Verdict>>>,
}

/// What was decided.
pub(crate) enum Verdict {
    Accept(Answer, Launch),
    Refuse(Answer),
}

/// What becomes of the socket after the 101. Dropped before there is one, the connection ends.
pub(crate) struct Launch {
    pub(crate) shared: Arc<Shared>,
    pub(crate) owner: Arc<dyn Owner>,
    /// Taken by the driver.
    pub(crate) receiver: Option<Receiver>,
    pub(crate) options: Arc<Options>,
    /// Taken by the driver, too.
    pub(crate) compression: Option<Negotiated>,
}

impl Decision {
    pub(crate) fn new(id: u64, answer: oneshot::Sender<Verdict>) -> Self {
        Self { id, answer: Mutex::new(Some(answer)) }
    }

    /// The right to decide, for the first who asks.
    pub(crate) fn take(&self) -> Option<oneshot::Sender<Verdict>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Refuses, if nobody has decided: whether it did.
    pub(crate) fn refuse(&self, refusal: Refusal<'_>) -> bool {
        let Some(decide) = self.take() else { return false };
        let answer = refusal.answer().unwrap_or_else(|error| error.answer());
        // A client that is gone needs no answer.
        let _ = decide.send(Verdict::Refuse(answer));
        true
    }
}

impl Asked {
    /// Reads a handshake.
    pub(crate) fn read(
        request: UpgradeRequest<'_>,
        arrival: Arrival,
        config: &ServerConfig,
    ) -> Result<Self, HandshakeError> {
        let UpgradeRequest { fields, http } = request;
        let (addresses, cookies) = (addresses(&fields, &arrival, config), cookies(&fields, config));
        let mut handshake = http.read_handshake(fields)?;
        if !config.parse_extensions {
            handshake.extensions.clear();
        }
        Ok(Self { handshake, http, arrival, addresses, cookies })
    }

    /// Whether a page of the origin may connect that the client names, if it names one.
    pub(crate) fn is_of_allowed_origin(&self, config: &ServerConfig) -> bool {
        let handshake::Request { host, origin, .. } = &self.handshake;
        let rules = &config.allowed_origins;
        let Some(origin) = origin.as_deref().filter(|_| !rules.is_empty()) else { return true };
        rules.iter().any(|rule| rule.allows(origin, host))
    }
}

fn addresses(fields: &Fields<'_>, arrival: &Arrival, config: &ServerConfig) -> OnceLock<ClientAddress> {
    let mut values = fields.get_all(config.client_address_header.name()).peekable();
    if values.peek().is_none() && !matches!(arrival.proxied, Proxied::Source(_)) {
        return OnceLock::new();
    }
    OnceLock::from(client_address::resolve(arrival, values, config))
}

fn cookies(fields: &Fields<'_>, config: &ServerConfig) -> Cookies {
    if config.parse_cookies { Cookies::from_values(fields.get_all("Cookie")) } else { Cookies::default() }
}

impl Request {
    pub(crate) fn new(
        asked: Box<Asked>,
        options: Arc<Options>,
        host: Arc<dyn Host>,
        decision: Arc<Decision>,
    ) -> Self {
        let home = options.home();
        Self { asked, options, host, decision, home }
    }

    /// Accepts: the client gets 101, and messages come through [`Connection::recv`]. What the client has sent behind
    /// its handshake is the first that is received.
    ///
    /// A client that has hung up meanwhile gives a connection all the same, which ends with 1006.
    ///
    /// # Errors
    /// [`AcceptError`]: decided before, or the answer may not be sent, such as a subprotocol that was not offered;
    /// then the client gets 500.
    pub fn accept(self, accept: Accept) -> Result<Connection, AcceptError> {
        self.accept_into(accept, Receiver::Queue)
    }

    /// Accepts, and gives all that is received to `handler`.
    ///
    /// # Errors
    /// As for [`accept`](Self::accept).
    pub fn accept_with(self, accept: Accept, handler: impl Handler) -> Result<Connection, AcceptError> {
        self.accept_into(accept, Receiver::Handler(Box::new(handler)))
    }

    /// Rejects: the client gets the status, by default 403, and TCP ends.
    ///
    /// # Errors
    /// [`RejectError`]: decided before, or the answer may not be sent, such as a reason with a line end; then the
    /// client gets 500.
    pub fn reject(self, rejection: Rejection) -> Result<(), RejectError> {
        let decide = self.decision.take().ok_or(RejectError::AlreadyDecided)?;
        let Rejection { status, reason, headers } = rejection;
        let fields: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let refusal = Refusal { status, reason: reason.as_deref(), fields: &fields };
        let (answer, result) = match refusal.answer() {
            Ok(answer) => (answer, Ok(())),
            Err(error) => (error.answer(), Err(error.into())),
        };
        self.host.request_rejected(self.id(), answer.status());
        // A client that is gone needs no answer.
        let _ = decide.send(Verdict::Refuse(answer));
        result
    }

    /// A number for this request that no other request or connection of its server has.
    pub fn id(&self) -> u64 {
        self.decision.id
    }

    /// The HTTP request, as the HTTP server read it.
    #[doc(alias = "httpRequest")]
    pub fn http_request(&self) -> &http::request::Parts {
        self.asked.http.parts()
    }

    /// The `Host` header as sent, or `:authority` over HTTP/2, with its port.
    pub fn host(&self) -> &str {
        &self.asked.handshake.host
    }

    /// The request target as sent: not decoded, with its query. No target has a fragment (RFC 9112 §3.2); one that is sent
    /// all the same is left out, here and in [`query`](Self::query).
    pub fn resource(&self) -> &str {
        &self.asked.handshake.resource
    }

    /// The path of the target, not decoded, without its query.
    #[doc(alias = "resourceURL")]
    pub fn path(&self) -> &str {
        self.asked.http.uri().path()
    }

    /// The query of the target, not decoded.
    pub fn query(&self) -> Option<&str> {
        self.asked.http.uri().query()
    }

    /// The names and values in the query, decoded, in their order. A name that stands there twice comes twice, one
    /// without `=` has an empty value.
    ///
    /// ```
    /// # fn room(request: &wharf::Request) -> Option<String> {
    /// let room = request.query_pairs().find(|(name, _)| name == "room");
    /// # room.map(|(_, value)| value.into_owned())
    /// # }
    /// ```
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(self.query().unwrap_or_default().as_bytes())
    }

    /// The `Sec-WebSocket-Key` as sent. Over HTTP/2 most clients send none (RFC 8441 §5).
    pub fn key(&self) -> Option<&str> {
        self.asked.handshake.key.as_deref()
    }

    /// 13, or 8.
    #[doc(alias = "webSocketVersion")]
    pub const fn websocket_version(&self) -> Version {
        self.asked.handshake.version
    }

    /// The origin as sent. Browsers always send it. Where cookies count, list those that may connect in
    /// [`allowed_origins`](crate::ServerConfig::allowed_origins), or compare it before accepting.
    pub fn origin(&self) -> Option<&str> {
        self.asked.handshake.origin.as_deref()
    }

    /// The subprotocols that the client offers, in its order and spelling.
    #[doc(alias = "protocolFullCaseMap")]
    pub fn protocols(&self) -> &[String] {
        &self.asked.handshake.protocols
    }

    /// The subprotocols that the client offers, in its order, in lower case.
    #[doc(alias = "requestedProtocols")]
    pub fn requested_protocols(&self) -> Vec<String> {
        self.protocols().iter().map(|protocol| protocol.to_ascii_lowercase()).collect()
    }

    /// The extensions that the client offers, in its order.
    #[doc(alias = "requestedExtensions")]
    pub fn requested_extensions(&self) -> &[Extension] {
        &self.asked.handshake.extensions
    }

    /// The cookies that the client sent.
    pub const fn cookies(&self) -> &Cookies {
        &self.asked.cookies
    }

    /// Who the client is, as far as it can be told: its IP address after those are asked who are believed, see
    /// [`trusted_proxies`](crate::ServerConfig::trusted_proxies). `unknown`, or a name that begins with an underscore, where a
    /// proxy does not tell (RFC 7239 §6.2, §6.3) or a Unix socket has none.
    #[doc(alias = "remoteAddress")]
    pub fn remote_address(&self) -> &str {
        &self.addresses().remote_address
    }

    /// The client, then the proxies on its way, the socket's peer last.
    #[doc(alias = "remoteAddresses")]
    pub fn remote_addresses(&self) -> &[String] {
        &self.addresses().remote_addresses
    }

    /// The address of the socket's peer, whatever headers say. `None`: it has none that is known, such as on a Unix socket.
    #[doc(alias = "socket")]
    pub const fn socket_address(&self) -> Option<SocketAddr> {
        self.asked.arrival.peer
    }

    /// The certificate that the client proved itself with in TLS, verified. `None`: it has shown none, and was not made to
    /// ([`ServerTlsBuilder::client_certificates`](crate::ServerTlsBuilder::client_certificates)).
    ///
    /// Only the request tells: a connection does not keep it. Where a proxy ends TLS, it is the proxy's; a
    /// [`Guest`](crate::Guest) in another HTTP server is told none.
    #[cfg(feature = "tls")]
    pub const fn client_certificate(&self) -> Option<&crate::tls::ClientCertificate> {
        self.asked.arrival.client_certificate.as_ref()
    }

    fn addresses(&self) -> &ClientAddress {
        let Asked { addresses, arrival, .. } = self.asked.as_ref();
        addresses.get_or_init(|| client_address::resolve(arrival, [], &self.options.config))
    }

    /// Accepts as `auto_accept_connections` does: the first offered subprotocol, the client's own origin.
    pub(crate) fn auto_accept(self) -> Result<Connection, AcceptError> {
        let accept = Accept {
            protocol: self.protocols().first().cloned(),
            origin: self.origin().map(ToOwned::to_owned),
            cookies: Vec::new(),
        };
        self.accept(accept)
    }

    fn accept_into(self, accept: Accept, receiver: Receiver) -> Result<Connection, AcceptError> {
        let decide = self.decision.take().ok_or(AcceptError::AlreadyDecided)?;
        let compression = self.negotiate_compression();
        let answer = match self.answer(&accept, compression.as_ref()) {
            Ok(answer) => answer,
            Err(error) => {
                let refusal = Refusal { status: 500, ..Refusal::default() };
                let answer = refusal.answer().unwrap_or_else(|error| error.answer());
                self.host.request_rejected(self.id(), answer.status());
                let _ = decide.send(Verdict::Refuse(answer));
                return Err(error);
            }
        };
        let protocol = accept.protocol.filter(|protocol| !protocol.is_empty());
        let addresses = self.asked.addresses.get();
        let forwarded = addresses.filter(|addresses| addresses.remote_addresses.len() > 1).cloned();
        let opening = Opening {
            protocol: protocol.map(|protocol| protocol.to_ascii_lowercase().into()),
            compression: compression.as_ref().map(|negotiated| negotiated.agreed),
            is_server: true,
            version: self.asked.handshake.version,
            home: self.home,
            remote_address: forwarded.as_ref().map(|addresses| addresses.remote_address.as_str().into()),
            forwarded_for: forwarded.map(|addresses| addresses.remote_addresses.into()).unwrap_or_default(),
            socket: self.asked.arrival.peer,
        };
        let options = self.options.clone();
        let shared = Arc::new(Shared::new(self.host.next_id(), opening, receiver.receives(), &options));
        let connection = Connection::new(shared.clone());
        self.host.request_accepted(self.id(), &shared);
        let owner = self.host.clone().as_owner();
        let launch = Launch { shared, owner, receiver: Some(receiver), options, compression };
        // A client that is gone ends the connection, through the launch that comes back.
        let _ = decide.send(Verdict::Accept(answer, launch));
        Ok(connection)
    }

    /// The first of the client's offers that the options allow.
    fn negotiate_compression(&self) -> Option<Negotiated> {
        let Options { core, memory, .. } = self.options.as_ref();
        deflate::negotiate(&self.asked.handshake.extensions, core.deflate.as_ref()?, memory)
    }

    fn answer(&self, accept: &Accept, compression: Option<&Negotiated>) -> Result<Answer, AcceptError> {
        let extension = compression.map(Negotiated::extension);
        let cookies = set_cookie_values(&accept.cookies)?;
        let accept = handshake::Accept {
            protocol: accept.protocol.as_deref(),
            origin: accept.origin.as_deref(),
            // No other is implemented, so no other is agreed on, nor a parameter of any (RFC 6455 §5.8, §9, §9.1).
            extensions: extension.as_slice(),
            cookies: &cookies,
        };
        Ok(accept.answer(&self.asked.handshake)?)
    }
}

/// TCP was gone before the 101 could be sent, wherever that showed.
impl Drop for Launch {
    fn drop(&mut self) {
        if let Some(receiver) = self.receiver.take() {
            driver::never_opened(&self.shared, self.owner.as_ref(), receiver);
        }
    }
}

/// A request that nobody decided is rejected, never left hanging.
impl Drop for Request {
    fn drop(&mut self) {
        let refusal = Refusal::default();
        if self.decision.refuse(refusal) {
            self.host.request_rejected(self.decision.id, refusal.status);
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("handshake", &self.asked.handshake)
            .field("addresses", self.addresses())
            .finish_non_exhaustive()
    }
}

/// What a client is told when its request is accepted; by default nothing beyond the handshake itself.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Accept {
    protocol: Option<String>,
    origin: Option<String>,
    cookies: Vec<SetCookie>,
}

impl Accept {
    /// No subprotocol, no origin, no cookies.
    pub fn new() -> Self {
        Self::default()
    }

    /// The subprotocol to speak: one that the client offered, in any case. The client gets its own spelling.
    #[doc(alias = "acceptedProtocol")]
    pub fn protocol(mut self, protocol: impl Into<String>) -> Self {
        self.protocol = Some(protocol.into());
        self
    }

    /// The origin to name in the answer. It is compared with nothing.
    #[doc(alias = "allowedOrigin")]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// A cookie to set; may be called several times.
    pub fn cookie(mut self, cookie: SetCookie) -> Self {
        self.cookies.push(cookie);
        self
    }
}

/// What a client is told when its request is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Rejection {
    status: u16,
    reason: Option<String>,
    headers: Vec<(String, String)>,
}

impl Rejection {
    /// A status from 300 to 599.
    #[doc(alias = "httpStatus")]
    pub const fn new(status: u16) -> Self {
        Self { status, reason: None, headers: Vec::new() }
    }

    /// Why, in one line of visible ASCII, sent as `X-WebSocket-Reject-Reason`.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// A further header; may be called several times.
    #[doc(alias = "extraHeaders")]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// 403, without a reason.
impl Default for Rejection {
    fn default() -> Self {
        Self::new(403)
    }
}
