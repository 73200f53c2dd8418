//! What the options ask of a connection's TCP socket.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::config::ServerConfig;

/// Sets TCP's options for a connection that has been accepted.
pub(crate) fn configure(stream: &TcpStream, config: &ServerConfig) -> io::Result<()> {
    stream.set_nodelay(config.disable_nagle_algorithm)?;
    if config.keepalive && config.use_native_keepalive {
        let idle = idle_time(config.keepalive_interval);
        SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))?;
    }
    Ok(())
}

/// The kernel counts whole seconds, and Linux takes 1 to 32,767 of them.
fn idle_time(interval: Duration) -> Duration {
    let rounded_up = interval.as_secs() + u64::from(interval.subsec_nanos() > 0);
    Duration::from_secs(rounded_up.clamp(1, 32_767))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn configured(config: &ServerConfig) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, accepted) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        client.unwrap();
        let stream = accepted.unwrap().0;
        configure(&stream, config).unwrap();
        stream
    }

    fn native() -> ServerConfig {
        ServerConfig::default().use_native_keepalive(true)
    }

    #[tokio::test]
    async fn o10_default_so_keepalive_is_not_set() {
        assert!(!SockRef::from(&configured(&ServerConfig::default()).await).keepalive().unwrap());
    }

    #[tokio::test]
    async fn o10_disabled_without_keepalive_so_keepalive_is_not_set() {
        assert!(!SockRef::from(&configured(&native().keepalive(false)).await).keepalive().unwrap());
    }

    #[tokio::test]
    async fn o10_effect_so_keepalive_is_set_with_the_interval_as_idle_time() {
        for (interval, idle) in [
            (Duration::from_secs(20), 20),
            (Duration::from_millis(1), 1),
            (Duration::from_millis(1500), 2),
            (crate::config::LONGEST_TIME, 32_767),
        ] {
            let stream = configured(&native().keepalive_interval(interval)).await;
            let socket = SockRef::from(&stream);
            assert!(socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(idle));
        }
    }

    #[tokio::test]
    async fn o14_default_tcp_nodelay_is_set() {
        assert!(configured(&ServerConfig::default()).await.nodelay().unwrap());
    }

    #[tokio::test]
    async fn o14_disabled_tcp_nodelay_is_not_set_whatever_it_was_before() {
        let stream = configured(&ServerConfig::default()).await;
        configure(&stream, &ServerConfig::default().disable_nagle_algorithm(false)).unwrap();
        assert!(!stream.nodelay().unwrap());
    }
}
