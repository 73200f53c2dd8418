//! Frames composed by hand, sent from a task and from a handler.

use std::pin::pin;

use super::{Client, Site};
use crate::support::{binary, close, continuation, ping, text, waits, within};
use tokio::io::AsyncReadExt;
use wharf::{
    CloseCode, CommandError, Connection, Context, Frame, Handler, MessageRef, Opcode, ProtocolError,
    RawFrame, SendFrameError, ServerConfig, TrySendError,
};

fn frame(fin: bool, opcode: Opcode, payload: impl Into<Vec<u8>>) -> Frame<'static> {
    Frame::new(fin, opcode, payload.into())
}

async fn open() -> (Site, Client, Connection) {
    let site = Site::open().await;
    let (client, connection) = site.pair().await;
    (site, client, connection)
}

#[tokio::test]
async fn f1_8_a_frame_goes_out_as_composed_past_the_threshold() {
    let (_site, mut client, connection) = open().await;
    let frames = [
        frame(false, Opcode::Binary, vec![7; 20_000]),
        frame(true, Opcode::Ping, "amid"),
        frame(false, Opcode::Continuation, ""),
        frame(true, Opcode::Continuation, "end"),
        frame(true, Opcode::Text, "whole"),
    ];
    for frame in frames {
        within(connection.send_frame(frame)).await.unwrap();
    }
    let expected = [
        binary(vec![7; 20_000]).more_follows(),
        ping("amid"),
        continuation("").more_follows(),
        continuation("end"),
        text("whole"),
    ];
    for frame in expected {
        assert_eq!(client.frame().await, frame);
    }
}

#[tokio::test]
async fn f1_8_what_would_break_the_protocol_is_refused_with_its_rule_and_nothing_is_sent() {
    let (_site, mut client, connection) = open().await;
    let mut reserved = frame(true, Opcode::Text, "");
    reserved.header.reserved = 0b001;
    let refused = [
        (reserved, ProtocolError::ReservedBits { bits: 0b001 }),
        (frame(true, Opcode::Pong, [0; 126]), ProtocolError::ControlFrameTooLong),
        (frame(false, Opcode::Ping, ""), ProtocolError::FragmentedControlFrame),
        (frame(true, Opcode::Continuation, ""), ProtocolError::UnexpectedContinuation),
        (frame(true, Opcode::Text, [0xff]), ProtocolError::InvalidUtf8),
        (frame(true, Opcode::Close, [3]), ProtocolError::CloseOfOneByte),
        (
            frame(true, Opcode::Close, 1006_u16.to_be_bytes()),
            ProtocolError::InvalidCloseCode { code: CloseCode::ABNORMAL },
        ),
    ];
    for (frame, error) in refused {
        assert_eq!(within(connection.send_frame(frame.clone())).await, Err(SendFrameError::Invalid(error)));
        assert_eq!(connection.try_send_frame(frame), Err(SendFrameError::Invalid(error)));
    }
    let error = SendFrameError::<Frame<'static>>::Invalid(ProtocolError::ControlFrameTooLong);
    let why = "the frame would break the protocol: Illegal control frame longer than 125 bytes.";
    assert_eq!(error.to_string(), why);
    within(connection.send("only this")).await.unwrap();
    assert_eq!(client.frame().await, text("only this"));
}

#[tokio::test]
async fn f1_8_text_is_judged_over_its_fragments_and_no_message_passes_between() {
    let (_site, mut client, connection) = open().await;
    let (head, tail) = "€".as_bytes().split_at(1);
    within(connection.send_frame(frame(false, Opcode::Text, head))).await.unwrap();
    let amid = ProtocolError::MessageAmidFragments { opcode: 2 };
    let refused = connection.try_send_frame(frame(true, Opcode::Binary, ""));
    assert_eq!(refused, Err(SendFrameError::Invalid(amid)));
    let refused = connection.try_send_frame(frame(true, Opcode::Continuation, ""));
    assert_eq!(refused, Err(SendFrameError::Invalid(ProtocolError::InvalidUtf8)));

    assert_eq!(connection.try_send("another"), Err(TrySendError::Full("another".into())));
    let mut another = pin!(connection.send("another"));
    assert!(waits(another.as_mut()));
    connection.ping("amid").unwrap();
    within(connection.send_frame(frame(true, Opcode::Continuation, tail))).await.unwrap();
    within(another).await.unwrap();
    for frame in [text(head).more_follows(), ping("amid"), continuation(tail), text("another")] {
        assert_eq!(client.frame().await, frame);
    }
}

#[tokio::test]
async fn f1_8_a_close_composed_by_hand_closes() {
    let (site, mut client, connection) = open().await;
    within(connection.send_frame(frame(true, Opcode::Close, *b"\x0f\xa1why"))).await.unwrap();
    assert!(!connection.is_connected());
    let late = frame(true, Opcode::Ping, "");
    assert_eq!(connection.try_send_frame(late.clone()), Err(SendFrameError::Closed(late)));
    assert_eq!(client.frame().await, close(4001, "why"));
    client.send([close(4001, "")]).await;
    client.sees_end().await;
    client.end().await;
    assert_eq!(site.close_event().await, (4001, "why".to_owned()));
}

#[tokio::test]
async fn f1_8_raw_frames_go_out_whatever_they_are() {
    let (_site, mut client, connection) = open().await;
    let raw = RawFrame { fin: true, reserved: 0b111, opcode: 0xb, payload: vec![7; 126].into() };
    within(connection.send_raw_frame(raw)).await.unwrap();
    connection.try_send_raw_frame(frame(false, Opcode::Ping, "x").into()).unwrap();
    within(connection.send("a message")).await.unwrap();
    let expected = [&[0xfb, 126, 0, 126][..], &[7; 126], &[0x09, 1, b'x'], b"\x81\x09a message"].concat();
    let mut bytes = vec![0; expected.len()];
    within(client.stream.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(bytes, expected);
}

#[tokio::test]
async fn c10_1_with_a_peer_that_does_not_read_frames_are_handed_back_or_wait() {
    let site = Site::with(ServerConfig::default().max_buffered_amount(100)).await;
    let (mut client, connection) = site.pair().await;
    connection.try_send_frame(frame(true, Opcode::Binary, vec![7; 200])).unwrap();
    let (next, raw) =
        (frame(true, Opcode::Text, "next"), RawFrame { opcode: 9, fin: true, ..RawFrame::default() });
    assert_eq!(connection.try_send_frame(next.clone()), Err(SendFrameError::Full(next.clone())));
    assert_eq!(connection.try_send_raw_frame(raw.clone()), Err(SendFrameError::Full(raw.clone())));
    {
        let mut given_up = pin!(connection.send_frame(frame(true, Opcode::Text, "given up")));
        assert!(waits(given_up.as_mut()));
    }
    let mut waiting = pin!(connection.send_frame(next));
    let mut waiting_raw = pin!(connection.send_raw_frame(raw));
    assert!(waits(waiting.as_mut()) && waits(waiting_raw.as_mut()));
    within(waiting).await.unwrap();
    within(waiting_raw).await.unwrap();
    for frame in [binary(vec![7; 200]), text("next"), ping("")] {
        assert_eq!(client.frame().await, frame);
    }
}

/// Does with each text what the test says.
struct Acts<A>(A);

impl<A: FnMut(&mut Context<'_>, &str) + Send + 'static> Handler for Acts<A> {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        if let MessageRef::Text(text) = message {
            (self.0)(context, text);
        }
    }
}

#[tokio::test]
async fn f1_8_a_handler_sends_frames_in_order_with_its_messages_or_is_refused() {
    let site = Site::open().await;
    let acts = Acts(|context: &mut Context<'_>, _: &str| {
        context.send("first").unwrap();
        context.send_frame(&Frame::new(false, Opcode::Text, b"a")).unwrap();
        assert_eq!(context.send("amid"), Err(CommandError::MessageUnfinished));
        let amid = CommandError::InvalidFrame(ProtocolError::MessageAmidFragments { opcode: 2 });
        assert_eq!(context.send_frame(&Frame::new(true, Opcode::Binary, b"")), Err(amid));
        context.send_frame(&Frame::new(true, Opcode::Ping, b"amid")).unwrap();
        context.send_frame(&Frame::new(true, Opcode::Continuation, b"b")).unwrap();
        let start = CommandError::InvalidFrame(ProtocolError::UnexpectedContinuation);
        assert_eq!(context.send_frame(&Frame::new(true, Opcode::Continuation, b"")), Err(start));
        context.send_frame(&Frame::new(true, Opcode::Text, b"whole")).unwrap();
        context.send("last").unwrap();
        context.send_raw_frame(&RawFrame { fin: true, opcode: 9, ..RawFrame::default() }).unwrap();
    });
    let (mut client, connection) = site.pair_with(acts).await;
    client.send([text("go")]).await;
    let expected = [
        text("first"),
        text("a").more_follows(),
        ping("amid"),
        continuation("b"),
        text("whole"),
        text("last"),
        ping(""),
    ];
    for frame in expected {
        assert_eq!(client.frame().await, frame);
    }
    within(connection.send("from elsewhere")).await.unwrap();
    assert_eq!(client.frame().await, text("from elsewhere"), "nothing holds it back");
}

#[tokio::test]
async fn messages_from_elsewhere_wait_for_the_end_of_a_handlers_message() {
    let site = Site::open().await;
    let acts = Acts(|context: &mut Context<'_>, text: &str| match text {
        "begin" => {
            context.connection().try_send("queued before").unwrap();
            context.send_frame(&Frame::new(false, Opcode::Text, b"a")).unwrap();
        }
        _ => context.send_frame(&Frame::new(true, Opcode::Continuation, b"b")).unwrap(),
    });
    let (mut client, connection) = site.pair_with(acts).await;
    client.send([text("begin")]).await;
    assert_eq!(client.frame().await, text("a").more_follows());
    assert_eq!(connection.try_send("late"), Err(TrySendError::Full("late".into())));
    let refused = connection.try_send_frame(frame(true, Opcode::Continuation, ""));
    assert_eq!(refused, Err(SendFrameError::Invalid(ProtocolError::UnexpectedContinuation)));
    let mut waiting = pin!(connection.send("late"));
    let mut flushing = pin!(connection.flush());
    assert!(waits(waiting.as_mut()) && waits(flushing.as_mut()));
    connection.ping("passes").unwrap();
    assert_eq!(client.frame().await, ping("passes"));
    assert!(waits(flushing.as_mut()), "what was queued before has not left");
    client.send([text("end")]).await;
    assert_eq!(client.frame().await, continuation("b"));
    assert_eq!(client.frame().await, text("queued before"));
    within(flushing).await.unwrap();
    within(waiting).await.unwrap();
    assert_eq!(client.frame().await, text("late"));
}

#[tokio::test]
async fn a_handler_is_refused_within_a_message_from_elsewhere() {
    let site = Site::open().await;
    let acts = Acts(|context: &mut Context<'_>, _: &str| {
        assert_eq!(context.send("echo"), Err(CommandError::MessageUnfinished));
        let begin = Frame::new(false, Opcode::Text, b"");
        assert_eq!(context.send_frame(&begin), Err(CommandError::MessageUnfinished));
        let end = Frame::new(true, Opcode::Continuation, b"");
        assert_eq!(context.send_frame(&end), Err(CommandError::MessageUnfinished));
        context.ping(b"told").unwrap();
    });
    let (mut client, connection) = site.pair_with(acts).await;
    within(connection.send_frame(frame(false, Opcode::Text, "a"))).await.unwrap();
    assert_eq!(client.frame().await, text("a").more_follows());
    client.send([text("go")]).await;
    assert_eq!(client.frame().await, ping("told"));
    within(connection.send_frame(frame(true, Opcode::Continuation, "b"))).await.unwrap();
    within(connection.send("free")).await.unwrap();
    assert_eq!(client.frame().await, continuation("b"));
    assert_eq!(client.frame().await, text("free"));
}

#[tokio::test]
async fn a_message_whose_end_is_queued_and_not_sent_is_still_unfinished_for_a_handler() {
    let site = Site::open().await;
    let acts = Acts(|context: &mut Context<'_>, _: &str| {
        context.connection().try_send_frame(frame(true, Opcode::Continuation, "b")).unwrap();
        let begin = Frame::new(false, Opcode::Text, b"");
        assert_eq!(context.send_frame(&begin), Err(CommandError::MessageUnfinished));
        context.connection().try_send("after it").unwrap();
    });
    let (mut client, connection) = site.pair_with(acts).await;
    within(connection.send_frame(frame(false, Opcode::Text, "a"))).await.unwrap();
    assert_eq!(client.frame().await, text("a").more_follows());
    client.send([text("go")]).await;
    assert_eq!(client.frame().await, continuation("b"));
    assert_eq!(client.frame().await, text("after it"), "nothing is held back");
}

#[tokio::test]
async fn a_close_does_not_wait_for_a_handlers_message_and_what_waited_for_it_is_not_sent() {
    let site = Site::open().await;
    let acts = Acts(|context: &mut Context<'_>, _: &str| {
        context.connection().try_send("never sent").unwrap();
        context.send_frame(&Frame::new(false, Opcode::Text, b"a")).unwrap();
    });
    let (mut client, connection) = site.pair_with(acts).await;
    client.send([text("go")]).await;
    assert_eq!(client.frame().await, text("a").more_follows());
    connection.close(CloseCode::NORMAL, Some("")).unwrap();
    assert_eq!(client.frame().await, close(1000, ""));
    within(connection.drained()).await;
    assert_eq!(connection.buffered_amount(), 0);
}
