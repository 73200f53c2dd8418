//! wharf's own threads, each with a runtime, a listener, and the connections that come to it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;

use socket2::{Domain, Socket, Type};
use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;

use super::builder::BACKLOG;
use crate::driver::Residents;

/// Listens on one address so many times, each time with a queue of its own.
pub(super) fn listen_on(addr: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    let first = socket(addr)?;
    // Before the port is shared: it would be had from another server that shares its own, too, and each of the two would lose
    // connections to the other.
    first.bind(&addr.into())?;
    share_port(&first)?;
    let first = listen(first)?;
    let addr = first.local_addr()?;
    let others = (1..count).map(|_| {
        let socket = socket(addr)?;
        share_port(&socket)?;
        socket.bind(&addr.into())?;
        listen(socket)
    });
    [Ok(first)].into_iter().chain(others).collect()
}

fn socket(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // As a server without workers does, for the same reason.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn listen(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG.into())?;
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
    let reason = "workers need SO_REUSEPORT, which this system does not have";
    Err(io::Error::new(io::ErrorKind::Unsupported, reason))
}

/// Starts a thread that serves what `accept` takes from the listener, and waits until it is ready to.
///
/// It ends when `accept` has ended and no connection lives on it any more.
pub(super) async fn start<F, A>(number: usize, listener: TcpListener, accept: F) -> io::Result<()>
where
    F: FnOnce(tokio::net::TcpListener) -> A + Send + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let (tell, ready) = oneshot::channel();
    // Whoever binds may have given up waiting; the server closes then.
    let run = move || match prepare(listener) {
        Ok((runtime, listener)) => {
            let _ = tell.send(Ok(()));
            serve(runtime, accept(listener));
        }
        Err(error) => {
            let _ = tell.send(Err(error));
        }
    };
    thread::Builder::new().name(format!("wharf-worker-{number}")).spawn(run)?;
    ready.await.unwrap_or_else(|_| Err(io::Error::other("a worker ended before it served")))
}

fn prepare(listener: TcpListener) -> io::Result<(Runtime, tokio::net::TcpListener)> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let context = runtime.enter();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    drop(context);
    Ok((runtime, listener))
}

fn serve(runtime: Runtime, accept: impl Future<Output = ()> + Send + 'static) {
    let residents = Residents::of_this_thread();
    runtime.block_on(async {
        // A task of its own: where a service panics as it is cloned, the connections that there are go on.
        let _ = tokio::spawn(accept).await;
        residents.gone().await;
    });
    // What a handler has given to `spawn_blocking` may never end.
    runtime.shutdown_background();
}
