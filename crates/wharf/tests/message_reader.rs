//! One message read piece by piece, put together before or frame by frame.

mod support;

use std::error::Error as _;
use std::io::ErrorKind;
use std::pin::pin;

use bytes::Bytes;
use futures_util::StreamExt;
use support::{Client, Site, binary, bytes_of, close, continuation, ping, pong, text, waits, within};
use tokio::io::AsyncReadExt;
use wharf::{
    Cause, CloseCode, Connection, Ending, MessageKind, MessageReader, ServerConfig, UnfinishedMessage,
};

fn frames() -> ServerConfig {
    ServerConfig::default().assemble_fragments(false)
}

async fn open(config: ServerConfig) -> (Site, Client, Connection) {
    let site = Site::with(config).await;
    let (client, connection) = site.pair().await;
    (site, client, connection)
}

async fn reader(connection: &Connection) -> MessageReader {
    within(connection.recv_reader()).await.expect("a message")
}

async fn all(reader: &mut MessageReader) -> Vec<u8> {
    let mut bytes = Vec::new();
    within(reader.read_to_end(&mut bytes)).await.expect("a whole message");
    bytes
}

#[tokio::test]
async fn the_same_messages_are_read_with_and_without_assembling() {
    for config in [ServerConfig::default(), frames()] {
        let (_site, mut client, connection) = open(config).await;
        client.send([text("whole"), binary("")]).await;
        client.send([binary("in ").more_follows(), ping("amid"), continuation("").more_follows()]).await;
        client.send([continuation("pieces"), close(1000, "")]).await;
        let expected = [
            (MessageKind::Text, &b"whole"[..]),
            (MessageKind::Binary, b""),
            (MessageKind::Binary, b"in pieces"),
        ];
        for (kind, bytes) in expected {
            let mut reader = reader(&connection).await;
            assert_eq!((reader.kind(), &all(&mut reader).await[..]), (kind, bytes));
            assert_eq!(within(reader.read(&mut [0])).await.unwrap(), 0, "the end stays the end");
        }
        assert!(within(connection.recv_reader()).await.is_none());
        assert_eq!(client.frame().await, pong("amid"));
    }
}

#[tokio::test]
async fn fragments_are_handed_on_as_they_come_without_waiting_for_the_end() {
    let (_site, mut client, connection) = open(frames()).await;
    client.send([text("a").more_follows()]).await;
    let mut reader = reader(&connection).await;
    assert_eq!(within(reader.chunk()).await.unwrap(), Some(Bytes::from("a")));
    assert!(waits(pin!(reader.chunk())), "no more has come");
    client.send([continuation("").more_follows(), continuation("b").more_follows()]).await;
    assert_eq!(within(reader.chunk()).await.unwrap(), Some(Bytes::from("b")), "never an empty one");
    client.send([continuation("cd")]).await;
    let mut one = [0];
    within(reader.read_exact(&mut one)).await.unwrap();
    assert_eq!((one, within(reader.chunk()).await.unwrap()), (*b"c", Some(Bytes::from("d"))));
    assert_eq!(within(reader.chunk()).await.unwrap(), None);
}

#[tokio::test]
async fn as_a_stream_it_gives_the_pieces() {
    let (_site, mut client, connection) = open(frames()).await;
    client.send([text("a").more_follows(), continuation("b")]).await;
    let reader = reader(&connection).await;
    let pieces: Vec<_> = within(reader.map(Result::unwrap).collect()).await;
    assert_eq!(pieces, ["a", "b"]);
}

#[tokio::test]
async fn others_that_receive_wait_until_the_message_is_read() {
    let (_site, mut client, connection) = open(frames()).await;
    client.send([text("a").more_follows(), continuation("b"), text("next")]).await;
    let mut reader = reader(&connection).await;
    {
        let mut frame = pin!(connection.recv_frame());
        let mut another = pin!(connection.recv_reader());
        assert!(waits(frame.as_mut()) && waits(another.as_mut()));
    }
    let mut message = pin!(connection.recv());
    assert!(waits(message.as_mut()));
    assert_eq!(all(&mut reader).await, b"ab");
    assert_eq!(within(message).await, Some("next".into()), "told although the reader lives");
}

#[tokio::test]
async fn dropped_half_read_the_rest_of_the_message_is_passed_over() {
    let (_site, mut client, connection) = open(frames()).await;
    let next = connection.clone();
    for ends_before_it_is_dropped in [true, false] {
        let rest = [continuation("rest").more_follows(), continuation("end"), text("next"), text("last")];
        client.send([text("a").more_follows(), continuation("b").more_follows()]).await;
        let mut reader = reader(&connection).await;
        assert_eq!(within(reader.chunk()).await.unwrap(), Some(Bytes::from("a")));
        let mut message = pin!(next.recv());
        assert!(waits(message.as_mut()));
        if ends_before_it_is_dropped {
            client.send(rest.clone()).await;
            drop(reader);
        } else {
            drop(reader);
            client.send(rest).await;
        }
        assert_eq!(within(message).await, Some("next".into()));
        assert_eq!(all(&mut self::reader(&connection).await).await, b"last");
    }
}

#[tokio::test]
async fn the_rest_of_a_message_can_be_taken_frame_by_frame() {
    let (_site, mut client, connection) = open(frames()).await;
    client.send([text("a").more_follows(), continuation("b"), text("c")]).await;
    drop(reader(&connection).await);
    let frame = within(connection.recv_frame()).await.expect("a frame");
    assert_eq!((frame.header.fin, &frame.payload[..]), (true, &b"b"[..]));
    assert_eq!(all(&mut reader(&connection).await).await, b"c");
}

#[tokio::test]
async fn a_connection_lost_within_the_message_is_an_error_that_says_how() {
    let (_site, mut client, connection) = open(frames()).await;
    client.send([text("a").more_follows()]).await;
    client.end().await;
    let mut reader = reader(&connection).await;
    assert_eq!(within(reader.chunk()).await.unwrap(), Some(Bytes::from("a")));
    for _ in 0..2 {
        let error = within(reader.read(&mut [0])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        let unfinished = error.get_ref().and_then(|error| error.downcast_ref::<UnfinishedMessage>());
        assert_eq!(unfinished, Some(&UnfinishedMessage { ending: Ending::Lost(Cause::PeerEnded) }));
        assert_eq!(
            error.to_string(),
            "the connection ended within a message: Connection dropped by remote peer. (1006)"
        );
        assert!(error.source().is_none());
    }
    let told: Vec<_> =
        within(reader.by_ref().map(|chunk| chunk.map_err(|error| error.kind())).collect()).await;
    assert_eq!(told, [Err(ErrorKind::UnexpectedEof)], "a stream ends after its error");
    within(reader.chunk()).await.unwrap_err();
    assert_eq!(within(connection.recv()).await, None);
}

#[tokio::test]
async fn every_end_within_the_message_is_told() {
    let invalid = [continuation([0xff])];
    let closed = [close(4001, "bye")];
    for (frames_sent, code) in [(invalid, 1007), (closed, 4001)] {
        let (_site, mut client, connection) = open(frames()).await;
        client.send([text("a").more_follows()]).await;
        let mut reader = reader(&connection).await;
        client.send(frames_sent).await;
        let mut bytes = Vec::new();
        let error = within(reader.read_to_end(&mut bytes)).await.unwrap_err();
        let unfinished = error.get_ref().and_then(|error| error.downcast_ref::<UnfinishedMessage>());
        assert_eq!(unfinished.map(|error| error.ending.code()), Some(CloseCode::new(code)));
        assert_eq!(bytes, b"a");
    }
}

#[tokio::test]
async fn a_message_that_is_not_read_holds_the_peer_back_and_loses_nothing() {
    const FRAGMENTS: usize = 1000;
    const FRAGMENT: usize = 32 * 1024;
    let (_site, mut client, connection) = open(frames().max_unread_bytes(128 * 1024)).await;
    let mut all = vec![continuation(vec![7; FRAGMENT]).more_follows(); FRAGMENTS];
    all[0] = binary(vec![7; FRAGMENT]).more_follows();
    all[FRAGMENTS - 1].fin = true;
    let mut bytes = bytes_of(all);
    let written = client.write_until_held(&bytes).await;
    assert!(written < bytes.len(), "the server holds the peer back");
    let rest = bytes.split_off(written);
    let mut reader = reader(&connection).await;
    let reading = async {
        let mut len = 0;
        while let Some(chunk) = within(reader.chunk()).await.unwrap() {
            len += chunk.len();
        }
        len
    };
    let ((), len) = tokio::join!(client.write(rest), reading);
    assert_eq!(len, FRAGMENTS * FRAGMENT);
}

#[tokio::test]
async fn recv_reader_given_up_while_it_waits_loses_nothing() {
    let (_site, mut client, connection) = open(frames()).await;
    support::begin_and_drop(connection.recv_reader());
    client.send([text("a").more_follows(), continuation("b")]).await;
    assert_eq!(all(&mut reader(&connection).await).await, b"ab");
}
