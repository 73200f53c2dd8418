//! Publishing by HTTP.

use serde_json::json;

use crate::client::{HubClient, http, request, serving};

const JSON: &str = "Content-Type: application/json";
const TOKEN: &str = "0123456789abcdef-publisher";
const BEARER: &str = "Authorization: Bearer 0123456789abcdef-publisher";

fn configuration() -> String {
    let token = crate::serving::file("publisher.token", &format!("{TOKEN}\n"));
    format!(
        r#"
max_received_message_size = 1000
[hub.anonymous]
subscribe = ["open.>"]
[[hub.tokens]]
token_file = "{}"
publish = ["open.>"]
presence = ["open.>"]
[[hub.topics]]
pattern = "open.kept"
history = {{}}
presence = true
"#,
        token.display()
    )
}

#[tokio::test]
async fn what_is_posted_subscribers_get() {
    let serving = serving("post.toml", &configuration());
    let mut client = HubClient::open(&serving).await;
    client.subscribe("open.>").await;
    for (topic, kind, body, expected) in [
        ("open.a", JSON, &b"{\"a\": 1}"[..], json!({"topic": "open.a", "data": {"a": 1}})),
        (
            "open.a?key=k",
            "Content-Type: text/plain",
            b"1",
            json!({"topic": "open.a", "key": "k", "data": "1"}),
        ),
        (
            "open%2Ea",
            "Content-Type: application/octet-stream",
            &[255],
            json!({"topic": "open.a", "base64": "/w=="}),
        ),
    ] {
        let answer = http(&serving, &format!("POST /topics/{topic}"), &[BEARER, kind], body);
        assert_eq!((answer.status, answer.json()), (200, json!({})));
        let mut expected = expected;
        expected["type"] = "message".into();
        assert_eq!(client.next().await, expected);
    }
    let answer = http(&serving, "POST /topics/open.kept", &[BEARER, JSON], b"1");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["position"], client.next().await["position"]);
    assert!(answer.json()["position"].is_string());
}

#[tokio::test]
async fn what_cannot_be_published_is_answered_with_its_status_and_why() {
    let serving = serving("refused.toml", &configuration());
    let long = vec![b'1'; 1001];
    for (target, lines, body, status, code) in [
        ("POST /topics/open.a", &[JSON][..], &b"1"[..], 401, "not_permitted"),
        ("POST /topics/open.a", &[JSON, "Authorization: Bearer wrong"], b"1", 401, "bad_token"),
        ("POST /topics/open.a", &[JSON, "Authorization: Bearer"], b"1", 401, "bad_token"),
        ("POST /topics/open.a", &[JSON, "Authorization: Bearer ü"], b"1", 401, "bad_token"),
        ("POST /topics/closed", &[JSON, BEARER], b"1", 403, "not_permitted"),
        ("POST /topics/open.a?key=%FF", &[JSON, BEARER], b"1", 400, "bad_request"),
        (&format!("POST /topics/open.a?key={}", "k".repeat(256)), &[JSON, BEARER], b"1", 400, "bad_request"),
        ("POST /topics/$presence.open", &[JSON, BEARER], b"1", 403, "not_permitted"),
        ("POST /topics/open..a", &[JSON, BEARER], b"1", 400, "bad_request"),
        ("POST /topics/%FF", &[JSON, BEARER], b"1", 400, "bad_request"),
        ("POST /topics/open.a", &[JSON, BEARER], b"{", 400, "bad_request"),
        ("POST /topics/open.a", &[JSON, BEARER], b"\"\xff\"", 400, "bad_request"),
        ("POST /topics/open.a", &[BEARER], b"1", 415, "unsupported_type"),
        ("POST /topics/open.a", &[JSON, BEARER], &long, 413, "too_large"),
        ("PUT /topics/open.a", &[JSON, BEARER], b"1", 405, "method_not_allowed"),
        ("POST /topics/open.a/b", &[JSON, BEARER], b"1", 404, "not_found"),
        ("GET /topics/open.a/presence", &[BEARER], b"", 404, "no_presence"),
        ("GET /topics/closed/presence", &[BEARER], b"", 403, "not_permitted"),
    ] {
        let answer = http(&serving, target, lines, body);
        assert_eq!(answer.status, status, "{target} {lines:?}: {}", answer.body);
        assert_eq!(answer.json()["code"], code, "{target} {lines:?}");
        assert!(answer.json()["message"].is_string());
        assert_eq!(answer.head.contains("Www-Authenticate: Bearer"), status == 401, "{}", answer.head);
        assert!(answer.head.contains("\r\nContent-Type: application/json\r\n"), "{}", answer.head);
        assert!(!answer.head.contains(TOKEN) && !answer.body.contains(TOKEN), "{}", answer.body);
    }
}

#[tokio::test]
async fn it_is_told_who_is_there() {
    let serving = serving("who.toml", &configuration());
    let mut client = HubClient::with(request(&serving)).await;
    client.subscribe("open.kept").await;
    let answer = http(&serving, "GET /topics/open.kept/presence", &[BEARER], b"");
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"members": [], "member_count": 0, "connections": 1}))
    );
}

#[tokio::test]
async fn pages_publish_without_a_token_only_where_they_are_of_an_origin_that_may() {
    let anonymous = configuration().replace("subscribe = [\"open.>\"]", "publish = [\"open.>\"]");
    let unsaid = serving("origins.toml", &anonymous);
    let said = serving("origin.toml", &format!("allowed_origins = [\"https://example.com\"]\n{anonymous}"));
    let elsewhere = "Origin: https://example.com";
    for (serving, of_elsewhere, of_its_own) in [(&unsaid, 403, 200), (&said, 200, 403)] {
        let own = format!("Origin: http://{}", serving.address);
        for (lines, status) in [
            (&[][..], 200),
            (&[elsewhere], of_elsewhere),
            (&[&own], of_its_own),
            (&["Origin: null"], 403),
            (&[elsewhere, BEARER], 200),
            (&[&own, BEARER], 200),
        ] {
            let lines = [&["Content-Type: text/plain"], lines].concat();
            let answer = http(serving, "POST /topics/open.a", &lines, b"1");
            assert_eq!(answer.status, status, "{lines:?}: {}", answer.body);
            if status == 403 {
                assert_eq!(answer.json()["code"], "not_permitted");
            }
        }
    }
}
