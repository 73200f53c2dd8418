//! The examples that serve, run as their users run them.

mod support;

#[path = "support/http2.rs"]
mod http2_client;

#[path = "support/example.rs"]
mod example;

use example::Example;
use http2_client::Http2;
use support::{Client, ClientOf, Head, binary, close, continuation, handshake_to, ping, pong, text};

/// An example that listens, and where.
struct Serving {
    example: Example,
    address: String,
}

impl Serving {
    fn start(name: &str) -> Self {
        let mut example = Example::start(name, &["127.0.0.1:0"], &[]);
        let line = example.line();
        let (_, address) = line.split_once("://").expect("a URL");
        let (address, _) = address.split_once('/').expect("a path");
        Self { example, address: address.to_owned() }
    }

    async fn asking(&self, target: &str, lines: &str) -> (Client, Head) {
        let mut client = Client::to(&self.address).await;
        client.write(handshake_to(target, lines)).await;
        let head = client.head().await;
        (client, head)
    }

    async fn open(&self, target: &str) -> Client {
        let (client, head) = self.asking(target, "").await;
        assert_eq!(head.status(), 101, "{head:?}");
        client
    }
}

#[tokio::test]
async fn echo_sends_back_what_it_gets() {
    let serving = Serving::start("echo");
    let mut client = serving.open("/").await;
    client.send([text("héllo"), binary([1, 2]), text("").more_follows(), continuation("pieces")]).await;
    for frame in [text("héllo"), binary([1, 2]), text("pieces")] {
        assert_eq!(client.frame().await, frame);
    }
}

#[tokio::test]
async fn chat_says_to_everybody_what_one_says_under_their_name() {
    let serving = Serving::start("chat");
    let mut ann = serving.open("/").await;
    ann.send([text("Ann")]).await;
    assert_eq!(ann.frame().await, text("Ann has come"));
    let mut bob = serving.open("/").await;
    bob.send([text("Bob")]).await;
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.frame().await, text("Bob has come"));
    }
    bob.send([text("hi")]).await;
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.frame().await, text("Bob: hi"));
    }
    bob.send([close(1000, "")]).await;
    assert_eq!(ann.frame().await, text("Bob has left"));

    let mut nameless = serving.open("/").await;
    nameless.send([text("")]).await;
    assert_eq!(nameless.frame().await, close(1008, "a name has 1 to 30 characters"));
    ann.send([binary("x")]).await;
    assert_eq!(ann.frame().await, close(1008, "this chat is of text"));
}

#[tokio::test]
async fn frames_prints_each_frame_as_it_comes() {
    let mut serving = Serving::start("frames");
    let mut client = serving.open("/").await;
    client.send([text("abc").more_follows(), ping("p"), continuation("de"), close(1000, "bye")]).await;
    assert_eq!(client.frame().await, pong("p"));
    assert_eq!(client.frame().await, close(1000, "bye"));
    client.end().await;
    for line in [
        "Text, 3 bytes, more follow",
        "Ping, 1 bytes, the last",
        "Continuation, 2 bytes, the last",
        "Close, 5 bytes, the last",
        "closed: 1000 bye",
    ] {
        assert_eq!(serving.example.line(), line);
    }
}

#[tokio::test]
async fn router_goes_by_path_and_subprotocol_and_changes_while_it_serves() {
    let serving = Serving::start("router");
    let mut greeted = serving.open("/hello/Ada").await;
    assert_eq!(greeted.frame().await, text("Hello, Ada!"));
    assert_eq!(greeted.frame().await, close(1000, "Normal connection closure"));

    for (protocol, answer) in [("UPPER", "TEXT"), ("lower", "text")] {
        let line = format!("Sec-WebSocket-Protocol: {protocol}\r\n");
        let (mut client, head) = serving.asking("/shout", &line).await;
        assert_eq!(head.field("sec-websocket-protocol"), Some(protocol));
        client.send([text("Text")]).await;
        assert_eq!(client.frame().await, text(answer));
    }
    assert_eq!(serving.asking("/shout", "").await.1.status(), 404);

    assert_eq!(serving.asking("/secret", "").await.1.status(), 404);
    assert_eq!(serving.open("/open").await.frame().await, text("/secret is open"));
    assert_eq!(serving.open("/secret").await.frame().await, text("Well hidden."));
    assert_eq!(serving.open("/close").await.frame().await, text("/secret is closed"));
    assert_eq!(serving.asking("/secret", "").await.1.status(), 404);
}

#[tokio::test]
async fn cookies_and_origin_lets_its_own_pages_in_and_counts_their_visits() {
    let serving = Serving::start("cookies_and_origin");
    let origin = format!("http://{}", serving.address);
    let own = format!("Origin: {origin}\r\nCookie: a=b; visits=41\r\n");
    let (mut client, head) = serving.asking("/", &own).await;
    assert_eq!((head.status(), head.field("origin")), (101, Some(&*origin)));
    assert_eq!(head.field("set-cookie"), Some("visits=42;Path=/;Max-Age=2592000;HttpOnly"));
    assert_eq!(client.frame().await, text("visit number 42"));
    for foreign in ["https://elsewhere.example", "null"] {
        let (_, head) = serving.asking("/", &format!("Origin: {foreign}\r\n")).await;
        let reason = head.field("x-websocket-reject-reason");
        assert_eq!((head.status(), reason), (403, Some("Pages of this origin may not connect.")));
    }
    assert_eq!(serving.asking("/", "").await.1.status(), 101, "no page");
}

#[tokio::test]
async fn whiteboard_serves_its_page_and_tells_each_line_to_everybody() {
    let serving = Serving::start("whiteboard");
    let mut browser = Client::to(&serving.address).await;
    browser.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let page = browser.head().await;
    assert_eq!((page.status(), page.field("content-type")), (200, Some("text/html; charset=utf-8")));

    let (mut ann, head) = serving.asking("/board", "Sec-WebSocket-Protocol: whiteboard\r\n").await;
    assert_eq!(head.status(), 101);
    assert_eq!(ann.frame().await, text(r#"{"lines":[],"type":"history"}"#));
    assert_eq!(ann.frame().await, text(r#"{"count":1,"type":"people"}"#));
    let line = r##"{"type":"line","points":[0.0,1.5,2.0,3.0],"color":"#00ff00","width":4.0}"##;
    ann.send([text(line)]).await;
    assert_eq!(ann.frame().await, text(line));
    let (mut bob, _) = serving.asking("/board", "Sec-WebSocket-Protocol: whiteboard\r\n").await;
    let history = String::from_utf8(bob.frame().await.payload).expect("text");
    assert!(history.contains("#00ff00"), "{history}");
    bob.send([text(r##"{"type":"line","points":[0,0,9999,0],"color":"#00ff00","width":4}"##)]).await;
    assert_eq!(bob.frame().await, text(r#"{"count":2,"type":"people"}"#));
    assert_eq!(bob.frame().await, close(1008, "a line lies on the board"));
    assert_eq!(serving.asking("/elsewhere", "").await.1.status(), 404);
}

#[tokio::test]
async fn hyper_echoes_over_both_versions_of_http_and_greets_all_others() {
    let serving = Serving::start("hyper");
    let mut client = serving.open("/").await;
    client.send([text("over HTTP/1.1")]).await;
    assert_eq!(client.frame().await, text("over HTTP/1.1"));

    let mut http2 = Http2::over(Client::to(&serving.address).await.stream).await;
    let mut client = ClientOf::on(http2.ask("/", "").await);
    assert_eq!(client.head().await.status(), 200);
    client.send([text("over HTTP/2")]).await;
    assert_eq!(client.frame().await, text("over HTTP/2"));
    assert_eq!(http2.get("/").await.status(), 200);
}

#[tokio::test]
async fn axum_layer_greets_on_every_path_and_leaves_the_routes_alone() {
    let serving = Serving::start("axum_layer");
    assert_eq!(serving.open("/anywhere").await.frame().await, text("hello from /anywhere"));
    let mut client = Client::to(&serving.address).await;
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.head().await.status(), 200);
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn axum_echoes_on_its_route_and_says_goodbye_on_an_interrupt() {
    let serving = Serving::start("axum");
    let mut client = serving.open("/echo").await;
    client.send([text("hello")]).await;
    assert_eq!(client.frame().await, text("hello"));
    serving.example.interrupt();
    assert_eq!(client.frame().await, close(1001, "Remote peer is going away"));
    client.send([close(1001, "")]).await;
    client.sees_end().await;
    drop(client);
    let (_, ended_well) = serving.example.finish();
    assert!(ended_well);
}

#[tokio::test]
async fn topics_are_rooms_that_remember_what_was_said() {
    let serving = Serving::start("topics");
    let mut ann = serving.open("/rooms/lobby").await;
    let mut everywhere = serving.open("/rooms/*").await;
    // A room is entered while its first message may be on its way.
    ann.send([ping("")]).await;
    assert_eq!(ann.frame().await, pong(""));
    everywhere.send([ping("")]).await;
    assert_eq!(everywhere.frame().await, pong(""));
    ann.send([text("is anybody here?")]).await;
    assert_eq!(everywhere.frame().await, text("is anybody here?"));
    let mut bob = serving.open("/rooms/lobby").await;
    assert_eq!(bob.frame().await, text("is anybody here?"));
    bob.send([text("I am")]).await;
    for client in [&mut ann, &mut everywhere] {
        assert_eq!(client.frame().await, text("I am"));
    }
    let (_, head) = serving.asking("/rooms//", "").await;
    assert_eq!(head.status(), 101, "slashes at the end are none of the topic's");
    let (_, head) = serving.asking("/rooms/a%20//b", "").await;
    assert_eq!(head.status(), 404);
}
