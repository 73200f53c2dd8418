//! What RFC 6455 asks of a server as a whole, over a real socket, and no other test here proves.
//! `docs/rfc-coverage.md` has it all.

mod support;

use std::time::Duration;

use support::{Site, close, ping, pong, text, waits, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wharf::{Accept, CloseCode, Context, Event, Handler, Message, MessageRef, ServerConfig};

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The opening handshake of RFC 6455 §1.3, in which one part stands instead of another.
fn handshake_with(part: &str, instead: &[u8]) -> Vec<u8> {
    let whole = format!(
        "GET / HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         {KEY}Sec-WebSocket-Version: 13\r\n\r\n"
    );
    let (before, after) = whole.split_once(part).expect("a part of the handshake");
    [before.as_bytes(), instead, after.as_bytes()].concat()
}

/// That a handshake is refused with one of these statuses, that TCP ends, and that the application hears of no request.
async fn assert_refused(handshake: &[u8], statuses: &[u16]) {
    let site = Site::open().await;
    let mut client = site.client().await;
    client.write(handshake).await;
    let head = client.head().await;
    assert!(statuses.contains(&head.status()), "{head:?} to {}", handshake.escape_ascii());
    assert_eq!(head.field("sec-websocket-accept"), None);
    client.sees_end().await;
    let event = site.event().await;
    assert!(matches!(event, Event::UpgradeError(_)), "{event:?} of {}", handshake.escape_ascii());
}

#[tokio::test]
async fn what_is_no_handshake_is_answered_with_an_error_and_ends_tcp() {
    // RFC 6455 §4.2.1, §7.2.2
    for (part, instead) in [
        ("GET", "POST"),
        ("Host: server.example.com\r\n", ""),
        ("Host: server.example.com\r\n", "Host: a b\r\n"),
        ("Upgrade: websocket\r\n", "Upgrade: foo\r\n"),
        (KEY, ""),
        (KEY, "Sec-WebSocket-Key: c2hvcnQ=\r\n"),
        (KEY, &format!("{KEY}{KEY}")),
        ("Version: 13\r\n", "Version: 013\r\n"),
        ("Version: 13\r\n", "Version: 13\r\nSec-WebSocket-Version: 13\r\n"),
        ("Version: 13\r\n", "Version: 13\r\nSec-WebSocket-Protocol: a b\r\n"),
        ("Version: 13\r\n", "Version: 13\r\nSec-WebSocket-Extensions: a; b=\"\r\n"),
    ] {
        assert_refused(&handshake_with(part, instead.as_bytes()), &[400]).await;
    }
    assert_refused(&handshake_with("Version: 13", b"Version: 14"), &[426]).await;
}

#[tokio::test]
async fn a_handshake_that_is_not_utf8_where_text_is_read_is_refused() {
    // RFC 6455 §8.1
    for (part, instead) in [
        ("Host: server", &b"Host: \xff"[..]),
        (KEY, b"Sec-WebSocket-Key: \xff\r\n"),
        ("Version: 13\r\n", b"Version: 13\r\nOrigin: http://\xc0\xaf\r\n"),
        ("Version: 13\r\n", b"Version: 13\r\nSec-WebSocket-Protocol: \xff\r\n"),
        ("Version: 13\r\n", b"Version: 13\r\nSec-WebSocket-Extensions: \xed\xa0\x80\r\n"),
    ] {
        assert_refused(&handshake_with(part, instead), &[400]).await;
    }
}

#[tokio::test]
async fn an_extension_that_is_unknown_is_neither_agreed_on_nor_used() {
    // RFC 6455 §5.8, §9, §9.1
    let site = Site::open().await;
    let offer = "Sec-WebSocket-Extensions: permessage-bzip2; client_max_window_bits, x-own; a=b\r\n";
    let (mut client, request) = site.ask(offer).await;
    let connection = request.accept(Accept::new()).unwrap();
    site.connected().await;
    let head = client.head().await;
    assert_eq!((head.status(), head.field("sec-websocket-extensions")), (101, None));
    assert!(connection.extensions().is_empty());
    // What `client` reads must have no reserved bit.
    within(connection.send("a".repeat(2000))).await.unwrap();
    assert_eq!(client.frame().await, text("a".repeat(2000)));
    // RSV1, as permessage-deflate would set it.
    client.write([0xc1, 0x80, 0, 0, 0, 0]).await;
    let reason = "Unsupported usage of rsv bits without negotiated extension.";
    assert_eq!(client.frame().await, close(1002, reason));
}

#[tokio::test]
async fn an_unmasked_frame_ends_the_connection() {
    // RFC 6455 §5.1, §7.1.7
    let site = Site::with(ServerConfig::default().close_timeout(Duration::from_secs(3600))).await;
    let (mut client, connection) = site.pair().await;
    client.write(b"\x81\x05Hello").await;
    assert_eq!(client.frame().await, close(1002, "Frames from a client must be masked."));
    client.sees_end().await;
    client.end().await;
    assert_eq!(within(connection.closed()).await.code(), CloseCode::PROTOCOL_ERROR);
    assert_eq!(connection.recv().await, None);
}

/// Queues on its connection whatever it is told.
struct Queues;

impl Handler for Queues {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        context.connection().try_send(Message::from(message)).expect("it is open");
    }
}

#[tokio::test]
async fn what_waits_to_be_sent_when_the_peer_closes_is_not_sent() {
    // RFC 6455 §6.1
    let site = Site::open().await;
    let (mut client, connection) = site.pair_with(Queues).await;
    // In one segment: the queue is looked at after both.
    client.send([text("queued"), close(1000, "")]).await;
    assert_eq!(client.frame().await, close(1000, ""));
    client.sees_end().await;
    client.end().await;
    assert!(within(connection.closed()).await.is_clean());
}

#[tokio::test]
async fn a_ping_after_the_servers_close_is_answered_until_the_peer_closes_too() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    connection.close(CloseCode::NORMAL, Some("")).unwrap();
    assert_eq!(client.frame().await, close(1000, ""));
    client.send([text("still under way").more_follows(), ping("alive?")]).await;
    assert_eq!(client.frame().await, pong("alive?"));
    client.send([close(1000, ""), ping("late")]).await;
    client.sees_end().await;
    client.end().await;
    assert!(within(connection.closed()).await.is_clean());
}

#[tokio::test]
async fn a_client_sends_nothing_behind_its_handshake_before_the_answer() {
    // RFC 6455 §4.1
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let client = wharf::Client::new(wharf::ClientConfig::default()).unwrap();
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        // The write of the request is over, and so is the turn of the client that follows it.
        tokio::task::yield_now().await;
        assert!(waits(std::pin::pin!(stream.read_u8())));
        let head = String::from_utf8(head).unwrap();
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = wharf_proto::handshake::accept_key(key);
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    };
    let (connection, mut stream) = within(async { tokio::join!(client.connect(url), serving) }).await;
    assert!(waits(std::pin::pin!(stream.read_u8())));
    connection.unwrap().send("Hello").await.unwrap();
    assert_eq!(within(stream.read_u8()).await.unwrap(), 0x81);
}

#[test]
fn a_host_that_is_not_ascii_is_never_looked_up() {
    // RFC 6455 §11.1.1, §11.1.2
    for scheme in ["ws", "wss"] {
        wharf::ConnectRequest::new(format!("{scheme}://b\u{fc}cher.example/")).unwrap_err();
        assert!(wharf::ConnectRequest::new(format!("{scheme}://xn--bcher-kva.example/")).is_ok());
    }
}
