//! Flow control: peers that do not read, applications that do not receive, and futures that are given up.

mod support;

use std::pin::pin;
use std::time::Duration;

use futures_util::{StreamExt, sink};
use support::{Client, Site, binary, bytes_of, close, text, waits, within};
use wharf::{Cause, CloseCode, Connection, Ending, Message, ServerConfig, TrySendError};

const MESSAGE: usize = 64 * 1024;
/// More than the kernel's buffers take on both sides together.
const FLOOD: usize = 256;

fn numbered(number: usize) -> Vec<u8> {
    let mut bytes = vec![7; MESSAGE];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn number_of(message: &Message) -> usize {
    assert_eq!(message.len(), MESSAGE);
    usize::from_be_bytes(message.as_bytes()[..8].try_into().expect("8 bytes"))
}

#[tokio::test]
async fn c10_1_with_a_peer_that_does_not_read_try_send_says_full_and_send_waits() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    let mut sent = 0;
    let refused = loop {
        match connection.try_send(numbered(sent)) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < FLOOD, "the bound holds");
        tokio::task::yield_now().await;
    };
    assert_eq!(refused, TrySendError::Full(numbered(sent).into()), "the message is handed back");
    assert!(connection.is_output_full());
    assert_eq!(connection.ping("x"), Err(wharf::ControlError::Full));

    let mut sending = pin!(connection.send(numbered(sent)));
    assert!(waits(sending.as_mut()));
    let mut drained = pin!(connection.drained());
    assert!(waits(drained.as_mut()));
    let reading = async {
        for number in 0..=sent {
            assert_eq!(number_of(&client.message().await), number, "in order, none lost");
        }
    };
    let (result, (), ()) = within(async { tokio::join!(sending, drained, reading) }).await;
    result.unwrap();
    within(connection.drained()).await;
    assert!(!connection.is_output_full());
    assert_eq!(connection.buffered_amount(), 0);
}

#[tokio::test]
async fn c10_1_what_waits_stays_within_the_bound_however_much_is_sent() {
    let config = ServerConfig::default().max_buffered_amount(256 * 1024);
    let site = Site::with(config).await;
    let (mut client, connection) = site.pair().await;
    let sending = async {
        let mut most = 0;
        for number in 0..FLOOD {
            connection.send(numbered(number)).await.unwrap();
            most = most.max(connection.buffered_amount());
        }
        most
    };
    let reading = async {
        for number in 0..FLOOD {
            assert_eq!(number_of(&client.message().await), number);
        }
    };
    let (most, ()) = tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(sending, reading) })
        .await
        .expect("all of it arrives");
    assert!(most <= 256 * 1024 + MESSAGE + 1024, "one message may pass the bound: {most}");
}

#[tokio::test]
async fn a_message_over_the_bound_is_taken_where_nothing_waits() {
    let site = Site::with(ServerConfig::default().max_buffered_amount(10)).await;
    let (mut client, connection) = site.pair().await;
    for _ in 0..3 {
        within(connection.send("much longer than the bound")).await.unwrap();
        assert_eq!(client.frame().await, text("much longer than the bound"));
    }
}

#[tokio::test]
async fn send_given_up_while_it_waits_has_sent_nothing() {
    let site = Site::with(ServerConfig::default().max_buffered_amount(1)).await;
    let (mut client, connection) = site.pair().await;
    let (mut sent, mut given_up) = (Vec::new(), 0);
    for number in 0..300 {
        tokio::select! {
            biased;
            result = connection.send(number.to_string()) => {
                result.unwrap();
                sent.push(number);
            }
            () = std::future::ready(()) => given_up += 1,
        }
        if number % 3 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert!(sent.len() >= 100 && given_up >= 100, "{} sent, {given_up} given up", sent.len());
    within(connection.drained()).await;
    connection.close(CloseCode::NORMAL, Some("")).unwrap();
    for number in sent {
        assert_eq!(client.frame().await, text(number.to_string()));
    }
    assert_eq!(client.frame().await, close(1000, ""));
}

#[tokio::test]
async fn whoever_waits_to_send_is_told_when_the_connection_ends() {
    let site = Site::with(ServerConfig::default().max_buffered_amount(1)).await;
    let (client, connection) = site.pair().await;
    connection.try_send("fills it").unwrap();
    let mut sending = pin!(connection.send("never sent"));
    let mut drained = pin!(connection.drained());
    assert!(waits(sending.as_mut()) && waits(drained.as_mut()));
    connection.drop_silently(CloseCode::ABNORMAL, None);
    assert_eq!(within(sending).await.unwrap_err().0, "never sent".into());
    within(drained).await;
    drop(client);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_dropped_at_the_write_timeout() {
    let site = Site::with(ServerConfig::default().write_timeout(Duration::from_millis(100))).await;
    let (mut client, connection) = site.pair().await;
    let sending = async { while connection.send(vec![7; MESSAGE]).await.is_ok() {} };
    within(sending).await;
    let ending = within(connection.closed()).await;
    assert_eq!(ending, Ending::Lost(Cause::OutputStalled));
    assert_eq!((ending.code(), ending.description()), (CloseCode::ABNORMAL, "Peer not reading.".to_owned()));
    assert_eq!(site.close_event().await.0, 1006);
    client.sees_reset().await;
}

/// Sends messages until TCP holds the client back: what of them is still to be sent.
async fn flood(client: &mut Client) -> Vec<u8> {
    let mut bytes = bytes_of((0..FLOOD).map(|number| binary(numbered(number))));
    let written = client.write_until_held(&bytes).await;
    assert!(written < bytes.len(), "the server holds the peer back");
    bytes.split_off(written)
}

/// Receives the whole flood while the client sends the rest of it.
async fn receive_all(client: &mut Client, connection: &Connection, rest: Vec<u8>) {
    let receiving = async {
        for number in 0..FLOOD {
            let message = within(connection.recv()).await.expect("a message");
            assert_eq!(number_of(&message), number);
        }
    };
    tokio::join!(client.write(rest), receiving);
    client.send([close(1000, "")]).await;
    assert_eq!(client.frame().await, close(1000, ""));
    assert_eq!(within(connection.recv()).await, None);
}

#[tokio::test]
async fn with_the_queue_full_the_peer_is_held_back_and_nothing_is_lost() {
    let site = Site::with(ServerConfig::default().max_unread_messages(4)).await;
    let (mut client, connection) = site.pair().await;
    let rest = flood(&mut client).await;
    receive_all(&mut client, &connection, rest).await;
}

#[tokio::test]
async fn c10_4_while_paused_the_peer_is_held_back_and_resume_loses_nothing() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    connection.pause();
    assert!(connection.is_paused());
    let rest = flood(&mut client).await;
    assert!(waits(pin!(connection.recv())));
    connection.resume();
    assert!(!connection.is_paused());
    receive_all(&mut client, &connection, rest).await;
}

#[tokio::test]
async fn a_queue_of_one_message_delivers_all_in_order() {
    let site = Site::with(ServerConfig::default().max_unread_messages(1)).await;
    let (mut client, connection) = site.pair().await;
    client.write(bytes_of((0..500).map(|number| text(number.to_string())))).await;
    client.send([close(1000, "")]).await;
    for number in 0..500 {
        assert_eq!(within(connection.recv()).await, Some(number.to_string().into()));
    }
    assert_eq!(within(connection.recv()).await, None);
}

#[tokio::test]
async fn what_nobody_is_left_to_receive_holds_nobody_back() {
    let site = Site::with(ServerConfig::default().max_unread_messages(4)).await;
    let (mut client, connection) = site.pair().await;
    let rest = flood(&mut client).await;
    drop(connection);
    client.write(rest).await;
    client.send([close(1000, "")]).await;
    assert_eq!(client.frame().await, close(1000, ""));
}

#[tokio::test]
async fn c12_7_a_paused_connection_whose_peer_lives_is_not_dropped() {
    let short = Duration::from_millis(10);
    let config = ServerConfig::default().keepalive_interval(short).keepalive_grace_period(short);
    let site = Site::with(config).await;
    let (mut client, connection) = site.pair().await;
    connection.pause();
    for _ in 0..10 {
        assert_eq!(client.frame().await, support::ping(""));
    }
    assert!(connection.is_connected());
    client.send([text("alive"), close(1000, "")]).await;
    connection.resume();
    assert_eq!(within(connection.recv()).await, Some("alive".into()));
}

#[tokio::test]
async fn messages_can_be_taken_as_a_stream_and_sent_through_a_sink() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    let sink = sink::unfold(connection.clone(), async |connection: Connection, message: Message| {
        connection.send(message).await.map(|()| connection)
    });
    let mut messages = connection.messages();
    assert!(waits(pin!(messages.next())), "nothing has come");
    client.send([text("a"), binary("b")]).await;
    let echoing = tokio::spawn(messages.map(Ok).forward(sink));
    assert_eq!(client.frame().await, text("a"));
    assert_eq!(client.frame().await, binary("b"));
    client.send([close(1000, "")]).await;
    within(echoing).await.expect("no panic").unwrap();
}

#[tokio::test]
async fn several_that_receive_share_the_messages() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    let mut receivers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let connection = connection.clone();
        receivers.spawn(async move {
            let mut received = Vec::new();
            while let Some(message) = connection.recv().await {
                received.push(message);
                tokio::task::yield_now().await;
            }
            received
        });
    }
    client.write(bytes_of((10..90).map(|number| text(number.to_string())))).await;
    client.send([close(1000, "")]).await;
    let mut received = within(receivers.join_all()).await.concat();
    received.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    let all: Vec<Message> = (10..90).map(|number| number.to_string().into()).collect();
    assert_eq!(received, all);
}
