//! The roads that a WebSocket comes on, and the peers at their ends.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use wharf::HttpServer;

use super::{Client, ClientOf, Head, handshake};

/// A client that comes on a road.
pub type ClientOn<R> = ClientOf<<R as Road>::Peer>;

/// How a client comes to a server.
pub trait Road: Sized {
    type Peer: Peer;

    /// The status that accepts a handshake.
    const ACCEPTED: u16;

    async fn listen() -> HttpServer;

    /// A client that has sent a handshake with these further lines.
    async fn ask(http: &HttpServer, lines: &str) -> ClientOn<Self>;
}

/// The client's end of a road.
pub trait Peer: AsyncRead + AsyncWrite + Send + Unpin + Sized + 'static {
    async fn head(client: &mut ClientOf<Self>) -> Head {
        client.read_head().await
    }

    /// Ends it with a reset.
    fn reset(self);
}

/// HTTP/1.1 on TCP.
pub struct Http1;

impl Road for Http1 {
    type Peer = TcpStream;

    const ACCEPTED: u16 = 101;

    async fn listen() -> HttpServer {
        HttpServer::bind("127.0.0.1:0").await.expect("a port is free")
    }

    async fn ask(http: &HttpServer, lines: &str) -> Client {
        let mut client = Client::connect(http).await;
        client.write(handshake(lines)).await;
        client
    }
}

impl Peer for TcpStream {
    fn reset(self) {
        socket2::SockRef::from(&self).set_linger(Some(Duration::ZERO)).expect("a live socket");
    }
}
