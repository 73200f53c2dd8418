//! Names of topics, and patterns of them.

use std::borrow::Borrow;
use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The longest name or pattern, in bytes.
pub const LONGEST_TOPIC: usize = 255;

/// The most tokens that a name or a pattern has, for each is a step on the way through the patterns that match.
pub const MOST_TOKENS: usize = 16;

/// Between tokens.
pub(super) const SEPARATOR: char = '.';
/// Matches any one token.
pub(super) const ONE: &str = "*";
/// Matches one token or more, at the end.
pub(super) const REST: &str = ">";
/// Topics whose names begin with it are the hub's own. A wildcard at the front matches none of them.
pub(super) const RESERVED: char = '$';

/// The name of a topic: tokens between dots, such as `prices.eur.usd`. A cheap clone.
///
/// A token has at least one character and none that is white space, a control character, `*` or `>`; that is what NATS takes
/// for a subject. At most [`LONGEST_TOPIC`] bytes and [`MOST_TOKENS`] tokens. Names that begin with `$` are the hub's own: they
/// can be subscribed to, and not published on.
///
/// ```
/// use wharf::hub::Topic;
///
/// assert_eq!(Topic::new("rooms.lobby").unwrap().as_str(), "rooms.lobby");
/// assert!(Topic::new("rooms.*").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(Arc<str>);

/// One topic, or all that match: `*` stands for one token, `>` at the end for one or more, as in NATS. A cheap clone.
///
/// At the front neither matches a name that begins with `$`.
///
/// ```
/// use wharf::hub::{Topic, TopicPattern};
///
/// let pattern = TopicPattern::new("rooms.*.messages").unwrap();
/// assert!(pattern.matches(&Topic::new("rooms.lobby.messages").unwrap()));
/// assert!(!pattern.matches(&Topic::new("rooms.messages").unwrap()));
/// assert!(TopicPattern::new("rooms.>").unwrap().matches(&Topic::new("rooms.lobby.messages").unwrap()));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPattern(Arc<str>);

/// Why a text is not the name of a topic, or not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// A name or pattern without characters.
    #[error("the name of a topic is empty")]
    Empty,
    /// Nothing before, between or behind dots.
    #[error("the topic {topic:?} has an empty token: at its beginning or end, or between two dots")]
    EmptyToken {
        /// As it was given.
        topic: String,
    },
    /// White space, a control character, or a wildcard where none can be.
    #[error("the topic {topic:?} has the character {character:?}")]
    Character {
        /// As it was given.
        topic: String,
        /// The first that may not be there.
        character: char,
    },
    /// Longer than [`LONGEST_TOPIC`].
    #[error("a topic has at most {LONGEST_TOPIC} bytes, this one has {length}")]
    TooLong {
        /// In bytes.
        length: usize,
    },
    /// More tokens than [`MOST_TOKENS`].
    #[error("a topic has at most {MOST_TOKENS} tokens, {topic:?} has {tokens}")]
    TooManyTokens {
        /// As it was given.
        topic: String,
        /// How many it has.
        tokens: usize,
    },
}

impl Topic {
    /// The topic of this name.
    ///
    /// # Errors
    /// [`TopicError`]: it is not the name of a topic.
    pub fn new(name: impl AsRef<str>) -> Result<Self, TopicError> {
        let name = name.as_ref();
        check(name, false)?;
        Ok(Self(name.into()))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the hub's own.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with(RESERVED)
    }
}

impl TopicPattern {
    /// The pattern that is written so.
    ///
    /// # Errors
    /// [`TopicError`]: it is not a pattern.
    pub fn new(pattern: impl AsRef<str>) -> Result<Self, TopicError> {
        let pattern = pattern.as_ref();
        check(pattern, true)?;
        Ok(Self(pattern.into()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it can match more than the topic of its own name.
    pub fn has_wildcards(&self) -> bool {
        tokens(&self.0).any(|token| token == ONE || token == REST)
    }

    /// The one topic that it matches, where it has no wildcards.
    pub fn topic(&self) -> Option<Topic> {
        (!self.has_wildcards()).then(|| Topic(self.0.clone()))
    }

    /// As the topic of what is said of the pattern itself, and on which nobody can publish.
    pub(super) fn as_if_topic(&self) -> Topic {
        Topic(self.0.clone())
    }

    /// Whether it matches this topic.
    pub fn matches(&self, topic: &Topic) -> bool {
        self.covers_tokens(topic.as_str())
    }

    /// Whether every topic that `other` matches is one that it matches, too.
    pub fn covers(&self, other: &Self) -> bool {
        self.covers_tokens(other.as_str())
    }

    fn covers_tokens(&self, other: &str) -> bool {
        if other.starts_with(RESERVED) && !self.0.starts_with(RESERVED) {
            return false;
        }
        let (mut ours, mut others) = (tokens(&self.0), tokens(other));
        loop {
            match (ours.next(), others.next()) {
                (Some(REST), Some(_)) | (None, None) => return true,
                (Some(ONE), Some(token)) if token != REST => {}
                (Some(own), Some(token)) if own == token => {}
                _ => return false,
            }
        }
    }
}

pub(super) fn tokens(name: &str) -> std::str::Split<'_, char> {
    name.split(SEPARATOR)
}

fn check(name: &str, may_have_wildcards: bool) -> Result<(), TopicError> {
    if name.is_empty() {
        return Err(TopicError::Empty);
    }
    if name.len() > LONGEST_TOPIC {
        return Err(TopicError::TooLong { length: name.len() });
    }
    let mut count = 0;
    let mut has_ended = None;
    for token in tokens(name) {
        count += 1;
        if token.is_empty() {
            return Err(TopicError::EmptyToken { topic: name.to_owned() });
        }
        let is_wildcard = may_have_wildcards && (token == ONE || token == REST);
        let is_wrong = |&character: &char| {
            character.is_whitespace() || character.is_control() || matches!(character, '*' | '>')
        };
        let wrong = has_ended.or_else(|| token.chars().find(is_wrong).filter(|_| !is_wildcard));
        if let Some(character) = wrong {
            return Err(TopicError::Character { topic: name.to_owned(), character });
        }
        // Nothing may follow it.
        has_ended = (token == REST).then_some('>');
    }
    if count > MOST_TOKENS {
        return Err(TopicError::TooManyTokens { topic: name.to_owned(), tokens: count });
    }
    Ok(())
}

impl From<Infallible> for TopicError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<Topic> for TopicPattern {
    fn from(topic: Topic) -> Self {
        Self(topic.0)
    }
}

/// What a name and a pattern have in common.
macro_rules! text {
    ($($name:ident),*) => {$(
        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = TopicError;

            fn try_from(text: &str) -> Result<Self, TopicError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = TopicError;

            fn try_from(text: String) -> Result<Self, TopicError> {
                Self::new(text)
            }
        }

        impl From<&$name> for $name {
            fn from(other: &$name) -> Self {
                other.clone()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )*};
}

text!(Topic, TopicPattern);

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, topic: &str) -> bool {
        TopicPattern::new(pattern).unwrap().matches(&Topic::new(topic).unwrap())
    }

    #[test]
    fn names_are_those_that_nats_takes_for_subjects() {
        for name in ["a", "a.b", "prices.eur-usd.1_2", "räume.größe", "$presence.a", "a/b"] {
            assert!(Topic::new(name).is_ok(), "{name}");
        }
        let empty = |topic: &str| TopicError::EmptyToken { topic: topic.to_owned() };
        let wrong = |topic: &str, character| TopicError::Character { topic: topic.to_owned(), character };
        assert_eq!(Topic::new(""), Err(TopicError::Empty));
        assert_eq!(Topic::new("."), Err(empty(".")));
        assert_eq!(Topic::new("a..b"), Err(empty("a..b")));
        assert_eq!(Topic::new("a."), Err(empty("a.")));
        assert_eq!(Topic::new("a b"), Err(wrong("a b", ' ')));
        assert_eq!(Topic::new("a\r\n"), Err(wrong("a\r\n", '\r')));
        assert_eq!(Topic::new("a.*"), Err(wrong("a.*", '*')));
        assert_eq!(Topic::new("a.>"), Err(wrong("a.>", '>')));
        assert_eq!(Topic::new("a".repeat(256)), Err(TopicError::TooLong { length: 256 }));
        assert!(Topic::new("a".repeat(255)).is_ok());
        let long = vec!["a"; 17].join(".");
        assert_eq!(Topic::new(&long), Err(TopicError::TooManyTokens { topic: long, tokens: 17 }));
    }

    #[test]
    fn a_wildcard_is_a_token_of_its_own_and_the_one_for_the_rest_is_the_last() {
        for pattern in ["*", ">", "a.*", "*.b", "a.*.>", "a"] {
            assert!(TopicPattern::new(pattern).is_ok(), "{pattern}");
        }
        for (pattern, character) in [("a*", '*'), ("a.b>", '>'), (">.a", '>'), ("a.>.b", '>'), (">.>", '>')] {
            let topic = pattern.to_owned();
            assert_eq!(TopicPattern::new(pattern), Err(TopicError::Character { topic, character }));
        }
    }

    #[test]
    fn one_wildcard_stands_for_one_token_and_the_other_for_the_rest() {
        assert!(matches("a.b", "a.b"));
        assert!(!matches("a.b", "a.b.c"));
        assert!(matches("a.*", "a.b"));
        assert!(!matches("a.*", "a"));
        assert!(!matches("a.*", "a.b.c"));
        assert!(matches("*.b", "a.b"));
        assert!(matches("a.>", "a.b"));
        assert!(matches("a.>", "a.b.c"));
        assert!(!matches("a.>", "a"));
        assert!(matches(">", "a"));
    }

    #[test]
    fn a_wildcard_at_the_front_matches_nothing_of_the_hubs_own() {
        assert!(!matches(">", "$presence.a"));
        assert!(!matches("*.a", "$presence.a"));
        assert!(matches("$presence.*", "$presence.a"));
    }

    #[test]
    fn a_pattern_covers_those_whose_every_topic_it_matches() {
        let covers = |one: &str, other: &str| {
            TopicPattern::new(one).unwrap().covers(&TopicPattern::new(other).unwrap())
        };
        assert!(covers("a.>", "a.*.c"));
        assert!(covers("a.>", "a.>"));
        assert!(covers("a.*", "a.*"));
        assert!(!covers("a.*", "a.>"));
        assert!(!covers("a.b", "a.*"));
        assert!(!covers(">", "$presence.a"));
    }
}
