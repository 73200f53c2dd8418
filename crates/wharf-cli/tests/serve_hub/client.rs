//! A client of the hub, as a test needs it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};
use tokio::time::timeout;
use wharf::{Client, ClientConfig, ConnectError, ConnectRequest, Connection, Ending, Message};

use crate::serving::{Serving, serve};

pub(crate) const PROTOCOL: &str = "wharf.json.v1";

/// A secret of both sides, as long as HS256 wants it.
pub(crate) const SECRET: &str = "a secret that only tests may know";

/// A server with this configuration file, on a port of its own.
pub(crate) fn serving(name: &str, configuration: &str) -> Serving {
    let config = crate::serving::file(name, &format!("listen = \"127.0.0.1:0\"\n{configuration}"));
    let mut command = serve();
    command.arg("--config").arg(config);
    Serving::start(command)
}

/// A request for the hub, without a subprotocol.
pub(crate) fn request(serving: &Serving) -> ConnectRequest {
    ConnectRequest::new(format!("ws://{}/hub", serving.address)).expect("it is an address")
}

pub(crate) async fn connect(request: ConnectRequest) -> Result<Connection, ConnectError> {
    within(Client::new(ClientConfig::default()).expect("the defaults are valid").connect(request)).await
}

/// The status and the reason of a refusal.
pub(crate) async fn refusal(request: ConnectRequest) -> (u16, String) {
    match connect(request).await {
        Err(ConnectError::HttpResponse(response)) => {
            let reason = response.headers().get("X-WebSocket-Reject-Reason");
            let reason = reason.map(|reason| reason.to_str().expect("it is text").to_owned());
            (response.status().as_u16(), reason.unwrap_or_default())
        }
        other => panic!("it is refused, not {other:?}"),
    }
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(20), future).await.expect("it comes soon")
}

/// A client that has been welcomed.
pub(crate) struct HubClient {
    pub(crate) connection: Connection,
    pub(crate) welcome: Value,
    last: u64,
}

impl HubClient {
    pub(crate) async fn open(serving: &Serving) -> Self {
        Self::with(request(serving)).await
    }

    /// One that is sent messages as long as they are.
    pub(crate) async fn uncompressed(serving: &Serving) -> Self {
        let client = Client::new(ClientConfig::default().compression(None)).expect("it is allowed");
        Self::on(within(client.connect(request(serving).protocol(PROTOCOL))).await).await
    }

    /// With what else a request says.
    pub(crate) async fn with(request: ConnectRequest) -> Self {
        Self::on(connect(request.protocol(PROTOCOL)).await).await
    }

    async fn on(connected: Result<Connection, ConnectError>) -> Self {
        let connection = connected.expect("it is accepted");
        assert_eq!(connection.protocol(), Some(PROTOCOL));
        let mut client = Self { connection, welcome: Value::Null, last: 0 };
        client.welcome = client.next().await;
        assert_eq!(client.welcome["type"], "welcome");
        client
    }

    pub(crate) async fn send(&self, text: impl Into<Message>) {
        self.connection.send(text).await.expect("it is open");
    }

    /// Sends a request with the next number.
    pub(crate) async fn ask(&mut self, mut request: Value) -> u64 {
        self.last += 1;
        request["id"] = self.last.into();
        self.send(request.to_string()).await;
        self.last
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Value {
        match within(self.connection.recv()).await {
            Some(Message::Text(text)) => serde_json::from_str(&text).expect("it is JSON"),
            other => panic!("it is text, not {other:?}"),
        }
    }

    /// The answer to a request, which is the next message.
    pub(crate) async fn answer(&mut self, request: Value) -> Value {
        let id = self.ask(request).await;
        let answer = self.next().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    pub(crate) async fn done(&mut self, request: Value) -> Value {
        let answer = self.answer(request).await;
        assert_eq!(answer["type"], "ok", "{answer}");
        answer
    }

    /// Why a request failed: its code.
    pub(crate) async fn failure(&mut self, request: Value) -> String {
        let answer = self.answer(request).await;
        assert_eq!(answer["type"], "error", "{answer}");
        assert!(answer["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
        answer["code"].as_str().expect("it is text").to_owned()
    }

    pub(crate) async fn subscribe(&mut self, topic: &str) -> Value {
        self.done(json!({"type": "subscribe", "topic": topic})).await
    }

    pub(crate) async fn publish(&mut self, topic: &str, data: Value) -> Value {
        self.done(json!({"type": "publish", "topic": topic, "data": data})).await
    }

    /// With which code and reason it is closed.
    pub(crate) async fn close(&self) -> (u16, String) {
        match within(self.connection.closed()).await {
            Ending::Clean { close, .. } => (close.code().get(), close.reason().to_owned()),
            other => panic!("it is closed, not {other:?}"),
        }
    }
}

/// A JSON Web Token with these claims, signed with HS256.
pub(crate) fn token(claims: &Value) -> String {
    signed(claims, "HS256", |message| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), message).as_ref().to_vec()
    })
}

/// One signed in some other way.
pub(crate) fn signed(claims: &Value, algorithm: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let header = json!({"alg": algorithm, "typ": "JWT"});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// So many seconds from now, as tokens say it.
pub(crate) fn in_seconds(seconds: i64) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
    i64::try_from(now.as_secs()).expect("it is a while until then") + seconds
}

/// An answer of HTTP: status, head, and body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("it is JSON")
    }
}

/// Asks by HTTP: `POST /topics/a`, further header lines, and a body.
pub(crate) fn http(serving: &Serving, target: &str, lines: &[&str], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(&serving.address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a live socket");
    let host = format!("Host: {}", serving.address);
    let length = format!("Content-Length: {}", body.len());
    let line = format!("{target} HTTP/1.1");
    let own = [&*line, &*host, &*length, "Connection: close"];
    let head = [&own, lines, &["\r\n"]].concat().join("\r\n");
    // A server that has answered already reads no more.
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).expect("it is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("it has a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("it has a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}
