//! What proxies write of whom they speak for: the entries of `X-Forwarded-For` and of `Forwarded` (RFC 7239).
//!
//! Each proxy appends an entry, and what stands before was written by whoever it speaks for. So both are read from the end,
//! and nothing that stands before an entry changes how the entry is read, not even a quote that is never closed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::client_address_header::ClientAddressHeader;
use crate::proto::handshake::is_token;

/// Whom an entry names (RFC 7239 §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Address(IpAddr),
    /// A proxy that does not know or does not tell: `unknown`, or a name that it made up, such as `_hidden`.
    Hidden(String),
    /// Nothing that can be read, as visible ASCII.
    Unreadable(String),
}

impl Node {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::Hidden(text) | Self::Unreadable(text) => text,
        }
    }
}

/// The entries of these fields, which are one list (RFC 7239 §4, RFC 9110 §5.3): of the last ones, as many as are read at all,
/// the last first.
pub(super) fn nodes_from_the_last<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
    header: ClientAddressHeader,
) -> Vec<Node> {
    let values: Vec<_> = values.into_iter().collect();
    let values = values.into_iter().rev();
    let is_entry = |entry: &&[u8]| !entry.is_empty();
    match header {
        ClientAddressHeader::XForwardedFor => {
            let entries = values.flat_map(|value| value.rsplit(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
            entries.filter(is_entry).take(MAX_ENTRIES).map(x_forwarded_for).collect()
        }
        ClientAddressHeader::Forwarded => {
            let elements = values.flat_map(elements_from_the_last);
            elements.filter(is_entry).take(MAX_ENTRIES).map(forwarded).collect()
        }
    }
}

/// The entries of `X-Forwarded-For` as texts in their order, cleaned of what is not visible ASCII: as the reference takes them,
/// without asking what they are.
pub(super) fn texts<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let values = values.into_iter();
    let mut texts: Vec<_> =
        values.flat_map(|value| value.split(|&b| b == b',')).filter_map(visible).collect();
    // The last are the ones that a proxy vouches for, so the bound leaves out the first.
    let excess = texts.len().saturating_sub(MAX_ENTRIES);
    texts.drain(..excess);
    texts
}

/// An entry of `X-Forwarded-For`: an address, which some proxies write with its port and in brackets.
fn x_forwarded_for(entry: &[u8]) -> Node {
    let text = str::from_utf8(entry).unwrap_or_default();
    match address_in(text) {
        Some(address) => Node::Address(address.to_canonical()),
        None if text.eq_ignore_ascii_case(UNKNOWN) => Node::Hidden(UNKNOWN.to_owned()),
        None => Node::Unreadable(visible(entry).unwrap_or_else(|| UNKNOWN.to_owned())),
    }
}

fn address_in(text: &str) -> Option<IpAddr> {
    let unbracketed =
        || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    text.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip())).or_else(unbracketed)
}

/// An element of `Forwarded`, by its `for`.
fn forwarded(element: &[u8]) -> Node {
    let node = for_value(element).and_then(|value| node(str::from_utf8(&value).ok()?));
    // Its parts are no text that anybody meant to be read.
    node.unwrap_or_else(|| Node::Unreadable(UNKNOWN.to_owned()))
}

/// The elements of a value of `Forwarded`, the last first, without the blanks around them.
fn elements_from_the_last(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let value = rest?;
        let comma = last_comma(value);
        rest = comma.map(|at| &value[..at]);
        Some(value[comma.map_or(0, |at| at + 1)..].trim_ascii())
    })
}

/// The last comma that is not in quotes, where all behind it is well-formed.
fn last_comma(value: &[u8]) -> Option<usize> {
    let mut is_quoted = false;
    for (at, &byte) in value.iter().enumerate().rev() {
        match byte {
            b'"' if !is_escaped(&value[..at]) => is_quoted = !is_quoted,
            b',' if !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether what stands behind this is escaped. Outside of quotes nothing is, and before the quote that opens stands `=`.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// The value of `for`, without its quotes, of an element that is one and has one (RFC 7239 §4).
fn for_value(element: &[u8]) -> Option<Vec<u8>> {
    let mut found = None;
    let mut rest = element.trim_ascii();
    while !rest.is_empty() {
        if rest[0] != b';' {
            let (name, value) = rest.split_at(rest.iter().position(|&byte| byte == b'=')?);
            let (value, behind) = token_or_quoted(&value[1..])?;
            let name = str::from_utf8(name).ok().filter(|name| is_token(name))?;
            // None comes twice.
            if name.eq_ignore_ascii_case("for") && found.replace(value).is_some() {
                return None;
            }
            rest = behind.trim_ascii_start();
        }
        rest = match rest.split_first() {
            Some((b';', behind)) => behind.trim_ascii_start(),
            Some(_) => return None,
            None => rest,
        };
    }
    found
}

/// A value, and what stands behind it.
fn token_or_quoted(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = bytes.strip_prefix(b"\"") else {
        let is_end = |&byte: &u8| byte == b';' || byte.is_ascii_whitespace();
        let (token, behind) = bytes.split_at(bytes.iter().position(is_end).unwrap_or(bytes.len()));
        return is_token(str::from_utf8(token).ok()?).then(|| (token.to_vec(), behind));
    };
    // RFC 9110 §5.6.4
    let mut value = Vec::new();
    let mut rest = quoted;
    loop {
        let (&byte, behind) = rest.split_first()?;
        rest = behind;
        match byte {
            b'"' => return Some((value, rest)),
            b'\\' => {
                let (&escaped, behind) = rest.split_first()?;
                value.push(escaped);
                rest = behind;
            }
            byte => value.push(byte),
        }
    }
}

/// RFC 7239 §6.
fn node(text: &str) -> Option<Node> {
    let (node, port) = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        (Node::Address(IpAddr::from(address).to_canonical()), port)
    } else {
        let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        let node = match name.parse::<Ipv4Addr>() {
            Ok(address) => Node::Address(address.into()),
            Err(_) if name.eq_ignore_ascii_case(UNKNOWN) => Node::Hidden(UNKNOWN.to_owned()),
            Err(_) if is_obfuscated(name) => Node::Hidden(name.to_owned()),
            Err(_) => return None,
        };
        (node, port)
    };
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(node)
}

/// RFC 7239 §6.3; and no longer than what is listed of an entry.
fn is_obfuscated(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.strip_prefix('_').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_allowed))
        && text.len() <= MAX_ENTRY_LEN
}

fn is_port(text: &str) -> bool {
    let is_number = || matches!(text.len(), 1..=5) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number() || is_obfuscated(text)
}

/// What of an entry can be shown anywhere. `None`: nothing.
fn visible(bytes: &[u8]) -> Option<String> {
    let visible = bytes.iter().filter(|byte| byte.is_ascii_graphic()).take(MAX_ENTRY_LEN);
    let text: String = visible.copied().map(char::from).collect();
    (!text.is_empty()).then_some(text)
}

/// What a proxy is called that is not told (RFC 7239 §6.2).
pub(super) const UNKNOWN: &str = "unknown";

/// More proxies than a request can sensibly pass.
const MAX_ENTRIES: usize = 32;

/// An IPv6 address with brackets, zone and port stays below this, in bytes.
const MAX_ENTRY_LEN: usize = 64;

#[cfg(test)]
mod tests;
