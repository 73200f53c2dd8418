//! Deadlines by a clock that stands still until all wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::{end, paused_runtime};
use crate::config::ServerConfig;
use crate::options::Options;
use crate::proto;

#[test]
fn c12_5_whatever_answers_a_ping_the_next_comes_an_interval_later_however_long_the_grace() {
    const INTERVAL: Duration = Duration::from_secs(1);
    paused_runtime().block_on(async {
        let config = ServerConfig::default()
            .keepalive_interval(INTERVAL)
            .keepalive_grace_period(Duration::from_secs(3600));
        let options = Arc::new(Options::new(config).unwrap());
        let core = proto::Connection::server(options.core.clone(), Instant::now().into_std());
        let (mut peer, stream) = tokio::io::duplex(1000);
        let (_connection, driver) = end(&options, core, true, stream);
        tokio::spawn(driver);
        let mut heard = Instant::now();
        // A pong, a message, and the start of a frame, all masked with zeros.
        for answer in [&b"\x8a\x80\0\0\0\0"[..], b"\x81\x81\0\0\0\0a", b"\x81\x85", b"\0\0\0\0"] {
            let mut ping = [0; 2];
            peer.read_exact(&mut ping).await.unwrap();
            assert_eq!(ping, [0x89, 0]);
            // The clock moves in milliseconds.
            let late = heard.elapsed().abs_diff(INTERVAL);
            assert!(late <= Duration::from_millis(1), "{late:?} before {answer:?}");
            peer.write_all(answer).await.unwrap();
            heard = Instant::now();
        }
    });
}
