//! Where a server listens.

use std::fmt;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::unix;
#[cfg(unix)]
use std::path::PathBuf;

/// An address that an [`HttpServer`](crate::HttpServer) listens on. As text: `127.0.0.1:9001`, `unix:/run/wharf.sock`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LocalAddress {
    /// TCP, with the port that was taken for port 0.
    Tcp(SocketAddr),
    /// A Unix socket, by its file, as it was written.
    #[cfg(unix)]
    Unix(PathBuf),
    /// A Unix socket with a name that is no file's, which Linux alone knows: `unix:@name` as text.
    #[cfg(unix)]
    UnixAbstract(Vec<u8>),
    /// A Unix socket without a name: `unix:` as text.
    #[cfg(unix)]
    UnixUnnamed,
}

impl LocalAddress {
    /// The address of TCP, if it is one.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(*addr),
            #[cfg(unix)]
            _ => None,
        }
    }

    #[cfg(unix)]
    pub(super) fn of_unix(addr: &unix::net::SocketAddr) -> Self {
        #[cfg(any(target_os = "android", target_os = "linux"))]
        if let Some(name) = abstract_name(addr) {
            return Self::UnixAbstract(name.to_owned());
        }
        addr.as_pathname().map_or(Self::UnixUnnamed, |path| Self::Unix(path.to_owned()))
    }
}

#[cfg(target_os = "android")]
use std::os::android::net::SocketAddrExt;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;

#[cfg(any(target_os = "android", target_os = "linux"))]
fn abstract_name(addr: &unix::net::SocketAddr) -> Option<&[u8]> {
    addr.as_abstract_name()
}

impl fmt::Display for LocalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            #[cfg(unix)]
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            #[cfg(unix)]
            Self::UnixAbstract(name) => write!(f, "unix:@{}", name.escape_ascii()),
            #[cfg(unix)]
            Self::UnixUnnamed => f.write_str("unix:"),
        }
    }
}

/// What could not be listened on: what an error of [`HttpServerBuilder::listen`](crate::HttpServerBuilder::listen) holds,
/// whose kind is that of the source.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ListenError {
    /// Where.
    pub address: LocalAddress,
    /// Why.
    pub source: io::Error,
}

impl From<ListenError> for io::Error {
    fn from(error: ListenError) -> Self {
        Self::new(error.source.kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_as_text_says_its_kind() {
        let tcp = LocalAddress::Tcp("[::1]:9001".parse().unwrap());
        assert_eq!(tcp.to_string(), "[::1]:9001");
        assert_eq!(tcp.tcp(), "[::1]:9001".parse().ok());
        #[cfg(unix)]
        for (address, text) in [
            (LocalAddress::Unix("/run/wharf.sock".into()), "unix:/run/wharf.sock"),
            (LocalAddress::UnixAbstract(b"wharf\n".to_vec()), "unix:@wharf\\n"),
            (LocalAddress::UnixUnnamed, "unix:"),
        ] {
            assert_eq!(address.to_string(), text);
            assert_eq!(address.tcp(), None);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_address_of_a_unix_socket_is_its_file_or_its_name() {
        use unix::net::{SocketAddr, UnixStream};

        let of = |addr: &SocketAddr| LocalAddress::of_unix(addr);
        assert_eq!(of(&SocketAddr::from_pathname("a/b").unwrap()), LocalAddress::Unix("a/b".into()));
        let named = SocketAddr::from_abstract_name("c").unwrap();
        assert_eq!(of(&named), LocalAddress::UnixAbstract(b"c".to_vec()));
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(of(&one.local_addr().unwrap()), LocalAddress::UnixUnnamed);
    }
}
