//! The opening handshake over HTTP/2: an extended CONNECT, answered with 200 (RFC 8441).

use super::answer::Answer;
use super::error::{HandshakeError, excerpt};
use super::fields::{Field, HandshakeFields};
use super::head::Fields;
use super::key::is_key;
use super::request::{Request, is_host, is_target, read_host, read_version};

/// A request of HTTP/2 with the method CONNECT and `:protocol: websocket` (RFC 8441 §4), made from the parts of an HTTP
/// library.
#[derive(Debug, Clone)]
pub struct ExtendedConnect<'a> {
    /// `:authority`; empty if there is none.
    pub authority: &'a str,
    /// `:path`; empty if there is none.
    pub path: &'a str,
    /// The header fields in the order in which they came, without the pseudo-header fields.
    pub fields: Fields<'a>,
}

impl Request {
    /// Reads and checks a client's opening handshake over HTTP/2 (RFC 8441 §5).
    ///
    /// It has no `Upgrade`, no `Connection` and, but from some clients, no `Sec-WebSocket-Key`; all other fields mean what
    /// they mean in HTTP/1.1. A key that is none, or comes twice, has no meaning here, and is no reason to refuse.
    ///
    /// # Errors
    /// The first rule that is broken, as for [`read`](Self::read).
    pub fn read_extended_connect(connect: &ExtendedConnect<'_>) -> Result<Self, HandshakeError> {
        let ExtendedConnect { authority, path, fields } = connect;
        // RFC 8441 §4: the path is never left out, and never a URL.
        if !path.starts_with('/') || !is_target(path) {
            return Err(HandshakeError::Target { target: excerpt(path.as_bytes()) });
        }
        let fields = HandshakeFields::of(fields);
        let host = authority_of(authority, &fields)?;
        let key = fields.get_single(Field::Key).ok().flatten().filter(|key| is_key(key));
        Self::of_fields(host, path, key, read_version(&fields)?, &fields)
    }
}

/// The host: `:authority`, or `Host` where there is none, or both where they are the same (RFC 9113 §8.3.1).
fn authority_of(authority: &str, fields: &HandshakeFields<'_>) -> Result<String, HandshakeError> {
    let host = match fields.get_single(Field::Host)? {
        Some(_) => Some(read_host(fields)?),
        None => None,
    };
    if authority.is_empty() {
        return host.ok_or(HandshakeError::HostMissing);
    }
    if !is_host(authority.as_bytes()) {
        return Err(HandshakeError::Host { host: excerpt(authority.as_bytes()) });
    }
    match host {
        Some(host) if !host.eq_ignore_ascii_case(authority) => {
            let authority = excerpt(authority.as_bytes());
            Err(HandshakeError::HostDiffers { host: excerpt(host.as_bytes()), authority })
        }
        _ => Ok(authority.to_owned()),
    }
}

impl Answer {
    /// The answer as HTTP/2 has it: 200 instead of 101 (RFC 8441 §5), and without the fields that are about a connection of
    /// HTTP/1.1 (RFC 9113 §8.2.2).
    pub fn into_http2(self) -> Self {
        let Self { status, mut fields } = self;
        fields.retain(|(name, _)| !OF_HTTP1.iter().any(|other| other.eq_ignore_ascii_case(name)));
        Self { status: if status == 101 { 200 } else { status }, fields }
    }
}

/// RFC 9113 §8.2.2.
const OF_HTTP1: [&str; 5] = ["Connection", "Upgrade", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::request::Version;
    use super::super::response::{Accept, Refusal};
    use super::*;

    /// The request of RFC 8441 §5.1.
    const FIELDS: [(&str, &str); 4] = [
        ("sec-websocket-protocol", "chat, superchat"),
        ("sec-websocket-extensions", "permessage-deflate"),
        ("sec-websocket-version", "13"),
        ("origin", "http://www.example.com"),
    ];

    fn read(authority: &str, path: &str, fields: &[(&str, &str)]) -> Result<Request, HandshakeError> {
        let fields = fields.iter().map(|&(name, value)| (name, value.as_bytes())).collect();
        Request::read_extended_connect(&ExtendedConnect { authority, path, fields })
    }

    fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [&FIELDS, more].concat()
    }

    #[test]
    fn the_request_of_the_rfc_is_read() {
        // RFC 8441 §5.1
        let request = read("server.example.com", "/chat", &FIELDS).unwrap();
        assert_eq!((request.host.as_str(), request.resource.as_str()), ("server.example.com", "/chat"));
        assert_eq!((request.key, request.version), (None, Version::V13));
        assert_eq!(request.protocols, ["chat", "superchat"]);
        assert_eq!(request.extensions[0].name, "permessage-deflate");
        assert_eq!(request.origin.as_deref(), Some("http://www.example.com"));
    }

    #[test]
    fn an_accepting_answer_is_200_without_upgrade_and_connection() {
        // RFC 8441 §5, §5.1
        let request = read("server.example.com", "/chat", &FIELDS).unwrap();
        let accept = Accept { protocol: Some("chat"), ..Accept::default() };
        let answer = accept.answer(&request).unwrap().into_http2();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.fields(), [("Sec-WebSocket-Protocol".into(), "chat".to_owned())]);
    }

    #[test]
    fn the_accept_key_is_answered_to_clients_that_send_a_key_and_to_no_other() {
        // RFC 8441 §5 has no use for it; undici insists on it.
        let accepts = |fields: &[(&str, &str)]| {
            let answer = Accept::default().answer(&read("x", "/", fields).unwrap()).unwrap().into_http2();
            answer
                .fields()
                .iter()
                .find(|(name, _)| name == "Sec-WebSocket-Accept")
                .map(|(_, key)| key.clone())
        };
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accepts(&with(&[key])).as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        for other in [&[][..], &[("sec-websocket-key", "short")], &[key, key]] {
            assert_eq!(accepts(&with(other)), None);
        }
    }

    #[test]
    fn a_refusing_answer_keeps_its_status_and_says_nothing_of_a_connection() {
        // RFC 9113 §8.2.2
        let fields = [("A", "b"), ("upgrade", "websocket")];
        let refusal = Refusal { status: 426, reason: Some("why"), fields: &fields };
        let answer = refusal.answer().unwrap().into_http2();
        assert_eq!(answer.status(), 426);
        let expected = [("X-WebSocket-Reject-Reason".into(), "why".to_owned()), ("A".into(), "b".to_owned())];
        assert_eq!(answer.fields(), expected);
    }

    #[test]
    fn the_host_is_the_authority_and_a_host_header_must_not_contradict_it() {
        // RFC 9113 §8.3.1
        assert_eq!(read("a:1", "/", &FIELDS).unwrap().host, "a:1");
        assert_eq!(read("a", "/", &with(&[("host", "A")])).unwrap().host, "a");
        assert_eq!(read("", "/", &with(&[("host", "b")])).unwrap().host, "b");
        assert_eq!(read("", "/", &FIELDS), Err(HandshakeError::HostMissing));
        let differs = HandshakeError::HostDiffers { host: "b".to_owned(), authority: "a".to_owned() };
        assert_eq!(read("a", "/", &with(&[("host", "b")])), Err(differs));
        assert!(matches!(read("a/b", "/", &FIELDS), Err(HandshakeError::Host { .. })));
        assert!(matches!(
            read("a", "/", &with(&[("host", "a"), ("host", "a")])),
            Err(HandshakeError::FieldRepeated(_))
        ));
    }

    #[test]
    fn a_path_that_is_absent_or_a_url_is_refused() {
        // RFC 8441 §4
        for path in ["", "*", "chat", "http://a/b", "/a b"] {
            assert!(matches!(read("a", path, &FIELDS), Err(HandshakeError::Target { .. })), "{path:?}");
        }
    }

    #[test]
    fn a_version_that_is_not_spoken_is_refused_as_in_http_1_1() {
        let fields = |version| [("sec-websocket-version", version)];
        assert_eq!(read("a", "/", &fields("14")).unwrap_err().status(), 426);
        assert_eq!(read("a", "/", &[]), Err(HandshakeError::VersionMissing));
    }

    proptest! {
        #[test]
        fn no_request_panics_and_no_answer_has_a_field_of_http_1_1(
            authority: String,
            path: String,
            values: [Vec<u8>; 5],
        ) {
            let names = ["host", "sec-websocket-key", "sec-websocket-version", "origin", "sec-websocket-protocol"];
            let fields = names.into_iter().zip(values.iter().map(Vec::as_slice)).collect();
            let connect = ExtendedConnect { authority: &authority, path: &path, fields };
            let answer = match Request::read_extended_connect(&connect) {
                Ok(request) => Accept::default().answer(&request).unwrap().into_http2(),
                Err(error) => error.answer().into_http2(),
            };
            prop_assert!(answer.status() != 101);
            for (name, _) in answer.fields() {
                prop_assert!(!OF_HTTP1.contains(&name.as_ref()));
            }
        }
    }
}
