//! Publishing by HTTP: `POST /topics/{topic}`, and `GET /topics/{topic}/presence`.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::timeout;
use wharf::hub::{Hub, Publish, PublishError, Topic};
use wharf::{Message, ServerConfig};

use super::access::{Access, AccessError};
use super::request::LONGEST_KEY;
use super::said::{Code, Member, members};

/// What a body may fail with.
pub(in crate::serve) type BoxError = Box<dyn Error + Send + Sync>;

/// Publishes what HTTP brings.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Publishing {
    hub: Hub,
    access: Arc<Access>,
    /// The longest body, in bytes.
    longest: usize,
    /// How long a body may take.
    body_timeout: Duration,
}

/// A failure, as it is told.
struct Failure {
    status: StatusCode,
    code: FailureCode,
    message: String,
    header: Option<(HeaderName, HeaderValue)>,
}

/// Why it failed: the codes of the subprotocol, and some of HTTP's own.
#[derive(Serialize)]
#[serde(untagged)]
enum FailureCode {
    Shared(Code),
    Own(&'static str),
}

#[derive(Serialize)]
struct Told<'a> {
    code: &'a FailureCode,
    message: &'a str,
}

#[derive(Serialize)]
struct Done {
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<String>,
}

#[derive(Serialize)]
struct WhoIsThere<'a> {
    members: Vec<Member<'a>>,
    member_count: usize,
    connections: usize,
}

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    Messages(&'a str),
    Presence(&'a str),
}

const TOPICS: &str = "/topics/";

/// How long it is waited for the broker to take a message, before the answer says that it is on its way.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(5);

/// Whether a path is one that is answered here.
pub(in crate::serve) fn is_for(path: &str) -> bool {
    path.starts_with(TOPICS)
}

impl Publishing {
    pub(in crate::serve) fn new(hub: Hub, access: Arc<Access>, config: &ServerConfig) -> Self {
        let longest = config.max_received_message_size;
        Self { hub, access, longest, body_timeout: config.handshake_timeout }
    }

    /// Answers a request whose path [is for](is_for) it.
    pub(in crate::serve) async fn answer<B: BodyExt<Error: Into<BoxError>>>(
        self,
        request: Request<B>,
    ) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let answer = match target(head.uri.path()) {
            Some(Target::Messages(topic)) => self.publish(&head, topic, body).await,
            Some(Target::Presence(topic)) => self.presence(&head, topic),
            None => Err(Failure::own(
                StatusCode::NOT_FOUND,
                "not_found",
                "there is /topics/TOPIC, and /topics/TOPIC/presence",
            )),
        };
        answer.unwrap_or_else(Failure::response)
    }

    async fn publish<B: BodyExt<Error: Into<BoxError>>>(
        &self,
        head: &Parts,
        topic: &str,
        body: B,
    ) -> Result<Response<Full<Bytes>>, Failure> {
        allow_only(head, &Method::POST)?;
        let topic = Self::topic(topic)?;
        let grant = self.access.of_request(&head.headers, &head.uri)?;
        self.permit(head, grant.permissions.may_publish(&topic), "publish on", &topic)?;
        let kind = Kind::of(&head.headers)?;
        let message = kind.message(self.read(body).await?)?;
        let mut publish = Publish::new(&topic, message).map_err(PublishError::from)?;
        if let Some(key) = key(head.uri.query())? {
            publish = publish.key(key);
        }
        let publishing = self.hub.publish_with(publish)?;
        match timeout(ACKNOWLEDGED_WITHIN, publishing).await {
            Ok(published) => {
                let position = published?.position.map(|position| position.to_string());
                Ok(json(StatusCode::OK, &Done { position }))
            }
            Err(_) => Ok(json(StatusCode::ACCEPTED, &Done { position: None })),
        }
    }

    fn presence(&self, head: &Parts, topic: &str) -> Result<Response<Full<Bytes>>, Failure> {
        allow_only(head, &Method::GET)?;
        let topic = Self::topic(topic)?;
        let grant = self.access.of_request(&head.headers, &head.uri)?;
        self.permit(head, grant.permissions.may_ask_who_is_there(&topic), "ask who is at", &topic)?;
        if !self.hub.topic_options(&topic).presence {
            let message = format!("it is not kept who has subscribed to {topic:?}");
            return Err(Failure::shared(StatusCode::NOT_FOUND, Code::NoPresence, message));
        }
        let presence = self.hub.presence(&topic);
        let there = WhoIsThere {
            members: members(&presence),
            member_count: presence.members.len(),
            connections: presence.connections,
        };
        Ok(json(StatusCode::OK, &there))
    }

    fn permit(&self, head: &Parts, is_permitted: bool, what: &str, topic: &Topic) -> Result<(), Failure> {
        if is_permitted {
            return Ok(());
        }
        let message = format!("this client may not {what} {topic:?}");
        if self.access.knows_tokens() && !head.headers.contains_key(header::AUTHORIZATION) {
            let failure = Failure::shared(StatusCode::UNAUTHORIZED, Code::NotPermitted, message);
            return Err(Failure { header: Some(ask_for_token()), ..failure });
        }
        Err(Failure::shared(StatusCode::FORBIDDEN, Code::NotPermitted, message))
    }

    fn topic(segment: &str) -> Result<Topic, Failure> {
        let bad = |message| Failure::shared(StatusCode::BAD_REQUEST, Code::BadRequest, message);
        let name = percent_decode_str(segment).decode_utf8();
        let name = name.map_err(|_| bad("the name of a topic is UTF-8".to_owned()))?;
        Topic::new(name).map_err(|error| bad(error.to_string()))
    }

    async fn read<B: BodyExt<Error: Into<BoxError>>>(&self, body: B) -> Result<Bytes, Failure> {
        let body =
            timeout(self.body_timeout, Limited::new(std::pin::pin!(body), self.longest).collect()).await;
        let Ok(body) = body else {
            let message = format!("the body did not come within {:?}", self.body_timeout);
            return Err(Failure::own(StatusCode::REQUEST_TIMEOUT, "timeout", message));
        };
        body.map(http_body_util::Collected::to_bytes).map_err(|error| {
            if error.is::<LengthLimitError>() {
                let limit = self.longest;
                let message = format!("a body has at most {limit} bytes, as max_received_message_size says");
                Failure::own(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
            } else {
                Failure::shared(StatusCode::BAD_REQUEST, Code::BadRequest, "the body broke off")
            }
        })
    }
}

/// What a body is, by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Text,
    Bytes,
}

impl Kind {
    fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let value =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut parts = value.split(';').map(|part| part.trim().to_ascii_lowercase());
        let kind = parts.next().unwrap_or_default();
        let is_utf8 = parts.all(|parameter| match parameter.strip_prefix("charset=") {
            Some(charset) => matches!(charset.trim_matches('"'), "utf-8" | "us-ascii"),
            None => true,
        });
        match kind.as_str() {
            "application/json" => Ok(Self::Json),
            "text/plain" if is_utf8 => Ok(Self::Text),
            "application/octet-stream" => Ok(Self::Bytes),
            _ => {
                let message = "the content type has to be application/json, text/plain in UTF-8, or \
                               application/octet-stream";
                Err(Failure::own(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type", message))
            }
        }
    }

    /// What is published of a body: text as a JSON string, so that text such as `1` stays text.
    fn message(self, body: Bytes) -> Result<Message, Failure> {
        let bad = |message: &str| Failure::shared(StatusCode::BAD_REQUEST, Code::BadRequest, message);
        let text = |body: &Bytes| String::from_utf8(body.to_vec()).map_err(|_| bad("the body is not UTF-8"));
        match self {
            Self::Json => {
                let text = text(&body)?;
                if let Err(error) = serde_json::from_str::<&RawValue>(&text) {
                    return Err(bad(&format!("the body is not JSON: {error}")));
                }
                Ok(text.into())
            }
            Self::Text => Ok(serde_json::Value::String(text(&body)?).to_string().into()),
            Self::Bytes => Ok(Message::Binary(body)),
        }
    }
}

fn target(path: &str) -> Option<Target<'_>> {
    let rest = path.strip_prefix(TOPICS)?;
    match rest.split_once('/') {
        None => Some(Target::Messages(rest)),
        Some((topic, "presence")) => Some(Target::Presence(topic)),
        Some(_) => None,
    }
}

fn key(query: Option<&str>) -> Result<Option<String>, Failure> {
    let mut pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let Some((_, key)) = pairs.find(|(name, _)| *name == "key") else { return Ok(None) };
    let bad = |message| Failure::shared(StatusCode::BAD_REQUEST, Code::BadRequest, message);
    match percent_decode_str(key).decode_utf8() {
        Ok(key) if key.len() <= LONGEST_KEY => Ok(Some(key.into_owned())),
        Ok(_) => Err(bad(format!("a key has at most {LONGEST_KEY} bytes"))),
        Err(_) => Err(bad("a key is UTF-8".to_owned())),
    }
}

fn allow_only(head: &Parts, method: &Method) -> Result<(), Failure> {
    if head.method == *method {
        return Ok(());
    }
    let message = format!("only {method} is served here");
    let allow = HeaderValue::from_str(method.as_str()).expect("the name of a method is a token");
    let failure = Failure::own(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
    Err(Failure { header: Some((header::ALLOW, allow)), ..failure })
}

impl AccessError {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Token(_) | Self::Unreadable | Self::NoToken => StatusCode::UNAUTHORIZED,
            Self::Origin | Self::NotFromHere | Self::NotConfigured => StatusCode::FORBIDDEN,
        }
    }
}

impl Failure {
    fn shared(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { status, code: FailureCode::Shared(code), message: message.into(), header: None }
    }

    fn own(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code: FailureCode::Own(code), message: message.into(), header: None }
    }

    fn response(self) -> Response<Full<Bytes>> {
        let mut response = json(self.status, &Told { code: &self.code, message: &self.message });
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        let (code, header) = match error {
            AccessError::Token(_) | AccessError::Unreadable | AccessError::NoToken => {
                (Code::BadToken, Some(ask_for_token()))
            }
            AccessError::Origin | AccessError::NotFromHere | AccessError::NotConfigured => {
                (Code::NotPermitted, None)
            }
        };
        Self { header, ..Self::shared(error.status(), code, error.to_string()) }
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        let code = Code::from(&error);
        match code {
            Code::Busy | Code::Broker => {
                let soon = HeaderValue::from_static("1");
                let failure = Self::shared(StatusCode::SERVICE_UNAVAILABLE, code, error.to_string());
                Self { header: Some((header::RETRY_AFTER, soon)), ..failure }
            }
            _ => Self::shared(StatusCode::BAD_REQUEST, code, error.to_string()),
        }
    }
}

fn ask_for_token() -> (HeaderName, HeaderValue) {
    (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

fn json(status: StatusCode, answer: &impl Serialize) -> Response<Full<Bytes>> {
    let json = serde_json::to_vec(answer).expect("numbers and text under fixed names are always JSON");
    let mut response = Response::new(Full::from(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_topic_or_who_is_there() {
        assert_eq!(target("/topics/a.b"), Some(Target::Messages("a.b")));
        assert_eq!(target("/topics/a%2Fb"), Some(Target::Messages("a%2Fb")));
        assert_eq!(target("/topics/a.b/presence"), Some(Target::Presence("a.b")));
        for other in ["/topics", "/topics/a/b", "/topics/a/presence/", "/echo"] {
            assert_eq!(target(other), None, "{other}");
        }
    }

    #[test]
    fn a_key_is_in_the_query() {
        let read = |query: &str| key(Some(query)).map_err(|failure| failure.status);
        assert_eq!(read("a=1&key=eur%2Fusd"), Ok(Some("eur/usd".to_owned())));
        assert_eq!(read("keys=1"), Ok(None));
        assert_eq!(read(&format!("key={}", "k".repeat(255))), Ok(Some("k".repeat(255))));
        for bad in [&*format!("key={}", "k".repeat(256)), "key=%FF"] {
            assert_eq!(read(bad), Err(StatusCode::BAD_REQUEST));
        }
        assert!(matches!(key(None), Ok(None)));
    }

    #[test]
    fn the_content_type_says_what_a_body_is() {
        let kind = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]);
            Kind::of(&headers).ok()
        };
        assert_eq!(kind("application/json; charset=utf-8"), Some(Kind::Json));
        assert_eq!(kind("text/plain"), Some(Kind::Text));
        assert_eq!(kind("Text/Plain;charset=\"UTF-8\""), Some(Kind::Text));
        assert_eq!(kind("application/octet-stream"), Some(Kind::Bytes));
        for other in ["text/plain; charset=latin1", "text/html", ""] {
            assert_eq!(kind(other), None, "{other}");
        }
    }

    #[test]
    fn text_is_published_as_a_json_string() {
        let published = Kind::Text.message(Bytes::from_static(b"1 \"2\"")).ok();
        assert_eq!(published, Some(Message::Text(r#""1 \"2\"""#.to_owned())));
    }
}
