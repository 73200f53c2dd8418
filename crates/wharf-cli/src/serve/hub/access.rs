//! Who a client is, by what it shows, and what it may do.

use std::sync::Arc;

use http::header::{self, HeaderMap};
use http::{HeaderName, Uri};
use wharf::{Cookies, OriginRule, Request};

use super::jwt::{Jwt, TokenError};
use super::options::HubOptions;
use super::permissions::{Grant, Name, Permissions};
use super::tokens::Tokens;
use crate::serve::secret::Secret;

/// Decides what clients may do.
#[derive(Debug)]
pub(in crate::serve) struct Access {
    anonymous: Anonymous,
    tokens: Tokens,
    jwt: Option<Jwt>,
    cookie: Option<String>,
    /// Whose pages may publish by HTTP without a token. Empty: those of this server.
    origins: Vec<OriginRule>,
}

/// What clients without a token may do.
#[derive(Debug)]
enum Anonymous {
    Permitted(Grant),
    /// Everything, where they are on this machine and speak for nobody else.
    Here(Grant),
    Nothing,
}

/// Why a client may not even begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AccessError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("the header Authorization has to be Bearer, a space, and a token")]
    Unreadable,
    #[error("a token is needed")]
    NoToken,
    #[error("pages of this origin may do nothing here without a token: allowed_origins says whose may")]
    Origin,
    #[error("the hub is not configured: it is open to programs and pages of this machine alone")]
    NotFromHere,
    #[error("the hub is not configured: the table hub of the configuration file says who may use it")]
    NotConfigured,
}

/// What a subprotocol begins with that is a token.
const IN_PROTOCOL: &str = "wharf.jwt.";

/// Headers of those who speak for others.
const FORWARDED: [HeaderName; 4] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
];

impl Access {
    /// Reads the files of tokens and keys. `is_local`: nobody but this machine can connect. `origins`: whose pages may connect,
    /// if that is said.
    ///
    /// # Errors
    /// In one line, what is wrong with them.
    pub(in crate::serve) fn read(
        options: &HubOptions,
        is_local: bool,
        origins: &[OriginRule],
    ) -> Result<Self, String> {
        let anonymous = match &options.anonymous {
            Some(anonymous) => {
                let permissions = Permissions {
                    subscribe: anonymous.subscribe.clone(),
                    publish: anonymous.publish.clone(),
                    presence: anonymous.presence.clone(),
                };
                let name = if anonymous.names { Name::Chosen } else { Name::Nameless };
                Anonymous::Permitted(Grant { permissions, name, expires: None })
            }
            None if options.is_to_try && is_local => {
                Anonymous::Here(Grant { permissions: Permissions::all(), name: Name::Chosen, expires: None })
            }
            None => Anonymous::Nothing,
        };
        Ok(Self {
            anonymous,
            tokens: Tokens::read(&options.tokens)?,
            jwt: options.jwt.as_ref().map(Jwt::read).transpose()?,
            cookie: options.cookie.clone(),
            origins: origins.to_vec(),
        })
    }

    /// Whether everybody on this machine may do everything.
    pub(in crate::serve) const fn is_open_here(&self) -> bool {
        matches!(self.anonymous, Anonymous::Here(_))
    }

    /// Whether there are tokens that permit anything.
    pub(super) const fn knows_tokens(&self) -> bool {
        !self.tokens.is_empty() || self.jwt.is_some()
    }

    /// What a client may do that asks for a WebSocket: by its header, its subprotocols, or its cookie, in this order.
    pub(super) fn of_handshake(&self, request: &Request) -> Result<Grant, AccessError> {
        let headers = &request.http_request().headers;
        let offered = || request.protocols().iter().find_map(|protocol| protocol.strip_prefix(IN_PROTOCOL));
        let token =
            bearer(headers)?.or_else(|| offered().map(Secret::new)).or_else(|| self.in_cookie(headers));
        self.of(token.as_ref(), headers, Some(request.host()))
    }

    /// What a client may do that publishes by HTTP. Cookies do not count: any page could send them along. Nor may any page do
    /// what clients without a token may, for a form can post text anywhere, and in the network of whoever reads the page.
    pub(super) fn of_request(&self, headers: &HeaderMap, uri: &Uri) -> Result<Grant, AccessError> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = uri.authority().map(http::uri::Authority::as_str).or(host);
        let token = bearer(headers)?;
        if token.is_none() && !self.is_of_allowed_origin(headers, host) {
            return Err(AccessError::Origin);
        }
        self.of(token.as_ref(), headers, host)
    }

    /// What the holder of a token may do.
    pub(super) fn of_token(&self, token: &Secret) -> Result<Grant, TokenError> {
        match (self.tokens.find(token), &self.jwt) {
            (Some(grant), _) => Ok(grant),
            (None, Some(jwt)) => jwt.grant(token),
            (None, None) => Err(TokenError::Unknown),
        }
    }

    fn of(
        &self,
        token: Option<&Secret>,
        headers: &HeaderMap,
        host: Option<&str>,
    ) -> Result<Grant, AccessError> {
        if let Some(token) = token {
            return Ok(self.of_token(token)?);
        }
        match &self.anonymous {
            Anonymous::Permitted(grant) => Ok(grant.clone()),
            Anonymous::Here(grant) if is_of_this_machine(headers, host) => Ok(grant.clone()),
            Anonymous::Here(_) => Err(AccessError::NotFromHere),
            Anonymous::Nothing if self.knows_tokens() => Err(AccessError::NoToken),
            Anonymous::Nothing => Err(AccessError::NotConfigured),
        }
    }

    /// As handshakes are let through; but where nothing is said of origins, it has to be that of this server, or of this machine
    /// where all of that may do everything.
    fn is_of_allowed_origin(&self, headers: &HeaderMap, host: Option<&str>) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let allows = |rule: &OriginRule| match (origin.to_str(), host) {
            (Ok(origin), Some(host)) => rule.allows(origin, host),
            _ => false,
        };
        match &*self.origins {
            [] if self.is_open_here() => is_of_this_machine(headers, host),
            [] => allows(&OriginRule::SAME_ORIGIN),
            rules => rules.iter().any(allows),
        }
    }

    fn in_cookie(&self, headers: &HeaderMap) -> Option<Secret> {
        Cookies::from_headers(headers).get(self.cookie.as_deref()?).map(Secret::new)
    }
}

impl Grant {
    /// What a token permits that is to take the place of what was permitted before.
    pub(super) fn renewed_by(&self, new: Self) -> Result<Self, TokenError> {
        // Who has come under a name stays under it, and who has come without one is seen under none.
        if self.name == new.name { Ok(new) } else { Err(TokenError::OtherMember) }
    }

    /// Under which name it subscribes, if it has asked for this one. `Err`: not under it.
    pub(super) fn member(&self, asked: Option<Arc<str>>) -> Result<Option<Arc<str>>, Arc<str>> {
        match (&self.name, asked) {
            (Name::Fixed(own), Some(asked)) if own.as_str() != &*asked => Err(asked),
            (Name::Fixed(own), _) => Ok(Some(own.clone().into())),
            (Name::Chosen, asked) => Ok(asked),
            (Name::Nameless, Some(asked)) => Err(asked),
            (Name::Nameless, None) => Ok(None),
        }
    }
}

/// The token in the header `Authorization`. One of another scheme may be for a proxy.
fn bearer(headers: &HeaderMap) -> Result<Option<Secret>, AccessError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let value = value.to_str().map_err(|_| AccessError::Unreadable)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    match token.trim() {
        "" => Err(AccessError::Unreadable),
        token => Ok(Some(Secret::new(token))),
    }
}

/// Whether a request of this machine speaks for nobody else: neither for a client of a proxy, nor for a page from elsewhere,
/// under whatever name that has found this server.
fn is_of_this_machine(headers: &HeaderMap, host: Option<&str>) -> bool {
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    !FORWARDED.iter().any(|name| headers.contains_key(name))
        && host.is_some_and(|host| names_this_machine(&format!("http://{host}")))
        && origin.is_none_or(names_this_machine)
}

fn names_this_machine(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else { return false };
    let Some(host) = uri.host() else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    match address {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn what_comes_through_a_proxy_or_from_a_page_elsewhere_is_not_of_this_machine() {
        for (lines, host) in [
            (&[][..], "127.0.0.1:9001"),
            (&[("origin", "http://localhost:8000")], "[::1]:9001"),
            (&[("origin", "https://app.localhost")], "localhost"),
        ] {
            assert!(is_of_this_machine(&headers(lines), Some(host)), "{lines:?} {host}");
        }
        for (lines, host) in [
            (&[][..], "example.com"),
            (&[][..], "localhost.example.com:9001"),
            (&[("origin", "https://example.com")], "localhost"),
            (&[("origin", "null")], "localhost"),
            (&[("origin", "http://127.0.0.1.example.com")], "localhost"),
            (&[("x-forwarded-for", "127.0.0.1")], "localhost"),
            (&[("forwarded", "for=127.0.0.1")], "localhost"),
            (&[("via", "1.1 a")], "localhost"),
        ] {
            assert!(!is_of_this_machine(&headers(lines), Some(host)), "{lines:?} {host}");
        }
        assert!(!is_of_this_machine(&HeaderMap::new(), None));
    }

    #[test]
    fn who_has_a_name_by_its_token_appears_under_no_other() {
        let grant = |name| Grant { permissions: Permissions::all(), name, expires: None };
        let fixed = |name: &str| grant(Name::Fixed(serde_json::from_value(name.into()).unwrap()));
        let asked = |name: &str| Some(name.into());
        assert_eq!(fixed("ann").member(None), Ok(asked("ann")));
        assert_eq!(fixed("ann").member(asked("ann")), Ok(asked("ann")));
        assert_eq!(fixed("ann").member(asked("bob")), Err("bob".into()));
        assert_eq!(grant(Name::Chosen).member(asked("bob")), Ok(asked("bob")));
        assert_eq!(grant(Name::Nameless).member(asked("bob")), Err("bob".into()));
        assert!(fixed("ann").renewed_by(fixed("ann")).is_ok());
        assert_eq!(fixed("ann").renewed_by(fixed("bob")).unwrap_err(), TokenError::OtherMember);
        assert_eq!(fixed("ann").renewed_by(grant(Name::Nameless)).unwrap_err(), TokenError::OtherMember);
        for other in [Name::Chosen, Name::Nameless] {
            assert_eq!(grant(other.clone()).renewed_by(fixed("bob")).unwrap_err(), TokenError::OtherMember);
            assert!(grant(other.clone()).renewed_by(grant(other)).is_ok());
        }
    }
}
