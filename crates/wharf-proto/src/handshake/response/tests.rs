use proptest::prelude::*;

use super::super::error::{ExtensionsError, FieldError, FieldRepeated};
use super::super::head::{HeadLimits, RequestHead, parse_request, parse_response};
use super::super::request::Version;
use super::*;

fn request(more: &[(&str, &str)]) -> Request {
    let mut text = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        .to_owned();
    let has_version = more.iter().any(|(name, _)| *name == "Sec-WebSocket-Version");
    let version = if has_version { None } else { Some(("Sec-WebSocket-Version", "13")) };
    for (name, value) in more.iter().copied().chain(version) {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text += "\r\n";
    let (head, _): (RequestHead<'_>, _) =
        parse_request(text.as_bytes(), &HeadLimits::default()).unwrap().unwrap();
    Request::read(&head).unwrap()
}

fn offering(protocols: &str) -> Request {
    request(&[("Sec-WebSocket-Protocol", protocols)])
}

fn written(answer: &Answer) -> String {
    let mut output = Vec::new();
    answer.write(&mut output);
    String::from_utf8(output).unwrap()
}

fn field<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.fields().iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

#[test]
fn r9_1_accept_answers_101_with_the_fields_in_order_and_nothing_more() {
    // RFC 6455 §4.2.2 item 5, §11.3.3
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    assert_eq!(written(&Accept::default().answer(&request(&[])).unwrap()), expected);
}

#[test]
fn accept_with_everything_keeps_the_order_and_a_line_for_each_cookie() {
    // RFC 6455 §4.2.2, §11.3.4
    let request = request(&[("Sec-WebSocket-Protocol", "Chat"), ("Sec-WebSocket-Extensions", "x; y")]);
    let accept = Accept {
        protocol: Some("chat"),
        origin: Some("http://a"),
        extensions: &[Extension::new("x").param("z", Some("1"))],
        cookies: &["a=b;Path=/".to_owned(), "c=d".to_owned()],
    };
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: Chat\r\n\
        Sec-WebSocket-Extensions: x; z=1\r\nOrigin: http://a\r\n\
        Set-Cookie: a=b;Path=/\r\nSet-Cookie: c=d\r\n\r\n";
    assert_eq!(written(&accept.answer(&request).unwrap()), expected);
}

#[test]
fn r9_2_a_protocol_in_any_case_is_answered_in_the_clients_spelling() {
    // RFC 6455 §4.2.2
    let chosen = |offer: &str, protocol| {
        let accept = Accept { protocol: Some(protocol), ..Accept::default() };
        accept
            .answer(&offering(offer))
            .map(|answer| field(&answer, "Sec-WebSocket-Protocol").unwrap().to_owned())
    };
    for protocol in ["chat", "CHAT", "Chat", "cHAT"] {
        assert_eq!(chosen("foo, Chat, bar", protocol).unwrap(), "Chat");
    }
    assert_eq!(chosen("Chat, chat, CHAT", "chat").unwrap(), "chat");
    assert_eq!(chosen("Chat, CHAT", "chat").unwrap(), "CHAT");
}

#[test]
fn r9_3_a_protocol_that_was_not_offered_is_an_error_and_500() {
    // RFC 6455 §4.2.2
    for offer in ["", "foo, chats"] {
        let accept = Accept { protocol: Some("chat"), ..Accept::default() };
        let error = accept.answer(&offering(offer)).unwrap_err();
        assert_eq!(error, AnswerError::ProtocolNotRequested { protocol: "chat".to_owned() });
        assert_eq!(
            written(&error.answer()),
            "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n\r\n"
        );
    }
}

#[test]
fn r9_4_a_protocol_with_a_separator_or_control_character_is_an_error() {
    for protocol in ["a b", "a,b", "a\r\nb", "a\u{e9}"] {
        let accept = Accept { protocol: Some(protocol), ..Accept::default() };
        let expected = AnswerError::Protocol { protocol: excerpt(protocol.as_bytes()) };
        assert_eq!(accept.answer(&offering("a")).unwrap_err(), expected);
    }
}

#[test]
fn r9_5_no_or_an_empty_protocol_leaves_the_line_out() {
    // RFC 6455 §4.2.2
    for protocol in [None, Some("")] {
        let answer = Accept { protocol, ..Accept::default() }.answer(&offering("chat")).unwrap();
        assert_eq!((answer.status(), field(&answer, "Sec-WebSocket-Protocol")), (101, None));
    }
}

#[test]
fn r9_6_an_origin_is_named_in_the_field_of_the_version() {
    let accept = Accept { origin: Some("http://a"), ..Accept::default() };
    let answer = accept.answer(&request(&[])).unwrap();
    assert_eq!((field(&answer, "Origin"), field(&answer, "Sec-WebSocket-Origin")), (Some("http://a"), None));
    let answer = accept.answer(&request(&[("Sec-WebSocket-Version", "8")])).unwrap();
    assert_eq!((field(&answer, "Origin"), field(&answer, "Sec-WebSocket-Origin")), (None, Some("http://a")));
    let empty = Accept { origin: Some(""), ..Accept::default() };
    assert_eq!(field(&empty.answer(&request(&[])).unwrap(), "Origin"), None);
}

#[test]
fn r9_7_an_origin_or_cookie_that_is_not_visible_ascii_is_an_error() {
    for (value, position, byte) in
        [("a\r\nB: c", 1, b'\r'), ("a\n", 1, b'\n'), ("\0", 0, 0), ("ab\u{e9}", 2, 0xc3)]
    {
        let error =
            |name: &str| AnswerError::Field(FieldError::Value { name: name.to_owned(), position, byte });
        let accept = Accept { origin: Some(value), ..Accept::default() };
        assert_eq!(accept.answer(&request(&[])).unwrap_err(), error("Origin"));
        let accept = Accept { cookies: &[value.to_owned()], ..Accept::default() };
        assert_eq!(accept.answer(&request(&[])).unwrap_err(), error("Set-Cookie"));
    }
}

#[test]
fn an_extension_that_was_not_offered_is_an_error() {
    // RFC 6455 §9.1, §4.2.2, §9
    let accept = Accept { extensions: &[Extension::new("y")], ..Accept::default() };
    let expected = AnswerError::ExtensionNotRequested { name: "y".to_owned() };
    assert_eq!(accept.answer(&request(&[("Sec-WebSocket-Extensions", "x")])).unwrap_err(), expected);
}

#[test]
fn several_extensions_are_named_in_one_line() {
    // RFC 6455 §11.3.2
    let chosen = [Extension::new("y").param("z", Some("1")), Extension::new("x")];
    let accept = Accept { extensions: &chosen, ..Accept::default() };
    let answer = accept.answer(&request(&[("Sec-WebSocket-Extensions", "x, y")])).unwrap();
    let lines: Vec<_> =
        answer.fields().iter().filter(|(name, _)| name == "Sec-WebSocket-Extensions").collect();
    assert_eq!(lines, [&("Sec-WebSocket-Extensions".into(), "y; z=1, x".to_owned())]);
}

#[test]
fn r11_1_refusing_without_more_is_403_and_close() {
    // RFC 6455 §4.2.2
    let answer = Refusal::default().answer().unwrap();
    assert_eq!(written(&answer), "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n");
    let answer = Refusal { reason: Some(""), ..Refusal::default() }.answer().unwrap();
    assert_eq!(field(&answer, "X-WebSocket-Reject-Reason"), None);
}

#[test]
fn r11_2_status_and_reason_are_in_the_answer_and_r11_3_further_fields_follow() {
    let refusal = Refusal { status: 404, reason: Some("x"), fields: &[("A", "1"), ("A", "2")] };
    let expected =
        "HTTP/1.1 404 Not Found\r\nConnection: close\r\nX-WebSocket-Reject-Reason: x\r\nA: 1\r\nA: 2\r\n\r\n";
    assert_eq!(written(&refusal.answer().unwrap()), expected);
}

#[test]
fn r11_4_newer_statuses_have_their_registered_texts() {
    let texts = [
        (418, "I'm a teapot"),
        (426, "Upgrade Required"),
        (429, "Too Many Requests"),
        (431, "Request Header Fields Too Large"),
        (451, "Unavailable For Legal Reasons"),
        (511, "Network Authentication Required"),
    ];
    for (status, text) in texts {
        let answer = Refusal { status, ..Refusal::default() }.answer().unwrap();
        assert!(written(&answer).starts_with(&format!("HTTP/1.1 {status} {text}\r\n")));
    }
}

#[test]
fn r11_5_only_300_to_599_refuse() {
    for status in [0, 99, 100, 101, 200, 204, 299, 600, 999] {
        let refusal = Refusal { status, ..Refusal::default() };
        assert_eq!(refusal.answer().unwrap_err(), AnswerError::Status { status });
    }
    for status in [300, 302, 401, 599] {
        assert_eq!(Refusal { status, ..Refusal::default() }.answer().unwrap().status(), status);
    }
}

#[test]
fn r11_6_control_characters_in_reason_name_or_value_are_errors() {
    let refusal = Refusal { reason: Some("x\r\nA: b"), ..Refusal::default() };
    let name = "X-WebSocket-Reject-Reason".to_owned();
    let expected = AnswerError::Field(FieldError::Value { name, position: 1, byte: b'\r' });
    assert_eq!(refusal.answer().unwrap_err(), expected);
    for (name, value) in
        [("A\r\nB", "c"), ("", "c"), ("A:", "c"), ("A", "b\r\nC: d"), ("A", "\u{1f600}"), ("A", "\t")]
    {
        let refusal = Refusal { fields: &[(name, value)], ..Refusal::default() };
        assert!(matches!(refusal.answer(), Err(AnswerError::Field(_))), "{name:?}: {value:?}");
    }
}

#[test]
fn fields_that_would_announce_a_body_cannot_be_set() {
    for name in ["connection", "Content-Length", "TRANSFER-ENCODING"] {
        let refusal = Refusal { fields: &[(name, "5")], ..Refusal::default() };
        assert_eq!(refusal.answer().unwrap_err(), AnswerError::FieldReserved { name: name.to_owned() });
    }
}

const RIGHT: [(&str, &str); 3] = [
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
];

fn client() -> ClientRequest {
    ClientRequest::new("a", "/", *b"the sample nonce")
}

fn asking(protocols: &[&str]) -> ClientRequest {
    ClientRequest { protocols: protocols.iter().map(|&name| name.to_owned()).collect(), ..client() }
}

/// Verifies the right answer with these fields instead of its own of the same name, and after them.
fn check(request: &ClientRequest, changes: &[(&str, &str)]) -> Result<Accepted, VerifyError> {
    let kept = RIGHT.into_iter().filter(|(name, _)| !changes.iter().any(|(other, _)| name == other));
    let mut text = "HTTP/1.1 101 x\r\n".to_owned();
    for (name, value) in kept.chain(changes.iter().copied()) {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text += "\r\n";
    let (head, _) = parse_response(text.as_bytes(), &HeadLimits::default()).unwrap().unwrap();
    verify(&head, request)
}

#[test]
fn a_right_answer_passes() {
    // RFC 6455 §4.1
    let nothing = Accepted { protocol: None, extensions: Vec::new() };
    assert_eq!(check(&client(), &[]), Ok(nothing.clone()));
    assert_eq!(check(&client(), &[("Upgrade", "WebSocket"), ("Connection", "UPGRADE")]), Ok(nothing));
}

#[test]
fn k3_1_no_protocol_though_some_were_asked_for_fails() {
    let expected = VerifyError::ProtocolMissing { requested: "a, b".to_owned() };
    assert_eq!(check(&asking(&["a", "b"]), &[]), Err(expected));
}

#[test]
fn k3_2_a_protocol_not_asked_for_fails_and_k3_3_so_does_one_in_another_case() {
    // RFC 6455 §4.1
    for chosen in ["c", "A", "a, b", "a,"] {
        let expected = VerifyError::ProtocolNotRequested { protocol: chosen.to_owned() };
        assert_eq!(check(&asking(&["a", "b"]), &[("Sec-WebSocket-Protocol", chosen)]), Err(expected));
    }
    let accepted = check(&asking(&["a", "B"]), &[("Sec-WebSocket-Protocol", "B")]).unwrap();
    assert_eq!(accepted.protocol.as_deref(), Some("B"));
}

#[test]
fn k3_4_a_wrong_or_no_upgrade_fails() {
    // RFC 6455 §4.1
    for upgrade in ["", "foo", "h2c, websocket"] {
        let expected = VerifyError::Upgrade { upgrade: upgrade.to_owned() };
        assert_eq!(check(&client(), &[("Upgrade", upgrade)]), Err(expected));
    }
}

#[test]
fn k3_5_a_wrong_or_no_accept_key_fails() {
    // RFC 6455 §4.1
    assert_eq!(check(&client(), &[("Sec-WebSocket-Accept", "")]), Err(VerifyError::AcceptMissing));
    for accept in ["S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "dGhlIHNhbXBsZSBub25jZQ==", "x"] {
        let expected = VerifyError::Accept {
            accept: accept.to_owned(),
            expected: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned(),
        };
        assert_eq!(check(&client(), &[("Sec-WebSocket-Accept", accept)]), Err(expected));
    }
}

#[test]
fn k3_6_no_upgrade_in_connection_fails() {
    // RFC 6455 §4.1
    for connection in ["", "keep-alive"] {
        let expected = VerifyError::Connection { connection: connection.to_owned() };
        assert_eq!(check(&client(), &[("Connection", connection)]), Err(expected));
    }
}

#[test]
fn k3_7_connection_may_list_more_than_upgrade() {
    assert!(check(&client(), &[("Connection", "keep-alive, Upgrade")]).is_ok());
}

#[test]
fn k3_8_a_protocol_or_extension_that_nobody_requested_fails() {
    // RFC 6455 §4.1, §5.8
    let expected = VerifyError::ProtocolNotRequested { protocol: "a".to_owned() };
    assert_eq!(check(&client(), &[("Sec-WebSocket-Protocol", "a")]), Err(expected));
    let expected = VerifyError::ExtensionNotRequested { name: "permessage-deflate".to_owned() };
    assert_eq!(check(&client(), &[("Sec-WebSocket-Extensions", "permessage-deflate")]), Err(expected));
}

#[test]
fn requested_extensions_are_accepted_and_broken_ones_fail() {
    // RFC 6455 §4.1, §9.1
    let offer = ClientRequest { extensions: vec![Extension::new("x"), Extension::new("y")], ..client() };
    let accepted = check(&offer, &[("Sec-WebSocket-Extensions", "y; z=1")]).unwrap();
    assert_eq!(accepted.extensions, [Extension::new("y").param("z", Some("1"))]);
    let error = check(&offer, &[("Sec-WebSocket-Extensions", "y z")]).unwrap_err();
    assert!(
        matches!(error, VerifyError::Extensions(ExtensionsError::Unexpected { position: 2, .. })),
        "{error}"
    );
}

#[test]
fn fields_that_a_server_may_send_once_fail_when_they_come_twice() {
    // RFC 6455 §11.3.3, §11.3.4, §4.1
    for (name, value) in [("Sec-WebSocket-Protocol", "a"), RIGHT[0], RIGHT[2]] {
        let expected = VerifyError::FieldRepeated(FieldRepeated { name });
        let mut changes = vec![(name, value), (name, value)];
        if name != "Sec-WebSocket-Protocol" {
            changes.push(("Sec-WebSocket-Protocol", "a"));
        }
        assert_eq!(check(&asking(&["a"]), &changes), Err(expected));
    }
}

#[test]
fn k4_1_another_status_is_a_failure_of_its_own() {
    // RFC 6455 §4.1
    for status in [100, 200, 302, 403] {
        let head = ResponseHead { status, ..parse(b"HTTP/1.1 101 x\r\n\r\n") };
        assert_eq!(verify(&head, &client()), Err(VerifyError::Status { status }));
    }
}

fn parse(bytes: &[u8]) -> ResponseHead<'_> {
    parse_response(bytes, &HeadLimits::default()).unwrap().unwrap().0
}

proptest! {
    #[test]
    fn what_a_server_accepts_its_client_believes(
        nonce: [u8; 16],
        protocol in "[a-zA-Z0-9.-]{1,8}",
        origin in "[!-~]{1,20}",
        old: bool,
    ) {
        let request = ClientRequest {
            version: if old { Version::V8 } else { Version::V13 },
            protocols: vec!["first.".to_owned(), protocol.clone()],
            ..ClientRequest::new("a", "/", nonce)
        };
        let mut bytes = Vec::new();
        request.write(&mut bytes).unwrap();
        let (head, _) = parse_request(&bytes, &HeadLimits::default()).unwrap().unwrap();
        let chosen = protocol.to_ascii_uppercase();
        let accept = Accept { protocol: Some(&chosen), origin: Some(&origin), ..Accept::default() };
        let mut output = Vec::new();
        accept.answer(&Request::read(&head).unwrap()).unwrap().write(&mut output);
        let accepted = verify(&parse(&output), &request).unwrap();
        prop_assert_eq!(accepted, Accepted { protocol: Some(protocol), extensions: Vec::new() });
    }

    #[test]
    fn no_bytes_panic_the_verdict_of_a_client(
        fields in proptest::collection::vec(
            (
                proptest::sample::select(vec!["Upgrade", "Connection", "Sec-WebSocket-Accept",
                    "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"]),
                any::<Vec<u8>>(),
            ),
            0..4,
        ),
    ) {
        // RFC 6455 §10.7
        let right = RIGHT.iter().map(|&(name, value)| (name, value.as_bytes()));
        let fields = right.chain(fields.iter().map(|(name, value)| (*name, value.as_slice()))).collect();
        let head = ResponseHead { fields, ..parse(b"HTTP/1.1 101 x\r\n\r\n") };
        if let Err(error) = verify(&head, &asking(&["a"])) {
            prop_assert!(error.to_string().bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
        }
    }

    #[test]
    fn an_answer_is_either_an_error_or_has_exactly_the_given_fields(
        status in 290..610_u16,
        reason: String,
        name in "[a-zA-Z\r\n: ]{0,6}",
        value: String,
    ) {
        let fields = [(name.as_str(), value.as_str())];
        if let Ok(answer) = (Refusal { status, reason: Some(&reason), fields: &fields }).answer() {
            let mut output = Vec::new();
            answer.write(&mut output);
            let head = parse(&output);
            prop_assert_eq!(head.status, status);
            let lines: Vec<_> = head.fields.iter()
                .map(|(name, value)| (name.to_owned(), value.to_vec()))
                .collect();
            let expected: Vec<_> = answer.fields().iter()
                .map(|(name, value)| (name.clone().into_owned(), value.trim().as_bytes().to_vec()))
                .collect();
            prop_assert_eq!(lines, expected);
        }
    }
}
