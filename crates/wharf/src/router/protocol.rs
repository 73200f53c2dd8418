//! The subprotocol that a route is for.

use std::fmt;

use crate::proto::handshake::is_token;

/// Which requests a route is for, by the subprotocols that they offer. From a text: `"*"` is [`Any`](Self::Any), an
/// empty one [`None`](Self::None), any other the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteProtocol {
    /// Whatever is offered, or nothing.
    Any,
    /// Only requests that offer none.
    None,
    /// Requests that offer this one, in any case.
    Named(String),
}

impl RouteProtocol {
    /// In lower case, for names are compared so.
    pub(super) fn normalised(self) -> Self {
        match self {
            Self::Named(name) => Self::Named(name.to_ascii_lowercase()),
            other => other,
        }
    }

    /// Whether a request could offer it (RFC 6455 §4.1).
    pub(super) fn is_possible(&self) -> bool {
        !matches!(self, Self::Named(name) if !is_token(name))
    }

    /// Whether it is for `offered`, in lower case; `None`: nothing was offered.
    pub(super) fn fits(&self, offered: Option<&str>) -> bool {
        match (self, offered) {
            (Self::Any, _) | (Self::None, None) => true,
            (Self::Named(name), Some(offered)) => name == offered,
            (Self::Named(_), None) | (Self::None, Some(_)) => false,
        }
    }
}

impl fmt::Display for RouteProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any protocol"),
            Self::None => f.write_str("no protocol"),
            Self::Named(name) => write!(f, "the protocol {name:?}"),
        }
    }
}

impl From<&str> for RouteProtocol {
    fn from(text: &str) -> Self {
        match text {
            "*" => Self::Any,
            "" => Self::None,
            name => Self::Named(name.to_owned()),
        }
    }
}

impl From<String> for RouteProtocol {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<Option<&str>> for RouteProtocol {
    fn from(text: Option<&str>) -> Self {
        text.unwrap_or_default().into()
    }
}
