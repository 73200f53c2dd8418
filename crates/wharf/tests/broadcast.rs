//! Broadcasts that follow one another: the order among them and with all else, the bound, and what they tell.

mod support;

use std::thread;

use support::{Site, binary, close, ping, text, within};
use tokio::io::AsyncWriteExt;
use wharf::{Broadcast, CloseCode, Connection, HttpServer, Message, MessageKind, Server, ServerConfig};

fn reach(broadcast: Broadcast) -> (usize, usize) {
    (broadcast.sent, broadcast.full)
}

#[tokio::test]
async fn what_is_sent_between_two_broadcasts_arrives_between_them() {
    let site = Site::open().await;
    let (mut clients, connections) = site.pairs(3).await;
    let server = &site.server;
    assert_eq!(reach(server.broadcast("1")), (3, 0));
    assert_eq!(reach(server.broadcast(b"2".to_vec())), (3, 0));
    connections[0].try_send("to the first").unwrap();
    assert_eq!(reach(server.broadcast("3")), (3, 0));
    assert_eq!(reach(server.broadcast_uncompressed("4")), (3, 0));
    connections[1].ping("p").unwrap();
    let long = "5".repeat(1000);
    assert_eq!(reach(server.broadcast(&long[..])), (3, 0));
    assert_eq!(reach(server.broadcast("6")), (3, 0));
    connections[2].close(CloseCode::NORMAL, Some("")).unwrap();
    assert_eq!(reach(server.broadcast("7")), (2, 0));
    assert_eq!(reach(server.broadcast("8")), (2, 0));
    let to_all = [text("1"), binary("2"), text("3"), text("4"), text(&long), text("6"), text("7"), text("8")];
    for (at, client) in clients.iter_mut().enumerate() {
        let mut expected = to_all.to_vec();
        match at {
            0 => expected.insert(2, text("to the first")),
            1 => expected.insert(4, ping("p")),
            _ => expected.splice(6.., [close(1000, "")]).for_each(drop),
        }
        for frame in expected {
            assert_eq!(client.frame().await, frame);
        }
    }
}

#[tokio::test]
async fn broadcasts_that_follow_one_another_keep_the_bound_of_each_connection() {
    let site = Site::with(ServerConfig::default().max_buffered_amount(100)).await;
    let (mut clients, connections) = site.pairs(2).await;
    // Each takes a place of 16 bytes.
    for number in 0..3_usize {
        assert_eq!(reach(site.server.broadcast("four")), (2, 0), "{number}");
    }
    assert!(connections.iter().all(|connection| connection.buffered_amount() == 60));
    connections[1].try_send("and twenty bytes more").unwrap();
    assert_eq!(reach(site.server.broadcast("four")), (2, 0), "97 of 100");
    assert_eq!(reach(site.server.broadcast("four")), (1, 1), "80 and full");
    assert_eq!(reach(site.server.broadcast("four")), (0, 2));
    assert!(connections.iter().all(Connection::is_output_full));
    for (at, messages) in [(0, 5), (1, 5)] {
        for _ in 0..messages {
            clients[at].frame().await;
        }
    }
    within(connections[0].drained()).await;
    within(connections[1].drained()).await;
    assert_eq!(reach(site.server.broadcast("again")), (2, 0));
    for client in &mut clients {
        assert_eq!(client.frame().await, text("again"));
    }
}

#[tokio::test]
async fn whoever_is_full_or_has_more_waiting_does_not_keep_the_others_from_a_message() {
    let site = Site::with(ServerConfig::default().max_buffered_amount(100)).await;
    let (mut clients, connections) = site.pairs(10).await;
    connections[3].try_send(vec![0; 100]).unwrap();
    connections[5].try_send("before").unwrap();
    assert_eq!(reach(site.server.broadcast("1")), (9, 1));
    assert_eq!(reach(site.server.broadcast("2")), (9, 1));
    connections[5].ping("p").unwrap();
    assert_eq!(reach(site.server.broadcast("3")), (9, 1));
    connections[3].close(CloseCode::NORMAL, Some("")).unwrap();
    assert_eq!(reach(site.server.broadcast("4")), (9, 0), "the last that one of them has room for");
    assert_eq!(reach(site.server.broadcast("5")), (8, 1));
    for (at, client) in clients.iter_mut().enumerate() {
        let expected = match at {
            3 => vec![binary([0; 100]), close(1000, "")],
            5 => vec![text("before"), text("1"), text("2"), ping("p"), text("3"), text("4")],
            _ => ["1", "2", "3", "4", "5"].map(text).to_vec(),
        };
        for frame in expected {
            assert_eq!(client.frame().await, frame);
        }
    }
}

#[tokio::test]
async fn a_broadcast_passes_over_whoever_has_begun_a_message_since_the_last_one() {
    let site = Site::open().await;
    let (mut clients, connections) = site.pairs(2).await;
    assert_eq!(reach(site.server.broadcast("1")), (2, 0));
    let mut writer = connections[0].message_writer(MessageKind::Text);
    within(writer.write_all(b"part")).await.unwrap();
    within(writer.flush()).await.unwrap();
    assert_eq!(reach(site.server.broadcast("2")), (1, 1));
    within(writer.finish()).await.unwrap();
    assert_eq!(reach(site.server.broadcast("3")), (2, 0));
    assert_eq!(clients[1].frame().await, text("1"));
    assert_eq!(clients[1].frame().await, text("2"));
    assert_eq!(clients[1].frame().await, text("3"));
    for expected in ["1", "part", "3"] {
        assert_eq!(clients[0].message().await, Message::from(expected));
    }
}

#[tokio::test]
async fn who_connects_or_leaves_between_two_broadcasts_is_counted() {
    let site = Site::open().await;
    let (mut client, _connection) = site.pair().await;
    assert_eq!(reach(site.server.broadcast("1")), (1, 0));
    let (mut other, connection) = site.pair().await;
    assert_eq!(reach(site.server.broadcast("2")), (2, 0));
    assert_eq!(reach(site.server.broadcast("3")), (2, 0));
    connection.drop_silently(CloseCode::NORMAL, None);
    assert_eq!(reach(site.server.broadcast("4")), (1, 0));
    within(connection.closed()).await;
    assert_eq!(reach(site.server.broadcast("5")), (1, 0));
    for number in 1..=5 {
        assert_eq!(client.frame().await, text(number.to_string()));
    }
    other.rest().await;
}

const THREADS: usize = 3;
const EACH: usize = 2000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broadcasts_of_several_threads_all_arrive_in_the_order_of_each() {
    let http = HttpServer::builder().workers(2).bind("127.0.0.1:0").await.unwrap();
    let config = ServerConfig::default().max_buffered_amount(1 << 30);
    let site = Site::of(http.clone(), Server::mounted(config, [&http]).unwrap());
    let (clients, _connections) = site.pairs(8).await;
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let server = site.server.clone();
            thread::spawn(move || {
                for number in 0..EACH {
                    assert_eq!(reach(server.broadcast(format!("{thread} {number}"))), (8, 0));
                }
            })
        })
        .collect();
    for mut client in clients {
        let mut next = [0; THREADS];
        for _ in 0..THREADS * EACH {
            let frame = client.frame().await;
            let message = String::from_utf8(frame.payload).unwrap();
            let (thread, number) = message.split_once(' ').unwrap();
            let next = &mut next[thread.parse::<usize>().unwrap()];
            assert_eq!(number, next.to_string());
            *next += 1;
        }
    }
    for thread in threads {
        thread.join().unwrap();
    }
}
