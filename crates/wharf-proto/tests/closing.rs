//! The closing handshake from either side, and connections that end without one (RFC 6455 §7).

mod support;

use std::time::Duration;

use support::*;
use wharf_proto::connection::{Cause, Config, Deadline, Ending, Side, Teardown};
use wharf_proto::{Close, CloseCode, CloseError, CommandError};

const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

fn closing(code: u16, reason: &'static str) -> (Server, Close) {
    let mut server = Server::open();
    let close = Close::new(CloseCode::new(code), reason).expect("a code that may be sent");
    server.connection.close(&close, &mut server.output, server.now);
    (server, close)
}

#[test]
fn c5_1_our_close_goes_out_with_code_and_reason_and_nothing_after_it() {
    // RFC 6455 §5.5.1, §6.1, §7.1.2
    let (mut server, _) = closing(4001, "why");
    let sent = server.connection.send("late".into(), &mut server.output);
    assert_eq!(sent, Err(CommandError::Closed));
    assert_eq!(server.connection.ping(b"", &mut server.output), Err(CommandError::Closed));
    assert_eq!(server.answers(), [close(4001, "why")]);
    assert!(!server.connection.is_open());
}

#[test]
fn c5_3_an_empty_reason_leaves_a_payload_of_two_bytes() {
    // RFC 6455 §5.5.1
    let (mut server, _) = closing(1000, "");
    assert_eq!(server.answers()[0].payload, 1000_u16.to_be_bytes());
    server.peer_sends([close(1000, "")]);
    assert_eq!(server.ending().description(), "");
}

#[test]
fn c5_6_a_second_close_changes_nothing() {
    let (mut server, first) = closing(4001, "first");
    let second = Close::new(CloseCode::NORMAL, "second").unwrap();
    server.connection.close(&second, &mut server.output, server.now);
    assert_eq!(server.answers().len(), 1);
    server.peer_sends([close(4001, "")]);
    assert_eq!(server.ending(), &Ending::Clean { close: first, first: Side::Ours });
}

#[test]
fn c5_7_the_peers_answer_ends_the_connection_with_our_code_and_description() {
    let (mut server, ours) = closing(4001, "why");
    server.answers();
    server.peer_sends([close(1000, "another")]);
    assert_eq!(server.ending(), &Ending::Clean { close: ours, first: Side::Ours });
    assert_eq!(server.ending().teardown(), Teardown::Orderly);
    assert_eq!(server.answers(), [], "an answer is not answered");
}

#[test]
fn c5_8_a_silent_peer_is_given_up_at_the_close_timeout() {
    let (mut server, ours) = closing(1000, "bye");
    server.answers();
    assert_eq!(server.sleep_to_deadline(), CLOSE_TIMEOUT);
    assert_eq!(server.ending(), &Ending::Unanswered { sent: ours });
    assert_eq!(server.ending().teardown(), Teardown::Prompt);
}

#[test]
fn a_peer_that_still_takes_what_was_sent_before_our_close_is_waited_for() {
    let (mut server, ours) = closing(1000, "bye");
    let mut waiting = vec![0; 1000];
    server.connection.output_written(false, &mut waiting, server.now);
    for _ in 0..3 {
        server.now += CLOSE_TIMEOUT / 2;
        server.connection.output_written(true, &mut waiting, server.now);
        server.connection.deadline_passed(&mut server.output, server.now);
    }
    assert_eq!(server.connection.ending(), None);
    waiting.clear();
    server.connection.output_written(true, &mut waiting, server.now);
    assert_eq!(server.sleep_to_deadline(), CLOSE_TIMEOUT, "from then on, it has the whole time");
    assert_eq!(server.ending(), &Ending::Unanswered { sent: ours });
}

#[test]
fn a_peer_that_only_pings_after_our_close_gets_no_more_time_for_it() {
    let (mut server, ours) = closing(1000, "bye");
    let until = server.connection.next_deadline().unwrap();
    server.peer_sends([ping("before our Close has left")]);
    assert_eq!(server.answers().len(), 1);
    assert_eq!(server.answers(), [pong("before our Close has left")]);
    for _ in 0..100 {
        server.now += CLOSE_TIMEOUT / 101;
        server.peer_sends([ping("more")]);
        assert_eq!(server.output.len(), 6);
        // Part of the pong goes, then the rest.
        server.connection.output_written(true, &mut server.output, server.now);
        assert_eq!(server.answers(), [pong("more")]);
        assert_eq!(server.connection.next_deadline(), Some(until));
    }
    server.sleep_to_deadline();
    assert_eq!(server.ending(), &Ending::Unanswered { sent: ours });
}

#[test]
fn c5_9_what_comes_after_our_close_is_neither_delivered_nor_judged_by_its_size() {
    // A ping is answered all the same: RFC 6455 §5.5.2.
    let mut server = Server::open();
    server.peer_sends([text("begun ").more_follows()]);
    let close_frame = Close::new(CloseCode::NORMAL, "").unwrap();
    server.connection.close(&close_frame, &mut server.output, server.now);
    server.answers();
    let large = binary(vec![0; 1 << 20]);
    server.peer_sends([continuation("ended"), text("late"), ping("p"), large, text([0xff]), close(1000, "")]);
    assert_eq!((server.events.len(), server.answers()), (0, vec![pong("p")]));
    assert!(server.ending().is_clean());
}

#[test]
fn c6_1_a_drop_says_why_and_waits_for_nothing() {
    let mut server = Server::open();
    let code = CloseCode::PROTOCOL_ERROR;
    server.connection.drop_now(code, None, true, &mut server.output, server.now).unwrap();
    assert_eq!(server.answers(), [close(1002, "Protocol error")]);
    assert_eq!(server.end_code(), code);
    assert_eq!(server.connection.next_deadline(), Some((server.now, Deadline::Disconnect)));
}

#[test]
fn c6_2_a_drop_can_skip_the_close_frame_and_then_take_any_code() {
    let mut server = Server::open();
    let code = CloseCode::ABNORMAL;
    server.connection.drop_now(code, Some("gone"), false, &mut server.output, server.now).unwrap();
    assert_eq!(server.answers(), []);
    assert_eq!((server.end_code(), server.ending().description().as_str()), (code, "gone"));
}

#[test]
fn c6_3_a_drop_after_close_sends_nothing_more_and_its_code_counts() {
    let (mut server, _) = closing(1000, "");
    let code = CloseCode::new(4002);
    server.connection.drop_now(code, None, true, &mut server.output, server.now).unwrap();
    assert_eq!(server.answers(), [close(1000, "")]);
    assert_eq!(server.end_code(), code);
}

#[test]
fn c6_4_a_drop_after_the_end_changes_nothing() {
    let mut server = Server::open();
    server.peer_sends([close(1001, "")]);
    let code = CloseCode::new(4002);
    server.connection.drop_now(code, None, true, &mut server.output, server.now).unwrap();
    assert_eq!(server.answers(), [close(1001, "")]);
    assert_eq!(server.end_code(), CloseCode::GOING_AWAY);
}

#[test]
fn c6_5_a_drop_with_a_code_that_cannot_be_sent_changes_nothing() {
    let mut server = Server::open();
    let code = CloseCode::ABNORMAL;
    let refused = server.connection.drop_now(code, None, true, &mut server.output, server.now);
    assert_eq!(refused, Err(CloseError::Unsendable { code }));
    assert!(server.connection.is_open());
}

#[test]
fn c7_1_peer_close_is_answered_with_its_code_and_reason() {
    // RFC 6455 §5.5.1, §6.2
    for code in [1000, 1001, 1011, 3000, 4999] {
        let seen = outcome_of([close(code, "why")]);
        assert_eq!(seen.answers, [close(code, "why")]);
        let ending = seen.ending.unwrap();
        assert_eq!((ending.code().get(), ending.description().as_str()), (code, "why"));
        assert!(ending.is_clean());
    }
}

#[test]
fn c7_2_an_absent_reason_is_described_by_the_code() {
    let ending = outcome_of([close(1001, "")]).ending.unwrap();
    assert_eq!(ending.description(), "Remote peer is going away");
}

#[test]
fn c7_3_a_reason_of_one_byte_counts() {
    assert_eq!(outcome_of([close(1000, "x")]).ending.unwrap().description(), "x");
}

#[test]
fn c7_4_a_close_without_code_is_answered_without_code_and_told_as_1005() {
    let seen = outcome_of([empty_close()]);
    assert_eq!(seen.answers, [empty_close()]);
    assert_eq!(seen.ending.unwrap().code(), CloseCode::NOT_PROVIDED);
}

#[test]
fn c7_5_a_close_of_one_byte_fails_with_1002() {
    // RFC 6455 §5.5.1
    let bytes = Frame { payload: vec![3], ..empty_close() }.masked();
    let reason = "Close frame with a payload of one byte.";
    assert_fails(&Config::default(), &bytes, CloseCode::PROTOCOL_ERROR, reason);
}

#[test]
fn c7_6_a_close_with_an_invalid_code_fails_with_1002() {
    // RFC 6455 §7.4.1
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
        let reason = format!("Close frame with the invalid code {code}.");
        let bytes = close(code, "").masked();
        assert_fails(&Config::default(), &bytes, CloseCode::PROTOCOL_ERROR, &reason);
    }
}

#[test]
fn c7_7_a_close_reason_that_is_not_utf8_fails_with_1007() {
    // RFC 6455 §8.1
    let bytes = Frame { payload: vec![0x03, 0xe8, 0xff], ..empty_close() }.masked();
    assert_fails(&Config::default(), &bytes, CloseCode::INVALID_DATA, "Invalid UTF-8 Data Received");
}

#[test]
fn c7_8_after_the_handshake_tcp_is_to_end_within_the_close_timeout() {
    let mut server = Server::open();
    server.peer_sends([close(1000, "")]);
    assert_eq!(server.ending().teardown(), Teardown::Orderly);
    assert_eq!(server.connection.next_deadline(), Some((server.now + CLOSE_TIMEOUT, Deadline::Disconnect)));
}

#[test]
fn c7_9_an_end_of_tcp_without_close_is_1006_also_in_mid_frame() {
    for bytes in [&b""[..], &text("unfinished").masked()[..9]] {
        let mut server = Server::open();
        server.reads(bytes);
        server.connection.lost(Cause::PeerEnded, server.now);
        assert_eq!(server.end_code(), CloseCode::ABNORMAL);
        assert_eq!(server.ending().description(), "Connection dropped by remote peer.");
    }
}

#[test]
fn c7_10_a_reset_is_1006_with_the_sockets_error() {
    let mut server = Server::open();
    server.connection.lost(Cause::Transport("connection reset".into()), server.now);
    assert_eq!(server.end_code(), CloseCode::ABNORMAL);
    assert_eq!(server.ending().description(), "Socket Error: connection reset");
}

#[test]
fn what_follows_a_peers_close_in_the_same_read_is_ignored() {
    let seen = outcome_of([close(1000, ""), text("late"), ping("late")]);
    assert_eq!((seen.events, seen.answers), (vec![], vec![close(1000, "")]));
}

#[test]
fn a_rule_broken_after_our_close_does_not_send_a_second_close() {
    let (mut server, ours) = closing(1000, "");
    server.answers();
    server.reads(&[0xff]);
    assert_eq!(server.answers(), []);
    assert_eq!(server.ending(), &Ending::Unanswered { sent: ours });
}
