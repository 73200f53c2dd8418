//! Silent peers, slow peers, and peers that the application does not read (the reference's section 4.6).

mod support;

use std::time::Duration;

use support::*;
use wharf_proto::CloseCode;
use wharf_proto::connection::{Config, Keepalive};

const INTERVAL: Duration = Duration::from_secs(20);
const GRACE: Duration = Duration::from_secs(10);

fn without_drop() -> Config {
    Config { keepalive: Some(Keepalive { interval: INTERVAL, grace: None }), ..Config::default() }
}

#[test]
fn c12_1_an_empty_ping_goes_out_an_interval_after_accept() {
    let mut server = Server::open();
    assert_eq!(server.sleep_to_deadline(), INTERVAL);
    assert_eq!(server.answers(), [ping("")]);
}

#[test]
fn c12_2_received_bytes_begin_the_interval_anew() {
    let mut server = Server::open();
    server.advance(Duration::from_secs(15));
    server.reads(&text("half a frame").masked()[..3]);
    assert_eq!(server.sleep_to_deadline(), INTERVAL);
}

#[test]
fn c12_3_a_silent_peer_is_dropped_a_grace_after_the_ping_without_a_close_frame() {
    let mut server = Server::open();
    server.sleep_to_deadline();
    server.answers();
    assert_eq!(server.sleep_to_deadline(), GRACE);
    assert_eq!(server.answers(), []);
    assert_eq!(server.end_code(), CloseCode::ABNORMAL);
    assert_eq!(server.ending().description(), "Peer not responding.");
}

#[test]
fn c12_4_one_ping_only_goes_out_before_the_drop() {
    let grace = INTERVAL * 10;
    let keepalive = Some(Keepalive { interval: INTERVAL, grace: Some(grace) });
    let mut server = Server::with(Config { keepalive, ..Config::default() });
    server.sleep_to_deadline();
    assert_eq!(server.answers(), [ping("")]);
    assert_eq!(server.sleep_to_deadline(), grace, "nothing is due before");
    assert_eq!(server.answers(), []);
    assert_eq!(server.end_code(), CloseCode::ABNORMAL);
}

#[test]
fn c12_5_any_bytes_within_the_grace_end_it() {
    let mut server = Server::open();
    server.sleep_to_deadline();
    server.answers();
    server.advance(GRACE * 99 / 100);
    server.reads(&text("half a frame").masked()[..3]);
    assert_eq!(server.sleep_to_deadline(), INTERVAL);
    assert_eq!((server.answers(), server.connection.ending()), (vec![ping("")], None));
}

#[test]
fn c12_6_each_connection_has_its_own_timers() {
    let (mut silent, mut alive) = (Server::open(), Server::open());
    for _ in 0..3 {
        for server in [&mut silent, &mut alive] {
            server.advance(INTERVAL);
            server.answers();
        }
        alive.peer_sends([pong("")]);
    }
    assert_eq!(silent.end_code(), CloseCode::ABNORMAL);
    assert_eq!(alive.connection.ending(), None);
}

#[test]
fn c12_5_a_pong_within_the_grace_keeps_the_connection_and_the_cycle_goes_on() {
    let mut server = Server::open();
    for _ in 0..3 {
        assert_eq!(server.sleep_to_deadline(), INTERVAL);
        assert_eq!(server.answers(), [ping("")]);
        server.peer_sends([pong("")]);
    }
    assert_eq!(server.connection.ending(), None);
}

#[test]
fn o8_disabled_pings_every_interval_and_never_drops() {
    let mut server = Server::with(without_drop());
    for _ in 0..5 {
        assert_eq!(server.sleep_to_deadline(), INTERVAL);
        assert_eq!(server.answers(), [ping("")]);
    }
    assert_eq!(server.connection.ending(), None);
}

#[test]
fn o6_disabled_has_no_deadline_at_all() {
    let server = Server::with(Config { keepalive: None, ..Config::default() });
    assert_eq!(server.connection.next_deadline(), None);
}

#[test]
fn c12_7_no_grace_runs_while_the_application_holds_reading() {
    let mut server = Server::open();
    server.connection.reading_paused(true, server.now);
    for _ in 0..3 {
        assert_eq!(server.sleep_to_deadline(), INTERVAL);
        assert_eq!(server.answers(), [ping("")]);
    }
    assert_eq!(server.connection.ending(), None);
}

#[test]
fn c12_7_a_pause_within_the_grace_gives_the_peer_a_new_grace_at_its_end() {
    let mut server = Server::open();
    server.sleep_to_deadline();
    server.answers();
    server.connection.reading_paused(true, server.now);
    server.advance(GRACE * 5);
    server.connection.reading_paused(false, server.now);
    assert_eq!(server.sleep_to_deadline(), GRACE);
    assert_eq!(server.end_code(), CloseCode::ABNORMAL);
}

#[test]
fn c12_8_the_grace_begins_when_the_ping_has_left() {
    let mut server = Server::open();
    assert_eq!(server.sleep_to_deadline(), INTERVAL);
    // The ping waits behind other output, of which nothing moves: the write timeout alone watches.
    server.connection.output_written(false, &mut server.output, server.now);
    server.advance(GRACE * 2);
    assert_eq!(server.connection.ending(), None);
    server.output.clear();
    server.connection.output_written(true, &mut server.output, server.now);
    assert_eq!(server.sleep_to_deadline(), INTERVAL, "what left found room that the peer made");
    assert_eq!(server.answers(), [ping("")]);
    assert_eq!(server.sleep_to_deadline(), GRACE);
    assert_eq!(server.end_code(), CloseCode::ABNORMAL);
}

#[test]
fn c12_8_a_ping_that_was_not_written_yet_begins_no_grace() {
    let mut server = Server::open();
    server.sleep_to_deadline();
    assert_eq!(server.connection.next_deadline(), None);
    server.advance(GRACE * 5);
    assert_eq!(server.answers(), [ping("")]);
    assert_eq!(server.sleep_to_deadline(), GRACE, "from the moment that it has left");
}

#[test]
fn c12_8_output_that_moves_is_life() {
    let mut server = Server::open();
    let mut waiting = vec![0; 1000];
    server.connection.output_written(false, &mut waiting, server.now);
    // Bytes move a little every 25 s: never in the write timeout's way, and longer than interval plus grace.
    for _ in 0..4 {
        server.now += Duration::from_secs(25);
        server.connection.output_written(true, &mut waiting, server.now);
        server.connection.deadline_passed(&mut server.output, server.now);
        assert_eq!(server.connection.ending(), None);
    }
}

#[test]
fn no_grace_runs_while_output_waits() {
    let mut server = Server::open();
    server.sleep_to_deadline();
    server.answers();
    let mut waiting = vec![0; 1000];
    server.connection.output_written(false, &mut waiting, server.now);
    server.advance(GRACE * 2);
    assert_eq!(server.connection.ending(), None, "the write timeout watches, and has not passed");
}

#[test]
fn output_that_does_not_move_for_the_write_timeout_ends_the_connection() {
    let mut server = Server::with(Config { keepalive: None, ..Config::default() });
    let mut waiting = vec![0; 1000];
    server.connection.output_written(true, &mut waiting, server.now);
    assert_eq!(server.sleep_to_deadline(), Duration::from_secs(30));
    assert_eq!(server.end_code(), CloseCode::ABNORMAL);
    assert_eq!(server.ending().description(), "Peer not reading.");
}
