//! From a request to an open connection, stage by stage, all before one deadline.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::config::ClientConfig;
use super::dial::{dial, resolve};
use super::error::ConnectError;
use super::http_response::{Reader, ResponseError};
use super::proxy::Proxy;
use super::request::{ConnectRequest, Target};
use super::turns::{Host, Turn, Turns};
use crate::driver::Stream;
use crate::options::Options;
use crate::proto::deflate::{self, Negotiated};
use crate::proto::handshake::{Accepted, ClientRequest, HttpVersion, ResponseHead, Version, verify};
#[cfg(feature = "tls")]
use crate::tls::Connector;

/// What openings need of a client's options.
pub(super) struct Settings {
    version: Version,
    connect_timeout: Duration,
    proxy: Option<Proxy>,
    max_response_body_size: usize,
    /// Where handshakes with the same host are to wait for each other.
    turns: Option<Turns>,
    #[cfg(feature = "tls")]
    tls: Connector,
}

/// A connection whose opening handshake is over.
pub(super) struct Opened {
    pub(super) stream: Stream,
    /// What came behind the answer.
    pub(super) already_read: Vec<u8>,
    pub(super) protocol: Option<String>,
    pub(super) compression: Option<Negotiated>,
    pub(super) version: Version,
    pub(super) peer: SocketAddr,
}

impl Settings {
    pub(super) fn new(config: ClientConfig) -> Self {
        Self {
            version: config.websocket_version,
            connect_timeout: config.connect_timeout,
            proxy: config.proxy,
            max_response_body_size: config.max_response_body_size,
            turns: config.serialize_handshakes.then(Turns::default),
            #[cfg(feature = "tls")]
            tls: Connector::new(config.tls),
        }
    }

    /// Makes the connection that `request` asks for (RFC 6455 §4.1); whatever fails, the stream is dropped, and no other is
    /// tried (RFC 6455 §7.2.1).
    pub(super) async fn open(
        &self,
        request: ConnectRequest,
        options: &Options,
    ) -> Result<Opened, ConnectError> {
        let Options { core, memory, .. } = options;
        let offers = core.deflate.as_ref().map_or_else(Vec::new, |config| deflate::offers(config, memory));
        let (handshake, bytes) = request.handshake(self.version, offers)?;
        let mut deadline =
            Deadline { at: Instant::now() + self.connect_timeout, limit: self.connect_timeout };
        let target = &request.target;
        let (host, port) =
            self.proxy.as_ref().map_or((&target.host, target.port), |proxy| (&proxy.host, proxy.port));
        let addresses = deadline.bound("the host's address", resolve(host, port)).await??;
        let _turn = self.turn(target, &addresses, &mut deadline).await;
        let mut tcp = deadline.bound("TCP", dial(host, addresses)).await??;
        // The request is one write, and its answer is waited for: to hold it back could only cost time.
        let peer = tcp.set_nodelay(true).and_then(|()| tcp.peer_addr()).map_err(ConnectError::Lost)?;
        if let Some(proxy) = &self.proxy {
            let max_body = self.max_response_body_size;
            proxy.tunnel(&mut tcp, target, max_body, deadline).await?;
        }
        let mut stream =
            if target.is_secure { self.secure(&target.host, tcp, deadline).await? } else { Stream::Tcp(tcp) };
        let (accepted, already_read) = match &mut stream {
            Stream::Tcp(stream) => self.shake_hands(stream, &handshake, &bytes, deadline).await?,
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => self.shake_hands(stream, &handshake, &bytes, deadline).await?,
            Stream::Other(stream) => self.shake_hands(stream, &handshake, &bytes, deadline).await?,
        };
        let compression = match &core.deflate {
            Some(config) => deflate::accept(&accepted.extensions, &handshake.extensions, config, memory)?,
            None => None,
        };
        let (protocol, version) = (accepted.protocol, self.version);
        Ok(Opened { stream, already_read, protocol, compression, version, peer })
    }

    /// Waits until no other handshake with the host is under way (RFC 6455 §4.1), which takes nothing off the deadline.
    async fn turn(&self, target: &Target, addresses: &[SocketAddr], deadline: &mut Deadline) -> Option<Turn> {
        let turns = self.turns.as_ref()?;
        // The least, because resolvers change the order of a name's addresses from one time to the next.
        let address = addresses
            .iter()
            .map(|address| address.ip().to_canonical())
            .min()
            .filter(|_| self.proxy.is_none());
        let host = address.map_or_else(|| Host::Name(target.host.clone()), Host::Address);
        let asked = Instant::now();
        let turn = turns.take(host).await;
        deadline.at += asked.elapsed();
        Some(turn)
    }

    #[cfg(feature = "tls")]
    async fn secure(&self, host: &str, tcp: TcpStream, deadline: Deadline) -> Result<Stream, ConnectError> {
        let connecting = self.tls.connect(host, tcp);
        Ok(Stream::Tls(deadline.bound("the TLS handshake", connecting).await??))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "with the feature it waits")]
    async fn secure(&self, _: &str, _: TcpStream, _: Deadline) -> Result<Stream, ConnectError> {
        Err(ConnectError::TlsUnavailable)
    }

    /// Sends the request and reads the answer: what it says, and what came behind it. Nothing is sent meanwhile
    /// (RFC 6455 §4.1), and an answer that is not right fails the attempt (RFC 6455 §7.2.1).
    async fn shake_hands<S>(
        &self,
        stream: &mut S,
        handshake: &ClientRequest,
        request: &[u8],
        deadline: Deadline,
    ) -> Result<(Accepted, Vec<u8>), ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let sending = async {
            stream.write_all(request).await?;
            stream.flush().await
        };
        deadline.bound("the request to be sent", sending).await?.map_err(ConnectError::Lost)?;
        let mut reader = Reader::new(stream);
        let head = deadline.bound("the server's answer", reader.head()).await??;
        if head.status() != http::StatusCode::SWITCHING_PROTOCOLS {
            let response = reader.body(head, self.max_response_body_size, deadline.at()).await;
            return Err(ConnectError::HttpResponse(Box::new(response)));
        }
        let fields = head.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let head = ResponseHead {
            version: HttpVersion::Http11,
            status: head.status().as_u16(),
            reason: "",
            fields: fields.collect(),
        };
        let accepted = verify(&head, handshake)?;
        Ok((accepted, reader.into_unread()))
    }
}

/// Until when an opening may take.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    pub(super) const fn at(self) -> Instant {
        self.at
    }

    /// The result of `stage`, if it is there in time.
    pub(super) async fn bound<T>(
        self,
        waiting_for: &'static str,
        stage: impl Future<Output = T>,
    ) -> Result<T, ConnectError> {
        let Self { at, limit } = self;
        timeout_at(at, stage).await.map_err(|_| ConnectError::Timeout { limit, waiting_for })
    }
}

impl From<ResponseError> for ConnectError {
    fn from(error: ResponseError) -> Self {
        match error {
            ResponseError::Lost(error) => Self::Lost(error),
            ResponseError::Malformed(error) => Self::Malformed(error),
        }
    }
}
