//! The socket of a connection over plain TCP, which its driver lends to the part of a hub on the same thread.

use std::io::{self, IoSlice, Read};
use std::mem;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::{Transport, transport};

/// The socket of a connection over plain TCP.
pub(crate) enum Socket {
    Own(TcpStream),
    /// Others may write to it as well, between two turns of the driver. In memory of its own, which few connections need.
    Lent(Arc<TcpStream>),
    /// Within [`lend`](Transport::lend) alone.
    Moving,
}

/// A read that brought less than there was room for has emptied the socket: the next one would be in vain. tokio knows this of
/// the same systems.
const IS_EMPTY_AFTER_A_SHORT_READ: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
));

impl Socket {
    fn stream(&self) -> &TcpStream {
        match self {
            Self::Own(stream) => stream,
            Self::Lent(stream) => stream,
            Self::Moving => unreachable!("it was moved to where it is lent from"),
        }
    }
}

impl Transport for Socket {
    fn reset_on_drop(&mut self) {
        transport::reset_on_drop(self.stream());
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        // An error is found by reading.
        self.stream().poll_read_ready(cx).map(|_| ())
    }

    fn lend(&mut self) -> Option<Weak<TcpStream>> {
        let stream = match mem::replace(self, Self::Moving) {
            Self::Own(stream) => Arc::new(stream),
            Self::Lent(stream) => stream,
            Self::Moving => return None,
        };
        let lent = Arc::downgrade(&stream);
        *self = Self::Lent(stream);
        Some(lent)
    }
}

/// As [`TcpStream`] reads, but through what is shared.
fn poll_read(stream: &TcpStream, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    loop {
        ready!(stream.poll_read_ready(cx))?;
        let room = buf.initialize_unfilled();
        let mut len = 0;
        let read = stream.try_io(Interest::READABLE, || {
            len = (&*SockRef::from(stream)).read(room)?;
            let is_empty = IS_EMPTY_AFTER_A_SHORT_READ && (1..room.len()).contains(&len);
            if is_empty { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match read {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
            Err(_) if len == 0 => {}
            Ok(()) | Err(_) => {
                buf.advance(len);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// Writes through what is shared.
fn poll_write(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    write: impl Fn(&TcpStream) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        match write(stream) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            written => return Poll::Ready(written),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Own(stream) => Pin::new(stream).poll_read(cx, buf),
            lent => poll_read(lent.stream(), cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Own(stream) => Pin::new(stream).poll_write(cx, buf),
            lent => poll_write(lent.stream(), cx, |stream| stream.try_write(buf)),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Own(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            lent => poll_write(lent.stream(), cx, |stream| stream.try_write_vectored(bufs)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Own(stream) => Pin::new(stream).poll_shutdown(cx),
            lent => Poll::Ready(match SockRef::from(lent.stream()).shutdown(Shutdown::Write) {
                // It has ended already, as is wished.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
                result => result,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A driver's socket, and its peer's.
    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Socket::Own(listener.accept().await.unwrap().0), peer)
    }

    async fn pair_where(is_lent: bool) -> (Socket, TcpStream) {
        let (mut socket, peer) = pair().await;
        assert!(!is_lent || socket.lend().is_some());
        (socket, peer)
    }

    fn poll(socket: &mut Socket, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(socket).poll_read(&mut Context::from_waker(std::task::Waker::noop()), buf)
    }

    async fn read(socket: &mut Socket, room: usize) -> Vec<u8> {
        let mut bytes = vec![0; room];
        let len = poll_fn(|cx| {
            let mut buf = ReadBuf::new(&mut bytes);
            Pin::new(&mut *socket).poll_read(cx, &mut buf).map_ok(|()| buf.filled().len())
        });
        let len = len.await.unwrap();
        bytes.truncate(len);
        bytes
    }

    #[tokio::test]
    async fn what_was_lent_ends_with_the_driver() {
        let (mut socket, _peer) = pair().await;
        let lent = [socket.lend().unwrap(), socket.lend().unwrap()];
        assert!(lent.iter().all(|lent| lent.upgrade().is_some()));
        drop(socket);
        assert!(lent.iter().all(|lent| lent.upgrade().is_none()), "TCP would not end");
    }

    #[tokio::test]
    async fn a_lent_socket_reads_what_comes_and_waits_for_more_after_each_short_read() {
        for is_lent in [false, true] {
            let (mut socket, mut peer) = pair_where(is_lent).await;
            for sent in ["one", "two", "three"] {
                peer.write_all(sent.as_bytes()).await.unwrap();
                assert_eq!(read(&mut socket, 100).await, sent.as_bytes());
                assert!(poll(&mut socket, &mut ReadBuf::new(&mut [0; 100])).is_pending());
            }
            peer.write_all(b"longer").await.unwrap();
            assert_eq!(read(&mut socket, 4).await, b"long");
            assert_eq!(read(&mut socket, 4).await, b"er");
            drop(peer);
            assert_eq!(read(&mut socket, 4).await, b"");
        }
    }

    #[tokio::test]
    async fn a_lent_socket_writes_until_it_is_full_and_goes_on_when_there_is_room() {
        for is_lent in [false, true] {
            let (mut socket, mut peer) = pair_where(is_lent).await;
            let sent: Vec<u8> = (0..8 * 1024 * 1024_u32).map(|place| (place % 251) as u8).collect();
            let (first, second) = sent.split_at(sent.len() / 2);
            let write = async {
                socket.write_all(first).await.unwrap();
                let mut rest = second;
                while !rest.is_empty() {
                    let parts =
                        [IoSlice::new(&rest[..rest.len() / 2]), IoSlice::new(&rest[rest.len() / 2..])];
                    rest = &rest[socket.write_vectored(&parts).await.unwrap()..];
                }
                socket.shutdown().await.unwrap();
            };
            let mut received = Vec::new();
            let ((), read) = tokio::join!(write, peer.read_to_end(&mut received));
            read.unwrap();
            assert!(received == sent);
        }
    }
}
