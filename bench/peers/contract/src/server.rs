use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::options::{Options, Tls, stop};

/// A library, as its users run it on one connection.
pub trait Peer: Clone + Send + Sync + 'static {
    /// Serves one connection until it ends. How it ends is the client's affair: nobody is told of an error.
    fn serve<S: Stream>(self, stream: S) -> impl Future<Output = Ended> + Send;
}

pub type Ended = Result<(), Box<dyn Error + Send + Sync>>;

/// TCP, or TLS over it. Generic, so that nobody pays for asking which.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// Enough for all of the clients that a benchmark opens at once.
const BACKLOG: u32 = 4096;

/// Listens, says where, and serves each connection in a task of its own, all on this thread.
pub fn run(options: &Options, peer: impl Peer) -> ! {
    let acceptor = options.tls.as_ref().map(|tls| {
        acceptor(tls).unwrap_or_else(|error| stop(1, &format!("the certificate or the key: {error}")))
    });
    let served = tokio::runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| {
        runtime.block_on(async {
            let listener = listen()?;
            writeln!(io::stdout(), "{}", listener.local_addr()?)?;
            accept(listener, acceptor, peer).await
        })
    });
    match served {
        Ok(never) => match never {},
        Err(error) => stop(1, &error.to_string()),
    }
}

fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    socket.listen(BACKLOG)
}

async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    peer: impl Peer,
) -> io::Result<std::convert::Infallible> {
    loop {
        // One that has gone already, or no file descriptors for now.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        stream.set_nodelay(true)?;
        let peer = peer.clone();
        match acceptor.clone() {
            Some(acceptor) => drop(tokio::spawn(serve_tls(acceptor, stream, peer))),
            None => drop(tokio::spawn(peer.serve(stream))),
        }
    }
}

async fn serve_tls(acceptor: TlsAcceptor, stream: TcpStream, peer: impl Peer) -> Ended {
    peer.serve(acceptor.accept(stream).await?).await
}

fn acceptor(tls: &Tls) -> Result<TlsAcceptor, Box<dyn Error>> {
    let certificates =
        CertificateDer::pem_slice_iter(&fs::read(&tls.certificate)?).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&fs::read(&tls.key)?)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
