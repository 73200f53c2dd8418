//! What clients ask for, and what they are told.

use serde_json::{Value, json};
use wharf::{CloseCode, Message};

use crate::client::{HubClient, PROTOCOL, connect, http, refusal, request, serving, within};

const HISTORY_AND_PRESENCE: &str = r#"
[hub.anonymous]
subscribe = [">"]
publish = [">"]
presence = [">"]
names = true

[[hub.topics]]
pattern = "kept.>"
history = { max_messages = 3 }

[[hub.topics]]
pattern = "rooms.*"
presence = true
"#;

#[tokio::test]
async fn the_hub_speaks_its_subprotocol_alone() {
    let serving = serving("alone.toml", HISTORY_AND_PRESENCE);
    for request in [request(&serving), request(&serving).protocol("wharf.json.v2")] {
        let (status, reason) = refusal(request).await;
        assert_eq!(status, 400);
        assert!(reason.contains(PROTOCOL), "{reason}");
    }
    let both = request(&serving).protocols(["other", PROTOCOL]);
    assert_eq!(connect(both).await.expect("it is accepted").protocol(), Some(PROTOCOL));
}

#[tokio::test]
async fn what_one_publishes_all_who_have_subscribed_get_the_publisher_too() {
    let serving = serving("publish.toml", HISTORY_AND_PRESENCE);
    let (mut ann, mut bob) = (HubClient::open(&serving).await, HubClient::open(&serving).await);
    assert_eq!(ann.subscribe("news.*").await, json!({"type": "ok", "id": 1}));
    bob.subscribe("news.sports").await;
    for data in [json!({"a": [1, null, "ü"]}), Value::Null, json!("text"), json!(1.5)] {
        ann.ask(json!({"type": "publish", "topic": "news.sports", "data": data, "key": "k"})).await;
        let expected = json!({"type": "message", "topic": "news.sports", "key": "k", "data": data});
        assert_eq!(bob.next().await, expected);
        let heard = [ann.next().await, ann.next().await];
        assert!(heard.contains(&expected), "{heard:?}");
    }
    assert_eq!(bob.done(json!({"type": "unsubscribe", "topic": "news.sports"})).await["type"], "ok");
    ann.ask(json!({"type": "publish", "topic": "news.sports", "data": "to ann alone"})).await;
    bob.subscribe("other").await;
}

#[tokio::test]
async fn data_goes_on_as_it_came() {
    let serving = serving("raw.toml", HISTORY_AND_PRESENCE);
    let mut client = HubClient::open(&serving).await;
    client.subscribe("a").await;
    let data = r#"{"b": 1.0,  "a":123456789012345678901234567890, "a":"\u00fc"}"#;
    client.send(format!(r#"{{"type":"publish","id":2,"topic":"a","data":{data}}}"#)).await;
    let mut texts = Vec::new();
    for _ in 0..2 {
        let Some(Message::Text(text)) = within(client.connection.recv()).await else { panic!("it is text") };
        texts.push(text);
    }
    let expected = format!(r#"{{"type":"message","topic":"a","data":{data}}}"#);
    assert!(texts.contains(&expected), "{texts:?}");
}

#[tokio::test]
async fn who_comes_back_gets_what_it_missed_behind_the_answer_or_hears_that_it_is_too_old() {
    let serving = serving("recover.toml", HISTORY_AND_PRESENCE);
    let mut writer = HubClient::open(&serving).await;
    let first = writer.publish("kept.a", json!(1)).await["position"].clone();
    assert!(first.as_str().is_some_and(|position| position.ends_with("-1")), "{first}");
    for number in 2..=3 {
        writer.publish("kept.a", json!(number)).await;
    }

    let mut reader = HubClient::open(&serving).await;
    let since = json!({"type": "subscribe", "topic": "kept.a", "since": first});
    let answer = reader.done(since.clone()).await;
    assert_eq!(answer["recovered"], 2);
    assert_eq!(answer.get("too_old"), None);
    for number in 2..=3 {
        let message = reader.next().await;
        assert_eq!((&message["data"], &message["topic"]), (&json!(number), &json!("kept.a")));
        assert!(message["position"].as_str().expect("it has one").ends_with(&format!("-{number}")));
    }

    for number in 4..=5 {
        writer.publish("kept.a", json!(number)).await;
    }
    let mut late = HubClient::open(&serving).await;
    let answer = late.done(since).await;
    assert_eq!((&answer["too_old"], answer.get("recovered")), (&json!(true), None));
    late.done(json!({"type": "unsubscribe", "topic": "kept.a"})).await;
    let answer = late.done(json!({"type": "subscribe", "topic": "kept.a", "since": "oldest"})).await;
    assert_eq!(answer["recovered"], 3);
    for number in 3..=5 {
        assert_eq!(late.next().await["data"], number);
    }
}

#[tokio::test]
async fn it_is_known_who_is_there_and_told_who_comes_and_goes() {
    let serving = serving("presence.toml", HISTORY_AND_PRESENCE);
    let mut watcher = HubClient::open(&serving).await;
    watcher.subscribe("$presence.rooms.*").await;
    let mut ann = HubClient::open(&serving).await;
    ann.done(json!({"type": "subscribe", "topic": "rooms.lobby", "member": "ann"})).await;
    assert_eq!(watcher.next().await, json!({"type": "joined", "topic": "rooms.lobby", "member": "ann"}));
    let mut nameless = HubClient::open(&serving).await;
    nameless.subscribe("rooms.lobby").await;
    let there = watcher.done(json!({"type": "presence", "topic": "rooms.lobby"})).await;
    assert_eq!(there["members"], json!([{"name": "ann", "connections": 1}]));
    assert_eq!((&there["member_count"], &there["connections"]), (&json!(1), &json!(2)));
    ann.connection.close(CloseCode::NORMAL, None).expect("it is open");
    assert_eq!(watcher.next().await, json!({"type": "left", "topic": "rooms.lobby", "member": "ann"}));
}

#[tokio::test]
async fn a_ping_is_answered() {
    let serving = serving("ping.toml", HISTORY_AND_PRESENCE);
    let mut client = HubClient::open(&serving).await;
    assert_eq!(client.done(json!({"type": "ping"})).await, json!({"type": "ok", "id": 1}));
}

#[tokio::test]
async fn what_cannot_be_done_fails_with_a_code_and_the_connection_goes_on() {
    let serving = serving("failures.toml", HISTORY_AND_PRESENCE);
    let mut client = HubClient::open(&serving).await;
    for (request, code) in [
        (json!({"type": "subscribe", "topic": "a", "since": "1-1"}), "no_history"),
        (json!({"type": "subscribe", "topic": "kept.*", "since": "oldest"}), "no_history"),
        (json!({"type": "subscribe", "topic": "a", "member": "ann"}), "no_presence"),
        (json!({"type": "presence", "topic": "a"}), "no_presence"),
        (json!({"type": "publish", "topic": "$presence.a", "data": 1}), "not_permitted"),
        (json!({"type": "subscribe", "topic": "$other"}), "not_permitted"),
        (json!({"type": "subscribe", "topic": ""}), "bad_request"),
        (json!({"type": "publish", "topic": "a"}), "bad_request"),
        (json!({"type": "token", "token": "none"}), "bad_token"),
        (json!({"type": "perhaps"}), "bad_request"),
    ] {
        assert_eq!(client.failure(request.clone()).await, code, "{request}");
    }
    client.send("no JSON").await;
    client.send(vec![1, 2, 3]).await;
    for _ in 0..2 {
        let error = client.next().await;
        assert_eq!((&error["code"], error.get("id")), (&json!("bad_request"), None));
    }
    client.subscribe("a").await;
}

#[tokio::test]
async fn who_sends_nothing_but_mistakes_is_closed() {
    let serving = serving("mistakes.toml", HISTORY_AND_PRESENCE);
    let mut client = HubClient::open(&serving).await;
    for _ in 0..15 {
        client.send("{").await;
    }
    client.subscribe_after_errors(15).await;
    for _ in 0..16 {
        client.send("{").await;
    }
    for _ in 0..16 {
        assert_eq!(client.next().await["code"], "bad_request");
    }
    assert_eq!(client.close().await, (1008, "too many messages that are no requests".to_owned()));
}

impl HubClient {
    async fn subscribe_after_errors(&mut self, errors: usize) {
        let id = self.ask(json!({"type": "subscribe", "topic": "a"})).await;
        for _ in 0..errors {
            assert_eq!(self.next().await["code"], "bad_request");
        }
        assert_eq!(self.next().await["id"], id);
    }
}

#[tokio::test]
async fn subscriptions_are_no_more_than_the_file_says() {
    let configuration =
        HISTORY_AND_PRESENCE.replacen("[hub.anonymous]", "[hub]\nmax_subscriptions = 2\n[hub.anonymous]", 1);
    let serving = serving("most.toml", &configuration);
    let mut client = HubClient::open(&serving).await;
    client.subscribe("a").await;
    client.subscribe("b").await;
    let failure = client.failure(json!({"type": "subscribe", "topic": "c"})).await;
    assert_eq!(failure, "too_many_subscriptions");
}

#[tokio::test]
async fn many_subscriptions_at_once_are_all_answered() {
    let serving = serving("many.toml", HISTORY_AND_PRESENCE);
    let mut client = HubClient::open(&serving).await;
    for number in 0..1000 {
        client.ask(json!({"type": "subscribe", "topic": format!("a.{number}")})).await;
    }
    for number in 1..=1000 {
        assert_eq!(client.next().await, json!({"type": "ok", "id": number}));
    }
}

#[tokio::test]
async fn a_close_by_the_file_says_what_the_file_says() {
    let configuration = format!(
        "{HISTORY_AND_PRESENCE}\n[hub.slow_consumer]\nmax_messages = 1\npolicy = \"drop_oldest\"\nclose_code = 4000\n"
    );
    let config = crate::serving::file("contradiction.toml", &configuration);
    let output = crate::serving::serve().arg("--config").arg(config).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).expect("it is text");
    assert!(error.contains("close_code and close_description go with the policy"), "{error}");
}

#[tokio::test]
async fn who_is_too_slow_is_told_how_many_it_missed_where_they_would_have_been() {
    let slow_consumer = "slow_consumer = { max_messages = 2, policy = \"drop_oldest\" }";
    let configuration =
        format!("{HISTORY_AND_PRESENCE}\n[[hub.topics]]\npattern = \"prices\"\n{slow_consumer}\n");
    let serving = serving("slow.toml", &configuration);
    let mut slow = HubClient::uncompressed(&serving).await;
    slow.subscribe("prices").await;
    slow.connection.pause();
    // More than its socket and the server's hold, which together can be 36 MiB on Linux. Compressed, it would fit.
    let (messages, long) = (70, "x".repeat(900_000));
    let mut publisher = HubClient::open(&serving).await;
    for number in 0..messages {
        publisher.publish("prices", json!([number, long])).await;
    }
    slow.connection.resume();
    let (mut next, mut missed) = (0, 0);
    while next < messages {
        let said = slow.next().await;
        if said["type"] == "missed" {
            assert_eq!(said["topic"], "prices");
            missed += said["count"].as_u64().expect("it is a number");
            next += said["count"].as_u64().expect("it is a number");
        } else {
            assert_eq!(said["data"][0], next);
            next += 1;
        }
    }
    assert_eq!(next, messages);
    assert!(missed > 0, "it has got all of them");
}

#[tokio::test]
async fn where_nothing_may_wait_for_the_broker_publishing_fails_while_it_is_away() {
    let broker = format!("broker = \"nats://127.0.0.1:{}\"", unused_port());
    let queue =
        HISTORY_AND_PRESENCE.replacen("[hub.anonymous]", "[hub]\nbroker_queue = 0\n[hub.anonymous]", 1);
    let serving = serving("away.toml", &format!("{broker}\n{queue}"));
    let mut client = HubClient::open(&serving).await;
    for topic in ["plain", "kept.a"] {
        assert_eq!(client.failure(json!({"type": "publish", "topic": topic, "data": 1})).await, "broker");
    }
    let answer = http(&serving, "POST /topics/plain", &["Content-Type: application/json"], b"1");
    assert_eq!(answer.status, 503);
}

/// A port that nobody listens on.
fn unused_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there are ports");
    listener.local_addr().expect("it is bound").port()
}
