//! From a request to an open connection, stage by stage, all before one deadline.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::config::ClientConfig;
use super::dial::dial;
use super::error::ConnectError;
use super::http_response::{Reader, ResponseError};
use super::proxy::Proxy;
use super::request::ConnectRequest;
use crate::proto::handshake::{Accepted, ClientRequest, HttpVersion, ResponseHead, Version, verify};

/// What openings need of a client's options.
pub(super) struct Settings {
    version: Version,
    connect_timeout: Duration,
    proxy: Option<Proxy>,
    max_response_body_size: usize,
}

/// A connection whose opening handshake is over.
pub(super) struct Opened {
    pub(super) stream: Stream,
    /// What came behind the answer.
    pub(super) already_read: Vec<u8>,
    pub(super) protocol: Option<String>,
    pub(super) version: Version,
    pub(super) peer: SocketAddr,
}

pub(super) enum Stream {
    Tcp(TcpStream),
}

impl Stream {
    pub(super) const fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(stream) => stream,
        }
    }
}

impl Settings {
    pub(super) fn new(config: ClientConfig) -> Self {
        Self {
            version: config.websocket_version,
            connect_timeout: config.connect_timeout,
            proxy: config.proxy,
            max_response_body_size: config.max_response_body_size,
        }
    }

    /// Makes the connection that `request` asks for.
    pub(super) async fn open(&self, request: ConnectRequest) -> Result<Opened, ConnectError> {
        let (handshake, bytes) = request.handshake(self.version)?;
        let deadline = Deadline { at: Instant::now() + self.connect_timeout, limit: self.connect_timeout };
        let target = &request.target;
        let (host, port) =
            self.proxy.as_ref().map_or((&target.host, target.port), |proxy| (&proxy.host, proxy.port));
        let mut tcp = deadline.bound("TCP", dial(host, port)).await??;
        // The request is one write, and its answer is waited for: to hold it back could only cost time.
        let peer = tcp.set_nodelay(true).and_then(|()| tcp.peer_addr()).map_err(ConnectError::Lost)?;
        if let Some(proxy) = &self.proxy {
            let max_body = self.max_response_body_size;
            proxy.tunnel(&mut tcp, target, max_body, deadline).await?;
        }
        if target.is_secure {
            return Err(ConnectError::TlsUnavailable);
        }
        let (accepted, already_read) = self.shake_hands(&mut tcp, &handshake, &bytes, deadline).await?;
        let protocol = accepted.protocol;
        Ok(Opened { stream: Stream::Tcp(tcp), already_read, protocol, version: self.version, peer })
    }

    /// Sends the request and reads the answer: what it says, and what came behind it.
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
