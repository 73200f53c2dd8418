//! Which origins may connect: `ServerConfig::allowed_origins`, as browsers and others meet it (RFC 6455 §10.2).

mod support;

use support::{Head, Site, handshake};
use wharf::{Accept, Event, OriginRule, ServerConfig};

fn allowing(rules: &[&str]) -> ServerConfig {
    ServerConfig::default().allowed_origins(rules.iter().map(|rule| rule.parse().expect("a rule")))
}

/// What a site that accepts all that it hears of answers to a handshake with these further lines.
async fn answer(site: &Site, handshake: impl AsRef<[u8]>) -> Head {
    let mut client = site.client().await;
    client.write(handshake).await;
    tokio::select! {
        head = client.head() => head,
        request = site.request() => {
            let connection = request.accept(Accept::new()).expect("undecided");
            assert_eq!(site.connected().await, connection);
            let head = client.head().await;
            client.reset();
            site.closed().await;
            head
        }
    }
}

async fn status(site: &Site, lines: &str) -> u16 {
    answer(site, handshake(lines)).await.status()
}

#[tokio::test]
async fn by_default_pages_of_any_origin_may_connect() {
    let site = Site::open().await;
    for origin in ["https://elsewhere.example", "null", "file://", "no origin at all"] {
        assert_eq!(status(&site, &format!("Origin: {origin}\r\n")).await, 101, "{origin}");
    }
}

#[tokio::test]
async fn another_origin_is_refused_with_403_and_a_reason_before_the_application_hears_of_it() {
    let site = Site::with(allowing(&["https://example.com"])).await;
    let mut client = site.asking("Origin: https://elsewhere.example\r\n").await;
    let head = client.head().await;
    assert_eq!(head.status(), 403);
    assert_eq!(head.field("x-websocket-reject-reason"), Some("Pages of this origin may not connect."));
    client.end().await;
    let counters = site.server.counters();
    assert_eq!((counters.handshakes, counters.refused, counters.rejected), (1, 1, 0));
    let (_client, request) = site.ask("Origin: https://example.com\r\n").await;
    assert_eq!(request.origin(), Some("https://example.com"), "the first that the application hears of");
}

#[tokio::test]
async fn any_of_the_rules_allows_an_origin() {
    let site = Site::with(allowing(&["same-origin", "https://example.com", "http://*.example.com:81"])).await;
    for (origin, expected) in [
        ("http://server.example.com:81", 101),
        ("https://server.example.com:81", 101),
        ("https://example.com", 101),
        ("HTTPS://EXAMPLE.COM:443", 101),
        ("http://a.b.example.com:81", 101),
        ("http://example.com", 403),
        ("https://a.example.com", 403),
        ("https://example.com/", 403),
        ("https://user@example.com", 403),
        ("https://example.com https://evil.example", 403),
        ("null", 403),
    ] {
        assert_eq!(status(&site, &format!("Origin: {origin}\r\n")).await, expected, "{origin}");
    }
    let long = format!("Origin: https://{}.example.com\r\n", "a".repeat(4096));
    assert_eq!(status(&site, &long).await, 403);
}

#[tokio::test]
async fn what_comes_from_no_page_has_no_origin_and_may_connect() {
    let site = Site::with(allowing(&["https://example.com"])).await;
    for lines in ["", "Origin:\r\n", "Origin: \r\n"] {
        assert_eq!(status(&site, lines).await, 101, "{lines:?}");
    }
}

#[tokio::test]
async fn two_origins_are_no_handshake() {
    let site = Site::with(allowing(&["https://example.com"])).await;
    let mut client = site.asking("Origin: https://example.com\r\nOrigin: https://evil.example\r\n").await;
    assert_eq!(client.head().await.status(), 400);
    assert!(matches!(site.event().await, Event::UpgradeError(_)));
}

#[tokio::test]
async fn in_version_8_the_origin_is_that_of_its_own_field() {
    let site = Site::with(allowing(&["https://example.com"])).await;
    let eight = |lines: &str| handshake(lines).replace("Version: 13", "Version: 8");
    for (lines, expected) in [
        ("Sec-WebSocket-Origin: https://example.com\r\n", 101),
        ("Sec-WebSocket-Origin: https://evil.example\r\nOrigin: https://example.com\r\n", 403),
    ] {
        assert_eq!(answer(&site, eight(lines)).await.status(), expected, "{lines}");
    }
}

#[tokio::test]
async fn auto_accept_takes_pages_of_allowed_origins_only() {
    let site = Site::with(allowing(&["null"]).auto_accept_connections(true)).await;
    for (origin, expected) in [("https://example.com", 403), ("null", 101)] {
        let mut client = site.asking(&format!("Origin: {origin}\r\n")).await;
        assert_eq!(client.head().await.status(), expected, "{origin}");
    }
}

#[tokio::test]
async fn each_mount_has_origins_of_its_own() {
    let site = Site::with(allowing(&["https://example.com"])).await;
    site.server.unmount();
    let config = ServerConfig::default().allowed_origins([OriginRule::NULL]);
    site.server.mount_with(config, [&site.http]).expect("valid options");
    assert_eq!(status(&site, "Origin: https://example.com\r\n").await, 403);
    assert_eq!(status(&site, "Origin: null\r\n").await, 101);
}
