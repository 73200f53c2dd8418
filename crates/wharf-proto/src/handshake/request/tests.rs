use proptest::prelude::*;

use super::super::answer::Answer;
use super::super::error::{ExtensionsError, FieldError, FieldRepeated};
use super::super::head::Fields;
use super::super::head::{HeadLimits, parse_request, parse_response};
use super::*;

/// The request of RFC 6455 §1.3 without its offers, to be changed line by line.
const RFC: [(&str, &str); 5] = [
    ("Host", "server.example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
];

/// The request of the RFC with these fields instead of its own of the same name, and after them.
fn with<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = RFC.into_iter().filter(|(name, _)| !changes.iter().any(|(other, _)| name == other));
    kept.chain(changes.iter().copied()).collect()
}

fn head<'a>(fields: &[(&'a str, &'a str)]) -> RequestHead<'a> {
    let fields = fields.iter().map(|&(name, value)| (name, value.as_bytes())).collect();
    RequestHead { method: "GET", target: "/chat", version: HttpVersion::Http11, fields }
}

fn read(changes: &[(&str, &str)]) -> Result<Request, HandshakeError> {
    Request::read(&head(&with(changes)))
}

fn without(name: &str) -> Result<Request, HandshakeError> {
    let fields: Vec<_> = RFC.into_iter().filter(|(other, _)| *other != name).collect();
    Request::read(&head(&fields))
}

fn refusal(error: &HandshakeError) -> (u16, String) {
    (error.status(), error.to_string())
}

fn written(answer: &Answer) -> String {
    let mut output = Vec::new();
    answer.write(&mut output);
    String::from_utf8(output).unwrap()
}

#[test]
fn the_request_of_the_rfc_is_read() {
    // RFC 6455 §1.3, §4.2.1
    let bytes =
        b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let (head, _) = parse_request(bytes, &HeadLimits::default()).unwrap().unwrap();
    let expected = Request {
        host: "server.example.com".to_owned(),
        resource: "/chat".to_owned(),
        key: Some("dGhlIHNhbXBsZSBub25jZQ==".to_owned()),
        version: Version::V13,
        origin: Some("http://example.com".to_owned()),
        protocols: vec!["chat".to_owned(), "superchat".to_owned()],
        extensions: Vec::new(),
    };
    assert_eq!(Request::read(&head), Ok(expected));
}

#[test]
fn r1_1_the_resource_is_the_target_as_sent() {
    for target in ["/a%20b?x=1&x=2&y", "http://x/p?q=1", "HTTPS://x", "/"] {
        let request = Request::read(&RequestHead { target, ..head(&RFC) }).unwrap();
        assert_eq!(request.resource, target);
    }
}

#[test]
fn a_target_that_names_no_resource_is_refused() {
    // RFC 6455 §4.2.1
    for target in
        ["*", "", "x:443", "a b", "/a b", "/\n", "/\u{7f}", "://x", "1http://x", "ftp://x", "wss://x"]
    {
        let error = Request::read(&RequestHead { target, ..head(&RFC) }).unwrap_err();
        assert_eq!(error.status(), 400, "{target:?}");
        assert!(matches!(error, HandshakeError::Target { .. }), "{target:?}");
    }
}

#[test]
fn r1_2_the_host_includes_the_port_as_sent() {
    for host in ["Example.COM:8080", "[::1]:80", "127.0.0.1", "a_b.example"] {
        assert_eq!(read(&[("Host", host)]).unwrap().host, host);
    }
}

#[test]
fn r2_1_no_or_empty_host_is_400() {
    // RFC 6455 §4.2.1
    let expected = (400, "Client must provide a Host header.".to_owned());
    assert_eq!(refusal(&without("Host").unwrap_err()), expected);
    assert_eq!(refusal(&read(&[("Host", " ")]).unwrap_err()), expected);
}

#[test]
fn a_host_that_can_be_none_is_400() {
    // RFC 6455 §4.2.1
    for host in ["a b", "a/b", "user@a", "a\u{e9}", "a\"", "a\0"] {
        let error = read(&[("Host", host)]).unwrap_err();
        assert_eq!((error.status(), matches!(error, HandshakeError::Host { .. })), (400, true), "{host:?}");
    }
}

#[test]
fn r2_2_no_or_empty_key_is_400() {
    // RFC 6455 §4.2.1
    let expected = (400, "Client must provide a value for Sec-WebSocket-Key.".to_owned());
    assert_eq!(refusal(&without("Sec-WebSocket-Key").unwrap_err()), expected);
    assert_eq!(refusal(&read(&[("Sec-WebSocket-Key", "")]).unwrap_err()), expected);
}

#[test]
fn r2_3_a_key_that_is_not_sixteen_bytes_of_base64_is_400() {
    for key in ["abc", "dGhlIHNhbXBsZSBub25jZTE=", "dGhlIHNhbXBsZSBub25jZ\u{e9}=="] {
        let error = read(&[("Sec-WebSocket-Key", key)]).unwrap_err();
        assert_eq!((error.status(), matches!(error, HandshakeError::Key { .. })), (400, true), "{key:?}");
    }
    let key = "\tdGhlIHNhbXBsZSBub25jZQ== ";
    assert_eq!(read(&[("Sec-WebSocket-Key", key)]).unwrap().key.as_deref(), Some("dGhlIHNhbXBsZSBub25jZQ=="));
}

#[test]
fn r2_4_a_version_that_is_no_number_without_leading_zeros_is_400() {
    // RFC 6455 §4.3, §4.2.1
    let missing = (400, "Client must provide a value for Sec-WebSocket-Version.".to_owned());
    assert_eq!(refusal(&without("Sec-WebSocket-Version").unwrap_err()), missing);
    for version in ["", " ", "0"] {
        assert_eq!(
            refusal(&read(&[("Sec-WebSocket-Version", version)]).unwrap_err()),
            missing,
            "{version:?}"
        );
    }
    for version in
        ["abc", "13abc", "13, 8", "013", "00", "13.5", "-13", "+13", "256", "999", "1000", "\u{663}"]
    {
        let error = read(&[("Sec-WebSocket-Version", version)]).unwrap_err();
        assert_eq!(
            (error.status(), matches!(error, HandshakeError::Version { .. })),
            (400, true),
            "{version:?}"
        );
    }
}

#[test]
fn r2_5_a_method_other_than_get_is_400() {
    // RFC 6455 §4.2.1
    for method in ["POST", "PUT", "get", "CONNECT"] {
        let error = Request::read(&RequestHead { method, ..head(&RFC) }).unwrap_err();
        assert_eq!(refusal(&error), (400, format!("Client must use the method GET, not {method}.")));
    }
}

#[test]
fn r2_6_http_1_0_is_400() {
    // RFC 6455 §4.2.1
    let error = Request::read(&RequestHead { version: HttpVersion::Http10, ..head(&RFC) }).unwrap_err();
    assert_eq!(refusal(&error), (400, "Client must use HTTP/1.1, not HTTP/1.0.".to_owned()));
}

#[test]
fn r2_7_an_upgrade_to_something_else_is_400() {
    // RFC 6455 §4.2.1
    for upgrade in ["foo", "", "websockets", "h2c, web socket"] {
        let error = read(&[("Upgrade", upgrade)]).unwrap_err();
        assert_eq!((error.status(), error), (400, HandshakeError::Upgrade { upgrade: upgrade.to_owned() }));
    }
}

#[test]
fn r2_8_upgrade_and_connection_are_lists_in_any_case() {
    // RFC 6455 §4.2.1
    let changes = [("Upgrade", "h2c, WebSocket"), ("Connection", "keep-alive, Upgrade")];
    assert!(read(&changes).is_ok());
    assert!(read(&[("Connection", "keep-alive"), ("Connection", "UPGRADE")]).is_ok());
    let error = read(&[("Connection", "keep-alive")]).unwrap_err();
    assert_eq!(
        (error.status(), error),
        (400, HandshakeError::Connection { connection: "keep-alive".to_owned() })
    );
}

#[test]
fn r2_9_an_upgrade_has_the_field_and_is_listed_in_connection() {
    assert!(is_upgrade(&head(&RFC)));
    assert!(is_upgrade(&head(&with(&[("Upgrade", "foo"), ("Connection", "keep-alive, upgrade")]))));
    assert!(!is_upgrade(&head(&with(&[("Connection", "keep-alive")]))));
    assert!(!is_upgrade(&head(&[("Connection", "Upgrade")])));
    assert!(!is_upgrade(&head(&[("Upgrade", "websocket")])));
}

#[test]
fn r3_1_another_version_is_426_and_the_answer_names_those_that_are_spoken() {
    // RFC 6455 §4.2.2 item 4, §4.4
    for version in ["1", "7", "14", "255"] {
        let error = read(&[("Sec-WebSocket-Version", version)]).unwrap_err();
        let reason =
            format!("Unsupported websocket client version: {version}. Only versions 8 and 13 are supported.");
        let expected = format!(
            "HTTP/1.1 426 Upgrade Required\r\nConnection: close, Upgrade\r\n\
             X-WebSocket-Reject-Reason: {reason}\r\nSec-WebSocket-Version: 13, 8\r\n\
             Upgrade: websocket\r\n\r\n"
        );
        assert_eq!(refusal(&error), (426, reason));
        assert_eq!(written(&error.answer()), expected);
    }
    let error = read(&[("Sec-WebSocket-Version", "013")]).unwrap_err();
    assert!(written(&error.answer()).contains("\r\nSec-WebSocket-Version: 13, 8\r\n"));
}

#[test]
fn r3_2_versions_8_and_13_are_spoken() {
    // RFC 6455 §4.2.1
    assert_eq!(read(&[("Sec-WebSocket-Version", "8")]).unwrap().version, Version::V8);
    assert_eq!(read(&[("Sec-WebSocket-Version", " 13 ")]).unwrap().version, Version::V13);
}

#[test]
fn r4_1_the_origin_of_version_13_is_in_origin() {
    let origins = [("Origin", "http://a"), ("Sec-WebSocket-Origin", "http://b")];
    assert_eq!(read(&origins).unwrap().origin.as_deref(), Some("http://a"));
    assert_eq!(read(&origins[1..]).unwrap().origin, None);
    assert_eq!(read(&[("Origin", "")]).unwrap().origin, None);
}

#[test]
fn r4_2_the_origin_of_version_8_is_in_sec_websocket_origin() {
    let fields =
        [("Sec-WebSocket-Version", "8"), ("Origin", "http://a"), ("Sec-WebSocket-Origin", "http://b")];
    assert_eq!(read(&fields).unwrap().origin.as_deref(), Some("http://b"));
    assert_eq!(read(&fields[..2]).unwrap().origin, None);
}

#[test]
fn an_origin_that_could_not_be_sent_back_is_400() {
    for origin in ["http://\u{e9}", "a\tb", "a\u{7f}"] {
        let error = read(&[("Origin", origin)]).unwrap_err();
        assert_eq!(
            (error.status(), matches!(error, HandshakeError::Origin { .. })),
            (400, true),
            "{origin:?}"
        );
    }
}

#[test]
fn r5_1_protocols_come_in_the_order_and_spelling_of_the_client() {
    let request = read(&[("Sec-WebSocket-Protocol", "Chat, SUPERchat,foo,chat")]).unwrap();
    assert_eq!(request.protocols, ["Chat", "SUPERchat", "foo", "chat"]);
}

#[test]
fn r5_2_blanks_and_empty_elements_are_skipped_and_lines_are_joined() {
    let lines = [("Sec-WebSocket-Protocol", "foo , bar\t,,"), ("Sec-WebSocket-Protocol", ", baz")];
    assert_eq!(read(&lines).unwrap().protocols, ["foo", "bar", "baz"]);
}

#[test]
fn r5_3_without_the_field_no_protocol_is_asked_for() {
    assert_eq!(read(&[]).unwrap().protocols, [""; 0]);
    assert_eq!(read(&[("Sec-WebSocket-Protocol", "")]).unwrap().protocols, [""; 0]);
}

#[test]
fn an_offered_protocol_that_is_no_token_is_400() {
    // RFC 6455 §4.2.1
    for protocol in ["a b", "a/b", "\"a\"", "a\u{e9}", "a\0"] {
        let offer = format!("chat, {protocol}");
        let error = read(&[("Sec-WebSocket-Protocol", &offer)]).unwrap_err();
        let protocol = excerpt(protocol.as_bytes());
        assert_eq!((error.status(), error), (400, HandshakeError::Protocol { protocol }));
    }
}

#[test]
fn more_protocols_than_the_limit_are_431() {
    let offer = vec!["a"; MAX_PROTOCOLS].join(",");
    assert_eq!(read(&[("Sec-WebSocket-Protocol", &offer)]).unwrap().protocols.len(), MAX_PROTOCOLS);
    let error = read(&[("Sec-WebSocket-Protocol", &offer), ("Sec-WebSocket-Protocol", "a")]).unwrap_err();
    assert_eq!((error.status(), error), (431, HandshakeError::TooManyProtocols { limit: MAX_PROTOCOLS }));
}

#[test]
fn offered_extensions_are_read_from_all_lines() {
    let lines = [("Sec-WebSocket-Extensions", "a; b=\"1\""), ("Sec-WebSocket-Extensions", "c")];
    let expected = [Extension::new("a").param("b", Some("1")), Extension::new("c")];
    assert_eq!(read(&lines).unwrap().extensions, expected);
}

#[test]
fn extensions_that_break_the_grammar_are_400() {
    // RFC 6455 §9.1
    let error = read(&[("Sec-WebSocket-Extensions", "a; b=\"")]).unwrap_err();
    let reason =
        "Sec-WebSocket-Extensions cannot be read: a closing quote must stand at position 6, not \"\".";
    assert_eq!(refusal(&error), (400, reason.to_owned()));
    let many = "a,".repeat(1000);
    let error = read(&[("Sec-WebSocket-Extensions", &many)]).unwrap_err();
    assert_eq!(
        (error.status(), matches!(error, HandshakeError::Extensions(ExtensionsError::TooMany { .. }))),
        (431, true)
    );
}

#[test]
fn fields_that_may_come_once_are_400_when_they_come_twice_even_if_equal() {
    // RFC 6455 §11.3.1, §11.3.5
    for name in ["Host", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Origin"] {
        let value = RFC.iter().find(|(other, _)| *other == name).map_or("http://a", |(_, value)| *value);
        let error = read(&[(name, value), (name, value)]).unwrap_err();
        assert_eq!((error.status(), error), (400, HandshakeError::FieldRepeated(FieldRepeated { name })));
    }
}

#[test]
fn a_refusal_names_the_first_rule_of_the_order_that_is_broken() {
    let all = [("Host", ""), ("Sec-WebSocket-Key", ""), ("Sec-WebSocket-Version", "")];
    assert_eq!(read(&all), Err(HandshakeError::HostMissing));
    assert_eq!(read(&all[1..]), Err(HandshakeError::KeyMissing));
    assert_eq!(read(&all[2..]), Err(HandshakeError::VersionMissing));
    let old = read(&[("Sec-WebSocket-Key", "abc"), ("Sec-WebSocket-Version", "7")]);
    assert_eq!(old, Err(HandshakeError::VersionUnsupported { version: 7 }));
}

fn client() -> ClientRequest {
    ClientRequest::new("example.com:8080", "/chat?x=1", *b"the sample nonce")
}

fn bytes(request: &ClientRequest) -> Result<String, ClientRequestError> {
    let mut output = Vec::new();
    let result = request.write(&mut output);
    assert!(result.is_ok() || output.is_empty(), "nothing may be written of a bad request");
    result.map(|()| String::from_utf8(output).unwrap())
}

#[test]
fn k1_2_an_illegal_protocol_name_is_an_error() {
    for protocol in ["", "a b", "a,b", "\u{e9}", "a\r\nb"] {
        let request = ClientRequest { protocols: vec![protocol.to_owned()], ..client() };
        let protocol = excerpt(protocol.as_bytes());
        assert_eq!(bytes(&request), Err(ClientRequestError::Protocol { protocol }));
    }
    // RFC 6455 §4.1 item 10
    let request = ClientRequest { protocols: vec!["a".to_owned(), "a".to_owned()], ..client() };
    assert_eq!(bytes(&request), Err(ClientRequestError::ProtocolRepeated { protocol: "a".to_owned() }));
}

#[test]
fn k2_1_the_request_has_its_fields_in_order_after_the_callers() {
    // RFC 6455 §4.1
    let request = ClientRequest {
        protocols: vec!["a".to_owned(), "B".to_owned()],
        extensions: vec![Extension::new("x").param("y", Some("1"))],
        origin: Some("http://example.com".to_owned()),
        fields: vec![("Cookie".to_owned(), "a=b".to_owned())],
        ..client()
    };
    let expected = "GET /chat?x=1 HTTP/1.1\r\nCookie: a=b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Host: example.com:8080\r\nSec-WebSocket-Protocol: a, B\r\nSec-WebSocket-Extensions: x; y=1\r\n\
        Origin: http://example.com\r\n\r\n";
    assert_eq!(bytes(&request).unwrap(), expected);
}

#[test]
fn an_empty_resource_is_the_root() {
    // RFC 6455 §4.1
    let request = ClientRequest { resource: String::new(), ..client() };
    assert!(bytes(&request).unwrap().starts_with("GET / HTTP/1.1\r\n"));
}

#[test]
fn a_resource_or_host_that_is_none_is_an_error() {
    // RFC 6455 §3
    for resource in ["chat", "/a b", "/#a", "/\r\nA: b", "/\u{e9}"] {
        let request = ClientRequest { resource: resource.to_owned(), ..client() };
        let resource = excerpt(resource.as_bytes());
        assert_eq!(bytes(&request), Err(ClientRequestError::Resource { resource }));
    }
    for host in ["", "a b", "a\r\nb", "a/b"] {
        let request = ClientRequest { host: host.to_owned(), ..client() };
        assert_eq!(bytes(&request), Err(ClientRequestError::Host { host: excerpt(host.as_bytes()) }));
    }
}

#[test]
fn k2_2_the_handshakes_fields_cannot_be_set_but_host_can() {
    // RFC 6455 §11.3.1, §11.3.5
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for name in ["upgrade", "CONNECTION", "Sec-WebSocket-Key", "sec-websocket-version", "Transfer-Encoding"] {
        let request = ClientRequest { fields: vec![field(name, "x")], ..client() };
        assert_eq!(bytes(&request), Err(ClientRequestError::FieldReserved { name: name.to_owned() }));
    }
    let request = ClientRequest { fields: vec![field("host", "other:1")], ..client() };
    let text = bytes(&request).unwrap();
    assert!(text.contains("\r\nhost: other:1\r\n"), "{text}");
    assert_eq!(text.to_ascii_lowercase().matches("\r\nhost:").count(), 1, "{text}");
    let request = ClientRequest { fields: vec![field("Host", "a"), field("host", "b")], ..client() };
    assert_eq!(bytes(&request), Err(ClientRequestError::HostRepeated));
    let request = ClientRequest { fields: vec![field("Host", "a b")], ..client() };
    assert_eq!(bytes(&request), Err(ClientRequestError::Host { host: "a b".to_owned() }));
}

#[test]
fn an_origin_may_be_among_the_fields_unless_it_is_given_by_itself() {
    let fields = vec![("Origin".to_owned(), "http://a".to_owned())];
    let request = ClientRequest { fields: fields.clone(), ..client() };
    assert!(bytes(&request).unwrap().contains("\r\nOrigin: http://a\r\n"));
    let request = ClientRequest { fields, origin: Some("http://b".to_owned()), ..client() };
    assert_eq!(bytes(&request), Err(ClientRequestError::FieldReserved { name: "Origin".to_owned() }));
}

#[test]
fn k2_3_version_8_names_the_origin_in_its_own_field() {
    let request = ClientRequest { version: Version::V8, origin: Some("http://a".to_owned()), ..client() };
    let text = bytes(&request).unwrap();
    assert!(text.contains("\r\nSec-WebSocket-Version: 8\r\n"), "{text}");
    assert!(
        text.contains("\r\nSec-WebSocket-Origin: http://a\r\n") && !text.contains("\r\nOrigin"),
        "{text}"
    );
}

#[test]
fn a_field_that_cannot_be_sent_is_an_error() {
    // RFC 6455 §4.1
    let request = ClientRequest { fields: vec![("A\r\nB".to_owned(), "c".to_owned())], ..client() };
    assert_eq!(bytes(&request), Err(FieldError::Name { name: r"A\r\nB".to_owned() }.into()));
    let request = ClientRequest { fields: vec![("A".to_owned(), "b\r\nC: d".to_owned())], ..client() };
    let error = FieldError::Value { name: "A".to_owned(), position: 1, byte: b'\r' };
    assert_eq!(bytes(&request), Err(error.into()));
    let request = ClientRequest { origin: Some("\u{e9}".to_owned()), ..client() };
    assert!(matches!(bytes(&request), Err(ClientRequestError::Field(FieldError::Value { .. }))));
}

/// Names that are looked at, with values that are right, nearly right, or anything.
fn field() -> impl Strategy<Value = (String, Vec<u8>)> {
    let names: Vec<_> = RFC
        .iter()
        .map(|&(name, _)| name)
        .chain(["Origin", "Sec-WebSocket-Origin", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "X"])
        .collect();
    let right: Vec<_> = RFC.iter().map(|(_, value)| value.as_bytes().to_vec()).collect();
    let value = prop_oneof![
        proptest::sample::select(right),
        "[a-c,;=\"\\\\ ]{0,12}".prop_map(String::into_bytes),
        any::<Vec<u8>>(),
    ];
    (proptest::sample::select(names).prop_map(str::to_owned), value)
}

proptest! {
    #[test]
    fn whatever_the_fields_are_the_verdict_is_a_request_or_one_whole_answer(
        method in prop_oneof![9 => Just("GET".to_owned()), 1 => any::<String>()],
        target in prop_oneof![9 => Just("/".to_owned()), 1 => any::<String>()],
        base in proptest::sample::subsequence(RFC.to_vec(), 4..=5),
        extra in proptest::collection::vec(field(), 0..4),
    ) {
        // RFC 6455 §4.2.1, §10.7
        let base = base.iter().map(|&(name, value)| (name, value.as_bytes()));
        let extra = extra.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let fields: Fields<'_> = base.chain(extra).collect();
        let head = RequestHead { method: &method, target: &target, version: HttpVersion::Http11, fields };
        is_upgrade(&head);
        if let Err(error) = Request::read(&head) {
            let mut output = Vec::new();
            error.answer().write(&mut output);
            let (answer, length) = parse_response(&output, &HeadLimits::default()).unwrap().unwrap();
            prop_assert_eq!(length, output.len());
            prop_assert_eq!(answer.status, error.status());
            let reason = answer.fields.get_single("X-WebSocket-Reject-Reason").unwrap().unwrap();
            prop_assert_eq!(String::from_utf8_lossy(reason), error.to_string());
            prop_assert!(reason.len() < 400);
            prop_assert!(answer.fields.iter().count() <= 4);
        }
    }

    #[test]
    fn what_a_client_writes_a_server_reads(
        nonce: [u8; 16],
        resource in "/[!-\"$-~]{0,20}",
        protocols in proptest::collection::hash_set("[!#$%&'*+.^_`|~a-zA-Z0-9-]{1,8}", 0..4),
        origin in proptest::option::of("[!-~]{1,20}"),
        old: bool,
    ) {
        // RFC 6455 §4.1
        let request = ClientRequest {
            version: if old { Version::V8 } else { Version::V13 },
            protocols: protocols.into_iter().collect(),
            origin,
            ..ClientRequest::new("a:1", resource, nonce)
        };
        let mut output = Vec::new();
        request.write(&mut output).unwrap();
        let (head, length) = parse_request(&output, &HeadLimits::default()).unwrap().unwrap();
        prop_assert_eq!(length, output.len());
        prop_assert!(is_upgrade(&head));
        let read = Request::read(&head).unwrap();
        prop_assert_eq!(&read.host, "a:1");
        prop_assert_eq!(&read.resource, &request.resource);
        prop_assert_eq!(read.key, Some(request.key()));
        prop_assert_eq!(read.version, request.version);
        prop_assert_eq!(read.protocols, request.protocols);
        prop_assert_eq!(read.origin, request.origin);
    }
}
