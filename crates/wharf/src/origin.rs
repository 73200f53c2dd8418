//! Origins that may connect: `same-origin`, `https://example.com`, `https://*.example.com`, `null`.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// Which origins may connect; several of them are [`ServerConfig::allowed_origins`](crate::ServerConfig::allowed_origins).
///
/// | text | allows |
/// |---|---|
/// | `same-origin` | pages of the host and port that the request goes to: [`SAME_ORIGIN`](Self::SAME_ORIGIN) |
/// | `https://example.com`, `https://example.com:8443` | this scheme, host and port (RFC 6454 §5); a port left out is the scheme's |
/// | `https://*.example.com` | every host below it, at any depth, and not itself |
/// | `null` | pages that hide their origin: [`NULL`](Self::NULL) |
///
/// Scheme and host are the same in upper and lower case. A name that is not ASCII is written as browsers send it, in punycode.
/// The scheme may be another than `http` and `https`, for an application's own or a browser extension's pages
/// (`chrome-extension://…`, `file://`).
///
/// ```
/// use wharf::OriginRule;
///
/// let rule: OriginRule = "https://*.example.com".parse()?;
/// assert!(rule.allows("https://chat.example.com", "ws.example.com"));
/// assert!(!rule.allows("https://example.com", "ws.example.com"));
/// assert!(OriginRule::SAME_ORIGIN.allows("https://example.com", "example.com"));
/// # Ok::<(), wharf::OriginRuleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OriginRule(Rule);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Rule {
    SameOrigin,
    Null,
    Exact(Origin<'static>),
    Subdomains(Origin<'static>),
}

impl OriginRule {
    /// `same-origin`: pages of `http` and `https` whose host and port are those of the request's `Host`, or `:authority` in
    /// HTTP/2.
    ///
    /// The scheme is not compared, for a server behind a proxy that ends TLS cannot know which one its clients use. The proxy
    /// must hand `Host` on as it came. It does not keep out pages that had their own name point at this server (DNS
    /// rebinding), for then `Host` has that name, too: a server that others reach by no name, such as one on `localhost`,
    /// names its origins.
    pub const SAME_ORIGIN: Self = Self(Rule::SameOrigin);

    /// `null`: pages that browsers give no origin, or one that is hidden (RFC 6454 §7.3), such as local files and sandboxed
    /// frames. Any page on the Web can have a sandboxed frame.
    pub const NULL: Self = Self(Rule::Null);

    /// Whether a page of `origin` may connect, which a request to `host` named so; both as sent. What is no origin, or a list
    /// of several, is allowed by no rule.
    pub fn allows(&self, origin: &str, host: &str) -> bool {
        if origin == NULL {
            return self.0 == Rule::Null;
        }
        let Some(origin) = Origin::read(origin) else { return false };
        match &self.0 {
            Rule::Null => false,
            Rule::SameOrigin => origin.is_at(host),
            Rule::Exact(allowed) => origin.is(allowed),
            Rule::Subdomains(parent) => origin.is_below(parent),
        }
    }
}

impl FromStr for OriginRule {
    type Err = OriginRuleError;

    fn from_str(text: &str) -> Result<Self, OriginRuleError> {
        match text {
            SAME_ORIGIN => return Ok(Self::SAME_ORIGIN),
            NULL => return Ok(Self::NULL),
            "*" => return Err(OriginRuleError::Any),
            _ => {}
        }
        let given = || text.to_owned();
        if !text.is_ascii() {
            return Err(OriginRuleError::NotAscii { text: given() });
        }
        let unreadable = || OriginRuleError::Unreadable { text: given() };
        let (scheme, authority) = text.split_once("://").ok_or_else(unreadable)?;
        if ["ws", "wss"].iter().any(|websocket| scheme.eq_ignore_ascii_case(websocket)) {
            return Err(OriginRuleError::WebSocketUrl { text: given() });
        }
        if authority.contains(['/', '?', '#', '@']) {
            return Err(OriginRuleError::MoreThanOrigin { text: given() });
        }
        let Some(parent) = authority.strip_prefix("*.") else {
            return Origin::of(scheme, authority)
                .map(Origin::normal)
                .map(Rule::Exact)
                .map(Self)
                .ok_or_else(unreadable);
        };
        match Origin::of(scheme, parent).map(Origin::normal) {
            Some(parent) if parent.has_a_name() => Ok(Self(Rule::Subdomains(parent))),
            _ => Err(unreadable()),
        }
    }
}

/// As it is parsed, in lower case and without a port that is the scheme's.
impl fmt::Display for OriginRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::SameOrigin => f.write_str(SAME_ORIGIN),
            Rule::Null => f.write_str(NULL),
            Rule::Exact(origin) => origin.write(f, ""),
            Rule::Subdomains(parent) => parent.write(f, "*."),
        }
    }
}

/// Why a text is not an [`OriginRule`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginRuleError {
    /// None of the four forms.
    #[error(
        "{text:?} is not an origin like https://example.com or https://*.example.com, and not same-origin or null"
    )]
    Unreadable {
        /// What came.
        text: String,
    },
    /// Something that no origin has: a path, be it only a slash, a query, a fragment or a user.
    #[error(
        "{text:?} has more than an origin, which is a scheme, a host and a port like https://example.com"
    )]
    MoreThanOrigin {
        /// What came.
        text: String,
    },
    /// Where a page connects to, and not where it is from.
    #[error("{text:?} is the URL of a WebSocket, but an origin is that of a page, like https://example.com")]
    WebSocketUrl {
        /// What came.
        text: String,
    },
    /// A name that browsers send in another form.
    #[error("{text:?} is not ASCII, but browsers send names in punycode, like https://xn--bcher-kva.example")]
    NotAscii {
        /// What came.
        text: String,
    },
    /// `*`, which others have for all origins.
    #[error("\"*\" is not an origin; any may connect where none is listed")]
    Any,
}

/// A scheme, a host and a port (RFC 6454 §4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Origin<'a> {
    scheme: Cow<'a, str>,
    host: Host<'a>,
    /// The scheme's where none stands there and it has one.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Host<'a> {
    /// Of IPv4 addresses, too, which have one form only.
    Name(Cow<'a, str>),
    V6(Ipv6Addr),
}

impl<'a> Origin<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        Self::of(scheme, authority)
    }

    fn of(scheme: &'a str, authority: &'a str) -> Option<Self> {
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme {
            return None;
        }
        if authority.is_empty() {
            // The one origin without a host that browsers send.
            let host = Host::Name("".into());
            return scheme.eq_ignore_ascii_case("file").then_some(Self {
                scheme: scheme.into(),
                host,
                port: None,
            });
        }
        let (host, port) = host_and_port(authority)?;
        Some(Self { scheme: scheme.into(), host, port: port.or_else(|| default_port(scheme)) })
    }

    fn normal(self) -> Origin<'static> {
        let host = match self.host {
            Host::Name(name) => Host::Name(name.to_ascii_lowercase().into()),
            Host::V6(address) => Host::V6(address),
        };
        Origin { scheme: self.scheme.to_ascii_lowercase().into(), host, port: self.port }
    }

    /// Whether there can be hosts below it.
    fn has_a_name(&self) -> bool {
        matches!(&self.host, Host::Name(name) if !name.is_empty())
    }

    /// RFC 6454 §5.
    fn is(&self, other: &Self) -> bool {
        self.scheme.eq_ignore_ascii_case(&other.scheme)
            && self.port == other.port
            && self.host.is(&other.host)
    }

    fn is_below(&self, parent: &Self) -> bool {
        let (Host::Name(name), Host::Name(parent_name)) = (&self.host, &parent.host) else { return false };
        let ends_with_parent = || {
            let (below, end) = name.split_at_checked(name.len().checked_sub(parent_name.len())?)?;
            Some(below.ends_with('.') && end.eq_ignore_ascii_case(parent_name))
        };
        self.scheme.eq_ignore_ascii_case(&parent.scheme)
            && self.port == parent.port
            && ends_with_parent().unwrap_or(false)
    }

    /// Whether a request with this `Host` goes where the page is from, whichever scheme it uses.
    fn is_at(&self, host: &str) -> bool {
        let Some(default_port) = default_port(&self.scheme) else { return false };
        host_and_port(host).is_some_and(|(host, port)| {
            self.host.is(&host) && self.port == Some(port.unwrap_or(default_port))
        })
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, before_host: &str) -> fmt::Result {
        write!(f, "{}://{before_host}", self.scheme)?;
        match &self.host {
            Host::Name(name) => f.write_str(name)?,
            Host::V6(address) => write!(f, "[{address}]")?,
        }
        match self.port {
            Some(port) if self.port != default_port(&self.scheme) => write!(f, ":{port}"),
            _ => Ok(()),
        }
    }
}

impl Host<'_> {
    fn is(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Self::Name(name), Host::Name(other)) => name.eq_ignore_ascii_case(other),
            (Self::V6(address), Host::V6(other)) => address == other,
            _ => false,
        }
    }
}

/// Reads what stands behind the scheme of an origin, or in `Host`: nothing but a host and maybe a port.
fn host_and_port(text: &str) -> Option<(Host<'_>, Option<u16>)> {
    let (host, rest) = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']')?;
        (Host::V6(address.parse().ok()?), rest)
    } else {
        let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
        (Host::Name(is_name(name).then_some(name)?.into()), rest)
    };
    let port = match rest.strip_prefix(':') {
        // `u16::from_str` takes a sign, a port has none.
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
        None if rest.is_empty() => None,
        _ => return None,
    };
    Some((host, port))
}

/// Labels of what browsers have in the names of hosts, each with something in it; the last may be followed by the root's dot.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && !name.contains("..")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

fn default_port(scheme: &str) -> Option<u16> {
    let ports = [("http", 80), ("https", 443)];
    ports.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(scheme)).map(|(_, port)| port)
}

const SAME_ORIGIN: &str = "same-origin";
const NULL: &str = "null";

#[cfg(test)]
mod tests;
