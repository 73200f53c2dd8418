//! Listeners that listen, and each worker's share of them.

use std::io;
use std::net::TcpListener;
#[cfg(unix)]
use std::os::unix::net::UnixListener;
#[cfg(unix)]
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::super::listener::{Serving, accept_connections};
use super::LocalAddress;
#[cfg(unix)]
use super::unix::{SocketFile, UnixSocket};

/// A listener that listens.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) address: LocalAddress,
    /// One for each worker.
    pub(crate) shares: Vec<Share>,
}

/// What one worker has of a listener.
#[derive(Debug)]
pub(crate) struct Share {
    pub(super) socket: Socket,
    pub(super) proxy_protocol: bool,
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(Option<Arc<SocketFile>>, UnixListener),
}

impl Socket {
    /// One queue for so many workers.
    pub(super) fn shared_tcp(listener: TcpListener, workers: usize) -> io::Result<Vec<Self>> {
        listener.set_nonblocking(true)?;
        let others = (1..workers).map(|_| listener.try_clone());
        let others = others.collect::<io::Result<Vec<_>>>()?;
        Ok([listener].into_iter().chain(others).map(Self::Tcp).collect())
    }

    /// One queue for so many workers, and a file that goes with the last of them.
    #[cfg(unix)]
    pub(super) fn shared_unix(
        listener: UnixListener,
        file: Option<SocketFile>,
        workers: usize,
    ) -> io::Result<Vec<Self>> {
        listener.set_nonblocking(true)?;
        let file = file.map(Arc::new);
        let others = (1..workers).map(|_| listener.try_clone());
        let others = others.collect::<io::Result<Vec<_>>>()?;
        Ok([listener].into_iter().chain(others).map(|listener| Self::Unix(file.clone(), listener)).collect())
    }
}

impl Share {
    /// Has the runtime that it is called on wake whoever accepts.
    pub(crate) fn register(self) -> io::Result<Listening> {
        let source = match self.socket {
            Socket::Tcp(listener) => Source::Tcp(tokio::net::TcpListener::from_std(listener)?),
            #[cfg(unix)]
            Socket::Unix(file, listener) => {
                let listener = tokio::net::UnixListener::from_std(listener)?;
                Source::Unix(UnixSocket { _file: file, listener })
            }
        };
        Ok(Listening { source, proxy_protocol: self.proxy_protocol })
    }
}

/// A listener on its runtime.
pub(crate) struct Listening {
    source: Source,
    proxy_protocol: bool,
}

enum Source {
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Unix(UnixSocket),
}

impl Listening {
    /// Serves what comes, in a task that ends when the server has closed.
    pub(crate) fn serve(self, serving: Serving) -> JoinHandle<()> {
        let serving = Serving { proxy_protocol: self.proxy_protocol, ..serving };
        match self.source {
            Source::Tcp(listener) => tokio::spawn(accept_connections(listener, serving)),
            #[cfg(unix)]
            Source::Unix(socket) => tokio::spawn(accept_connections(socket, serving)),
        }
    }
}
