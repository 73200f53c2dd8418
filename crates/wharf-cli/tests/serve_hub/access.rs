//! Who may do what.

use std::process::Output;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use crate::client::{
    HubClient, PROTOCOL, SECRET, connect, http, in_seconds, refusal, request, serving, signed, token, within,
};
use crate::serving::{Serving, file, serve};

/// Tokens that are signed with a secret count, in the header, in the cookie `pass`, and in a subprotocol.
fn with_secret(name: &str) -> Serving {
    serving(name, &configuration())
}

fn configuration() -> String {
    let secret = file("secret", SECRET);
    format!(
        r#"
allowed_origins = ["https://example.com"]
[hub]
cookie = "pass"
[hub.jwt]
secret_file = "{}"
audience = "wharf"
issuer = "us"
[[hub.topics]]
pattern = "rooms.*"
presence = true
"#,
        secret.display()
    )
}

fn claims(more: &Value) -> Value {
    let mut claims = json!({
        "sub": "ann", "aud": "wharf", "iss": "us", "exp": in_seconds(600),
        "wharf": {"subscribe": ["rooms.*"], "publish": ["rooms.lobby"], "presence": ["rooms.*"]},
    });
    for (name, value) in more.as_object().expect("it is an object") {
        claims[name] = value.clone();
    }
    claims
}

fn ann() -> String {
    token(&claims(&json!({})))
}

#[tokio::test]
async fn a_token_counts_in_the_header_in_a_subprotocol_and_in_a_cookie() {
    let serving = with_secret("ways.toml");
    let ann = ann();
    for request in [
        request(&serving).header("Authorization", format!("Bearer {ann}")),
        request(&serving).protocol(format!("wharf.jwt.{ann}")),
        request(&serving).header("Cookie", format!("a=b; pass={ann}")).origin("https://example.com"),
    ] {
        let mut client = HubClient::with(request).await;
        assert_eq!(client.welcome["member"], "ann");
        let expires_in = client.welcome["expires_in"].as_u64().expect("it is a number");
        assert!((590..=600).contains(&expires_in), "{expires_in}");
        client.subscribe("rooms.lobby").await;
    }
    assert_eq!(refusal(request(&serving).protocol(PROTOCOL)).await, (401, "a token is needed".to_owned()));
    let empty = request(&serving).header("Authorization", "Bearer").protocol(format!("wharf.jwt.{ann}"));
    assert_eq!(refusal(empty.protocol(PROTOCOL)).await.0, 401);
    let elsewhere = request(&serving).header("Cookie", format!("pass={ann}")).origin("https://other.com");
    assert_eq!(refusal(elsewhere.protocol(PROTOCOL)).await.0, 403);
    let answer = http(
        &serving,
        "POST /topics/rooms.lobby",
        &["Content-Type: application/json", &format!("Cookie: pass={ann}")],
        b"1",
    );
    assert_eq!(answer.status, 401, "a cookie does not publish by HTTP");
}

#[tokio::test]
async fn a_token_that_says_something_else_does_not_count() {
    let serving = with_secret("wrong.toml");
    let mut other = claims(&json!({}));
    other.as_object_mut().expect("it is an object").remove("exp");
    let without_signature = signed(&claims(&json!({})), "none", |_| Vec::new());
    for (token, reason) in [
        (token(&claims(&json!({"exp": in_seconds(-60)}))), "the token has expired"),
        (token(&claims(&json!({"nbf": in_seconds(60)}))), "the token is not valid yet"),
        (token(&claims(&json!({"aud": "other"}))), "the token is for another audience"),
        (token(&claims(&json!({"iss": "them"}))), "the token is of another issuer"),
        (
            token(&claims(&json!({"sub": ""}))),
            "the token is no JSON Web Token with the claims that are needed",
        ),
        (
            token(&claims(&json!({"wharf": {"publish": ["a..b"]}}))),
            "the token is no JSON Web Token with the claims that are needed",
        ),
        (token(&other), "the token is no JSON Web Token with the claims that are needed"),
        (
            signed(&claims(&json!({})), "HS256", |_| vec![0; 32]),
            "the token is signed otherwise than is configured",
        ),
        (
            signed(&claims(&json!({})), "HS512", |_| vec![0; 64]),
            "the token is signed otherwise than is configured",
        ),
        (without_signature, "the token is no JSON Web Token with the claims that are needed"),
        ("no-token".to_owned(), "the token is no JSON Web Token with the claims that are needed"),
    ] {
        let request = request(&serving).protocol(PROTOCOL).header("Authorization", format!("Bearer {token}"));
        assert_eq!(refusal(request).await, (401, reason.to_owned()), "{token}");
    }
}

#[tokio::test]
async fn who_has_a_token_may_do_what_it_says_under_its_name_and_nothing_else() {
    let serving = with_secret("may.toml");
    let mut ann = HubClient::with(request(&serving).protocol(format!("wharf.jwt.{}", ann()))).await;
    ann.done(json!({"type": "subscribe", "topic": "rooms.lobby"})).await;
    let there = ann.done(json!({"type": "presence", "topic": "rooms.lobby"})).await;
    assert_eq!(there["members"], json!([{"name": "ann", "connections": 1}]));
    for request in [
        json!({"type": "subscribe", "topic": "rooms.kitchen", "member": "bob"}),
        json!({"type": "subscribe", "topic": ">"}),
        json!({"type": "subscribe", "topic": "news"}),
        json!({"type": "subscribe", "topic": "$presence.news"}),
        json!({"type": "publish", "topic": "rooms.kitchen", "data": 1}),
        json!({"type": "presence", "topic": "news"}),
    ] {
        assert_eq!(ann.failure(request.clone()).await, "not_permitted", "{request}");
    }
}

#[tokio::test]
async fn a_connection_whose_token_expires_is_closed_unless_it_is_renewed() {
    let serving = with_secret("expiry.toml");
    let short = || token(&claims(&json!({"exp": in_seconds(2)})));
    let open = async || HubClient::with(request(&serving).protocol(format!("wharf.jwt.{}", short()))).await;
    let (mut renews, forgets) = (open().await, open().await);
    renews.subscribe("rooms.lobby").await;
    renews.subscribe("rooms.kitchen").await;
    let bob = token(&claims(&json!({"sub": "bob"})));
    assert_eq!(renews.failure(json!({"type": "token", "token": bob})).await, "bad_token");
    let narrower = claims(&json!({"wharf": {"subscribe": ["rooms.lobby"]}}));
    let renewed = renews.done(json!({"type": "token", "token": token(&narrower)})).await;
    assert!(renewed["expires_in"].as_u64().is_some_and(|seconds| seconds > 500), "{renewed}");
    assert_eq!(renews.next().await, json!({"type": "unsubscribed", "topic": "rooms.kitchen"}));
    assert_eq!(forgets.close().await, (4401, "the token has expired".to_owned()));
    renews.done(json!({"type": "unsubscribe", "topic": "rooms.lobby"})).await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_does_not_outlive_its_token() {
    let serving = serving("silent.toml", &format!("write_timeout = \"60s\"\n{}", configuration()));
    let mut watcher = HubClient::with(request(&serving).protocol(format!("wharf.jwt.{}", ann()))).await;
    watcher.subscribe("$presence.rooms.lobby").await;
    let short = token(&claims(&json!({"sub": "bob", "exp": in_seconds(2)})));
    let mut silent = HubClient::with(request(&serving).protocol(format!("wharf.jwt.{short}"))).await;
    silent.subscribe("rooms.lobby").await;
    assert_eq!(watcher.next().await["type"], "joined");
    silent.connection.pause();
    let refused = json!({"type": "publish", "id": 2, "topic": "a".repeat(255), "data": 1}).to_string();
    // More answers than there is room for, so that the server waits for them to be taken.
    let asking = tokio::spawn(async move { while silent.connection.send(refused.clone()).await.is_ok() {} });
    assert_eq!(watcher.next().await, json!({"type": "left", "topic": "rooms.lobby", "member": "bob"}));
    within(asking).await.expect("it ends with its connection");
}

#[tokio::test]
async fn who_has_come_without_a_name_does_not_get_one_by_a_new_token() {
    let serving = with_secret("nameless.toml");
    let nameless = token(&claims(&json!({"sub": null})));
    let mut client = HubClient::with(request(&serving).protocol(format!("wharf.jwt.{nameless}"))).await;
    assert_eq!(client.failure(json!({"type": "token", "token": ann()})).await, "bad_token");
    client.done(json!({"type": "token", "token": nameless})).await;
}

#[tokio::test]
async fn a_public_key_checks_what_its_private_key_has_signed() {
    let key = rcgen::KeyPair::generate().expect("it makes keys");
    let public = file("es256.pem", &key.public_key_pem());
    let random = SystemRandom::new();
    let private = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der(), &random)
        .expect("a key");
    let sign = |message: &[u8]| private.sign(&random, message).expect("it signs").as_ref().to_vec();
    let claims = json!({"exp": in_seconds(60), "wharf": {"subscribe": ["a"]}});
    let by_curve = signed(&claims, "ES256", sign);
    let rsa = file("rs256.pem", RSA_PUBLIC_KEY);
    for (name, public, token) in [("es256.toml", public.clone(), &*by_curve), ("rs256.toml", rsa, RSA_TOKEN)]
    {
        let serving = serving(name, &format!("[hub.jwt]\npublic_key_file = \"{}\"\n", public.display()));
        HubClient::with(request(&serving).protocol(format!("wharf.jwt.{token}"))).await;
        // A public key is known to all: it must not count as a secret.
        let public = std::fs::read(&public).expect("it was written");
        let forged = signed(&claims, "HS256", |message| {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &public);
            ring::hmac::sign(&key, message).as_ref().to_vec()
        });
        let forged = request(&serving).protocols([PROTOCOL.to_owned(), format!("wharf.jwt.{forged}")]);
        assert_eq!(refusal(forged).await.0, 401);
    }
}

#[tokio::test]
async fn no_token_is_in_an_answer_a_log_or_an_error() {
    let serving = with_secret("unseen.toml");
    let ann = ann();
    let signature = ann.rsplit('.').next().expect("it has three parts").to_owned();
    let wrong = format!("{ann}x");
    let connection =
        connect(request(&serving).protocols([PROTOCOL.to_owned(), format!("wharf.jwt.{ann}")])).await;
    let connection = connection.expect("it is accepted");
    assert_eq!(connection.protocol(), Some(PROTOCOL));
    connection.send(json!({"type": "token", "id": 1, "token": wrong}).to_string()).await.expect("it is open");
    connection.send(format!(r#"{{"type":"token","id":"{ann}"}}"#)).await.expect("it is open");
    for _ in 0..3 {
        let message = within(connection.recv()).await.expect("it is open");
        let text = String::from_utf8(message.as_bytes().to_vec()).expect("it is text");
        assert!(!text.contains(&signature), "{text}");
    }
    let body = b"1";
    for lines in [
        &["Content-Type: application/json", &format!("Authorization: Bearer {wrong}")][..],
        &["Content-Type: text/none", &format!("Authorization: Bearer {ann}")],
    ] {
        let answer = http(&serving, "POST /topics/rooms.lobby", lines, body);
        assert!(!answer.head.contains(&signature) && !answer.body.contains(&signature), "{}", answer.head);
    }
    let refused =
        connect(request(&serving).protocols([PROTOCOL.to_owned(), format!("wharf.jwt.{wrong}")])).await;
    let Err(wharf::ConnectError::HttpResponse(response)) = refused else { panic!("it is refused") };
    assert!(!format!("{:?}", response.headers()).contains(&signature));
    serving.tell_to_stop();
    let said = serving.all_that_it_says();
    assert!(!said.contains(&signature) && !said.contains(SECRET), "{said}");
}

#[tokio::test]
async fn without_a_table_for_it_the_hub_is_open_to_this_machine_alone() {
    let mut serving = serving("open.toml", "");
    assert!(serving.line().contains("its hub is open to everybody on this machine"));
    let mut client = HubClient::open(&serving).await;
    client.subscribe("a").await;
    let answer = http(&serving, "POST /topics/a", &["Content-Type: application/json"], b"1");
    assert_eq!(answer.status, 200);
    assert_eq!(client.next().await["data"], 1);
    for lines in [
        [("Origin", "https://example.com")],
        [("X-Forwarded-For", "127.0.0.1")],
        [("Forwarded", "for=127.0.0.1")],
    ] {
        let mut request = request(&serving).protocol(PROTOCOL);
        for (name, value) in lines {
            request = if name == "Origin" { request.origin(value) } else { request.header(name, value) };
            let line = format!("{name}: {value}");
            let answer = http(&serving, "POST /topics/a", &["Content-Type: text/plain", &line], b"1");
            assert_eq!(answer.status, 403);
        }
        assert_eq!(refusal(request).await.0, 403);
    }
}

#[tokio::test]
async fn a_table_that_says_nothing_of_who_may_do_what_permits_nothing() {
    let serving = serving("topics.toml", "[[hub.topics]]\npattern = \"a\"\n");
    let (status, reason) = refusal(request(&serving).protocol(PROTOCOL)).await;
    assert_eq!(status, 403);
    assert!(reason.contains("the hub is not configured"), "{reason}");
    assert_eq!(http(&serving, "POST /topics/a", &["Content-Type: text/plain"], b"1").status, 403);
    serving.tell_to_stop();
    assert!(!serving.all_that_it_says().contains("open to everybody"));
}

#[tokio::test]
async fn where_others_can_connect_nothing_is_permitted_until_it_is_said() {
    for configuration in ["proxy_protocol = true\n", "trusted_proxies = [\"10.0.0.0/8\"]\n"] {
        let serving = serving("closed.toml", configuration);
        if configuration.starts_with("trusted") {
            let (status, reason) = refusal(request(&serving).protocol(PROTOCOL)).await;
            assert_eq!(status, 403);
            assert!(reason.contains("the hub is not configured"), "{reason}");
        }
        serving.tell_to_stop();
        assert!(!serving.all_that_it_says().contains("open to everybody"));
    }
}

#[test]
fn what_is_wrong_with_the_table_is_told_in_one_line() {
    let short = file("short", "short");
    let short = short.display();
    for (configuration, expected) in [
        (
            "[hub.jwt]\naudience = \"a\"\n".to_owned(),
            "jwt needs a secret_file or a public_key_file, and not both",
        ),
        (format!("[hub.jwt]\nsecret_file = \"{short}\"\n"), "a secret has at least 32 bytes, this one has 5"),
        (
            format!("[hub.jwt]\npublic_key_file = \"{short}\"\n"),
            "has no public key of RSA or of the curve P-256",
        ),
        (
            format!("[[hub.tokens]]\ntoken_file = \"{short}\"\n"),
            "a secret has at least 16 bytes, this one has 5",
        ),
        ("[[hub.tokens]]\ntoken_file = \"/nowhere\"\n".to_owned(), "cannot read /nowhere"),
        ("[hub]\ncookie = \"a\"\n".to_owned(), "hub.cookie needs allowed_origins"),
        (
            format!("[hub.anonymous]\nnames = true\n[hub.jwt]\nsecret_file = \"{short}\"\n"),
            ":2: names lets clients without a token appear under any name",
        ),
        (
            format!(
                "[hub.anonymous]\nnames = true\n[[hub.tokens]]\ntoken_file = \"{short}\"\nname = \"a\"\n"
            ),
            ":2: names lets clients without a token appear under any name",
        ),
        ("[hub]\ncokie = \"a\"\n".to_owned(), ":2: unknown field `cokie`"),
        ("[[hub.topics]]\npattern = \"a..b\"\n".to_owned(), "has an empty token"),
        (
            "[[hub.topics]]\npattern = \"a\"\nhistory = { max_age = \"soon\" }\n".to_owned(),
            "a time with its unit",
        ),
        (
            "[[hub.topics]]\npattern = \"a\"\nhistory = { max_messages = 0 }\n".to_owned(),
            "history.max_messages is 0",
        ),
        ("broker = \"nats://me:hunter2@:x\"\n".to_owned(), "the address of the broker: "),
        ("broker = \"http://a\"\n".to_owned(), "expected nats://HOST:PORT or redis://HOST:PORT"),
    ] {
        let config = file("table.toml", &configuration);
        let Output { status, stdout, stderr } =
            serve().args(["--listen", "127.0.0.1:0", "--config"]).arg(config).output().expect("it runs");
        let stderr = String::from_utf8(stderr).expect("it is text");
        assert_eq!((status.code(), stdout.len()), (Some(2), 0), "{configuration}: {stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
        assert!(stderr.contains(expected) && stderr.lines().count() == 1, "{configuration}: {stderr}");
    }
}

const RSA_PUBLIC_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAoc0EJynKQ4qT8Rl1tUdE\n\
olIAlIPDubrodm+T863MkmH2sHeCV0f+VaJ5DHKsa0zIiQUOeGx6b6vhN4gxeqS/\n\
C2UdU+olaw5Nyq974OuvfQ/VbVg6FYAy0+TsA+o0Zk2UUo/KdJOvu+tyILR15Hn1\n\
qL+4h0BA6W6CtJE+MqvaBotZlkKT01zFZ/C8mOLi1ebzfKdBFx6mJpTB3aj5Uv+H\n\
sNMEN+xi75zlEMtBPk59+WROblj9KaD1yesND8jxt3R17pUc1aApt4ocCYVzcyJS\n\
uDaUolW7YsytkKlBWeFt3oLTnohvQ0TmCKWgerg7baVqJT/Dujrw9LR1EqqtyDCR\n\
UwIDAQAB\n\
-----END PUBLIC KEY-----\n\
";

/// With `{"sub":"ann","exp":4102444800,"wharf":{"subscribe":["rooms.*"]}}`, signed with the private key of that one, which nobody has
/// kept.
const RSA_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDAsIndoYXJmIjp7InN1YnNjcmliZSI6WyJyb29tcy4qIl19fQ.kcNReVu1S1nd_eqNWuw5QNMQZyvaU1cvSlBPAB5TpxRiGDc898YlTy3Vi_ou4h4OhPJqZDujZgnV6nlMzaWo4UlD6MVultoDub6IVkAYP9N8aQjKKh-lbXug1RVcifKP_oKP83WKTMlNEMSLqJwrVk9i4-IKjnsKflp9ryWgxDv-lsZlHOg7bi2FWR0OlxiS-vKkEAlp4pYAM8s79UzVFolodin3Pm5LaKjTagztzVrJEddT7I_HZGHixdeQzDW-JkZh8XMPomfzyg7e9GYqWkuSSDfA-YpVRMIJBtZSUmbRu80GWDAVc3QK0T0TrzrwDI4euCApNMareshlLUfQpw";
