//! Real sockets, since what is left of one after HTTP is the subject.

use std::future::pending;
use std::time::Duration;

use http::{Method, Version};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use super::super::HttpServer;
use super::super::support::{
    HANDSHAKE, ORDINARY, both_ways, owner, read_head, read_rest, refused, refused_because, undated,
};
use super::*;
use crate::proto::handshake::{self, Accept, HeadLimits, parse_request};

type Taken = (TcpStream, Vec<u8>);

const FRAMES: &[u8] = b"\x81\x85\0\0\0\0first\x81\x86\0\0\0\0second";

async fn listening() -> HttpServer {
    HttpServer::bind("127.0.0.1:0").await.unwrap()
}

async fn connect(http: &HttpServer) -> TcpStream {
    TcpStream::connect(http.local_addr()).await.unwrap()
}

/// The answer to [`HANDSHAKE`].
fn switching() -> Answer {
    let (head, _) = parse_request(HANDSHAKE.as_bytes(), &HeadLimits::default()).unwrap().unwrap();
    let request = handshake::Request::read(&head).unwrap();
    let cookies = ["a=1".to_owned(), "b=2".to_owned()];
    Accept { origin: Some("http://a"), cookies: &cookies, ..Accept::default() }.answer(&request).unwrap()
}

fn tcp(stream: Stream) -> TcpStream {
    match stream {
        Stream::Tcp(stream) => stream,
        #[cfg(feature = "tls")]
        Stream::Tls(_) => panic!("the server has no TLS"),
        Stream::Other(_) => panic!("the server listens on TCP"),
    }
}

/// Accepts whatever comes, once `decide` says so, and hands out the streams.
fn accepting(decide: oneshot::Receiver<()>) -> (Arc<dyn UpgradeOwner>, mpsc::UnboundedReceiver<Taken>) {
    let (taken, streams) = mpsc::unbounded_channel();
    let decide = Mutex::new(Some(decide));
    let accepting = owner(move |_, _| {
        let taken = taken.clone();
        let decide = decide.lock().unwrap().take();
        async move {
            if let Some(decide) = decide {
                decide.await.unwrap();
            }
            let begin = move |stream, read| taken.send((tcp(stream), read)).unwrap();
            Decided::Switch(switching(), Box::new(begin))
        }
    });
    (accepting, streams)
}

fn decided() -> oneshot::Receiver<()> {
    let (decide, decided) = oneshot::channel();
    decide.send(()).unwrap();
    decided
}

async fn received((mut stream, mut received): Taken, len: usize) -> Vec<u8> {
    let mut rest = vec![0; len - received.len()];
    stream.read_exact(&mut rest).await.unwrap();
    received.append(&mut rest);
    received
}

#[tokio::test]
async fn a_101_goes_out_with_the_given_fields_in_the_given_order_and_no_other() {
    let http = listening().await;
    let (accepting, mut streams) = accepting(decided());
    http.mount(accepting).unwrap();
    for handshake in both_ways() {
        let mut client = connect(&http).await;
        client.write_all(handshake.as_bytes()).await.unwrap();
        // hyper writes every name in title case.
        assert_eq!(
            read_head(&mut client).await.replace("Websocket", "WebSocket"),
            "HTTP/1.1 101 Switching Protocols\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
             Origin: http://a\r\n\
             Set-Cookie: a=1\r\n\
             Set-Cookie: b=2\r\n\
             \r\n"
        );
        let (mut stream, early) = streams.recv().await.unwrap();
        assert!(early.is_empty());
        stream.write_all(b"both ways").await.unwrap();
        drop(stream);
        assert_eq!(read_rest(&mut client).await, "both ways");
    }
}

#[tokio::test]
async fn r15_1_bytes_in_the_segment_of_the_handshake_are_there() {
    let http = listening().await;
    let (accepting, mut streams) = accepting(decided());
    http.mount(accepting).unwrap();
    for handshake in both_ways() {
        let mut client = connect(&http).await;
        client.write_all(&[handshake.as_bytes(), FRAMES].concat()).await.unwrap();
        let (_stream, early) = streams.recv().await.unwrap();
        assert_eq!(early, FRAMES);
    }
}

#[tokio::test]
async fn a_handshake_may_be_as_long_as_heads_may_be_and_loses_nothing_of_what_follows() {
    let http = listening().await;
    let (accepting, mut streams) = accepting(decided());
    http.mount(accepting).unwrap();
    for handshake in both_ways() {
        // Around the sizes of buffers, and up to the limit.
        for len in [4096, 8192, 16_384].into_iter().flat_map(|len| len - FRAMES.len() - 1..=len) {
            let padding = "x".repeat(len - handshake.len() - "X-Padding: \r\n".len());
            let long = handshake.replace("Host", &format!("X-Padding: {padding}\r\nHost"));
            assert_eq!(long.len(), len);
            let mut client = connect(&http).await;
            client.write_all(&[long.as_bytes(), FRAMES].concat()).await.unwrap();
            assert!(read_head(&mut client).await.starts_with("HTTP/1.1 101 "), "{len}");
            assert_eq!(received(streams.recv().await.unwrap(), FRAMES.len()).await, FRAMES, "{len}");
        }
        let long = handshake.replace("Host", &format!("X-Padding: {}\r\nHost", "x".repeat(16_384)));
        assert!(status(&http, &long).await.starts_with("HTTP/1.1 431 "));
        let many = handshake.replace("Host", &format!("{}Host", "X-Field: x\r\n".repeat(100)));
        assert!(status(&http, &many).await.starts_with("HTTP/1.1 431 "));
    }
}

#[tokio::test]
async fn what_is_no_http_gets_400() {
    let http = listening().await;
    let (accepting, _streams) = accepting(decided());
    http.mount(accepting).unwrap();
    for bad in [
        HANDSHAKE.replace("Host: a", "Ho st: a"),
        HANDSHAKE.replace("Host: a", "Host: a\0"),
        HANDSHAKE.replace("/chat", "/ch at"),
        HANDSHAKE.replace("GET", "G\x01T"),
        HANDSHAKE.replace("Host: a\r\n", "Host: a\r\n folded\r\n"),
        "\x16\x03\x01\x02\0\x01\0".to_owned(),
    ] {
        assert!(status(&http, &bad).await.starts_with("HTTP/1.1 400 "), "{bad:?}");
    }
}

#[tokio::test]
async fn r15_1_bytes_in_the_segment_of_the_handshake_are_there_after_a_late_decision() {
    for handshake in both_ways() {
        let http = listening().await;
        let (decide, decided) = oneshot::channel();
        let (accepting, mut streams) = accepting(decided);
        http.mount(accepting).unwrap();
        let mut client = connect(&http).await;
        client.write_all(&[handshake.as_bytes(), FRAMES].concat()).await.unwrap();
        decide.send(()).unwrap();
        assert_eq!(received(streams.recv().await.unwrap(), FRAMES.len()).await, FRAMES);
    }
}

#[tokio::test]
async fn r15_2_bytes_sent_between_handshake_and_a_late_decision_are_there_in_order() {
    for handshake in both_ways() {
        let http = listening().await;
        let (decide, decided) = oneshot::channel();
        let (accepting, mut streams) = accepting(decided);
        http.mount(accepting).unwrap();
        let mut client = connect(&http).await;
        // More than any buffer of HTTP's holds.
        let sent: Vec<u8> = (0..300_000_u32).flat_map(u32::to_be_bytes).collect();
        let len = sent.len();
        client.write_all(&[handshake.as_bytes(), FRAMES].concat()).await.unwrap();
        let expected = [FRAMES, &sent].concat();
        let sending = tokio::spawn(async move {
            client.write_all(&sent[..50_000]).await.unwrap();
            decide.send(()).unwrap();
            client.write_all(&sent[50_000..]).await.unwrap();
            client
        });
        let taken = streams.recv().await.unwrap();
        assert!(received(taken, FRAMES.len() + len).await == expected);
        sending.await.unwrap();
    }
}

#[tokio::test]
async fn r15_1_the_handshake_may_come_in_any_two_pieces() {
    let http = listening().await;
    let (accepting, mut streams) = accepting(decided());
    http.mount(accepting).unwrap();
    for handshake in both_ways() {
        let sent = [handshake.as_bytes(), FRAMES].concat();
        for split in 1..sent.len() {
            let mut client = connect(&http).await;
            client.set_nodelay(true).unwrap();
            client.write_all(&sent[..split]).await.unwrap();
            tokio::task::yield_now().await;
            client.write_all(&sent[split..]).await.unwrap();
            let taken = streams.recv().await.unwrap();
            assert_eq!(received(taken, FRAMES.len()).await, FRAMES, "split at {split}");
        }
    }
}

#[tokio::test]
async fn a_handshake_may_come_behind_another_request() {
    let http = listening().await;
    let (accepting, mut streams) = accepting(decided());
    http.mount(accepting).unwrap();
    let mut client = connect(&http).await;
    client.write_all(&[ORDINARY.as_bytes(), HANDSHAKE.as_bytes(), FRAMES].concat()).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 404 "));
    assert_eq!(received(streams.recv().await.unwrap(), FRAMES.len()).await, FRAMES);
}

#[tokio::test]
async fn r2_9_what_names_no_upgrade_goes_to_the_service() {
    let http = listening().await;
    let (accepting, _streams) = accepting(decided());
    http.mount(accepting).unwrap();
    for fields in [
        "",
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\n",
        "Upgrade:\r\nConnection: upgrade\r\n",
        "Upgrade: websocket\r\nConnection: keep-alive\r\n",
        "Upgrade: TLS/1.2\r\nConnection: Upgrade\r\n",
        "Upgrade: h2c, websockets\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 0\r\n",
        "Upgrade: websocket\r\nConnection: upgraded, notupgrade, up grade\r\n",
    ] {
        let mut client = connect(&http).await;
        client.write_all(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes()).await.unwrap();
        assert!(read_head(&mut client).await.starts_with("HTTP/1.1 404 "), "{fields}");
    }
}

#[tokio::test]
async fn what_asks_for_a_websocket_goes_to_the_owner_whatever_else_it_is() {
    let http = listening().await;
    let (seen, mut requests) = mpsc::unbounded_channel();
    let refuser = owner(move |request, _| {
        seen.send((request.method, request.version)).unwrap();
        async { refused(403) }
    });
    http.mount(refuser).unwrap();
    for (line, fields, expected) in [
        (
            "GET / HTTP/1.1",
            "Upgrade: x\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13",
            (Method::GET, Version::HTTP_11),
        ),
        (
            "POST / HTTP/1.1",
            "Upgrade: WebSocket\r\nConnection: UPGRADE\r\nContent-Length: 0",
            (Method::POST, Version::HTTP_11),
        ),
        (
            "GET / HTTP/1.0",
            "Connection: close,\t upgrade ,x\r\nUpgrade: x, websocket",
            (Method::GET, Version::HTTP_10),
        ),
        (
            "GET / HTTP/1.1",
            "Connection: a\r\nConnection: upgrade\r\nUpgrade:\r\nUpgrade: x\r\nSec-WebSocket-Key: x",
            (Method::GET, Version::HTTP_11),
        ),
    ] {
        let mut client = connect(&http).await;
        client.write_all(format!("{line}\r\nHost: a\r\n{fields}\r\n\r\n").as_bytes()).await.unwrap();
        let head = read_rest(&mut client).await;
        assert!(head.contains(" 403 Forbidden\r\n"), "{head}");
        assert_eq!(requests.recv().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn the_owner_learns_the_address_of_the_client() {
    let http = listening().await;
    let (seen, mut arrivals) = mpsc::unbounded_channel();
    let refuser = owner(move |_, arrival| {
        seen.send(arrival.peer).unwrap();
        async { refused(403) }
    });
    http.mount(refuser).unwrap();
    let mut client = connect(&http).await;
    client.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    assert_eq!(arrivals.recv().await.unwrap(), Some(client.local_addr().unwrap()));
}

#[tokio::test]
async fn r11_1_a_refusal_says_that_it_closes_and_ends_tcp() {
    let http = listening().await;
    http.mount(owner(|_, _| async { refused_because(403, Some("no")) })).unwrap();
    for handshake in both_ways() {
        let mut client = connect(&http).await;
        client.write_all(handshake.as_bytes()).await.unwrap();
        let head = read_rest(&mut client).await;
        assert_eq!(
            undated(&head.to_lowercase()),
            [
                "http/1.1 403 forbidden",
                "connection: close",
                "x-websocket-reject-reason: no",
                "content-length: 0",
                ""
            ]
        );
        assert!(head.contains("\r\nDate: "));
    }
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_goes_on_sending() {
    let http = listening().await;
    http.mount(owner(|_, _| async { refused(403) })).unwrap();
    for handshake in both_ways().iter().cycle().take(40) {
        let mut client = connect(&http).await;
        client.write_all(&[handshake.as_bytes(), &vec![0; 200_000]].concat()).await.unwrap();
        // A reset, where the server closed with bytes unread, would be an error here.
        assert!(read_rest(&mut client).await.starts_with("HTTP/1.1 403 Forbidden\r\n"));
    }
}

#[tokio::test]
async fn a_handshake_with_a_body_ends_either_way() {
    let http = listening().await;
    let (accepting, mut streams) = accepting(decided());
    http.mount(Arc::clone(&accepting)).unwrap();
    let request = HANDSHAKE.replace("Host", "Content-Length: 5\r\nHost");
    let mut client = connect(&http).await;
    client.write_all(&[request.as_bytes(), b"hello", FRAMES].concat()).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 101 "));
    assert_eq!(received(streams.recv().await.unwrap(), FRAMES.len()).await, FRAMES);

    http.unmount(&accepting);
    http.mount(owner(|_, _| async { refused(403) })).unwrap();
    let mut client = connect(&http).await;
    client.write_all(request.as_bytes()).await.unwrap();
    assert!(read_rest(&mut client).await.starts_with("HTTP/1.1 403 "));
}

#[tokio::test]
async fn there_is_one_owner_at_a_time_and_only_it_can_be_unmounted() {
    let http = listening().await;
    let first = owner(|_, _| async { refused(418) });
    let second = owner(|_, _| async { refused(403) });
    http.mount(Arc::clone(&first)).unwrap();
    assert_eq!(http.mount(Arc::clone(&second)), Err(AlreadyMounted));
    assert_eq!(http.mount(Arc::clone(&first)), Err(AlreadyMounted));
    http.unmount(&second);
    assert!(status(&http, HANDSHAKE).await.contains(" 418 "));

    http.unmount(&first);
    assert!(status(&http, HANDSHAKE).await.contains(" 404 "));
    http.unmount(&first);
    http.mount(second).unwrap();
    assert!(status(&http, HANDSHAKE).await.contains(" 403 "));
}

async fn status(http: &HttpServer, request: &str) -> String {
    let mut client = connect(http).await;
    client.write_all(request.as_bytes()).await.unwrap();
    read_head(&mut client).await
}

#[tokio::test]
async fn handles_on_one_server_have_one_identity() {
    let (one, other) = (listening().await, listening().await);
    let handle = one.clone();
    assert_eq!(handle.local_addr(), one.local_addr());
    assert_ne!(one.local_addr(), other.local_addr());
}

#[tokio::test]
async fn r14_a_client_that_goes_before_the_decision_ends_its_request() {
    let http = listening().await;
    let (pending_request, mut requests) = mpsc::unbounded_channel();
    http.mount(owner(move |_, _| {
        let (alive, gone) = oneshot::channel::<()>();
        pending_request.send(gone).unwrap();
        async move {
            let _alive = alive;
            pending().await
        }
    }))
    .unwrap();
    for handshake in both_ways() {
        for reset in [false, true] {
            let mut client = connect(&http).await;
            client.write_all(handshake.as_bytes()).await.unwrap();
            let gone = requests.recv().await.unwrap();
            if reset {
                SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
            }
            drop(client);
            assert!(gone.await.is_err(), "the request was answered");
        }
    }
}

#[tokio::test]
async fn s12_2_a_reset_at_any_moment_disturbs_nobody() {
    let http = listening().await;
    let (seen, mut requests) = mpsc::unbounded_channel();
    http.mount(owner(move |request, _| {
        let undecided = request.uri.path() == "/undecided";
        seen.send(()).unwrap();
        async move { if undecided { pending().await } else { refused(403) } }
    }))
    .unwrap();

    let reset = |client: TcpStream| SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    reset(connect(&http).await);
    for cut in [1, HANDSHAKE.len() / 2, HANDSHAKE.len()] {
        let mut client = connect(&http).await;
        client.write_all(&HANDSHAKE.as_bytes()[..cut]).await.unwrap();
        reset(client);
    }
    let mut undecided = connect(&http).await;
    undecided.write_all(HANDSHAKE.replace("/chat", "/undecided").as_bytes()).await.unwrap();
    requests.recv().await.unwrap();
    reset(undecided);
    let mut refused = connect(&http).await;
    refused.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    read_head(&mut refused).await;
    reset(refused);

    assert!(status(&http, HANDSHAKE).await.contains(" 403 "));
    assert!(status(&http, ORDINARY).await.contains(" 404 "));
    // Ends only when every connection has.
    http.shut_down().await;
}

#[tokio::test]
async fn a_stream_that_was_taken_outlives_its_http_server() {
    let http = listening().await;
    let (accepting, mut streams) = accepting(decided());
    http.mount(accepting).unwrap();
    let mut client = connect(&http).await;
    client.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    read_head(&mut client).await;
    let (mut stream, _) = streams.recv().await.unwrap();
    http.shut_down().await;
    drop(http);
    stream.write_all(b"still here").await.unwrap();
    drop(stream);
    assert_eq!(read_rest(&mut client).await, "still here");
}
