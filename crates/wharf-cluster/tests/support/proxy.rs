//! The way from one node to the broker, which can be cut.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes connections on to a server, while it is whole.
pub struct Proxy {
    address: SocketAddr,
    way: Arc<watch::Sender<Way>>,
    accepting: JoinHandle<()>,
}

/// What becomes of the bytes on a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Whole,
    /// Connections end, and new ones end at once.
    Cut,
    /// Bytes vanish, and nobody is told.
    Silent,
}

impl Proxy {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let way = Arc::new(watch::Sender::new(Way::Whole));
        let accepting = tokio::spawn(accept(listener, server, way.clone()));
        Self { address, way, accepting }
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections, and all that come, until it is [healed](Self::heal).
    pub fn cut(&self) {
        self.way.send_replace(Way::Cut);
    }

    /// Passes nothing on, and ends nothing, until it is [healed](Self::heal): then what is open ends.
    pub fn silence(&self) {
        self.way.send_replace(Way::Silent);
    }

    pub fn heal(&self) {
        self.way.send_replace(Way::Whole);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.way.send_replace(Way::Cut);
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, way: Arc<watch::Sender<Way>>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut way = way.subscribe();
        if *way.borrow_and_update() == Way::Cut {
            continue;
        }
        tokio::spawn(pass_on(client, server, way));
    }
}

async fn pass_on(mut client: TcpStream, server: SocketAddr, mut way: watch::Receiver<Way>) {
    if *way.borrow() == Way::Whole {
        let Ok(mut server) = TcpStream::connect(server).await else { return };
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = way.wait_for(|way| *way != Way::Whole) => {}
        }
        if *way.borrow() == Way::Silent {
            let _ = way.wait_for(|way| *way != Way::Silent).await;
        }
        return;
    }
    let _ = way.wait_for(|way| *way != Way::Silent).await;
}
