//! A server that is nothing but a TCP listener, and says on its sockets what the test tells it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this module")]

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wharf::{Header, Opcode};
use wharf_proto::handshake::accept_key;

use super::support::within;

pub struct RawServer {
    listener: TcpListener,
}

impl RawServer {
    pub async fn open() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.expect("a port is free") }
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("it listens").port()
    }

    /// Its URL, to the root.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/", self.port())
    }

    pub async fn accept(&self) -> Peer<TcpStream> {
        let (stream, _) = within(self.listener.accept()).await.expect("a client connects");
        stream.set_nodelay(true).expect("a live socket");
        Peer::new(stream)
    }

    pub const fn listener(&self) -> &TcpListener {
        &self.listener
    }

    /// Sees that nobody has connected.
    pub async fn has_no_client(&self) {
        // Whoever had would be in the kernel's queue by now, before the socket that is made here.
        let own = TcpStream::connect(("127.0.0.1", self.port())).await.expect("it listens");
        let (_, first) = within(self.listener.accept()).await.expect("there is one");
        assert_eq!(Some(first), own.local_addr().ok());
    }

    /// A client's connection with its request read.
    pub async fn request(&self) -> (Peer<TcpStream>, Request) {
        let mut peer = self.accept().await;
        let request = peer.request().await;
        (peer, request)
    }

    /// A client's connection, its handshake answered.
    pub async fn opened(&self) -> Peer<TcpStream> {
        let (mut peer, request) = self.request().await;
        peer.write(request.switching("")).await;
        peer
    }
}

/// A request's head, as it came.
#[derive(Clone, Debug)]
pub struct Request(pub String);

impl Request {
    pub fn line(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }

    /// Names and values as they came, in order.
    pub fn fields(&self) -> Vec<(&str, &str)> {
        let lines = self.0.lines().skip(1).filter(|line| !line.is_empty());
        lines.map(|line| line.split_once(": ").expect("a field")).collect()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields().into_iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The value that answers its key.
    pub fn accept_key(&self) -> String {
        accept_key(self.field("Sec-WebSocket-Key").expect("a key"))
    }

    /// The answer that switches, with further lines, each with its line end.
    pub fn switching(&self, lines: &str) -> String {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n{lines}\r\n",
            self.accept_key()
        )
    }
}

/// The server's end of one connection.
pub struct Peer<S> {
    pub stream: S,
    unread: Vec<u8>,
}

/// A frame of the client's, unmasked, and the key that masked it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked {
    pub fin: bool,
    pub opcode: Opcode,
    pub payload: Vec<u8>,
    pub key: [u8; 4],
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub const fn new(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        within(async {
            self.stream.write_all(bytes.as_ref()).await.expect("the client reads");
            self.stream.flush().await.expect("the client reads");
        })
        .await;
    }

    /// Ends its half.
    pub async fn end(&mut self) {
        within(self.stream.shutdown()).await.expect("a live socket");
    }

    pub async fn request(&mut self) -> Request {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.read().await, "the client asks: {:?}", self.unread);
        };
        Request(String::from_utf8(self.unread.drain(..end).collect()).expect("a head is ASCII"))
    }

    /// The next frame.
    pub async fn frame(&mut self) -> Masked {
        self.next().await.expect("a frame, not the end")
    }

    /// The next frame, or `None` where the stream ends in order and between two frames.
    pub async fn next(&mut self) -> Option<Masked> {
        loop {
            if let Some((frame, len)) = Masked::read(&self.unread) {
                self.unread.drain(..len);
                return Some(frame);
            }
            if !self.read().await {
                assert!(self.unread.is_empty(), "the stream ends within a frame: {:?}", self.unread);
                return None;
            }
        }
    }

    /// Sees the stream end, with nothing more before.
    pub async fn sees_end(&mut self) {
        assert_eq!(self.next().await, None);
    }

    /// Whether anything, bytes or the end, has come. The time is for the runtime to look at its sockets, no more.
    pub async fn has_news(&mut self) -> bool {
        let reading = self.stream.read_buf(&mut self.unread);
        tokio::time::timeout(std::time::Duration::from_millis(1), reading).await.is_ok()
    }

    /// Reads once: whether the stream goes on.
    async fn read(&mut self) -> bool {
        within(self.stream.read_buf(&mut self.unread)).await.expect("no reset") > 0
    }
}

impl Masked {
    fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let (header, header_len) = Header::read(bytes).expect("valid frames")?;
        let key = header.mask.expect("a client's frames are masked (RFC 6455 §5.1)");
        let end = header_len + usize::try_from(header.payload_len).expect("it fits memory");
        let mut payload = bytes.get(header_len..end)?.to_vec();
        key.apply(&mut payload);
        Some((Self { fin: header.fin, opcode: header.opcode, payload, key: key.0 }, end))
    }
}

/// A frame as servers send it.
pub fn plain(opcode: Opcode, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = Vec::new();
    Header::new(true, opcode, payload.len() as u64).write(&mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}

/// A Close frame as servers send it.
pub fn plain_close(code: u16, reason: &str) -> Vec<u8> {
    plain(Opcode::Close, [&code.to_be_bytes(), reason.as_bytes()].concat())
}
