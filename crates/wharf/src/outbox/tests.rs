use std::io::ErrorKind;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::ServerConfig;
use crate::hub::delivery;
use crate::proto::connection::RawFrame;

fn outbox(limit: usize) -> Outbox {
    let config = ServerConfig::default().max_buffered_amount(limit);
    Outbox::new(Arc::new(Options::new(config).unwrap()), true, Home::default())
}

#[test]
fn within_the_handlers_message_there_is_nothing_to_take_of_what_waits_for_its_end() {
    let outbox = outbox(1000);
    outbox.try_send("a".into(), Command::Send).unwrap();
    assert!(outbox.begin_handlers_message(false));
    assert!(outbox.take().is_empty());
    assert!(!outbox.has_commands(), "the driver would look for it again and again");
    assert!(outbox.end_handlers_message());
    assert!(outbox.has_commands());
    assert!(!outbox.take().is_empty());
}

#[test]
fn c10_1_a_full_outbox_hands_the_message_back() {
    let outbox = outbox(100);
    assert_eq!(
        outbox.try_send("x".repeat(200).into(), Command::Send),
        Ok(true),
        "one message may pass the limit"
    );
    let refused = outbox.try_send("y".into(), Command::Send);
    assert_eq!(refused, Err(TrySendError::Full("y".into())));
}

#[test]
fn the_driver_is_woken_once_however_many_sends_follow() {
    let outbox = outbox(1000);
    assert_eq!(outbox.try_send("a".into(), Command::Send), Ok(true));
    assert_eq!(outbox.try_send("b".into(), Command::Send), Ok(false));
    assert_eq!(outbox.take().as_mut().len(), 1, "both are short, and framed");
    assert_eq!(outbox.try_send("c".into(), Command::Send), Ok(true));
}

#[test]
fn short_messages_are_framed_together_and_stay_in_their_order_with_all_else() {
    let outbox = outbox(10_000);
    let long = "x".repeat(usize::from(SHORT));
    let send = |message: &str| outbox.try_send(message.into(), Command::Send).unwrap();
    assert!(send("a"));
    assert_eq!(outbox.try_send_short(MessageRef::Binary(b"b")), Some(false));
    assert!(!send(&long));
    assert_eq!(outbox.try_send_short(MessageRef::Text(&long)), None, "not short");
    assert!(!send("c"));
    outbox.control(Command::Ping(Bytes::new())).unwrap();
    assert!(!send("d"));
    assert_eq!(outbox.buffered_amount(), 4 * (1 + PLACE) + long.len() + PLACE + PLACE);
    let frames = |command: &Command| matches!(command, Command::SendFramed { .. });
    let mut taken = outbox.take();
    assert_eq!(taken.as_mut().iter().map(frames).collect::<Vec<_>>(), [true, false, true, false, true]);
}

#[test]
fn what_is_masked_or_compressed_is_not_framed_by_its_sender() {
    let options = Arc::new(Options::new(ServerConfig::default()).unwrap());
    let outbox = Outbox::new(options, false, Home::default());
    assert_eq!(outbox.try_send_short(MessageRef::Text("a")), None);
    outbox.try_send("a".into(), Command::Send).unwrap();
    assert!(matches!(outbox.take().as_mut()[..], [Command::Send(_)]));
}

#[test]
fn a_message_that_goes_out_in_fragments_is_not_framed_by_its_sender() {
    let config = ServerConfig::default().fragmentation_threshold(3);
    let outbox = Outbox::new(Arc::new(Options::new(config).unwrap()), true, Home::default());
    assert_eq!(outbox.try_send_short(MessageRef::Text("four")), None);
    assert_eq!(outbox.try_send_short(MessageRef::Text("one")), Some(true));
}

#[test]
fn what_the_driver_took_counts_until_it_is_written() {
    let outbox = outbox(100);
    outbox.try_send("x".repeat(200).into(), Command::Send).unwrap();
    outbox.take();
    assert!(matches!(outbox.try_send("y".into(), Command::Send), Err(TrySendError::Full(_))));
    assert!(!outbox.set_unsent(1), "not empty yet");
    assert!(outbox.set_unsent(0), "empty after it was full");
    assert!(!outbox.set_unsent(0), "told once");
    assert_eq!(outbox.try_send("y".into(), Command::Send), Ok(true));
}

#[test]
fn c2_4_a_send_after_close_is_an_error() {
    let outbox = outbox(100);
    outbox.close(Close::EMPTY);
    assert_eq!(outbox.try_send("late".into(), Command::Send), Err(TrySendError::Closed("late".into())));
    assert!(!outbox.close(Close::EMPTY), "the first code stands");
}

#[test]
fn what_was_sent_before_a_close_drains_behind_it() {
    let outbox = outbox(100);
    outbox.try_send("x".into(), Command::Send).unwrap();
    outbox.close(Close::EMPTY);
    outbox.take();
    assert!(outbox.is_empty().now_or_never().is_none());
    outbox.set_unsent(0);
    assert!(outbox.is_empty().now_or_never().is_some());
}

#[test]
fn c6_4_a_drop_of_what_is_gone_queues_nothing() {
    let outbox = outbox(100);
    outbox.gone();
    assert!(!outbox.drop_connection(CloseCode::NORMAL, None, true));
    assert_eq!(outbox.take().as_mut().len(), 0);
}

const AT_ONCE: Delivered = Delivered::Now { wake: false };
const BY_DRIVER: Delivered = Delivered::Now { wake: true };

/// The socket of a connection, and its peer's.
async fn sockets() -> (Arc<TcpStream>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let socket = listener.accept().await.unwrap().0;
    // The first write of a tokio socket is refused until it has been seen to be writable.
    socket.writable().await.unwrap();
    (Arc::new(socket), peer)
}

async fn read(peer: &TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        peer.readable().await.unwrap();
        match peer.try_read(&mut bytes[filled..]) {
            Ok(read) => filled += read,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    bytes
}

#[tokio::test]
async fn where_nothing_is_before_it_a_message_goes_to_the_socket_without_the_driver() {
    let (socket, peer) = sockets().await;
    let outbox = outbox(1000);
    let lent = Arc::downgrade(&socket);
    assert_eq!(outbox.deliver(&delivery("hello"), false, Some(&lent)), AT_ONCE);
    assert!(!outbox.has_commands());
    assert_eq!(read(&peer, 7).await, b"\x81\x05hello");
    drop(socket);
    assert_eq!(outbox.deliver(&delivery("hello"), false, Some(&lent)), BY_DRIVER, "nothing is lent any more");
}

#[tokio::test]
async fn behind_what_waits_for_the_driver_a_message_waits_for_it_too() {
    let (socket, peer) = sockets().await;
    let lent = Arc::downgrade(&socket);
    let outbox = outbox(1000);
    outbox.try_send("first".into(), Command::Send).unwrap();
    assert_eq!(outbox.deliver(&delivery("second"), false, Some(&lent)), AT_ONCE, "the driver was woken");
    let mut taken = outbox.take();
    assert!(matches!(taken.as_mut()[..], [Command::SendFramed { .. }, Command::Deliver(_)]));
    assert_eq!(
        outbox.deliver(&delivery("third"), false, Some(&lent)),
        BY_DRIVER,
        "they were not written yet"
    );
    assert!(matches!(outbox.take(), Queue::Delivery(_)));
    outbox.set_unsent(0);
    assert!(outbox.begin_handlers_message(false));
    let delivered = outbox.deliver(&delivery("fourth"), false, Some(&lent));
    assert_eq!(delivered, Delivered::Waits, "nothing comes between the frames of a message");
    assert_eq!(peer.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    outbox.close(Close::new(CloseCode::NORMAL, "").unwrap());
    assert_eq!(outbox.deliver(&delivery("fifth"), false, Some(&lent)), Delivered::Closed);
}

#[tokio::test]
async fn what_a_socket_does_not_take_is_the_first_that_its_driver_writes() {
    let (socket, peer) = sockets().await;
    let lent = Arc::downgrade(&socket);
    let outbox = outbox(1000);
    let long = delivery("x".repeat(32 * 1024 * 1024));
    assert_eq!(outbox.deliver(&long, false, Some(&lent)), BY_DRIVER);
    assert!(outbox.buffered_amount() > 0);
    assert!(outbox.try_send("after".into(), Command::Send).is_err(), "it counts towards the bound");
    outbox.close(Close::new(CloseCode::NORMAL, "").unwrap());
    let mut taken = outbox.take();
    let [Command::DeliverRest { delivery, written }, Command::Close(_)] = &taken.as_mut()[..] else {
        panic!("{taken:?}")
    };
    assert!(Arc::ptr_eq(delivery, &long));
    assert_eq!(read(&peer, *written).await, long.frames().unwrap()[..*written]);
}

#[test]
fn what_a_socket_did_not_take_goes_before_all_that_was_queued_meanwhile() {
    let queue_meanwhile: [fn(&Outbox); 4] = [
        |outbox| assert_eq!(outbox.try_send("message".into(), Command::Send), Ok(true)),
        |outbox| assert!(outbox.try_send_burst(&Burst::new("burst".into()), "burst".into()).is_some()),
        |outbox| {
            assert!(matches!(outbox.deliver(&delivery("other"), false, None), Delivered::Now { wake: true }));
        },
        |outbox| assert!(outbox.close(Close::new(CloseCode::NORMAL, "").unwrap())),
    ];
    for queue in queue_meanwhile {
        let outbox = outbox(1000);
        queue(&outbox);
        let meanwhile = outbox.buffered_amount();
        outbox.leave_to_driver(&delivery("longer"), Ok(5));
        assert_eq!(outbox.buffered_amount(), meanwhile + 3);
        assert!(matches!(outbox.take().as_mut()[..], [Command::DeliverRest { written: 5, .. }, _]));
        outbox.set_unsent(0);
        assert_eq!(outbox.buffered_amount(), 0);
    }
}

#[test]
fn a_raw_frame_that_waits_for_the_end_of_the_handlers_message_begins_one_all_the_same() {
    let outbox = outbox(1000);
    assert!(outbox.begin_handlers_message(false));
    let begins = RawFrame { fin: false, opcode: 1, ..RawFrame::default() };
    outbox.try_send_raw_frame(begins).unwrap();
    assert!(outbox.end_handlers_message());
    assert_eq!(outbox.deliver(&delivery("between"), false, None), Delivered::Waits);
    outbox.try_send_raw_frame(RawFrame { fin: true, opcode: 0, ..RawFrame::default() }).unwrap();
    assert!(matches!(outbox.take().as_mut()[..], [Command::SendFrame(_), Command::SendFrame(_)]));
    outbox.gone();
}
