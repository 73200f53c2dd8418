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
    let file = SocketFile::at(path)?;
    // Before it listens: until then nobody can connect.
    fs::set_permissions(path, Permissions::from_mode(permissions))?;
    socket.listen(super::BACKLOG)?;
    Ok((socket.into(), file))
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

    fn remove(&self) -> io::Result<()> {
        let now = fs::symlink_metadata(&self.path)?;
        if (now.dev(), now.ino()) == (self.device, self.number) {
            fs::remove_file(&self.path)?;
        }
        Ok(())
    }
}

/// The file of a socket that was made here: it is removed with this, unless it has been replaced.
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
///
/// The file first: as long as its socket lives, no other file has the same number.
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
