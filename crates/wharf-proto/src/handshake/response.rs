//! The answer: made by a server, verified by a client (RFC 6455 §4.1, §4.2.2).

use std::borrow::Cow;

use super::answer::Answer;
use super::error::{AnswerError, VerifyError, excerpt};
use super::head::{Fields, ResponseHead};
use super::headers::{Extension, check_name, check_value, is_token, parse_extensions, write_extensions};
use super::key::accept_key;
use super::request::{ClientRequest, Request};

/// What a server says when it accepts a request; by default nothing beyond the handshake itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Accept<'a> {
    /// The subprotocol to speak, compared with the offers in any case and named in the client's spelling.
    /// `None` or an empty text: none, whatever was offered.
    pub protocol: Option<&'a str>,
    /// The origin to name in the answer, which is compared with nothing. `None` or an empty text: no field.
    pub origin: Option<&'a str>,
    /// The extensions to use, in the order in which they are applied. Each must be among the offers.
    pub extensions: &'a [Extension],
    /// Complete values of `Set-Cookie`, a field line each.
    pub cookies: &'a [String],
}

impl Accept<'_> {
    /// The answer 101 to `request` (RFC 6455 §4.2.2 item 5; [`Answer::into_http2`] makes it that of HTTP/2), with no extension that was not offered (RFC 6455 §9), and each
    /// field once (RFC 6455 §11.3.2, §11.3.3, §11.3.4).
    ///
    /// # Errors
    /// What was not requested or cannot be sent; [`AnswerError::answer`] is what the client gets instead.
    pub fn answer(&self, request: &Request) -> Result<Answer, AnswerError> {
        let mut fields: Vec<(Cow<'static, str>, String)> =
            vec![("Upgrade".into(), "websocket".to_owned()), ("Connection".into(), "Upgrade".to_owned())];
        fields.extend(request.key.as_deref().map(|key| ("Sec-WebSocket-Accept".into(), accept_key(key))));
        if let Some(protocol) = self.protocol.filter(|protocol| !protocol.is_empty()) {
            let protocol = requested_spelling(protocol, &request.protocols)?;
            fields.push(("Sec-WebSocket-Protocol".into(), protocol.to_owned()));
        }
        if !self.extensions.is_empty() {
            if let Some(foreign) = not_among(self.extensions, &request.extensions) {
                return Err(AnswerError::ExtensionNotRequested { name: excerpt(foreign.name.as_bytes()) });
            }
            fields.push(("Sec-WebSocket-Extensions".into(), write_extensions(self.extensions)?));
        }
        if let Some(origin) = self.origin.filter(|origin| !origin.is_empty()) {
            let name = request.version.origin_field();
            check_value(name, origin)?;
            fields.push((name.into(), origin.to_owned()));
        }
        for cookie in self.cookies {
            check_value("Set-Cookie", cookie)?;
            fields.push(("Set-Cookie".into(), cookie.clone()));
        }
        Ok(Answer::switch(fields))
    }
}

/// What a server says when it does not accept a request; by default 403 and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// The status, 300 to 599.
    pub status: u16,
    /// Why, in one line of visible ASCII, as `X-WebSocket-Reject-Reason`. `None` or an empty text: no field.
    pub reason: Option<&'a str>,
    /// Further header fields. `Connection`, `Content-Length` and `Transfer-Encoding` are the answer's own.
    pub fields: &'a [(&'a str, &'a str)],
}

impl Default for Refusal<'_> {
    fn default() -> Self {
        Self { status: 403, reason: None, fields: &[] }
    }
}

impl Refusal<'_> {
    /// The answer to any request that is refused (RFC 6455 §4.2.2 item 4); after it the server ends the connection.
    ///
    /// # Errors
    /// A status that refuses nothing, and fields that cannot be sent: they are never repaired, for a name or
    /// value without its control characters is not what anybody meant. [`AnswerError::answer`] is what the
    /// client gets instead.
    pub fn answer(&self) -> Result<Answer, AnswerError> {
        if !(300..600).contains(&self.status) {
            return Err(AnswerError::Status { status: self.status });
        }
        let reason = self.reason.filter(|reason| !reason.is_empty());
        if let Some(reason) = reason {
            check_value("X-WebSocket-Reject-Reason", reason)?;
        }
        let mut fields = Vec::with_capacity(self.fields.len());
        for &(name, value) in self.fields {
            check_name(name)?;
            check_value(name, value)?;
            if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
                return Err(AnswerError::FieldReserved { name: name.to_owned() });
            }
            fields.push((name.to_owned().into(), value.to_owned()));
        }
        Ok(Answer::refuse(self.status, reason.map(str::to_owned), fields))
    }
}

/// What client and server have agreed on, as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The subprotocol, in the spelling in which it was asked for.
    pub protocol: Option<String>,
    /// The extensions, in the order in which they are applied. Whether their parameters can be met is theirs
    /// to say.
    pub extensions: Vec<Extension>,
}

/// Judges a server's answer to `request` (RFC 6455 §4.1, §10.7): all that it must be.
///
/// Where subprotocols were asked for, one must be chosen: the RFC allows none, but the reference and whoever
/// asked rely on it.
///
/// # Errors
/// The first reason to fail the connection.
pub fn verify(head: &ResponseHead<'_>, request: &ClientRequest) -> Result<Accepted, VerifyError> {
    if head.status != 101 {
        return Err(VerifyError::Status { status: head.status });
    }
    let fields = &head.fields;
    let protocol = verify_protocol(fields, &request.protocols)?;
    if !fields.contains_token("Connection", "upgrade") {
        let connection = fields.get("Connection").map(excerpt).unwrap_or_default();
        return Err(VerifyError::Connection { connection });
    }
    let upgrade = fields.get_single("Upgrade")?.unwrap_or_default();
    if !upgrade.eq_ignore_ascii_case(b"websocket") {
        return Err(VerifyError::Upgrade { upgrade: excerpt(upgrade) });
    }
    let accept = fields.get_single("Sec-WebSocket-Accept")?.ok_or(VerifyError::AcceptMissing)?;
    let expected = accept_key(&request.key());
    if accept != expected.as_bytes() {
        return Err(VerifyError::Accept { accept: excerpt(accept), expected });
    }
    let extensions = parse_extensions(fields.get_all("Sec-WebSocket-Extensions"))?;
    if let Some(foreign) = not_among(&extensions, &request.extensions) {
        return Err(VerifyError::ExtensionNotRequested { name: excerpt(foreign.name.as_bytes()) });
    }
    Ok(Accepted { protocol, extensions })
}

/// The client's spelling of `protocol`: the same one if it was offered, else the last in another case, as in
/// the reference (RFC 6455 §4.2.2 item 5.5; the client compares case-sensitively).
fn requested_spelling<'r>(protocol: &str, requested: &'r [String]) -> Result<&'r str, AnswerError> {
    if !is_token(protocol) {
        return Err(AnswerError::Protocol { protocol: excerpt(protocol.as_bytes()) });
    }
    let same = requested.iter().find(|offer| *offer == protocol);
    same.or_else(|| requested.iter().rfind(|offer| offer.eq_ignore_ascii_case(protocol)))
        .map(String::as_str)
        .ok_or_else(|| AnswerError::ProtocolNotRequested { protocol: excerpt(protocol.as_bytes()) })
}

/// RFC 6455 §4.1 item 6.
fn verify_protocol(fields: &Fields<'_>, requested: &[String]) -> Result<Option<String>, VerifyError> {
    match fields.get_single("Sec-WebSocket-Protocol")? {
        Some(chosen) => match requested.iter().find(|protocol| protocol.as_bytes() == chosen) {
            Some(protocol) => Ok(Some(protocol.clone())),
            None => Err(VerifyError::ProtocolNotRequested { protocol: excerpt(chosen) }),
        },
        None if requested.is_empty() => Ok(None),
        None => Err(VerifyError::ProtocolMissing { requested: requested.join(", ") }),
    }
}

/// The first of `extensions` whose name was not offered (RFC 6455 §4.2.2 item 4, §5.8).
fn not_among<'e>(extensions: &'e [Extension], offered: &[Extension]) -> Option<&'e Extension> {
    extensions
        .iter()
        .find(|chosen| !offered.iter().any(|offer| offer.name.eq_ignore_ascii_case(&chosen.name)))
}

/// What a refusal's own fields may not be: they would announce a body, or keep the connection.
const RESERVED: [&str; 3] = ["Connection", "Content-Length", "Transfer-Encoding"];

#[cfg(test)]
mod tests;
