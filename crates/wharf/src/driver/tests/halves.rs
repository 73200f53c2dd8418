//! Sending and receiving on one connection do not wait for each other: handles are cloned, and nothing is split.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::io::DuplexStream;

use super::{Driver, Executor, Pair, paused_runtime};
use crate::config::ServerConfig;
use crate::error::TrySendError;

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Lets both drivers do what they can.
fn drive(drivers: &mut [Driver<DuplexStream>; 2]) {
    for _ in 0..100 {
        for driver in &mut *drivers {
            assert!(poll(Pin::new(driver)).is_pending(), "the connection lives");
        }
    }
}

#[test]
fn a_recv_that_waits_does_not_hold_send_up() {
    let runtime = paused_runtime();
    let _context = runtime.enter();
    let Pair { server, client, mut drivers } = Pair::open(ServerConfig::default(), 1000);
    let mut receiving = pin!(server.recv());
    assert!(poll(receiving.as_mut()).is_pending());
    assert_eq!(poll(pin!(server.send("out"))), Poll::Ready(Ok(())));
    drive(&mut drivers);
    assert_eq!(poll(pin!(client.recv())), Poll::Ready(Some("out".into())));
    assert!(poll(receiving.as_mut()).is_pending());
}

#[test]
fn a_full_inbox_does_not_hold_send_up() {
    let runtime = paused_runtime();
    let _context = runtime.enter();
    let Pair { server, client, mut drivers } =
        Pair::open(ServerConfig::default().max_unread_messages(1), 1000);
    for _ in 0..100 {
        client.try_send("unread").unwrap();
    }
    drive(&mut drivers);
    assert!(server.shared.is_inbox_holding());
    server.try_send("out").unwrap();
    drive(&mut drivers);
    assert_eq!(poll(pin!(client.recv())), Poll::Ready(Some("out".into())));
    assert!(server.shared.is_inbox_holding());
}

#[test]
fn a_send_that_waits_for_room_does_not_hold_recv_up() {
    let runtime = paused_runtime();
    let _context = runtime.enter();
    let config = ServerConfig::default().max_buffered_amount(100);
    let Pair { server, client, mut drivers } = Pair::open(config, 100);
    client.pause();
    while server.try_send("not read").is_ok() {
        drive(&mut drivers);
    }
    let mut sending = pin!(server.send("waits"));
    assert!(poll(sending.as_mut()).is_pending());
    for number in 0..20 {
        client.try_send(number.to_string()).unwrap();
        drive(&mut drivers);
        assert_eq!(poll(pin!(server.recv())), Poll::Ready(Some(number.to_string().into())));
    }
    assert!(poll(sending.as_mut()).is_pending());
    assert_eq!(server.try_send("full"), Err(TrySendError::Full("full".into())));
}

#[test]
fn two_ends_that_both_send_more_than_all_buffers_and_read_all_the_while_finish() {
    const MESSAGES: usize = 200;
    let runtime = paused_runtime();
    let _context = runtime.enter();
    let config = ServerConfig::default().max_buffered_amount(100).max_unread_messages(2);
    let Pair { server, client, drivers } = Pair::open(config, 64);
    let mut executor = Executor::default();
    for driver in drivers {
        executor.drive(driver);
    }
    let unfinished = Rc::new(Cell::new(4));
    for end in [server, client] {
        let (sending, left) = (end.clone(), unfinished.clone());
        executor.drive(async move {
            for number in 0..MESSAGES {
                sending.send(format!("{number:>50}")).await.unwrap();
            }
            left.set(left.get() - 1);
        });
        let left = unfinished.clone();
        executor.drive(async move {
            for number in 0..MESSAGES {
                assert_eq!(end.recv().await, Some(format!("{number:>50}").into()));
            }
            left.set(left.get() - 1);
        });
    }
    executor.run([], || unfinished.get() == 0);
}
