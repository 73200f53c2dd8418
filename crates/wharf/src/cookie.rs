//! Cookies: those that a request brings, and those that an accepted one sets (RFC 6265).

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, header};

use crate::date::imf_fixdate;

/// The cookies of a request, in the order in which the client sent them, duplicates kept.
///
/// Values are unquoted and percent-decoded, so they may hold any character: treat them as input. A value with a
/// malformed escape is left as it was sent.
///
/// ```
/// use http::{HeaderMap, HeaderValue, header};
/// use wharf::Cookies;
///
/// let mut headers = HeaderMap::new();
/// headers.insert(header::COOKIE, HeaderValue::from_static("id=42; theme=\"dark blue\""));
///
/// let cookies = Cookies::from_headers(&headers);
/// assert_eq!(cookies.get("theme"), Some("dark blue"));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Cookies {
    /// Every name and value, one behind the other. With a string each, a request head of many small cookies would
    /// cost twenty times its own size for as long as it is undecided.
    text: String,
    spans: Vec<Span>,
}

/// Where a cookie lies in the text: the name from `start`, the value, if there is one, behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Span {
    start: usize,
    name_end: usize,
    value_end: Option<usize>,
}

impl Cookies {
    /// The cookies of a request's `Cookie` fields (RFC 6265 §4.2).
    ///
    /// Only `;` separates. A piece without `=` is a cookie without value, an empty piece is none.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        Self::from_values(headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes))
    }

    /// The cookies of these values of `Cookie`.
    pub(crate) fn from_values<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut cookies = Self::default();
        for value in values {
            for piece in String::from_utf8_lossy(value).split(';').map(trim) {
                match piece.split_once('=') {
                    None if piece.is_empty() => {}
                    None => cookies.push(piece, None),
                    Some((name, value)) => cookies.push(trim(name), Some(unquoted(trim(value)))),
                }
            }
        }
        cookies
    }

    /// The value of the first cookie of this name; none where that has no value or where there is no such cookie.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|cookie| cookie.0 == name)?.1
    }

    /// Names and values in the client's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Option<&str>)> {
        self.spans.iter().map(|span| {
            let value = span.value_end.map(|end| &self.text[span.name_end..end]);
            (&self.text[span.start..span.name_end], value)
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    fn push(&mut self, name: &str, value: Option<&str>) {
        let start = self.text.len();
        self.text.push_str(name);
        let name_end = self.text.len();
        let value_end = value.map(|value| {
            match percent_decoded(value) {
                Some(decoded) => self.text.push_str(&decoded),
                None => self.text.push_str(value),
            }
            self.text.len()
        });
        self.spans.push(Span { start, name_end, value_end });
    }
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A cookie to set together with the answer that accepts a request (RFC 6265 §4.1).
///
/// What it is given is checked when it is sent: a character that has no place in a field is an error, and is
/// never left out in silence.
///
/// ```
/// use std::time::Duration;
/// use wharf::SetCookie;
///
/// let cookie = SetCookie::new("id", "42").path("/").max_age(Duration::from_secs(3600)).http_only(true);
/// assert_eq!(cookie.to_header_value()?, "id=42;Path=/;Max-Age=3600;HttpOnly");
/// # Ok::<(), wharf::CookieError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCookie {
    name: String,
    value: String,
    path: Option<String>,
    domain: Option<String>,
    expires: Option<SystemTime>,
    max_age: Option<Duration>,
    secure: bool,
    http_only: bool,
}

impl SetCookie {
    /// A cookie that lives as long as the browser's session, for the host and the path that it came from.
    ///
    /// The name is a token (RFC 9110 §5.6.2). The value is one or more visible characters of ASCII without comma,
    /// semicolon, backslash and quote; it may stand in one pair of quotes as a whole.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            path: None,
            domain: None,
            expires: None,
            max_age: None,
            secure: false,
            http_only: false,
        }
    }

    /// The path under which the browser sends it back: visible characters of ASCII without semicolon.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The domain within which the browser sends it back: characters as in a path, sent in lower case.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// When the browser forgets it, to the second: from 1970 to 9999. A time that has passed deletes the cookie.
    #[must_use]
    pub fn expires(mut self, expires: SystemTime) -> Self {
        self.expires = Some(expires);
        self
    }

    /// How long the browser keeps it, rounded to whole seconds, of which there must be one at least.
    #[must_use]
    #[doc(alias = "maxage")]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Whether the browser sends it back over encrypted connections only.
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Whether the browser keeps it from scripts.
    #[must_use]
    #[doc(alias = "httponly")]
    pub fn http_only(mut self, http_only: bool) -> Self {
        self.http_only = http_only;
        self
    }

    /// The value of the `Set-Cookie` field that sets it.
    ///
    /// # Errors
    /// A field that is empty or has a character that it may not have, a time that cannot be said.
    pub fn to_header_value(&self) -> Result<String, CookieError> {
        check(CookieField::Name, &self.name, &self.name, is_token)?;
        check(CookieField::Value, &self.value, unquoted(&self.value), is_cookie_octet)?;
        let mut text = format!("{}={}", self.name, self.value);
        if let Some(path) = &self.path {
            check(CookieField::Path, path, path, is_attribute)?;
            text += ";Path=";
            text += path;
        }
        if let Some(domain) = &self.domain {
            check(CookieField::Domain, domain, domain, is_attribute)?;
            text += ";Domain=";
            text += &domain.to_ascii_lowercase();
        }
        if let Some(expires) = self.expires {
            text += ";Expires=";
            text += &imf_fixdate(expires).ok_or(CookieError::Expires)?;
        }
        if let Some(max_age) = self.max_age {
            let seconds = rounded_seconds(max_age);
            if seconds == 0 {
                return Err(CookieError::MaxAge);
            }
            text += ";Max-Age=";
            text += &seconds.to_string();
        }
        if self.secure {
            text += ";Secure";
        }
        if self.http_only {
            text += ";HttpOnly";
        }
        Ok(text)
    }
}

/// One `Set-Cookie` value a cookie, in their order.
pub(crate) fn set_cookie_values(cookies: &[SetCookie]) -> Result<Vec<String>, CookieError> {
    if cookies.is_empty() {
        return Ok(Vec::new());
    }
    let mut names = HashSet::new();
    cookies
        .iter()
        .map(|cookie| {
            let value = cookie.to_header_value()?;
            if !names.insert(cookie.name.as_str()) {
                return Err(CookieError::Duplicate { name: cookie.name.clone() });
            }
            Ok(value)
        })
        .collect()
}

/// Why a cookie cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CookieError {
    /// A field that must say something says nothing.
    #[error("the cookie's {field} is empty")]
    Empty {
        /// The field.
        field: CookieField,
    },
    /// A character that would end the field, or the header, or that RFC 6265 §4.1.1 does not allow there.
    #[error("the character {character:?} is not allowed in a cookie's {field}")]
    Character {
        /// The field.
        field: CookieField,
        /// The first such character.
        character: char,
    },
    /// Two cookies of one answer have the same name, of which the browser would keep one.
    #[error("the cookie {name:?} is set twice")]
    Duplicate {
        /// Their name.
        name: String,
    },
    /// The time at which it expires is before 1970 or after 9999, and has no form in HTTP.
    #[error("the cookie's expires is outside the years 1970 to 9999")]
    Expires,
    /// The age is less than one second.
    #[error("the cookie's max_age is less than a second")]
    MaxAge,
}

/// A field of a [`SetCookie`] that is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CookieField {
    /// Its name.
    Name,
    /// Its value.
    Value,
    /// Its path.
    Path,
    /// Its domain.
    Domain,
}

impl fmt::Display for CookieField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::Value => "value",
            Self::Path => "path",
            Self::Domain => "domain",
        })
    }
}

/// `content` is what the rule applies to, `whole` what must not be empty.
fn check(field: CookieField, whole: &str, content: &str, rule: fn(char) -> bool) -> Result<(), CookieError> {
    if whole.is_empty() {
        return Err(CookieError::Empty { field });
    }
    match content.chars().find(|&character| !rule(character)) {
        Some(character) => Err(CookieError::Character { field, character }),
        None => Ok(()),
    }
}

fn is_token(character: char) -> bool {
    character.is_ascii_graphic() && !r#"()<>@,;:\"/[]?={}"#.contains(character)
}

fn is_cookie_octet(character: char) -> bool {
    character.is_ascii_graphic() && !r#"",;\"#.contains(character)
}

fn is_attribute(character: char) -> bool {
    character.is_ascii_graphic() && character != ';'
}

fn rounded_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_millis() >= 500))
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// Nothing where an escape is malformed, or where what it stands for is not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut pieces = text.as_bytes().split(|&byte| byte == b'%');
    let mut decoded = pieces.next().unwrap_or_default().to_vec();
    for piece in pieces {
        let (escape, rest) = piece.split_at_checked(2)?;
        let high = char::from(escape[0]).to_digit(16)?;
        let low = char::from(escape[1]).to_digit(16)?;
        decoded.push(u8::try_from(high << 4 | low).ok()?);
        decoded.extend_from_slice(rest);
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests;
