//! Messages of topics, which a hub writes between two turns.

use std::future::Future;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use super::super::socket::Socket;
use super::{Driver, end};
use crate::config::ServerConfig;
use crate::connection::Connection;
use crate::hub::Hub;
use crate::options::Options;
use crate::proto;
use crate::proto::connection::{Cause, Ending};
use crate::proto::deflate::ContextMemory;

/// A subscriber whose driver runs only when it is told to, and its peer.
struct Subscriber {
    hub: Hub,
    connection: Connection,
    driver: Driver<Socket>,
    peer: TcpStream,
}

impl Subscriber {
    async fn to(topics: &[&str]) -> Self {
        let hub = Hub::new();
        let memory = |limit| Arc::new(ContextMemory::new(limit));
        let options = Arc::new(Options::sharing(ServerConfig::default(), memory, Some(hub.clone())).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let socket = listener.accept().await.unwrap().0;
        // tokio lets nobody write before it has heard that the socket takes something.
        socket.writable().await.unwrap();
        let core = proto::Connection::server(options.core.clone(), tokio::time::Instant::now().into_std());
        let (connection, driver) = end(&options, core, true, Socket::Own(socket));
        let mut subscriber = Self { hub, connection, driver, peer };
        for topic in topics {
            subscriber.connection.subscribe(*topic).unwrap().await.unwrap();
        }
        subscriber.turn();
        subscriber
    }

    fn turn(&mut self) {
        assert!(Pin::new(&mut self.driver).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }

    /// Publishes one message on each of these topics, its name, and waits until the hub has come to them.
    async fn publish(&self, topics: &[&str]) {
        let before = self.hub.counters().to_deliver;
        for topic in topics {
            self.hub.publish(*topic, *topic).unwrap();
        }
        self.all_of(before + topics.len() as u64).await;
    }

    async fn all_of(&self, messages: u64) {
        while self.hub.counters().to_deliver < messages {
            tokio::task::yield_now().await;
        }
    }

    /// What has come to the peer.
    fn received(&self) -> Vec<u8> {
        let mut received = Vec::new();
        let end = (&*SockRef::from(&self.peer)).read_to_end(&mut received).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::WouldBlock);
        received
    }
}

#[tokio::test]
async fn a_message_goes_to_the_socket_of_a_subscriber_without_a_turn() {
    let subscriber = Subscriber::to(&["a"]).await;
    for _ in 0..3 {
        subscriber.publish(&["a"]).await;
        assert_eq!(subscriber.received(), b"\x81\x01a");
        assert!(!subscriber.connection.shared.outbox.has_commands());
    }
    subscriber.publish(&["a", "a"]).await;
    assert_eq!(subscriber.received(), b"\x81\x01a\x81\x01a", "they go together");
}

#[tokio::test]
async fn messages_of_several_topics_that_come_at_once_are_left_to_one_turn() {
    let mut subscriber = Subscriber::to(&["a", "b"]).await;
    subscriber.publish(&["a", "b", "a"]).await;
    assert_eq!(subscriber.received(), b"", "each would take a system call of its own");
    subscriber.turn();
    assert_eq!(subscriber.received(), b"\x81\x01a\x81\x01b\x81\x01a");
    subscriber.publish(&["b"]).await;
    assert_eq!(subscriber.received(), b"\x81\x01b");
}

#[tokio::test]
async fn what_a_socket_does_not_take_is_written_by_the_turns_that_follow() {
    let mut subscriber = Subscriber::to(&["a"]).await;
    let long = "x".repeat(32 * 1024 * 1024);
    let frames = {
        let mut frames = Vec::new();
        let mut core = proto::Connection::server(Arc::default(), std::time::Instant::now());
        core.send(long.as_str().into(), &mut frames).unwrap();
        frames
    };
    subscriber.hub.publish("a", long).unwrap();
    subscriber.all_of(1).await;
    subscriber.publish(&["a"]).await;
    let mut received = subscriber.received();
    assert!((1..frames.len()).contains(&received.len()), "{}", received.len());
    while received.len() < frames.len() + 3 {
        tokio::task::yield_now().await;
        subscriber.turn();
        received.extend(subscriber.received());
    }
    assert!(received.starts_with(&frames));
    assert_eq!(received[frames.len()..], *b"\x81\x01a");
    subscriber.publish(&["a"]).await;
    assert_eq!(subscriber.received(), b"\x81\x01a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn where_a_driver_can_be_in_a_turn_meanwhile_its_socket_is_not_lent() {
    let mut subscriber = Subscriber::to(&["a"]).await;
    assert!(matches!(subscriber.driver.stream, Socket::Own(_)));
    subscriber.publish(&["a"]).await;
    assert_eq!(subscriber.received(), b"");
    subscriber.turn();
    assert_eq!(subscriber.received(), b"\x81\x01a");
}

#[tokio::test]
async fn why_a_socket_fails_is_told_also_where_the_hub_finds_it() {
    let Subscriber { hub, connection, mut driver, peer } = Subscriber::to(&["a"]).await;
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    hub.publish("a", "a").unwrap();
    while hub.counters().to_deliver == 0 {
        tokio::task::yield_now().await;
    }
    assert!(Pin::new(&mut driver).poll(&mut Context::from_waker(Waker::noop())).is_ready());
    let Some(Ending::Lost(Cause::Transport(error))) = connection.ending() else {
        panic!("{:?}", connection.ending())
    };
    assert!(error.starts_with("Connection reset"), "{error}");
}
