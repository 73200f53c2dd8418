//! What clients ask for, in the subprotocol `wharf.json.v1`.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use wharf::hub::{Position, PositionError, Topic, TopicPattern};

use super::permissions::MemberName;
use crate::serve::secret::Secret;

/// A request, and the number that its answer is to have.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) id: u64,
    pub(super) request: Request<'a>,
}

#[derive(Debug)]
pub(super) enum Request<'a> {
    Subscribe { topic: TopicPattern, since: Option<Since>, member: Option<Arc<str>> },
    Unsubscribe { topic: TopicPattern },
    Publish { topic: Topic, data: &'a RawValue, key: Option<Arc<str>> },
    Presence { topic: Topic },
    Token { token: Secret },
    Ping,
}

/// From where on messages are wanted that were published before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    Position(Position),
    Oldest,
}

/// Why a message is no request.
#[derive(Debug)]
pub(super) struct NotRequest {
    /// Its number, if that could be read.
    pub(super) id: Option<u64>,
    pub(super) message: String,
}

/// All fields that a request may have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(deserialize_with = "id")]
    id: u64,
    #[serde(borrow)]
    topic: Option<Cow<'a, str>>,
    #[serde(borrow)]
    since: Option<Cow<'a, str>>,
    member: Option<MemberName>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    key: Option<String>,
    token: Option<String>,
}

/// The greatest number that JavaScript tells from its neighbours.
const GREATEST_ID: u64 = (1 << 53) - 1;

/// In bytes.
pub(super) const LONGEST_KEY: usize = 255;

impl<'a> Asked<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// [`NotRequest`]: what is wrong with it, for people. No token is in it.
    pub(super) fn read(text: &'a str) -> Result<Self, NotRequest> {
        let fields: Fields<'a> = serde_json::from_str(text)
            .map_err(|error| NotRequest { id: id_of(text), message: in_words(&error) })?;
        let id = fields.id;
        let request = fields.request().map_err(|message| NotRequest { id: Some(id), message })?;
        Ok(Self { id, request })
    }
}

impl<'a> Fields<'a> {
    fn request(self) -> Result<Request<'a>, String> {
        let Self { r#type, id: _, topic, since, member, data, key, token } = self;
        let unused = [
            ("topic", topic.is_some(), "subscribe unsubscribe publish presence"),
            ("since", since.is_some(), "subscribe"),
            ("member", member.is_some(), "subscribe"),
            ("data", data.is_some(), "publish"),
            ("key", key.is_some(), "publish"),
            ("token", token.is_some(), "token"),
        ];
        let is_for = |types: &str| types.split(' ').any(|one| one == r#type);
        if !is_for("subscribe unsubscribe publish presence token ping") {
            return Err("type is none of subscribe, unsubscribe, publish, presence, token, ping".to_owned());
        }
        if let Some((name, ..)) = unused.into_iter().find(|(_, is_there, types)| *is_there && !is_for(types))
        {
            return Err(format!("{type} has no field {name}"));
        }
        let needed = |name: &str| format!("{type} needs the field {name}");
        let topic = topic.ok_or_else(|| needed("topic"));
        let pattern = |topic: &str| TopicPattern::new(topic).map_err(|error| error.to_string());
        let name = |topic: &str| Topic::new(topic).map_err(|error| error.to_string());
        match &*r#type {
            "subscribe" => {
                let since = since.as_deref().map(Since::read).transpose()?;
                Ok(Request::Subscribe { topic: pattern(&topic?)?, since, member: member.map(Into::into) })
            }
            "unsubscribe" => Ok(Request::Unsubscribe { topic: pattern(&topic?)? }),
            "publish" => {
                if key.as_ref().is_some_and(|key| key.len() > LONGEST_KEY) {
                    return Err(format!("a key has at most {LONGEST_KEY} bytes"));
                }
                let data = data.ok_or_else(|| needed("data"))?;
                Ok(Request::Publish { topic: name(&topic?)?, data, key: key.map(Into::into) })
            }
            "presence" => Ok(Request::Presence { topic: name(&topic?)? }),
            "ping" => Ok(Request::Ping),
            _ => Ok(Request::Token { token: token.map(Secret::new).ok_or_else(|| needed("token"))? }),
        }
    }
}

impl Since {
    fn read(text: &str) -> Result<Self, String> {
        if text == "oldest" {
            return Ok(Self::Oldest);
        }
        text.parse().map(Self::Position).map_err(|error: PositionError| error.to_string())
    }
}

/// The number of a message that is no request otherwise.
fn id_of(text: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Id {
        #[serde(deserialize_with = "id")]
        id: u64,
    }
    serde_json::from_str(text).ok().map(|Id { id }| id)
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let id = u64::deserialize(deserializer)?;
    let is_exact = id <= GREATEST_ID;
    is_exact.then_some(id).ok_or_else(|| serde::de::Error::custom("id is greater than 2^53 - 1"))
}

/// `null` is data like any other.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// What is wrong, without what was there: that could be a token.
fn in_words(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    match error.classify() {
        Category::Data => {
            let message = error.to_string();
            let is_told =
                ["missing field", "unknown field", "duplicate field", "id is greater", "the name of"];
            let is_told = is_told.iter().any(|told| message.starts_with(told));
            let place = format!(" at line {} column {}", error.line(), error.column());
            if is_told {
                message.trim_end_matches(&place).to_owned()
            } else {
                format!("a field has a value of another kind than it should, at column {}", error.column())
            }
        }
        _ => format!("the message is not JSON, at line {} column {}", error.line(), error.column()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> (Option<u64>, String) {
        let NotRequest { id, message } = Asked::read(text).unwrap_err();
        (id, message)
    }

    #[test]
    fn data_is_any_json_as_it_came() {
        for data in ["null", "0", "[1,  2]", r#"{"b":1,"a":1.0e400}"#, r#""\ud800""#, &"[".repeat(200)] {
            let text = format!(r#"{{"type":"publish","id":1,"topic":"a","data":{data}}}"#);
            let Ok(Asked { id: 1, request: Request::Publish { data: read, key: None, .. } }) =
                Asked::read(&text)
            else {
                assert!(data.starts_with("[["), "{text}");
                continue;
            };
            assert_eq!(read.get(), data);
        }
    }

    #[test]
    fn a_subscription_can_say_since_when_and_under_which_name() {
        let text = r#"{"id":7,"type":"subscribe","topic":"a.>","since":"fe-2","member":"J\u00fcrgen"}"#;
        let Asked { id: 7, request: Request::Subscribe { topic, since, member } } =
            Asked::read(text).unwrap()
        else {
            panic!("it is a subscription with the number 7");
        };
        assert_eq!((topic.as_str(), member.as_deref()), ("a.>", Some("Jürgen")));
        assert_eq!(since, Some(Since::Position(Position { epoch: 0xfe, offset: 2 })));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_number_where_there_is_one() {
        for (text, id, expected) in [
            ("", None, "not JSON"),
            ("[]", None, "another kind"),
            (r#"{"type":"subscribe","topic":"a"}"#, None, "missing field `id`"),
            (r#"{"id":1}"#, Some(1), "missing field `type`"),
            (r#"{"id":1,"type":"sub"}"#, Some(1), "type is none of"),
            (r#"{"id":1,"type":"subscribe"}"#, Some(1), "subscribe needs the field topic"),
            (r#"{"id":1,"type":"subscribe","topic":"a..b"}"#, Some(1), "has an empty token"),
            (r#"{"id":1,"type":"publish","topic":"a.*","data":1}"#, Some(1), "has the character '*'"),
            (r#"{"id":1,"type":"publish","topic":"a"}"#, Some(1), "publish needs the field data"),
            (r#"{"id":1,"type":"subscribe","topic":"a","since":"x"}"#, Some(1), "a position is"),
            (r#"{"id":1,"type":"presence","topic":"a","data":1}"#, Some(1), "presence has no field data"),
            (r#"{"id":1,"type":"ping","topic":"a"}"#, Some(1), "ping has no field topic"),
            (r#"{"id":1,"type":"subscribe","topic":"a","sinse":"1-1"}"#, Some(1), "unknown field `sinse`"),
            (r#"{"id":1,"type":"subscribe","topic":"a","member":""}"#, Some(1), "the name of a member"),
            (r#"{"id":9007199254740992,"type":"presence","topic":"a"}"#, None, "id is greater than 2^53 - 1"),
            (r#"{"id":-1,"type":"presence","topic":"a"}"#, None, "another kind"),
        ] {
            let (found, message) = refusal(text);
            assert_eq!(found, id, "{text}");
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn no_token_is_in_what_is_said() {
        for text in [
            r#"{"id":1,"type":"secret-token","token":"secret-token"}"#,
            r#"{"id":"secret-token","type":"token"}"#,
            r#"{"id":1,"type":"token","token":["secret-token"]}"#,
            r#"{"id":1,"type":"presence","topic":"a","token":"secret-token"}"#,
        ] {
            assert!(!refusal(text).1.contains("secret-token"), "{text}");
        }
        let asked = Asked::read(r#"{"id":1,"type":"token","token":"secret-token"}"#).unwrap();
        assert!(!format!("{asked:?}").contains("secret-token"));
    }
}
