//! A name to a TCP connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::error::ConnectError;

/// The addresses of `host`, in the order in which to try them.
pub(super) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
    let resolved = lookup_host((host, port)).await;
    resolved.map(alternate).map_err(|source| ConnectError::Resolve { host: host.to_owned(), source })
}

/// Connects to the first of `host`'s addresses that answers; without one the attempt fails (RFC 6455 §4.1 item 4).
pub(super) async fn dial(host: &str, addresses: Vec<SocketAddr>) -> Result<TcpStream, ConnectError> {
    connect(addresses).await.map_err(|source| ConnectError::Tcp { host: host.to_owned(), source })
}

/// Tries the addresses in turn, a further one when the last has failed or [`HEAD_START`] has passed. The first
/// connection is taken, the other attempts are given up (after RFC 8305 §5).
async fn connect(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    // Dropped, it ends the attempts in it.
    let mut attempts = JoinSet::new();
    let mut addresses = addresses.into_iter();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(address) = addresses.next() {
            attempts.spawn(TcpStream::connect(address));
        }
        let has_more = addresses.len() > 0;
        tokio::select! {
            attempt = attempts.join_next() => match attempt {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(error))) => failure = error,
                Some(Err(error)) => failure = error.into(),
                None => return Err(failure),
            },
            () = sleep(HEAD_START), if has_more => {}
        }
    }
}

/// The order of the resolver, but IPv6 and IPv4 in turn, so that a broken family costs one attempt (RFC 8305 §4).
fn alternate(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let addresses: Vec<_> = addresses.collect();
    let Some(is_v6) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv6() == is_v6);
    let longest = first.len().max(second.len());
    (0..longest).flat_map(|turn| [first.get(turn), second.get(turn)]).flatten().copied().collect()
}

/// RFC 8305 §8.
const HEAD_START: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_in_the_order_of_the_resolver() {
        let resolved = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]);
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
        assert_eq!(alternate(resolved.into_iter()), expected);
        assert_eq!(alternate(std::iter::empty()), []);
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_passed_over() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refused = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (alive, dead) = (listener.local_addr().unwrap(), refused.local_addr().unwrap());
        drop(refused);
        let stream = connect(vec![dead, alive]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive);
        assert_eq!(connect(vec![dead]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(connect(vec![]).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
