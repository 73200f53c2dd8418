//! Silent peers, peers that only take, and peers that the application does not read, each over a real socket.

mod support;

use std::time::Duration;

use support::{Client, Frame, Site, ping, pong, text, until, within};
use tokio::io::AsyncReadExt;
use wharf::{Connection, ServerConfig};

const SOON: Duration = Duration::from_millis(20);
/// Longer than a peer that does answer is ever kept from it here.
const GRACE: Duration = Duration::from_secs(1);

fn config() -> ServerConfig {
    ServerConfig::default().keepalive_interval(SOON).keepalive_grace_period(GRACE)
}

async fn sees_the_drop(site: &Site, connection: &Connection) {
    let (closed, ending) = site.closed().await;
    assert_eq!(&closed, connection);
    assert_eq!((ending.code().get(), ending.description()), (1006, "Peer not responding.".to_owned()));
}

#[tokio::test]
async fn c12_1_an_empty_ping_comes_an_interval_after_accept() {
    let site = Site::with(config()).await;
    let (mut client, _connection) = site.pair().await;
    assert_eq!(client.frame().await, ping(""));
}

#[tokio::test]
async fn c12_3_a_silent_peer_is_dropped_without_a_close_frame() {
    let site = Site::with(config()).await;
    let (mut client, connection) = site.pair().await;
    assert_eq!(client.frame().await, ping(""));
    sees_the_drop(&site, &connection).await;
    client.sees_end().await;
}

#[tokio::test]
async fn c12_4_one_ping_only_goes_out_before_the_drop() {
    // Fifty intervals fit the grace.
    let site = Site::with(config()).await;
    let (mut client, connection) = site.pair().await;
    sees_the_drop(&site, &connection).await;
    assert_eq!(client.frame().await, ping(""));
    client.sees_end().await;
}

#[tokio::test]
async fn c12_5_a_pong_within_the_grace_keeps_the_connection_and_the_cycle_goes_on() {
    let site = Site::with(config()).await;
    let (mut client, connection) = site.pair().await;
    for _ in 0..5 {
        assert_eq!(client.frame().await, ping(""));
        client.send([pong("")]).await;
    }
    assert!(connection.is_connected());
    assert_eq!(client.frame().await, ping(""));
    sees_the_drop(&site, &connection).await;
}

#[tokio::test]
async fn c12_6_each_connection_has_its_own_timers() {
    let site = Site::with(config()).await;
    let (mut silent, dropped) = site.pair().await;
    let (mut alive, kept) = site.pair().await;
    let answering = async {
        loop {
            assert_eq!(alive.frame().await, ping(""));
            alive.send([pong("")]).await;
        }
    };
    tokio::select! {
        () = answering => {}
        () = sees_the_drop(&site, &dropped) => {}
    }
    assert_eq!(silent.frame().await, ping(""));
    silent.sees_end().await;
    assert!(kept.is_connected());
    within(kept.send("still here")).await.unwrap();
    until_text(&mut alive, "still here").await;
}

/// The next text, whatever pings come before.
async fn until_text(client: &mut Client, expected: &str) {
    loop {
        let frame: Frame = client.frame().await;
        if frame != ping("") {
            assert_eq!(frame, text(expected));
            return;
        }
    }
}

#[tokio::test]
async fn c12_8_a_peer_that_is_slowly_taking_a_long_output_is_not_dropped() {
    const MIB: usize = 1024 * 1024;
    let config = config().keepalive_grace_period(SOON).max_buffered_amount(64 * MIB);
    let site = Site::with(config).await;
    let (mut client, connection) = site.pair().await;
    socket2::SockRef::from(&client.stream).set_recv_buffer_size(MIB / 8).expect("a live socket");
    within(connection.send(vec![7; 32 * MIB])).await.unwrap();
    let mut chunk = vec![0; MIB / 8];
    // The peer sends nothing at all, for many times interval and grace; what it takes is all that shows its life.
    for _ in 0..50 {
        within(client.stream.read_exact(&mut chunk)).await.expect("not dropped");
        tokio::time::sleep(SOON).await;
    }
    assert!(connection.is_connected());
    assert!(connection.buffered_amount() > 0, "it was slow all the time");
    // From the moment that the last of it has left, the grace runs.
    let reading = async { while client.stream.read(&mut chunk).await.is_ok_and(|len| len > 0) {} };
    tokio::join!(reading, sees_the_drop(&site, &connection));
    until(|| site.server.connection_count() == 0).await;
}
