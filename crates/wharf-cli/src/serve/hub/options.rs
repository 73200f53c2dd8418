//! What a configuration file says of the hub.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer};
use wharf::CloseCode;
use wharf::hub::{
    HistoryOptions, Hub, HubBuilder, HubError, SlowConsumer, SlowConsumerPolicy, TopicOptions, TopicPattern,
    WhenAway,
};

use super::permissions::{MemberName, Patterns};

/// The table `hub`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(in crate::serve) struct HubOptions {
    topics: Vec<TopicsOptions>,
    slow_consumer: Option<SlowConsumerOptions>,
    max_subscriptions: Option<usize>,
    /// How many messages wait for a broker that is away. With 0, publishing fails meanwhile.
    broker_queue: Option<usize>,
    pub(super) anonymous: Option<AnonymousOptions>,
    pub(super) tokens: Vec<TokenOptions>,
    pub(super) jwt: Option<JwtOptions>,
    /// The cookie that has a client's token.
    pub(in crate::serve) cookie: Option<String>,
    /// Whether no file has the table.
    #[serde(skip)]
    pub(super) is_to_try: bool,
}

/// What holds for topics that match a pattern.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct TopicsOptions {
    #[serde(deserialize_with = "pattern")]
    pattern: TopicPattern,
    history: Option<HistoryFileOptions>,
    #[serde(default)]
    presence: bool,
    slow_consumer: Option<SlowConsumerOptions>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct HistoryFileOptions {
    max_messages: Option<usize>,
    #[serde(deserialize_with = "time")]
    max_age: Option<Duration>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct SlowConsumerOptions {
    max_messages: Option<usize>,
    max_bytes: Option<usize>,
    policy: Option<Policy>,
    close_code: Option<u16>,
    close_description: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Policy {
    Close,
    DropOldest,
    DropNewest,
    Conflate,
}

/// What clients without a token may do.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AnonymousOptions {
    pub(super) subscribe: Patterns,
    pub(super) publish: Patterns,
    pub(super) presence: Patterns,
    /// Whether they may appear under names that they choose.
    pub(super) names: bool,
}

/// A bearer token, and what its holder may do.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenOptions {
    pub(super) token_file: PathBuf,
    pub(super) name: Option<MemberName>,
    #[serde(default)]
    pub(super) subscribe: Patterns,
    #[serde(default)]
    pub(super) publish: Patterns,
    #[serde(default)]
    pub(super) presence: Patterns,
}

/// Whose JSON Web Tokens count.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(try_from = "JwtFileOptions")]
pub(super) struct JwtOptions {
    pub(super) key: JwtKey,
    pub(super) audience: Option<String>,
    pub(super) issuer: Option<String>,
}

/// The file with the key that they are checked with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum JwtKey {
    /// A secret of both sides: HS256.
    Secret(PathBuf),
    /// A public key: RS256 or ES256.
    Public(PathBuf),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JwtFileOptions {
    secret_file: Option<PathBuf>,
    public_key_file: Option<PathBuf>,
    audience: Option<String>,
    issuer: Option<String>,
}

impl HubOptions {
    /// Where no file has the table: all that there is to try. A broker need not keep histories, such as NATS without JetStream.
    pub(in crate::serve) fn to_try(has_broker: bool) -> Self {
        let all = TopicsOptions {
            pattern: TopicPattern::new(">").expect("it is a pattern"),
            history: (!has_broker).then(HistoryFileOptions::default),
            presence: true,
            slow_consumer: None,
        };
        Self { topics: vec![all], is_to_try: true, ..Self::default() }
    }

    /// The hub that they describe, without its broker and its presentation.
    ///
    /// # Errors
    /// In one line, the option whose value has no meaning.
    pub(in crate::serve) fn builder(&self) -> Result<HubBuilder, String> {
        let mut builder = Hub::builder();
        for topics in &self.topics {
            builder = builder
                .topics(topics.pattern.as_str(), topics.options()?)
                .map_err(|error| in_words(&error))?;
        }
        if let Some(slow_consumer) = &self.slow_consumer {
            builder = builder.slow_consumer(slow_consumer.meant()?);
        }
        if let Some(subscriptions) = self.max_subscriptions {
            builder = builder.max_subscriptions(subscriptions);
        }
        match self.broker_queue {
            None => {}
            Some(0) => builder = builder.when_away(WhenAway::Fail),
            Some(max_messages) => builder = builder.when_away(WhenAway::Queue { max_messages }),
        }
        Ok(builder)
    }

    /// Whether clients without a token could take the name of one that has one.
    pub(in crate::serve) fn lets_take_names(&self) -> bool {
        let chooses_names = self.anonymous.as_ref().is_some_and(|anonymous| anonymous.names);
        chooses_names && (self.jwt.is_some() || self.tokens.iter().any(|token| token.name.is_some()))
    }
}

/// An error of the library's, as one of the file's table.
pub(in crate::serve) fn in_words(error: &HubError) -> String {
    format!("in the table hub, {error}")
}

impl TopicsOptions {
    fn options(&self) -> Result<TopicOptions, String> {
        let history = self.history.as_ref().map(|history| {
            let default = HistoryOptions::default();
            default
                .max_messages(history.max_messages.unwrap_or(default.max_messages))
                .max_age(history.max_age.unwrap_or(default.max_age))
        });
        let slow_consumer = self.slow_consumer.as_ref().map(SlowConsumerOptions::meant).transpose()?;
        Ok(TopicOptions::default().history(history).presence(self.presence).slow_consumer(slow_consumer))
    }
}

impl SlowConsumerOptions {
    fn meant(&self) -> Result<SlowConsumer, String> {
        let default = SlowConsumer::default();
        let says_close = self.close_code.is_some() || self.close_description.is_some();
        let policy = match self.policy {
            None | Some(Policy::Close) if says_close => {
                let code = self.close_code.map_or(CloseCode::TRY_AGAIN_LATER, CloseCode::new);
                let description = self.close_description.as_deref().unwrap_or_default();
                SlowConsumerPolicy::close(code, description)
                    .map_err(|error| format!("in the table hub, slow_consumer: {error}"))?
            }
            _ if says_close => {
                return Err(
                    "in the table hub, close_code and close_description go with the policy \"close\""
                        .to_owned(),
                );
            }
            None | Some(Policy::Close) => default.policy,
            Some(Policy::DropOldest) => SlowConsumerPolicy::DropOldest,
            Some(Policy::DropNewest) => SlowConsumerPolicy::DropNewest,
            Some(Policy::Conflate) => SlowConsumerPolicy::Conflate,
        };
        Ok(SlowConsumer::new(policy)
            .max_messages(self.max_messages.unwrap_or(default.max_messages))
            .max_bytes(self.max_bytes.unwrap_or(default.max_bytes)))
    }
}

impl TryFrom<JwtFileOptions> for JwtOptions {
    type Error = &'static str;

    fn try_from(options: JwtFileOptions) -> Result<Self, Self::Error> {
        let JwtFileOptions { secret_file, public_key_file, audience, issuer } = options;
        let key = match (secret_file, public_key_file) {
            (Some(secret), None) => JwtKey::Secret(secret),
            (None, Some(public)) => JwtKey::Public(public),
            _ => return Err("jwt needs a secret_file or a public_key_file, and not both"),
        };
        Ok(Self { key, audience, issuer })
    }
}

fn pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TopicPattern, D::Error> {
    TopicPattern::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map(Some).map_err(|_| {
        de::Error::custom(format!("max_age is {text:?}, but must be a time with its unit, such as 5m"))
    })
}
