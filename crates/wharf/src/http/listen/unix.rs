//! Unix sockets, and their files.

use std::fs::{self, Metadata, Permissions};
use std::future::poll_fn;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixStream;

use super::super::listener::Accept;
use super::super::upgrade::Arrival;
use crate::driver::{IntoStream, Transport};

/// Keeps others out than a socket's owner and group.
pub(super) const PERMISSIONS: u32 = 0o660;

/// Listens on a socket whose file is made here.
pub(super) fn listen_on(path: &Path, permissions: u32) -> io::Result<(UnixListener, SocketFile)> {
    Bound::at(path)?.listen(permissions)
}

/// A socket that has its file, and that nobody can connect to yet.
#[derive(Debug)]
struct Bound {
    file: SocketFile,
    socket: Socket,
}

impl Bound {
    fn at(path: &Path) -> io::Result<Self> {
        // The system takes both for something else: a socket with a name that is no file's.
        if path.as_os_str().is_empty() || path.as_os_str().as_bytes().contains(&0) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is empty, or has a NUL in it"));
        }
        let address = SockAddr::unix(path)?;
        let socket = socket()?;
        let bound = match socket.bind(&address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(path, &address)?;
                socket.bind(&address)
            }
            bound => bound,
        };
        bound?;
        Ok(Self { file: SocketFile::at(path)?, socket })
    }

    fn listen(self, permissions: u32) -> io::Result<(UnixListener, SocketFile)> {
        let Self { socket, file } = self;
        // A server that began at the same time may have taken it for a stale one.
        let have_it =
            || if file.0.is_there() { Ok(()) } else { Err(io::Error::from(io::ErrorKind::AddrInUse)) };
        have_it()?;
        fs::set_permissions(&file.0.path, Permissions::from_mode(permissions))?;
        socket.listen(super::BACKLOG)?;
        have_it()?;
        Ok((socket.into(), file))
    }
}

fn socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Removes the file of a socket that nobody listens on.
fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        let reason = "there is a file that is no socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, reason));
    }
    match socket()?.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            FoundFile::new(path, &found)?.remove()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        // Somebody listens, though his queue be full or he expect no streams.
        Ok(()) | Err(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// The file that a path led to, so that no other is taken for it.
#[derive(Debug)]
struct FoundFile {
    path: PathBuf,
    device: u64,
    number: u64,
}

impl FoundFile {
    fn new(path: &Path, metadata: &Metadata) -> io::Result<Self> {
        // The process may go elsewhere until the file is removed.
        Ok(Self { path: absolute(path)?, device: metadata.dev(), number: metadata.ino() })
    }

    /// Whether its path still leads to it, and not to another.
    fn is_there(&self) -> bool {
        let now = fs::symlink_metadata(&self.path);
        now.is_ok_and(|now| (now.dev(), now.ino()) == (self.device, self.number))
    }

    fn remove(&self) -> io::Result<()> {
        if self.is_there() { fs::remove_file(&self.path) } else { Ok(()) }
    }
}

/// The file of a socket that was made here: it is removed with this, unless it has been replaced.
///
/// It is to go before its socket: as long as that lives, no other file has the same number.
#[derive(Debug)]
pub(super) struct SocketFile(FoundFile);

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        FoundFile::new(path, &fs::symlink_metadata(path)?).map(Self)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // One that cannot be removed is stale from now on, and replaced by whoever listens there next.
        let _ = self.0.remove();
    }
}

/// A Unix socket that is listened on, and its file if that goes with it.
pub(crate) struct UnixSocket {
    pub(super) _file: Option<Arc<SocketFile>>,
    pub(super) listener: tokio::net::UnixListener,
}

impl Accept for UnixSocket {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Arrival)> {
        let (stream, _) = poll_fn(|cx| self.listener.poll_accept(cx)).await?;
        Ok((stream, Arrival::of_peer(None)))
    }
}

impl IntoStream for UnixStream {}

impl Transport for UnixStream {
    fn reset_on_drop(&mut self) {
        // A Unix socket has no reset of its own: its peer sees one where it has sent what nobody read.
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn of_two_servers_that_begin_at_once_one_has_the_socket_and_the_other_is_told() {
        let path = std::env::temp_dir().join(format!("wharf-at-once-{}", std::process::id()));
        let first = Bound::at(&path).unwrap();
        // Nobody listens there yet.
        let second = Bound::at(&path).unwrap();
        let (second, _file) = second.listen(PERMISSIONS).unwrap();
        // It neither changes nor removes what is not its own.
        assert_eq!(first.listen(0o777).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, PERMISSIONS);
        let client = UnixStream::connect(&path).unwrap();
        assert!(second.accept().is_ok());
        drop(client);
    }
}
