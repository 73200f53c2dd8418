//! The form of every answer to an opening handshake: status line, fields, no body.

use std::borrow::Cow;

/// A complete answer to a handshake, checked and ready to be sent; it has no body.
///
/// Made by [`Accept`](super::Accept), [`Refusal`](super::Refusal) and the errors of this module.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the client waits for its answer"]
pub struct Answer {
    pub(super) status: u16,
    pub(super) fields: Vec<(Cow<'static, str>, String)>,
}

impl Answer {
    /// 101 with these fields, which the caller has checked (RFC 6455 §4.2.2 item 5.1).
    pub(super) fn switch(fields: Vec<(Cow<'static, str>, String)>) -> Self {
        Self { status: 101, fields }
    }

    /// A refusal with these fields, which the caller has checked, after those that every refusal has. Its connection is
    /// to be closed (RFC 6455 §7.2.2).
    ///
    /// 426 has to name the protocol to upgrade to (RFC 9110 §15.5.22), and an `Upgrade` has to be named in
    /// `Connection` (RFC 9110 §7.8); the reference does neither.
    pub(super) fn refuse(
        status: u16,
        reason: Option<String>,
        mut extra: Vec<(Cow<'static, str>, String)>,
    ) -> Self {
        let mut names_upgrade = extra.iter().any(|(name, _)| name.eq_ignore_ascii_case("Upgrade"));
        if status == 426 && !names_upgrade {
            extra.push(("Upgrade".into(), "websocket".to_owned()));
            names_upgrade = true;
        }
        let connection = if names_upgrade { "close, Upgrade" } else { "close" };
        let mut fields = vec![("Connection".into(), connection.to_owned())];
        fields.extend(reason.map(|reason| ("X-WebSocket-Reject-Reason".into(), reason)));
        fields.append(&mut extra);
        Self { status, fields }
    }

    /// Appends the answer as the head of an HTTP/1.1 response, its empty line included.
    pub fn write(&self, output: &mut Vec<u8>) {
        let (status, reason) = (self.status, reason_phrase(self.status));
        output.extend_from_slice(format!("HTTP/1.1 {status} {reason}\r\n").as_bytes());
        for (name, value) in &self.fields {
            write_field(output, name, value);
        }
        output.extend_from_slice(b"\r\n");
    }

    /// 101 (over HTTP/2 200) if the connection becomes a WebSocket, else 300 to 599.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Names and values of the header fields, in the order in which they go out.
    pub fn fields(&self) -> &[(Cow<'static, str>, String)] {
        &self.fields
    }
}

/// Appends one header field, its line end included.
pub(super) fn write_field(output: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        output.extend_from_slice(part.as_bytes());
    }
}

/// The registered text of a status that answers a handshake, empty where there is none (RFC 9112 §4 allows
/// that).
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        510 => "Not Extended",
        511 => "Network Authentication Required",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(answer: &Answer) -> String {
        let mut output = Vec::new();
        answer.write(&mut output);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn an_answer_is_status_line_fields_in_order_and_an_empty_line() {
        let answer = Answer::refuse(404, Some("why".to_owned()), vec![("A".into(), "b".to_owned())]);
        let expected =
            "HTTP/1.1 404 Not Found\r\nConnection: close\r\nX-WebSocket-Reject-Reason: why\r\nA: b\r\n\r\n";
        assert_eq!(written(&answer), expected);
    }

    #[test]
    fn a_status_without_registered_text_has_an_empty_one() {
        assert_eq!(
            written(&Answer::refuse(599, None, Vec::new())),
            "HTTP/1.1 599 \r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn upgrade_is_named_with_426_and_always_listed_in_connection() {
        // RFC 9110 §15.5.22, §7.8
        let expected =
            "HTTP/1.1 426 Upgrade Required\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n";
        assert_eq!(written(&Answer::refuse(426, None, Vec::new())), expected);
        let own = vec![("upgrade".into(), "TLS/1.2".to_owned())];
        let expected =
            "HTTP/1.1 426 Upgrade Required\r\nConnection: close, Upgrade\r\nupgrade: TLS/1.2\r\n\r\n";
        assert_eq!(written(&Answer::refuse(426, None, own)), expected);
    }
}
