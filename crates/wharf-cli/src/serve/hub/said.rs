//! What clients are told, in the subprotocol `wharf.json.v1`.

use serde::Serialize;
use serde_json::value::RawValue;
use wharf::Message;
use wharf::hub::{self, Position, Presence, PublishError, Recovery, SubscribeError, Subscribed};

use super::jwt::TokenError;

/// A message to a client.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Said<'a> {
    /// The first one.
    Welcome {
        #[serde(skip_serializing_if = "Option::is_none")]
        member: Option<&'a str>,
        /// In how many seconds its token expires.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_in: Option<u64>,
    },
    Ok(Done<'a>),
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        code: Code,
        message: &'a str,
    },
    Message {
        topic: &'a str,
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
        position: Option<Position>,
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
        #[serde(flatten)]
        data: Data<'a>,
    },
    Missed {
        topic: &'a str,
        count: u64,
    },
    Position {
        topic: &'a str,
        #[serde(serialize_with = "text")]
        position: Option<Position>,
    },
    Joined {
        topic: &'a str,
        member: &'a str,
    },
    Left {
        topic: &'a str,
        member: &'a str,
    },
    /// A subscription that a new token does not permit any more has ended.
    Unsubscribed {
        topic: &'a str,
    },
}

/// What became of a request.
#[derive(Debug, Default, Serialize)]
pub(super) struct Done<'a> {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    position: Option<Position>,
    /// How many messages that were missed follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovered: Option<usize>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    too_old: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<Member<'a>>>,
    /// How many members there are, with those that are not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    member_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
}

/// One who is there.
#[derive(Debug, Serialize)]
pub(super) struct Member<'a> {
    name: &'a str,
    connections: usize,
}

/// What was published.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Data<'a> {
    #[serde(rename = "data")]
    Json(&'a RawValue),
    /// Text of another program's that is not JSON.
    #[serde(rename = "data")]
    Text(&'a str),
    Base64(String),
}

/// Why a request failed: all codes that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Code {
    BadRequest,
    BadToken,
    NotPermitted,
    NoHistory,
    NoPresence,
    TooManySubscriptions,
    Busy,
    Broker,
    Ended,
}

/// How many of those who are there are told by their names.
const MOST_MEMBERS: usize = 1000;

impl Said<'_> {
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and text under fixed names are always JSON")
    }
}

impl From<Said<'_>> for Message {
    fn from(said: Said<'_>) -> Self {
        said.json().into()
    }
}

impl<'a> Done<'a> {
    pub(super) fn new(id: u64) -> Self {
        Self { id, ..Self::default() }
    }

    pub(super) fn subscribed(id: u64, subscribed: &Subscribed) -> Self {
        let (recovered, too_old) = match subscribed.recovery {
            None => (None, false),
            Some(Recovery::Recovered { messages }) => (Some(messages), false),
            Some(Recovery::TooOld) => (None, true),
        };
        Self { position: subscribed.position, recovered, too_old, ..Self::new(id) }
    }

    pub(super) fn published(id: u64, position: Option<Position>) -> Self {
        Self { position, ..Self::new(id) }
    }

    pub(super) fn presence(id: u64, presence: &'a Presence) -> Self {
        Self {
            members: Some(members(presence)),
            member_count: Some(presence.members.len()),
            connections: Some(presence.connections),
            ..Self::new(id)
        }
    }

    pub(super) fn renewed(id: u64, expires_in: Option<u64>) -> Self {
        Self { expires_in, ..Self::new(id) }
    }
}

/// Those who are there by a name, so many that an answer does not grow without end.
pub(super) fn members<'a>(presence: &'a Presence) -> Vec<Member<'a>> {
    let member = |member: &'a hub::Member| Member { name: &member.name, connections: member.connections };
    presence.members.iter().take(MOST_MEMBERS).map(member).collect()
}

impl From<&SubscribeError> for Code {
    fn from(error: &SubscribeError) -> Self {
        match error {
            SubscribeError::NoHistory(_) => Self::NoHistory,
            SubscribeError::NoPresence(_) => Self::NoPresence,
            SubscribeError::TooMany { .. } => Self::TooManySubscriptions,
            SubscribeError::Broker(_) => Self::Broker,
            SubscribeError::Closed | SubscribeError::Ended => Self::Ended,
            _ => Self::BadRequest,
        }
    }
}

impl From<&PublishError> for Code {
    fn from(error: &PublishError) -> Self {
        match error {
            PublishError::Busy { .. } => Self::Busy,
            PublishError::QueueFull { .. } | PublishError::BrokerAway | PublishError::Broker(_) => {
                Self::Broker
            }
            _ => Self::BadRequest,
        }
    }
}

impl From<&TokenError> for Code {
    fn from(_: &TokenError) -> Self {
        Self::BadToken
    }
}

#[allow(clippy::ref_option, reason = "it is how serde calls it")]
fn text<S: serde::Serializer>(position: &Option<Position>, serializer: S) -> Result<S::Ok, S::Error> {
    match position {
        Some(position) => serializer.collect_str(position),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use wharf::hub::{Hub, Subscribe, Topic, TopicOptions};
    use wharf::{OpenStream, Server, ServerConfig};

    use super::*;

    #[tokio::test]
    async fn of_many_who_are_there_a_thousand_are_named_and_all_are_counted() {
        let topics = TopicOptions::default().presence(true);
        let hub = Hub::builder().topics("a", topics).expect("it is allowed").build().expect("it is allowed");
        let server = Server::with_hub(ServerConfig::default(), hub);
        let mut clients = Vec::new();
        for number in 0..1001 {
            let (client, stream) = tokio::io::duplex(64);
            clients.push(client);
            let connection = server.adopt(OpenStream::new(stream)).expect("it is allowed");
            let subscribe = Subscribe::new("a").expect("it is allowed").member(format!("{number:04}"));
            connection.subscribe_with(subscribe).expect("it is allowed").await.expect("it is there");
        }
        let presence = server.hub().presence(&Topic::new("a").expect("it is allowed"));
        let said: Value =
            serde_json::from_str(&Said::Ok(Done::presence(1, &presence)).json()).expect("it is JSON");
        assert_eq!((&said["member_count"], &said["connections"]), (&1001.into(), &1001.into()));
        let members = said["members"].as_array().expect("they are there");
        assert_eq!(members.len(), 1000);
        assert_eq!(members[999]["name"], "0999");
    }
}
