//! Who may do what on which topics.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};
use wharf::hub::{LONGEST_TOPIC, Topic, TopicPattern};

/// What a client may do, and as whom, and until when.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) permissions: Permissions,
    pub(super) name: Name,
    /// When its token is no longer valid. `None`: it has none that ends.
    pub(super) expires: Option<Instant>,
}

/// Under which name a client appears to those who ask who is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// That of its token, which nobody else can have.
    Fixed(MemberName),
    /// Whichever it gives.
    Chosen,
    /// It may give none.
    Nameless,
}

/// The topics that a client may subscribe to, publish on, and ask who is there.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct Permissions {
    pub(super) subscribe: Patterns,
    pub(super) publish: Patterns,
    pub(super) presence: Patterns,
}

/// Patterns of topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Patterns(Vec<TopicPattern>);

/// The name of a member: 1 to 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemberName(Arc<str>);

/// What stands before a topic in the name of the one on which it is told who comes and goes.
const PRESENCE: &str = "$presence.";

impl Permissions {
    /// Everything.
    pub(super) fn all() -> Self {
        let all = || Patterns(vec![TopicPattern::new(">").expect("it is a pattern")]);
        Self { subscribe: all(), publish: all(), presence: all() }
    }

    /// Of the hub's own topics, those of presence count as asking who is there; the others are for nobody.
    pub(super) fn may_subscribe(&self, pattern: &TopicPattern) -> bool {
        match pattern.strip_prefix(PRESENCE) {
            Some(watched) => TopicPattern::new(watched).is_ok_and(|watched| self.presence.cover(&watched)),
            None => self.subscribe.cover(pattern),
        }
    }

    pub(super) fn may_publish(&self, topic: &Topic) -> bool {
        self.publish.cover(&topic.clone().into())
    }

    pub(super) fn may_ask_who_is_there(&self, topic: &Topic) -> bool {
        self.presence.cover(&topic.clone().into())
    }
}

impl Patterns {
    /// A wildcard at the front covers nothing of the hub's own.
    fn cover(&self, pattern: &TopicPattern) -> bool {
        self.0.iter().any(|own| own.covers(pattern))
    }
}

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let patterns = Vec::<String>::deserialize(deserializer)?;
        let patterns =
            patterns.into_iter().map(|pattern| TopicPattern::new(pattern).map_err(de::Error::custom));
        patterns.collect::<Result<_, _>>().map(Self)
    }
}

impl MemberName {
    pub(super) fn new(name: &str) -> Option<Self> {
        (1..=LONGEST_TOPIC).contains(&name.len()).then(|| Self(name.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<MemberName> for Arc<str> {
    fn from(name: MemberName) -> Self {
        name.0
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MemberName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::new(&name).ok_or_else(|| de::Error::custom("the name of a member has 1 to 255 bytes"))
    }
}

impl Serialize for MemberName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(json: &str) -> Permissions {
        serde_json::from_str(json).unwrap()
    }

    fn pattern(pattern: &str) -> TopicPattern {
        TopicPattern::new(pattern).unwrap()
    }

    #[test]
    fn a_pattern_permits_what_it_covers() {
        let own = permissions(r#"{"subscribe": ["rooms.*", "news.>"], "publish": ["rooms.lobby"]}"#);
        for may in ["rooms.lobby", "rooms.*", "news.a.b", "news.*.b", "news.>"] {
            assert!(own.may_subscribe(&pattern(may)), "{may}");
        }
        for may_not in ["rooms.>", "rooms.a.b", "news", ">", "*.lobby", "$presence.rooms.lobby"] {
            assert!(!own.may_subscribe(&pattern(may_not)), "{may_not}");
        }
        assert!(own.may_publish(&Topic::new("rooms.lobby").unwrap()));
        assert!(!own.may_publish(&Topic::new("rooms.kitchen").unwrap()));
        assert!(!own.may_ask_who_is_there(&Topic::new("rooms.lobby").unwrap()));
    }

    #[test]
    fn watching_who_comes_and_goes_is_asking_who_is_there() {
        let own = permissions(r#"{"presence": ["rooms.*"]}"#);
        assert!(own.may_subscribe(&pattern("$presence.rooms.lobby")));
        assert!(own.may_subscribe(&pattern("$presence.rooms.*")));
        assert!(!own.may_subscribe(&pattern("$presence.news")));
        assert!(!own.may_subscribe(&pattern("rooms.lobby")));
    }

    #[test]
    fn not_even_all_permissions_are_for_the_rest_of_the_hubs_own_topics() {
        assert!(Permissions::all().may_subscribe(&pattern("$presence.a")));
        assert!(!Permissions::all().may_subscribe(&pattern("$other.a")));
        assert!(!Permissions::all().may_publish(&Topic::new("$presence.a").unwrap()));
    }

    #[test]
    fn what_is_no_pattern_is_said() {
        let error = serde_json::from_str::<Permissions>(r#"{"publish": ["a..b"]}"#).unwrap_err();
        assert!(error.to_string().contains("has an empty token"), "{error}");
    }
}
