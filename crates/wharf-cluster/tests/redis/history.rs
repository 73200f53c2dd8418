//! What Redis keeps of topics with a history, and what it forgets.

use std::net::SocketAddr;
use std::time::Duration;

use redis::cmd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wharf::hub::{
    Acknowledgement, BoxFuture, Broker, BrokerError, HistoryRead, HistoryRequest, Incoming, Interest,
    Outgoing, Position, Recovery, TopicPattern,
};
use wharf_cluster::redis::Redis;

use crate::server::{Server, broker};
use crate::support::backend::Backend;
use crate::support::node::Node;
use crate::support::{until, within};

/// Publishes each message of a hub twice.
struct Again {
    redis: Redis,
    besides: Besides,
}

#[derive(Clone, Copy, PartialEq)]
enum Besides {
    /// And nothing else.
    Nothing,
    /// Before it, one of a later number: as where it was lost and that was not.
    Later,
}

impl Broker for Again {
    fn start(&self, incoming: Incoming) {
        self.redis.start(incoming);
    }

    fn publish<'a>(&'a self, outgoing: &'a Outgoing) -> BoxFuture<'a, Result<Acknowledgement, BrokerError>> {
        Box::pin(async {
            if self.besides == Besides::Later {
                let mut later = outgoing.clone();
                later.id.number += 1_000_000;
                later.publication.message = "later".into();
                self.redis.publish(&later).await?.await?;
            }
            let first = self.redis.publish(outgoing).await?.await?;
            let second = self.redis.publish(outgoing).await?.await?;
            assert_eq!(first, second, "the position of the first is that of the second");
            Ok(Box::pin(async move { Ok(second) }) as Acknowledgement)
        })
    }

    fn subscribe<'a>(&'a self, interest: &'a Interest) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.redis.subscribe(interest)
    }

    fn unsubscribe<'a>(&'a self, pattern: &'a TopicPattern) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.redis.unsubscribe(pattern)
    }

    fn history<'a>(&'a self, request: &'a HistoryRequest) -> BoxFuture<'a, Result<HistoryRead, BrokerError>> {
        self.redis.history(request)
    }
}

async fn nodes<const COUNT: usize>(server: &Server) -> [Node; COUNT] {
    let mut nodes = Vec::new();
    for _ in 0..COUNT {
        let node = Node::start(broker(server.address())).await;
        node.connected().await;
        nodes.push(node);
    }
    nodes.try_into().unwrap_or_else(|_| panic!("so many were started"))
}

fn texts(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn a_message_that_is_published_again_is_kept_once_and_keeps_its_position() {
    let server = Server::start().await;
    let [mut here] = nodes(&server).await;
    let there = Node::start(Again { redis: broker(server.address()), besides: Besides::Nothing }).await;
    let subscriber = here.subscriber("kept.a").await;
    for number in 1..=3 {
        assert_eq!(there.publish("kept.a", number.to_string()).await.unwrap().offset, number);
    }
    assert_eq!(subscriber.texts(3).await, texts(1..4));
    subscriber.has_nothing_more().await;
    assert_eq!(server.ask::<usize>(cmd("XLEN").arg("wharf:{t:kept.a}:log")).await, 3);
}

#[tokio::test]
async fn a_message_that_was_lost_is_kept_behind_a_later_one_that_was_not() {
    let server = Server::start().await;
    let [mut here] = nodes(&server).await;
    let there = Node::start(Again { redis: broker(server.address()), besides: Besides::Later }).await;
    let subscriber = here.subscriber("kept.a").await;
    for number in 1..=3 {
        assert_eq!(there.publish("kept.a", number.to_string()).await.unwrap().offset, 2 * number);
    }
    assert_eq!(subscriber.texts(6).await, ["later", "1", "later", "2", "later", "3"]);
    subscriber.has_nothing_more().await;
}

#[tokio::test]
async fn messages_go_on_when_the_scripts_are_flushed() {
    let server = Server::start().await;
    let [mut here, there] = nodes(&server).await;
    let subscriber = here.subscriber("kept.a").await;
    for number in 0..5 {
        server.flush_scripts().await;
        let publishing: Vec<_> =
            (0..100).map(|index| there.hub.publish("kept.a", format!("{number} {index}")).unwrap()).collect();
        for publishing in publishing {
            publishing.await.unwrap();
        }
    }
    let expected: Vec<_> =
        (0..5).flat_map(|number| (0..100).map(move |index| format!("{number} {index}"))).collect();
    assert_eq!(subscriber.texts(500).await, expected);
    subscriber.has_nothing_more().await;
}

#[tokio::test]
async fn a_long_history_is_read_whole() {
    let server = Server::start().await;
    let [mut here, there] = nodes(&server).await;
    let start = here.client().await.subscribe("kept.a").await.position.unwrap();
    let publishing: Vec<_> =
        (0..5000).map(|number| there.hub.publish("kept.a", number.to_string()).unwrap()).collect();
    for publishing in publishing {
        publishing.await.unwrap();
    }
    let subscriber = here.client().await;
    let recovery = subscriber.recover("kept.a", start).await.unwrap().recovery;
    assert_eq!(recovery, Some(Recovery::Recovered { messages: 5000 }));
    assert_eq!(subscriber.texts(5000).await, texts(0..5000));
}

#[tokio::test]
async fn large_messages_are_read_a_few_at_a_time() {
    let server = Server::start().await;
    let [mut here, there] = nodes(&server).await;
    let start = here.client().await.subscribe("kept.a").await.position.unwrap();
    let large = "x".repeat(100_000);
    for _ in 0..50 {
        there.publish("kept.a", large.as_str()).await;
    }
    let subscriber = here.client().await;
    subscriber.recover("kept.a", start).await.unwrap();
    for offset in 1..=50 {
        let got = subscriber.next().await;
        assert_eq!((got.position.unwrap().offset, got.text.len()), (offset, large.len()));
    }
}

#[tokio::test]
async fn a_history_may_take_longer_on_its_way_than_redis_may_be_silent() {
    let server = Server::start().await;
    let [there] = nodes(&server).await;
    let mut here = Node::start(broker(narrow_way_to(server.address()).await)).await;
    here.connected().await;
    let large = "x".repeat(100_000);
    let start = Position { offset: 0, ..there.publish("kept.a", large.as_str()).await.unwrap() };
    for _ in 1..20 {
        there.publish("kept.a", large.as_str()).await;
    }
    let subscriber = here.client().await;
    let recovery = subscriber.recover("kept.a", start).await.unwrap().recovery;
    assert_eq!(recovery, Some(Recovery::Recovered { messages: 20 }));
}

/// Passes connections on to a server, from which not more than 640 KB come in a second.
async fn narrow_way_to(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) =
                TcpStream::connect(server).await.expect("it is there").into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                let mut bytes = vec![0; 16 * 1024];
                while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
                    tokio::time::sleep(Duration::from_millis(25)).await;
                    if to_client.write_all(&bytes[..count]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_history_that_redis_has_forgotten_is_another_and_all_of_it_is_delivered() {
    let server = Server::start().await;
    let [mut here, there] = nodes(&server).await;
    // The other history comes to less than the first had, and to more.
    for (before, after) in [(20, 5), (5, 20)] {
        let subscriber = here.subscriber("kept.a").await;
        for number in 0..before {
            there.publish("kept.a", number.to_string()).await;
        }
        assert_eq!(subscriber.texts(before).await, texts(0..before));
        server.flush_all().await;
        let mut last = None;
        for number in 0..after {
            last = there.publish("kept.a", number.to_string()).await;
        }
        assert_eq!(subscriber.texts(after).await, texts(0..after));
        subscriber.has_nothing_more().await;
        assert_eq!(last.unwrap().offset, after as u64);
        server.flush_all().await;
    }
}

#[tokio::test]
async fn a_client_of_a_history_that_redis_has_forgotten_is_told_so() {
    let server = Server::start().await;
    let [mut here, there] = nodes(&server).await;
    let mut last = None;
    for number in 0..3 {
        last = there.publish("kept.a", number.to_string()).await;
    }
    server.flush_all().await;
    for _ in 0..10 {
        let subscriber = here.client().await;
        let anew = subscriber.recover("kept.a", last.unwrap()).await.unwrap();
        assert_eq!(anew.recovery, Some(Recovery::TooOld));
        assert_ne!(anew.position.unwrap().epoch, last.unwrap().epoch);
        there.publish("kept.a", "x").await;
    }
}

#[tokio::test]
async fn what_was_published_while_redis_was_away_and_had_forgotten_all_is_delivered() {
    let mut server = Server::without_persistence().await;
    let [mut here, there] = nodes(&server).await;
    let subscriber = here.subscriber("kept.a").await;
    for number in 0..10 {
        there.publish("kept.a", number.to_string()).await;
    }
    assert_eq!(subscriber.texts(10).await, texts(0..10));
    server.kill();
    there.away().await;
    let waiting: Vec<_> =
        (10..40).map(|number| there.hub.publish("kept.a", number.to_string()).unwrap()).collect();
    server.restart().await;
    for (index, publishing) in waiting.into_iter().enumerate() {
        assert_eq!(publishing.await.unwrap().position.unwrap().offset, index as u64 + 1);
    }
    assert_eq!(subscriber.texts(30).await, texts(10..40));
    subscriber.has_nothing_more().await;
}

#[tokio::test]
async fn what_is_too_old_is_not_read_and_goes_with_the_next_message() {
    let server = Server::start().await;
    let [mut here, there] = nodes(&server).await;
    for number in 0..5 {
        there.publish("short.a", number.to_string()).await;
    }
    let log = "wharf:{t:short.a}:log";
    let length = async || server.ask::<usize>(cmd("XLEN").arg(log)).await;
    assert_eq!(length().await, 5);
    // The stream stays, with what is too old in it.
    server.ask::<()>(cmd("PERSIST").arg(log)).await;
    let epoch = here.client().await.subscribe("short.a").await.position.unwrap().epoch;
    let before_the_last = Position { epoch, offset: 4 };
    within(async {
        let mut recovery = None;
        while recovery != Some(Recovery::TooOld) {
            recovery = here.client().await.recover("short.a", before_the_last).await.unwrap().recovery;
        }
    })
    .await;
    assert_eq!(length().await, 5);
    there.publish("short.a", "x").await;
    assert_eq!(length().await, 1);
}

#[tokio::test]
async fn topics_that_nobody_uses_any_more_vanish() {
    let server = Server::start().await;
    let [there] = nodes(&server).await;
    there.publish("short.a", "x").await;
    let expiry = async |what| server.ask::<i64>(cmd("PTTL").arg(format!("wharf:{{t:short.a}}:{what}"))).await;
    assert!((1..=500).contains(&expiry("log").await));
    assert!((3_590_000..=3_600_500).contains(&expiry("state").await));
    until(async || server.ask::<usize>(cmd("EXISTS").arg("wharf:{t:short.a}:log")).await == 0).await;
    let second = there.publish("short.a", "x").await.unwrap();
    assert_eq!(second.offset, 2, "the epoch is kept for those who publish again");
}

#[tokio::test]
async fn nodes_that_are_gone_are_forgotten() {
    let server = Server::start().await;
    let [one, other] = nodes(&server).await;
    one.publish("kept.a", "x").await;
    let state = "wharf:{t:kept.a}:state";
    let mut set = cmd("HSET");
    set.arg(state);
    for node in 0..100 {
        set.arg(format!("n:dead{node}")).arg("1 1 1000");
    }
    server.ask::<()>(&set).await;
    other.publish("kept.a", "x").await;
    // The epoch, the last offset, and two nodes.
    assert_eq!(server.ask::<usize>(cmd("HLEN").arg(state)).await, 4);
}

#[tokio::test]
async fn redis_that_drops_a_subscriber_who_is_too_slow_does_not_lose_what_is_kept() {
    let server = Server::with(&["--client-output-buffer-limit", "pubsub 200kb 0 0"]).await;
    let [mut here, there] = nodes(&server).await;
    let subscriber = here.subscriber("kept.a").await;
    let text = "x".repeat(10_000);
    let publishing: Vec<_> =
        (0..1000).map(|number| there.hub.publish("kept.a", format!("{number} {text}")).unwrap()).collect();
    for publishing in publishing {
        publishing.await.unwrap();
    }
    for number in 0..1000 {
        assert_eq!(subscriber.next().await.text, format!("{number} {text}"));
    }
}
