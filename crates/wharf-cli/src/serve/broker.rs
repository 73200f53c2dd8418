//! `--broker`: through what the hub shares its topics with other nodes.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use serde::Deserialize;
use wharf::hub::{BrokerHealth, Hub, HubBuilder};
use wharf_cluster::nats::{Nats, NatsNotice};
use wharf_cluster::redis::Redis;

use super::secret::Secret;

/// Where the broker is.
#[derive(Clone, Deserialize, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct BrokerUrl {
    kind: Kind,
    /// It may have a password.
    url: Secret,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nats,
    Redis,
}

const EXPECTED: &str = "expected nats://HOST:PORT or redis://HOST:PORT";

impl BrokerUrl {
    /// Gives the hub that is being made this broker. It connects by itself, now and whenever it has to again.
    ///
    /// # Errors
    /// In one line, what is wrong with the address.
    pub(super) fn connect(&self, hub: HubBuilder) -> Result<HubBuilder, String> {
        let url = self.url.reveal();
        match self.kind {
            Kind::Nats => {
                let broker = Nats::builder(url).notices(|notice| tell(&in_words(&notice))).build();
                Ok(hub.broker(broker.map_err(|error| self.without_address(&error))?))
            }
            Kind::Redis => Ok(hub.broker(Redis::new(url).map_err(|error| self.without_address(&error))?)),
        }
    }

    /// An error without the address that it may show, for there can be a password in it.
    fn without_address(&self, error: &dyn Error) -> String {
        let mut message = error.to_string();
        for address in std::iter::once(self.url.reveal()).chain(self.url.reveal().split(',')) {
            message = message.replace(address.trim(), "…");
        }
        format!("the address of the broker: {message}")
    }

    /// Says on the standard error how the broker stands, whenever that changes.
    pub(super) async fn tell_of_health(self, hub: Hub) {
        let mut health = hub.health();
        loop {
            let name = self.kind.name();
            match &health {
                BrokerHealth::Connected => tell(&format!("the broker {name} is connected")),
                BrokerHealth::Away { reason } => tell(&format!("the broker {name} is away: {reason}")),
                BrokerHealth::Embedded => return,
            }
            health = hub.health_changed(&health).await;
        }
    }
}

fn in_words(notice: &NatsNotice) -> String {
    match notice {
        NatsNotice::Server { error } => format!("the broker NATS says: {error}"),
        _ => "messages of the broker NATS came faster than they could be taken, and one was thrown away"
            .to_owned(),
    }
}

fn tell(line: &str) {
    // It may go into a pipe whose reader left; that is no reason not to serve.
    let _ = writeln!(io::stderr(), "wharf: {line}");
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Nats => "NATS",
            Self::Redis => "Redis",
        }
    }
}

impl FromStr for BrokerUrl {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = url.split_once("://").ok_or(EXPECTED)?;
        let kind = match scheme {
            "nats" | "tls" => Kind::Nats,
            "redis" | "rediss" => Kind::Redis,
            _ => return Err(EXPECTED),
        };
        if rest.is_empty() {
            return Err(EXPECTED);
        }
        Ok(Self { kind, url: Secret::new(url) })
    }
}

impl TryFrom<String> for BrokerUrl {
    type Error = String;

    fn try_from(url: String) -> Result<Self, String> {
        url.parse().map_err(|expected| format!("broker: {expected}"))
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerUrl").field("kind", &self.kind).finish_non_exhaustive()
    }
}
