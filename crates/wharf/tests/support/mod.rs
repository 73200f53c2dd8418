//! A WebSocket server on a port of its own, and a client that is nothing but a TCP socket.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this module")]

pub mod roads;

use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use roads::{ClientOn, Http1, Peer, Road};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wharf::{Accept, Connection, Ending, Event, Handler, Header, HttpServer, Message, Opcode};
use wharf::{Request, Server, ServerConfig};
use wharf_proto::mask::MaskingKey;

/// Longer than anything here takes, so that a test that waits in vain fails instead of hanging.
pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("what is awaited happens")
}

/// Waits for what no event tells.
pub async fn until(is_met: impl Fn() -> bool) {
    within(async {
        while !is_met() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Polls once: whether the future has to wait.
pub fn waits<F: Future>(future: Pin<&mut F>) -> bool {
    matches!(future.poll(&mut Context::from_waker(Waker::noop())), Poll::Pending)
}

/// Begins a future and gives it up.
pub fn begin_and_drop<F: Future>(future: F) {
    assert!(waits(pin!(future)), "there is nothing yet");
}

/// A server on TCP, mounted on an HTTP server of its own.
pub type Site = SiteOn<Http1>;

/// A server, mounted on an HTTP server of its own.
pub struct SiteOn<R> {
    pub http: HttpServer,
    pub server: Server,
    road: PhantomData<R>,
}

impl<R: Road> SiteOn<R> {
    pub fn of(http: HttpServer, server: Server) -> Self {
        Self { http, server, road: PhantomData }
    }

    pub async fn with(config: ServerConfig) -> Self {
        let http = R::listen().await;
        let server = Server::new(config);
        server.mount([&http]).expect("the options are valid");
        Self::of(http, server)
    }

    pub async fn open() -> Self {
        Self::with(ServerConfig::default()).await
    }

    /// A client that has sent a handshake with these further lines.
    pub async fn asking(&self, lines: &str) -> ClientOn<R> {
        R::ask(&self.http, lines).await
    }

    pub async fn event(&self) -> Event {
        within(self.server.next_event()).await.expect("the server goes on")
    }

    pub async fn request(&self) -> Request {
        match self.event().await {
            Event::Request(request) => request,
            event => panic!("not a request: {event:?}"),
        }
    }

    pub async fn connected(&self) -> Connection {
        match self.event().await {
            Event::Connect(connection) => connection,
            event => panic!("not a connect: {event:?}"),
        }
    }

    pub async fn closed(&self) -> (Connection, Ending) {
        match self.event().await {
            Event::Close { connection, ending } => (connection, ending),
            event => panic!("not a close: {event:?}"),
        }
    }

    /// The code and the description of the next event, which is a close.
    pub async fn close_event(&self) -> (u16, String) {
        let (_, ending) = self.closed().await;
        (ending.code().get(), ending.description())
    }

    /// A request that came with a client and waits for a decision.
    pub async fn ask(&self, lines: &str) -> (ClientOn<R>, Request) {
        let client = self.asking(lines).await;
        (client, self.request().await)
    }

    /// An open connection, both ends.
    pub async fn pair(&self) -> (ClientOn<R>, Connection) {
        let (client, request) = self.ask("").await;
        self.opened(client, request.accept(Accept::new()).expect("undecided")).await
    }

    /// So many open connections: their clients, and their other ends.
    pub async fn pairs(&self, count: usize) -> (Vec<ClientOn<R>>, Vec<Connection>) {
        let mut pairs = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (client, connection) = self.pair().await;
            pairs.0.push(client);
            pairs.1.push(connection);
        }
        pairs
    }

    /// An open connection, both ends, whose messages go to `handler`.
    pub async fn pair_with(&self, handler: impl Handler) -> (ClientOn<R>, Connection) {
        let (client, request) = self.ask("").await;
        self.opened(client, request.accept_with(Accept::new(), handler).expect("undecided")).await
    }

    async fn opened(&self, mut client: ClientOn<R>, connection: Connection) -> (ClientOn<R>, Connection) {
        assert_eq!(self.connected().await, connection);
        assert_eq!(client.head().await.status(), R::ACCEPTED);
        (client, connection)
    }
}

impl Site {
    pub async fn client(&self) -> Client {
        Client::connect(&self.http).await
    }
}

/// The opening handshake of RFC 6455 §1.3, with further lines, each with its line end.
pub fn handshake(lines: &str) -> String {
    handshake_to("/", lines)
}

pub fn handshake_to(target: &str, lines: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: server.example.com:81\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n{lines}\r\n"
    )
}

/// A response's head, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head(pub String);

impl Head {
    pub fn status(&self) -> u16 {
        self.status_line().split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line")
    }

    pub fn status_line(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }

    /// Names, in lower case, and values, in order.
    pub fn fields(&self) -> Vec<(String, &str)> {
        let lines = self.0.lines().skip(1).filter(|line| !line.is_empty());
        lines
            .map(|line| line.split_once(": ").expect("a field"))
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields().into_iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }
}

/// A peer on TCP.
pub type Client = ClientOf<TcpStream>;

/// A peer that does on its socket what the test says, and nothing else.
pub struct ClientOf<P> {
    pub stream: P,
    /// What was read and not looked at.
    unread: Vec<u8>,
}

impl Client {
    pub async fn connect(http: &HttpServer) -> Self {
        Self::to(http.local_addr()).await
    }

    pub async fn to(address: impl tokio::net::ToSocketAddrs) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("a live socket");
        Self::on(stream)
    }
}

impl<P: Peer> ClientOf<P> {
    pub fn on(stream: P) -> Self {
        Self { stream, unread: Vec::new() }
    }

    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.stream.write_all(bytes.as_ref())).await.expect("the server reads");
    }

    /// Sends frames, in one segment where they fit one.
    pub async fn send(&mut self, frames: impl IntoIterator<Item = Frame>) {
        self.write(bytes_of(frames)).await;
    }

    /// Sends `bytes` until TCP takes no more: how many bytes went. Never longer than it takes to see that.
    pub async fn write_until_held(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            let write = self.stream.write(&bytes[written..]);
            match tokio::time::timeout(Duration::from_millis(300), write).await {
                Ok(len) => written += len.expect("the connection lives"),
                Err(_) => break,
            }
        }
        written
    }

    /// The head of the answer.
    pub async fn head(&mut self) -> Head {
        P::head(self).await
    }

    async fn read_head(&mut self) -> Head {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.read().await, "the server answers: {:?}", self.unread);
        };
        Head(String::from_utf8(self.unread.drain(..end).collect()).expect("a head is ASCII"))
    }

    /// Throws bytes away, such as a response's body.
    pub async fn skip(&mut self, len: usize) {
        while self.unread.len() < len {
            assert!(self.read().await, "there are more bytes");
        }
        self.unread.drain(..len);
    }

    /// The next frame.
    pub async fn frame(&mut self) -> Frame {
        self.next().await.expect("a frame, not the end")
    }

    /// The next frame, or `None` where TCP ends in order and between two frames.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, len)) = Frame::read(&self.unread) {
                self.unread.drain(..len);
                return Some(frame);
            }
            if !self.read().await {
                assert!(self.unread.is_empty(), "the stream ends within a frame: {:?}", self.unread);
                return None;
            }
        }
    }

    /// The next message of data, its fragments put together.
    pub async fn message(&mut self) -> Message {
        let first = self.frame().await;
        let (opcode, mut is_whole, mut payload) = (first.opcode, first.fin, first.payload);
        while !is_whole {
            let fragment = self.frame().await;
            assert_eq!(fragment.opcode, Opcode::Continuation);
            is_whole = fragment.fin;
            payload.extend_from_slice(&fragment.payload);
        }
        match opcode {
            Opcode::Text => Message::Text(String::from_utf8(payload).expect("text is UTF-8")),
            Opcode::Binary => Message::Binary(payload.into()),
            opcode => panic!("not a message: {opcode:?}"),
        }
    }

    /// All bytes up to the end.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.read().await {}
        std::mem::take(&mut self.unread)
    }

    /// Sees TCP end in order, with nothing more before.
    pub async fn sees_end(&mut self) {
        assert_eq!(self.next().await, None);
    }

    /// Sees TCP reset, after whatever comes before.
    pub async fn sees_reset(&mut self) {
        let mut bytes = vec![0; 64 * 1024];
        let error = within(async {
            loop {
                match self.stream.read(&mut bytes).await {
                    Ok(0) => panic!("an orderly end"),
                    Ok(_) => {}
                    Err(error) => break error,
                }
            }
        })
        .await;
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }

    /// Ends its half.
    pub async fn end(&mut self) {
        self.stream.shutdown().await.expect("a live socket");
    }

    /// Ends the connection with a reset.
    pub fn reset(self) {
        self.stream.reset();
    }

    /// Reads once: whether the stream goes on.
    async fn read(&mut self) -> bool {
        within(self.stream.read_buf(&mut self.unread)).await.expect("no reset") > 0
    }
}

/// A frame, as the client composes it or got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub fin: bool,
    pub opcode: Opcode,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn more_follows(mut self) -> Self {
        self.fin = false;
        self
    }

    /// As a client sends it.
    pub fn masked(&self) -> Vec<u8> {
        let key = MaskingKey([0x37, 0xfa, 0x21, 0x3d]);
        let mut bytes = Vec::new();
        let header = Header::new(self.fin, self.opcode, self.payload.len() as u64);
        Header { mask: Some(key), ..header }.write(&mut bytes);
        let start = bytes.len();
        bytes.extend_from_slice(&self.payload);
        key.apply(&mut bytes[start..]);
        bytes
    }

    /// A server's frame at the front of `bytes`, and its length there.
    fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let (header, header_len) = Header::read(bytes).expect("valid frames")?;
        assert_eq!((header.mask, header.reserved), (None, 0), "a server's frames are plain");
        let end = header_len + usize::try_from(header.payload_len).expect("it fits memory");
        let payload = bytes.get(header_len..end)?.to_vec();
        Some((Self { fin: header.fin, opcode: header.opcode, payload }, end))
    }
}

fn frame(opcode: Opcode, payload: impl AsRef<[u8]>) -> Frame {
    Frame { fin: true, opcode, payload: payload.as_ref().to_vec() }
}

pub fn text(payload: impl AsRef<[u8]>) -> Frame {
    frame(Opcode::Text, payload)
}

pub fn binary(payload: impl AsRef<[u8]>) -> Frame {
    frame(Opcode::Binary, payload)
}

pub fn continuation(payload: impl AsRef<[u8]>) -> Frame {
    frame(Opcode::Continuation, payload)
}

pub fn ping(payload: impl AsRef<[u8]>) -> Frame {
    frame(Opcode::Ping, payload)
}

pub fn pong(payload: impl AsRef<[u8]>) -> Frame {
    frame(Opcode::Pong, payload)
}

pub fn close(code: u16, reason: &str) -> Frame {
    frame(Opcode::Close, [&code.to_be_bytes(), reason.as_bytes()].concat())
}

pub fn bytes_of(frames: impl IntoIterator<Item = Frame>) -> Vec<u8> {
    frames.into_iter().flat_map(|frame| frame.masked()).collect()
}
