//! Opening handshakes over a raw socket: which are one, and what a request tells of its client.

mod support;

use support::{Head, Site, handshake, handshake_to};
use wharf::{Accept, Event, Extension, HandshakeError, Request, Version};

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";

/// The handshake of RFC 6455 §1.3 with one part in place of another.
fn with(part: &str, instead: &str) -> String {
    let whole = handshake("");
    assert!(whole.contains(part), "{part} is a part of the handshake");
    whole.replacen(part, instead, 1)
}

/// The answer to a handshake that is none, and what the application is told of it.
async fn refused(handshake: &str) -> (Head, HandshakeError) {
    let site = Site::open().await;
    let mut client = site.client().await;
    client.write(handshake).await;
    let head = client.head().await;
    client.sees_end().await;
    match site.event().await {
        Event::UpgradeError(error) => (head, error),
        event => panic!("no upgrade error: {event:?}"),
    }
}

/// Asserts that the answer is 400 with this reason.
async fn assert_bad_request(handshake: &str, reason: &str) {
    let (head, _) = refused(handshake).await;
    assert_eq!(head.status_line(), "HTTP/1.1 400 Bad Request", "{handshake}");
    assert_eq!(head.field("x-websocket-reject-reason"), Some(reason), "{handshake}");
    assert_eq!(head.field("sec-websocket-accept"), None);
}

/// What a request tells whose handshake has these lines.
async fn asking(lines: &str) -> Request {
    asking_with(&handshake(lines)).await
}

async fn asking_with(handshake: &str) -> Request {
    let site = Site::open().await;
    let mut client = site.client().await;
    client.write(handshake).await;
    site.request().await
}

/// The answer to a handshake that is accepted with the origin `http://b`.
async fn accepted(handshake: &str) -> Head {
    let site = Site::open().await;
    let mut client = site.client().await;
    client.write(handshake).await;
    let _connection = site.request().await.accept(Accept::new().origin("http://b")).expect("undecided");
    client.head().await
}

#[tokio::test]
async fn r1_1_the_resource_is_as_sent_its_path_undecoded_its_query_decoded() {
    // A target has no fragment (RFC 9112 §3.2): what a client sends of one is not part of it.
    let request = asking_with(&handshake_to("/a%20b?x=1&x=2&y#f", "")).await;
    assert_eq!(request.resource(), "/a%20b?x=1&x=2&y");
    assert_eq!((request.path(), request.query()), ("/a%20b", Some("x=1&x=2&y")));
    let pairs: Vec<_> = request.query_pairs().collect();
    assert_eq!(pairs, [("x", "1"), ("x", "2"), ("y", "")].map(|(name, value)| (name.into(), value.into())));

    let request = asking_with(&handshake_to("/?a+b=%41%20%zz&=c", "")).await;
    let pairs: Vec<_> = request.query_pairs().collect();
    assert_eq!(pairs, [("a b", "A %zz"), ("", "c")].map(|(name, value)| (name.into(), value.into())));
    assert_eq!(asking("").await.query_pairs().count(), 0);
}

#[tokio::test]
async fn r1_2_the_host_includes_its_port_as_sent() {
    assert_eq!(asking("").await.host(), "server.example.com:81");
}

#[tokio::test]
async fn r1_3_an_absolute_target_parses_to_its_path_and_query() {
    let request = asking_with(&handshake_to("http://x/p?q=1", "")).await;
    assert_eq!(request.resource(), "http://x/p?q=1");
    assert_eq!((request.path(), request.query()), ("/p", Some("q=1")));
}

#[tokio::test]
async fn r1_a_request_has_the_key_the_version_and_the_whole_http_request() {
    let request = asking("X-Own: value\r\n").await;
    assert_eq!(request.key(), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_eq!(request.websocket_version(), Version::V13);
    assert_eq!(request.http_request().headers["x-own"], "value");
    assert_eq!(request.http_request().method, "GET");
}

#[tokio::test]
async fn r2_1_no_or_an_empty_host_is_400() {
    for host in ["", "Host:\r\n", "Host: \r\n"] {
        let handshake = with("Host: server.example.com:81\r\n", host);
        assert_bad_request(&handshake, "Client must provide a Host header.").await;
    }
}

#[tokio::test]
async fn r2_2_no_or_an_empty_key_is_400() {
    for key in ["", "Sec-WebSocket-Key:\r\n"] {
        assert_bad_request(&with(KEY, key), "Client must provide a value for Sec-WebSocket-Key.").await;
    }
}

#[tokio::test]
async fn r2_3_a_key_that_is_not_16_bytes_of_base64_is_400() {
    for key in ["abc", "dGhlIHNhbXBsZSBub25jZTE=", "dGhlIHNhbXBsZSBub25jZQ", "!!!!IHNhbXBsZSBub25jZQ=="] {
        let (head, error) = refused(&with("dGhlIHNhbXBsZSBub25jZQ==", key)).await;
        assert_eq!((head.status(), head.field("sec-websocket-accept")), (400, None), "{key}");
        assert!(matches!(error, HandshakeError::Key { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn r2_4_no_an_empty_or_a_malformed_version_is_400() {
    for version in ["", "Sec-WebSocket-Version:\r\n", "Sec-WebSocket-Version: 0\r\n"] {
        assert_bad_request(&with(VERSION, version), "Client must provide a value for Sec-WebSocket-Version.")
            .await;
    }
    for version in ["abc", "13abc", "013", "13.5", "13, 8", "-13", "+13"] {
        let (head, error) = refused(&with("Version: 13", &format!("Version: {version}"))).await;
        assert_eq!(head.status(), 400, "{version}");
        assert!(matches!(error, HandshakeError::Version { .. }), "{version}: {error:?}");
    }
}

#[tokio::test]
async fn r2_5_a_method_other_than_get_is_400() {
    for method in ["POST", "PUT", "HEAD", "OPTIONS"] {
        let (head, error) = refused(&with("GET", method)).await;
        assert_eq!(head.status(), 400, "{method}");
        assert_eq!(error, HandshakeError::Method { method: method.to_owned() });
    }
}

#[tokio::test]
async fn r2_6_http_1_0_is_400() {
    let (head, error) = refused(&with("HTTP/1.1", "HTTP/1.0")).await;
    assert_eq!(head.status(), 400);
    assert!(matches!(error, HandshakeError::HttpVersion { .. }), "{error:?}");
}

#[tokio::test]
async fn r2_7_an_upgrade_to_something_else_is_400() {
    for upgrade in ["foo", "h2c", "websockets", "web socket"] {
        let (head, error) = refused(&with("Upgrade: websocket", &format!("Upgrade: {upgrade}"))).await;
        assert_eq!(head.status(), 400, "{upgrade}");
        assert_eq!(error, HandshakeError::Upgrade { upgrade: upgrade.to_owned() });
    }
}

#[tokio::test]
async fn r2_8_upgrade_and_connection_are_lists_of_tokens_in_any_case() {
    let mixed = with("Upgrade: websocket", "upgrade: WebSocket")
        .replace("Connection: Upgrade", "Connection: keep-alive, Upgrade");
    let listed = with("Upgrade: websocket", "Upgrade: h2c , WEBSOCKET");
    let twice = with("Connection: Upgrade", "Connection: keep-alive\r\nConnection: upgrade");
    for handshake in [mixed, listed, twice] {
        assert_eq!(accepted(&handshake).await.status(), 101, "{handshake}");
    }
}

#[tokio::test]
async fn r2_9_what_asks_for_no_upgrade_is_answered_by_the_http_service() {
    for request in [
        with("Upgrade: websocket\r\n", ""),
        with("Upgrade: websocket\r\n", "Upgrade:\r\n"),
        with("Connection: Upgrade\r\n", ""),
        with("Connection: Upgrade", "Connection: keep-alive"),
        with("Connection: Upgrade", "Connection: upgraded"),
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    ] {
        let site = Site::open().await;
        let mut client = site.client().await;
        client.write(&request).await;
        let head = client.head().await;
        assert_eq!((head.status(), head.field("content-length")), (404, Some("10")), "{request}");
        assert_eq!(site.server.counters().handshakes, 0, "the server never saw it");
    }
}

#[tokio::test]
async fn r2_10_the_key_of_the_rfc_gives_its_accept_value() {
    // RFC 6455 §1.3
    let head = accepted(&handshake("")).await;
    assert_eq!(head.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

#[tokio::test]
async fn r3_1_another_version_is_426_and_the_answer_names_13_and_8() {
    for version in [7, 14] {
        let (head, error) = refused(&with("Version: 13", &format!("Version: {version}"))).await;
        assert_eq!(head.status_line(), "HTTP/1.1 426 Upgrade Required");
        assert_eq!(head.field("sec-websocket-version"), Some("13, 8"));
        let reason =
            format!("Unsupported websocket client version: {version}. Only versions 8 and 13 are supported.");
        assert_eq!(head.field("x-websocket-reject-reason"), Some(reason.as_str()));
        assert_eq!(error, HandshakeError::VersionUnsupported { version });
    }
}

#[tokio::test]
async fn r3_2_versions_8_and_13_are_101() {
    for version in [8, 13] {
        assert_eq!(accepted(&with("Version: 13", &format!("Version: {version}"))).await.status(), 101);
    }
}

const ORIGINS: &str = "Origin: http://a\r\nSec-WebSocket-Origin: http://eight\r\n";

#[tokio::test]
async fn r4_1_in_version_13_the_origin_comes_and_goes_as_origin() {
    assert_eq!(asking(ORIGINS).await.origin(), Some("http://a"));
    assert_eq!(asking("Sec-WebSocket-Origin: http://eight\r\n").await.origin(), None);
    let head = accepted(&handshake(ORIGINS)).await;
    assert_eq!((head.field("origin"), head.field("sec-websocket-origin")), (Some("http://b"), None));
}

#[tokio::test]
async fn r4_2_in_version_8_the_origin_comes_and_goes_as_sec_websocket_origin() {
    let eight = |lines: &str| handshake(lines).replace("Version: 13", "Version: 8");
    let request = asking_with(&eight(ORIGINS)).await;
    assert_eq!((request.origin(), request.websocket_version()), (Some("http://eight"), Version::V8));
    assert_eq!(asking_with(&eight("Origin: http://a\r\n")).await.origin(), None);
    let head = accepted(&eight(ORIGINS)).await;
    assert_eq!((head.field("origin"), head.field("sec-websocket-origin")), (None, Some("http://b")));
}

#[tokio::test]
async fn r5_1_offered_protocols_are_listed_in_lower_case_and_in_order() {
    let request = asking("Sec-WebSocket-Protocol: Chat, SUPERchat,foo\r\n").await;
    assert_eq!(request.requested_protocols(), ["chat", "superchat", "foo"]);
    assert_eq!(request.protocols(), ["Chat", "SUPERchat", "foo"], "and in the client's spelling");
}

#[tokio::test]
async fn r5_2_blanks_around_commas_do_not_count() {
    let request = asking("Sec-WebSocket-Protocol: foo , bar\r\nSec-WebSocket-Protocol: baz\r\n").await;
    assert_eq!(request.requested_protocols(), ["foo", "bar", "baz"]);
}

#[tokio::test]
async fn r5_3_without_the_header_no_protocol_is_listed() {
    assert_eq!(asking("").await.requested_protocols(), [""; 0]);
}

#[tokio::test]
async fn r6_1_forwarded_addresses_come_before_the_peers_own() {
    let request = asking("X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n").await;
    assert_eq!(request.remote_addresses(), ["1.1.1.1", "2.2.2.2", "127.0.0.1"]);
    assert_eq!(request.remote_address(), "1.1.1.1");
    let connection = request.accept(Accept::new()).unwrap();
    assert_eq!(connection.remote_addresses(), ["1.1.1.1", "2.2.2.2", "127.0.0.1"]);
    assert_eq!(connection.remote_address(), "1.1.1.1");
}

#[tokio::test]
async fn r6_2_without_the_header_or_with_an_empty_one_the_peer_is_the_client() {
    for lines in ["", "X-Forwarded-For:\r\n", "X-Forwarded-For: , \r\n"] {
        let request = asking(lines).await;
        assert_eq!((request.remote_address(), request.remote_addresses().len()), ("127.0.0.1", 1));
        assert_eq!(request.accept(Accept::new()).unwrap().remote_addresses(), ["127.0.0.1"]);
    }
}

#[tokio::test]
async fn r6_3_the_sockets_own_address_stays_readable() {
    let site = Site::open().await;
    let (client, request) = site.ask("X-Forwarded-For: 1.1.1.1\r\n").await;
    let peer = client.stream.local_addr().unwrap();
    assert_eq!(request.socket_address(), Some(peer));
    assert_eq!(request.accept(Accept::new()).unwrap().socket_address(), Some(peer));
}

#[tokio::test]
async fn r7_1_extensions_and_their_parameters_are_listed_in_order_without_quotes() {
    let header = "permessage-deflate; client_max_window_bits; server_max_window_bits=\"10\", X-Foo;a=b";
    let request = asking(&format!("Sec-WebSocket-Extensions: {header}\r\n")).await;
    let expected = [
        Extension::new("permessage-deflate")
            .param("client_max_window_bits", None)
            .param("server_max_window_bits", Some("10")),
        Extension::new("x-foo").param("a", Some("b")),
    ];
    assert_eq!(request.requested_extensions(), expected);
}

#[tokio::test]
async fn r7_2_a_quoted_value_with_comma_and_semicolon_stays_whole() {
    let request = asking("Sec-WebSocket-Extensions: x; a=\"1,2;3\"; b, y\r\n").await;
    let expected = [Extension::new("x").param("a", Some("1,2;3")).param("b", None), Extension::new("y")];
    assert_eq!(request.requested_extensions(), expected);
}

async fn cookies(header: &str) -> Vec<(String, Option<String>)> {
    let request = asking(&format!("Cookie: {header}\r\n")).await;
    request.cookies().iter().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect()
}

fn cookie(name: &str, value: Option<&str>) -> (String, Option<String>) {
    (name.to_owned(), value.map(ToOwned::to_owned))
}

#[tokio::test]
async fn r8_1_cookies_are_split_trimmed_unquoted_and_decoded() {
    let expected = [
        cookie("a", Some("1")),
        cookie("b", Some("q v")),
        cookie("c", Some("A")),
        cookie("d", None),
        cookie("e", Some("x=y")),
    ];
    assert_eq!(cookies("a=1; b=\"q v\"; c=%41; d; e=x=y").await, expected);
}

#[tokio::test]
async fn r8_2_a_comma_is_part_of_a_cookies_value() {
    assert_eq!(cookies("a=1,2").await, [cookie("a", Some("1,2"))]);
}

#[tokio::test]
async fn r8_3_a_malformed_escape_stays_as_it_is_and_the_handshake_goes_on() {
    assert_eq!(cookies("a=%zz").await, [cookie("a", Some("%zz"))]);
    assert_eq!(accepted(&handshake("Cookie: a=%zz\r\n")).await.status(), 101);
}
