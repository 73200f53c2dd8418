//! The options that are times, and those that go with them, each over a real socket.
//!
//! Each test stops tokio's clock once its connection is open. The clock then moves on only when nobody has anything left
//! to do, and always to the next deadline, so that each wait takes exactly as long as its option says.

mod support;

use std::pin::pin;
use std::time::Duration;

use support::{Client, Site, close, pong, text, waits};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use wharf::{CloseCode, Connection, Event, ServerConfig};

const PING: &[u8] = &[0x89, 0];
const HOUR: Duration = Duration::from_secs(3600);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// An open connection whose peer has just said something, with the clock stopped then.
struct Quiet {
    site: Site,
    client: Client,
    connection: Connection,
    since: Instant,
}

impl Quiet {
    async fn with(config: ServerConfig) -> Self {
        let site = Site::with(config).await;
        let (client, connection) = site.pair().await;
        let mut quiet = Self { site, client, connection, since: Instant::now() };
        tokio::time::pause();
        quiet.speak().await;
        quiet
    }

    /// The peer says something, and the server has heard it.
    async fn speak(&mut self) {
        self.client.send([text("x")]).await;
        assert_eq!(self.connection.recv().await, Some("x".into()));
        self.since = Instant::now();
    }

    /// What comes next, and how long after the last time: the bytes of a frame without payload, or nothing at the end.
    async fn next(&mut self) -> (Vec<u8>, Duration) {
        let mut bytes = vec![0; 2];
        let len = self.client.stream.read(&mut bytes).await.expect("no reset");
        bytes.truncate(len);
        (bytes, self.elapsed())
    }

    async fn sees_ping(&mut self, expected: Duration) {
        let (bytes, after) = self.next().await;
        assert_eq!(bytes, PING);
        assert_about(after, expected);
    }

    async fn sees_drop(&mut self, expected: Duration) {
        let Some(Event::Close { ending, .. }) = self.site.server.next_event().await else {
            panic!("not a close")
        };
        assert_about(self.elapsed(), expected);
        assert_eq!((ending.code().get(), ending.description()), (1006, "Peer not responding.".to_owned()));
        assert_eq!(self.next().await.0, [0; 0], "no Close frame, but the end of TCP");
    }

    /// Nothing comes for an hour, and the connection lives.
    async fn stays_quiet(&mut self) {
        tokio::time::sleep(HOUR).await;
        assert!(waits(pin!(self.client.stream.read_u8())), "nothing came");
        self.connection.try_send("still here").expect("an open connection");
        assert_eq!(self.client.frame().await, text("still here"));
    }

    fn elapsed(&mut self) -> Duration {
        let now = Instant::now();
        let elapsed = now - self.since;
        self.since = now;
        elapsed
    }
}

/// tokio's clock counts milliseconds, and wakes up to two of them late.
#[track_caller]
fn assert_about(actual: Duration, expected: Duration) {
    assert!(actual >= expected && actual <= expected + millis(5), "{actual:?}, and not {expected:?}");
}

fn config() -> ServerConfig {
    ServerConfig::default()
}

#[tokio::test]
async fn o6_default_a_ping_goes_out_after_20_seconds_of_silence() {
    let mut quiet = Quiet::with(config()).await;
    quiet.sees_ping(seconds(20)).await;
}

#[tokio::test]
async fn o6_effect_the_ping_is_empty() {
    let mut quiet = Quiet::with(config().keepalive(true)).await;
    assert_eq!(quiet.next().await.0, PING);
}

#[tokio::test]
async fn o6_disabled_there_is_never_a_ping_and_never_a_drop() {
    Quiet::with(config().keepalive(false)).await.stays_quiet().await;
}

#[tokio::test]
async fn o7_default_the_interval_is_20_seconds_each_time() {
    let mut quiet = Quiet::with(config()).await;
    for _ in 0..3 {
        quiet.sees_ping(seconds(20)).await;
        quiet.client.send([pong("")]).await;
    }
}

#[tokio::test]
async fn o7_effect_the_ping_comes_an_interval_after_the_accept_or_after_the_last_bytes() {
    let config = config().keepalive_interval(seconds(200)).keepalive_grace_period(seconds(1));
    let site = Site::with(config.clone()).await;
    let (mut client, _connection) = site.pair().await;
    tokio::time::pause();
    let accepted = Instant::now();
    assert_eq!(client.stream.read_u16().await.unwrap().to_be_bytes(), PING);
    // The clock ran for a moment between the accept and its stop.
    assert!(accepted.elapsed() > seconds(199) && accepted.elapsed() <= seconds(200) + millis(5));
    tokio::time::resume();

    let mut quiet = Quiet::with(config).await;
    tokio::time::sleep(seconds(150)).await;
    // Half a frame is a sign of life, too.
    quiet.client.write(&text("x").masked()[..3]).await;
    quiet.since = Instant::now();
    quiet.sees_ping(seconds(200)).await;
}

#[tokio::test]
async fn o7_disabled_it_is_ignored_without_keepalive() {
    Quiet::with(config().keepalive(false).keepalive_interval(millis(1))).await.stays_quiet().await;
}

#[tokio::test]
async fn o8_default_a_peer_that_stays_silent_is_dropped() {
    let mut quiet = Quiet::with(config()).await;
    quiet.sees_ping(seconds(20)).await;
    quiet.sees_drop(seconds(10)).await;
}

#[tokio::test]
async fn o8_disabled_there_is_a_ping_every_interval_and_no_drop() {
    let mut quiet = Quiet::with(config().drop_connection_on_keepalive_timeout(false)).await;
    for _ in 0..10 {
        quiet.sees_ping(seconds(20)).await;
    }
    quiet.speak().await;
}

#[tokio::test]
async fn o9_default_the_grace_is_10_seconds() {
    let mut quiet = Quiet::with(config().keepalive_interval(seconds(1))).await;
    quiet.next().await;
    quiet.sees_drop(seconds(10)).await;
}

#[tokio::test]
async fn o9_effect_the_drop_comes_the_grace_after_the_ping() {
    let mut quiet = Quiet::with(config().keepalive_grace_period(seconds(100))).await;
    quiet.sees_ping(seconds(20)).await;
    quiet.sees_drop(seconds(100)).await;
}

#[tokio::test]
async fn o9_disabled_it_is_ignored_where_nothing_is_dropped() {
    let config = config().keepalive_grace_period(millis(1)).drop_connection_on_keepalive_timeout(false);
    let mut quiet = Quiet::with(config).await;
    for _ in 0..3 {
        quiet.sees_ping(seconds(20)).await;
    }
    quiet.speak().await;
}

#[tokio::test]
async fn o10_effect_with_native_keepalive_no_ping_goes_out() {
    let config = config().use_native_keepalive(true).keepalive_interval(millis(1));
    Quiet::with(config).await.stays_quiet().await;
}

#[tokio::test]
async fn o10_disabled_without_keepalive_native_keepalive_sends_no_ping_either() {
    Quiet::with(config().use_native_keepalive(true).keepalive(false)).await.stays_quiet().await;
}

/// Closes a connection whose peer is silent, and sees TCP gone and the close told after `expected`.
async fn sees_close_timeout(config: ServerConfig, expected: Duration) {
    let mut quiet = Quiet::with(config).await;
    quiet.connection.close(CloseCode::new(4001), Some("why")).expect("an open connection");
    assert_eq!(quiet.client.frame().await, close(4001, "why"));
    quiet.since = Instant::now();
    let Some(Event::Close { ending, .. }) = quiet.site.server.next_event().await else {
        panic!("not a close")
    };
    assert_about(quiet.elapsed(), expected);
    assert_eq!((ending.code().get(), ending.description()), (4001, "why".to_owned()));
    assert_eq!(quiet.next().await.0, [0; 0], "TCP is gone");
}

#[tokio::test]
async fn o13_default_a_silent_peer_has_5_seconds_to_answer_a_close() {
    sees_close_timeout(config(), seconds(5)).await;
}

#[tokio::test]
async fn o13_effect_at_t_a_silent_peer_loses_tcp_and_close_is_told_after_t() {
    sees_close_timeout(config().close_timeout(millis(1234)), millis(1234)).await;
}

#[tokio::test]
async fn o13_disabled_at_0_tcp_is_gone_right_after_the_close_frame() {
    sees_close_timeout(config().close_timeout(Duration::ZERO), Duration::ZERO).await;
}
