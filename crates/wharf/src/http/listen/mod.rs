//! What a server listens on: told, then opened.

mod address;
#[cfg(unix)]
mod inherited;
mod opened;
mod tcp;
#[cfg(unix)]
mod unix;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
#[cfg(unix)]
use std::path::PathBuf;

pub use address::{ListenError, LocalAddress};
use opened::Socket;
pub(super) use opened::{Listening, Opened, Share};

use crate::config::ConfigError;

/// What an [`HttpServer`](crate::HttpServer) listens on, with the options of it alone. It is opened by
/// [`HttpServerBuilder::listen`](crate::HttpServerBuilder::listen).
///
/// ```no_run
/// # #[cfg(unix)]
/// # async fn run() -> std::io::Result<()> {
/// use wharf::{HttpServer, Listener};
///
/// let listeners = [Listener::tcp(([127, 0, 0, 1], 9001)), Listener::unix("/run/wharf.sock").permissions(0o600)];
/// let http = HttpServer::builder().listen(listeners).await?;
/// # Ok(())
/// # }
/// ```
///
/// An option that this kind of listener does not have is an error as it is opened, unless it has its default.
#[derive(Debug)]
#[must_use = "it listens once a server is built on it"]
pub struct Listener {
    source: Source,
    reuse_port: bool,
    only_ipv6: Option<bool>,
    #[cfg(unix)]
    permissions: Option<u32>,
    proxy_protocol: bool,
    name: Option<String>,
}

#[derive(Debug)]
enum Source {
    Tcp(SocketAddr),
    #[cfg(unix)]
    Unix(PathBuf),
    OpenTcp(TcpListener),
    #[cfg(unix)]
    OpenUnix(UnixListener),
}

impl Listener {
    /// Listens on a TCP address. Port 0 takes any that is free.
    pub fn tcp(addr: impl Into<SocketAddr>) -> Self {
        Self::of(Source::Tcp(addr.into()))
    }

    /// Listens on a Unix socket, whose file is made at `path`, which is at most 107 bytes long on Linux.
    ///
    /// The file is removed when the server has [closed](crate::HttpServer::close), if it is still the one that was made. One
    /// that a server left that has ended, such as by a crash, is replaced: a socket that nobody listens on any more. Where
    /// somebody does, it is [`AddrInUse`](io::ErrorKind::AddrInUse), and [`AlreadyExists`](io::ErrorKind::AlreadyExists)
    /// where there is a file that is no socket. Neither is touched.
    ///
    /// Its clients have no address: [`Request::socket_address`](crate::Request::socket_address) is `None`.
    #[cfg(unix)]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::of(Source::Unix(path.into()))
    }

    /// The listening sockets that were passed to this process by who started it, in order: those of systemd's socket units
    /// (`sd_listen_fds(3)`), or of any parent that sets `LISTEN_FDS` and passes sockets of TCP or Unix from file descriptor 3 on.
    ///
    /// Empty where there are none, and where `LISTEN_PID` names another process; without `LISTEN_PID` they are taken to be
    /// for this one. What `LISTEN_FDNAMES` calls them is their [`name`](Self::name).
    ///
    /// Such a socket outlives each process that listens on it, and so does the queue of those who connect: a server that is
    /// replaced by another on the same socket leaves no moment in which a client is refused.
    ///
    /// The sockets are taken, and `LISTEN_FDS` and `LISTEN_PID` are removed from the environment: a second call finds none.
    /// So call it early, before there are threads of other languages that read the environment.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`]: `LISTEN_FDS` is no number, or one of the file descriptors is no listening socket of TCP
    /// or Unix. All that were passed are closed or left alone then.
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// use wharf::{HttpServer, Listener};
    ///
    /// let http = HttpServer::builder().listen(Listener::inherited()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(unix)]
    pub fn inherited() -> io::Result<Vec<Self>> {
        inherited::inherited()
    }

    /// Whether several servers, each of which says so, may listen on this port at once (`SO_REUSEPORT`). Default false: the
    /// address is had alone, or it is in use.
    ///
    /// Linux gives each connection that comes to one of them, by a hash of its addresses, and asks that all belong to the same
    /// user. When one of them closes, those that wait in its queue are reset: where no client may be lost, processes share a
    /// socket that they [inherit](Self::inherited). Systems without the option say
    /// [`Unsupported`](io::ErrorKind::Unsupported).
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.reuse_port = reuse;
        self
    }

    /// Whether an IPv6 address takes clients of IPv6 alone (`IPV6_V6ONLY`), such as `[::]:9001` beside `0.0.0.0:9001`.
    /// Default: as the system has it; with most, `[::]` takes those of IPv4, too.
    pub fn only_ipv6(mut self, only: bool) -> Self {
        self.only_ipv6 = Some(only);
        self
    }

    /// The permissions of a Unix socket's file, such as `0o600`: who may connect is who may write it. Default `0o660`, its
    /// owner and group.
    ///
    /// They are set before anybody can connect, whatever the process's umask says.
    #[cfg(unix)]
    pub fn permissions(mut self, mode: u32) -> Self {
        self.permissions = Some(mode);
        self
    }

    /// Whether each connection begins with a header of the PROXY protocol, version 1 or 2, in which a proxy or load balancer
    /// says whom it speaks for. Default false.
    ///
    /// With it, every connection must begin so: one without such a header is closed, unanswered. So nobody but the proxy may
    /// be able to connect, who could name any address as its own. Without it, such a header is no HTTP, and gets 400.
    pub fn proxy_protocol(mut self, expected: bool) -> Self {
        self.proxy_protocol = expected;
        self
    }

    /// What the process that passed it calls it, where it is [inherited](Self::inherited) and has a name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            reuse_port: false,
            only_ipv6: None,
            #[cfg(unix)]
            permissions: None,
            proxy_protocol: false,
            name: None,
        }
    }

    /// Where it listens, or is to.
    pub(super) fn address(&self) -> io::Result<LocalAddress> {
        match &self.source {
            Source::Tcp(addr) => Ok(LocalAddress::Tcp(*addr)),
            Source::OpenTcp(listener) => listener.local_addr().map(LocalAddress::Tcp),
            #[cfg(unix)]
            Source::Unix(path) => Ok(LocalAddress::Unix(path.clone())),
            #[cfg(unix)]
            Source::OpenUnix(listener) => listener.local_addr().map(|addr| LocalAddress::of_unix(&addr)),
        }
    }

    /// Listens, with a queue for each of so many workers where it opens them itself and can have several.
    pub(super) fn open(self, workers: usize) -> io::Result<Opened> {
        self.validate().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut address = self.address()?;
        let sockets = match self.source {
            Source::Tcp(addr) => {
                let options = tcp::Options { reuse_port: self.reuse_port, only_ipv6: self.only_ipv6 };
                let listeners = tcp::listen_on(addr, workers, options)?;
                address = LocalAddress::Tcp(listeners[0].local_addr()?);
                listeners.into_iter().map(Socket::Tcp).collect()
            }
            Source::OpenTcp(listener) => Socket::shared_tcp(listener, workers)?,
            #[cfg(unix)]
            Source::Unix(path) => {
                let (listener, file) = unix::listen_on(&path, self.permissions.unwrap_or(unix::PERMISSIONS))?;
                Socket::shared_unix(listener, Some(file), workers)?
            }
            #[cfg(unix)]
            Source::OpenUnix(listener) => Socket::shared_unix(listener, None, workers)?,
        };
        let proxy_protocol = self.proxy_protocol;
        let shares = sockets.into_iter().map(|socket| Share { socket, proxy_protocol }).collect();
        Ok(Opened { address, shares })
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let is_tcp = matches!(self.source, Source::Tcp(_));
        let is_ipv6 = matches!(self.source, Source::Tcp(SocketAddr::V6(_)));
        if self.reuse_port && !is_tcp {
            return Err(misplaced("reuse_port", &true, "left out: only a TCP address has it"));
        }
        if let Some(only) = self.only_ipv6.filter(|_| !is_ipv6) {
            return Err(misplaced("only_ipv6", &only, "left out: only an IPv6 address has it"));
        }
        #[cfg(unix)]
        if let Some(mode) = self.permissions {
            let mode_as_written = format_args!("{mode:#o}").to_string();
            if !matches!(self.source, Source::Unix(_)) {
                let allowed = "left out: only the path of a Unix socket has it";
                return Err(misplaced("permissions", &mode_as_written, allowed));
            }
            if mode > 0o777 {
                return Err(misplaced("permissions", &mode_as_written, "0 to 0o777"));
            }
        }
        Ok(())
    }
}

fn misplaced(option: &'static str, value: &dyn fmt::Display, allowed: &'static str) -> ConfigError {
    ConfigError { option, value: value.to_string(), allowed }
}

impl From<SocketAddr> for Listener {
    fn from(addr: SocketAddr) -> Self {
        Self::tcp(addr)
    }
}

/// A socket that listens already. [`workers`](crate::HttpServerBuilder::workers) share it. It is made non-blocking, and with it
/// every clone of it.
impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::of(Source::OpenTcp(listener))
    }
}

/// A socket that listens already. [`workers`](crate::HttpServerBuilder::workers) share it, and its file stays when the server
/// closes. It is made non-blocking, and with it every clone of it.
#[cfg(unix)]
impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::of(Source::OpenUnix(listener))
    }
}

/// Connections that the kernel completes while we are busy; it takes less where `somaxconn` says so.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(listener: Listener) -> String {
        let error = listener.open(1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        error.to_string()
    }

    #[test]
    fn an_option_of_another_kind_of_listener_is_refused_by_name() {
        let tcp = || Listener::tcp(([127, 0, 0, 1], 0));
        let given = || Listener::from(TcpListener::bind("127.0.0.1:0").unwrap());
        let only_ipv6 = "only_ipv6 is true, but must be left out: only an IPv6 address has it";
        let reuse_port = "reuse_port is true, but must be left out: only a TCP address has it";
        assert_eq!(refusal(tcp().only_ipv6(true)), only_ipv6);
        assert_eq!(refusal(given().only_ipv6(true)), only_ipv6);
        assert_eq!(refusal(given().reuse_port(true)), reuse_port);
        #[cfg(unix)]
        {
            let unix = || Listener::unix("nowhere/at/all");
            let permissions =
                "permissions is 0o600, but must be left out: only the path of a Unix socket has it";
            assert_eq!(refusal(unix().reuse_port(true)), reuse_port);
            assert_eq!(refusal(unix().only_ipv6(true)), only_ipv6);
            assert_eq!(refusal(tcp().permissions(0o600)), permissions);
            assert_eq!(refusal(unix().permissions(0o1000)), "permissions is 0o1000, but must be 0 to 0o777");
        }
    }

    #[test]
    fn an_option_with_its_default_is_no_error_anywhere() {
        let given = Listener::from(TcpListener::bind("127.0.0.1:0").unwrap());
        assert!(given.reuse_port(false).proxy_protocol(false).open(1).is_ok());
    }
}
