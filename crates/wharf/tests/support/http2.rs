//! A client of HTTP/2 that asks for WebSockets by extended CONNECT, by the crate `h2`.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this module")]

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;

use crate::support::roads::Peer;
use crate::support::{ClientOf, Head, within};

/// One connection of HTTP/2. It ends when it is dropped and all its streams have ended.
pub struct Http2 {
    pub requests: SendRequest<Bytes>,
    pub connection: JoinHandle<Result<(), h2::Error>>,
}

impl Http2 {
    /// Begins with the preface, and waits until the server has said that it knows extended CONNECT (RFC 8441 §3).
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let mut builder = h2::client::Builder::new();
        // One stream that a test does not read is not to hold up the others.
        builder.enable_push(false).initial_connection_window_size(1 << 30);
        Self::with(builder, stream).await
    }

    pub async fn with(
        builder: h2::client::Builder,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        let (requests, connection) = within(builder.handshake(stream)).await.expect("a preface");
        let connection = tokio::spawn(connection);
        let mut this = Self { requests, connection };
        // The settings come before anything else that the server sends.
        within(async {
            while !this.requests.is_extended_connect_protocol_enabled() {
                assert!(!this.connection.is_finished(), "the server offers extended CONNECT");
                tokio::task::yield_now().await;
            }
        })
        .await;
        this.requests = within(this.requests.ready()).await.expect("the connection lives");
        this
    }

    /// Asks for a WebSocket, with these further header lines.
    pub async fn ask(&mut self, path: &str, lines: &str) -> Http2Stream {
        let mut request = Request::builder()
            .method(Method::CONNECT)
            .uri(format!("https://server.example.com:81{path}"))
            .extension(Protocol::from_static("websocket"));
        for line in ["sec-websocket-version: 13"].into_iter().chain(lines.lines()) {
            let (name, value) = line.split_once(": ").expect("a field");
            request = request.header(name.to_ascii_lowercase(), value);
        }
        self.send(request.body(()).expect("valid fields"), false).await
    }

    /// An ordinary request for a path.
    pub async fn get(&mut self, path: &str) -> Response<RecvStream> {
        let request = Request::get(format!("https://server.example.com:81{path}")).body(()).expect("valid");
        let mut stream = self.send(request, true).await;
        within(stream.response.take().expect("just sent")).await.expect("an answer")
    }

    pub async fn send(&mut self, request: Request<()>, is_end: bool) -> Http2Stream {
        self.requests = within(self.requests.clone().ready()).await.expect("the connection lives");
        let (response, send) = self.requests.send_request(request, is_end).expect("a stream is free");
        Http2Stream { response: Some(response), receive: None, send, unread: Bytes::new() }
    }
}

/// The code of the reset that ends an answer's body, of which nothing is taken meanwhile, so that its window stays full.
pub async fn reset_of(body: &mut RecvStream) -> Reason {
    let reset = async {
        loop {
            if let Some(Err(error)) = body.data().await {
                break error.reason().expect("a reset");
            }
        }
    };
    within(reset).await
}

/// One stream, from the client's side.
pub struct Http2Stream {
    /// Until it has come.
    pub response: Option<ResponseFuture>,
    receive: Option<RecvStream>,
    send: SendStream<Bytes>,
    unread: Bytes,
}

impl Http2Stream {
    /// The head of the answer, as HTTP/1.1 would write it.
    pub async fn head(&mut self) -> Head {
        let response = self.response.take().expect("the answer was not looked at");
        let response = within(response).await.expect("an answer");
        let status = format!("HTTP/2 {}", response.status().as_u16());
        let field = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().expect("visible"))
        };
        let fields = response.headers().iter().map(field);
        let head = [status].into_iter().chain(fields).collect::<Vec<_>>().join("\r\n");
        self.receive = Some(response.into_body());
        Head(head + "\r\n\r\n")
    }

    pub fn reset(&mut self) {
        self.send.send_reset(Reason::CANCEL);
    }

    /// The code of the reset that ends the stream.
    pub async fn sees_reset(&mut self) -> Reason {
        let receive = self.receive.as_mut().expect("the answer came");
        within(async {
            loop {
                match receive.data().await {
                    Some(Ok(bytes)) => drop(receive.flow_control().release_capacity(bytes.len())),
                    Some(Err(error)) => break error.reason().expect("a reset"),
                    None => panic!("an orderly end"),
                }
            }
        })
        .await
    }
}

impl Peer for Http2Stream {
    async fn head(client: &mut ClientOf<Self>) -> Head {
        client.stream.head().await
    }

    fn reset(mut self) {
        Self::reset(&mut self);
    }
}

impl AsyncRead for Http2Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let receive = this.receive.as_mut().expect("the answer was looked at");
        while this.unread.is_empty() {
            match ready!(receive.poll_data(cx)) {
                Some(Ok(bytes)) => this.unread = bytes,
                Some(Err(error)) if error.is_reset() => {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let len = this.unread.len().min(buf.remaining());
        buf.put_slice(&this.unread.split_to(len));
        receive.flow_control().release_capacity(len).map_err(io::Error::other)?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Http2Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.send.reserve_capacity(buf.len());
        while self.send.capacity() == 0 {
            match ready!(self.send.poll_capacity(cx)) {
                Some(capacity) => capacity.map_err(io::Error::other)?,
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
        }
        let len = buf.len().min(self.send.capacity());
        let bytes = Bytes::copy_from_slice(&buf[..len]);
        self.send.send_data(bytes, false).map_err(io::Error::other)?;
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Refused where the server has said that it reads no more (RFC 9113 §8.1).
        let _ = self.send.send_data(Bytes::new(), true);
        Poll::Ready(Ok(()))
    }
}
