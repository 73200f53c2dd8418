//! TCP ports: had alone, or shared.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

/// What a TCP address is listened on with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) reuse_port: bool,
    pub(super) only_ipv6: Option<bool>,
}

/// Listens on one address so many times, each time with a queue of its own.
pub(super) fn listen_on(addr: SocketAddr, count: usize, options: Options) -> io::Result<Vec<TcpListener>> {
    let first = socket(addr, options)?;
    if options.reuse_port {
        share_port(&first)?;
    }
    first.bind(&addr.into())?;
    if count > 1 {
        // Unless others are welcome, only now that it is bound: the port would be had from another server that shares its
        // own, too, and each of the two would lose connections to the other.
        share_port(&first)?;
    }
    let first = listen(first)?;
    let addr = first.local_addr()?;
    let others = (1..count).map(|_| {
        let socket = socket(addr, options)?;
        share_port(&socket)?;
        socket.bind(&addr.into())?;
        listen(socket)
    });
    [Ok(first)].into_iter().chain(others).collect()
}

fn socket(addr: SocketAddr, options: Options) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // Connections of a server that has just ended would keep its successor from the port for a minute. On Windows
    // the option means something else: to take a port from a server that is alive.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    if let Some(only) = options.only_ipv6 {
        socket.set_only_v6(only)?;
    }
    Ok(socket)
}

fn listen(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(super::BACKLOG)?;
    Ok(socket.into())
}

#[cfg(all(
    unix,
    not(any(target_os = "cygwin", target_os = "illumos", target_os = "nuttx", target_os = "solaris"))
))]
fn share_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(all(
    unix,
    not(any(target_os = "cygwin", target_os = "illumos", target_os = "nuttx", target_os = "solaris"))
)))]
fn share_port(_: &Socket) -> io::Result<()> {
    let reason = "a port is shared by SO_REUSEPORT, which this system does not have";
    Err(io::Error::new(io::ErrorKind::Unsupported, reason))
}
