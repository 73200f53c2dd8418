use proptest::prelude::*;

use super::*;

fn nodes(values: &[&str]) -> Vec<Node> {
    nodes_from_the_last(values.iter().map(|value| value.as_bytes()), ClientAddressHeader::Forwarded)
}

fn address(text: &str) -> Node {
    Node::Address(text.parse().unwrap())
}

fn unreadable() -> Node {
    Node::Unreadable(UNKNOWN.to_owned())
}

#[test]
fn the_examples_of_rfc_7239_are_read() {
    // RFC 7239 §4
    for (value, expected) in [
        (r#"for="_gazonk""#, vec![Node::Hidden("_gazonk".to_owned())]),
        (r#"For="[2001:db8:cafe::17]:4711""#, vec![address("2001:db8:cafe::17")]),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", vec![address("192.0.2.60")]),
        ("for=192.0.2.43, for=198.51.100.17", vec![address("198.51.100.17"), address("192.0.2.43")]),
        // RFC 7239 §6.3, §7.1
        (
            "for=_hidden, for=_SEVKISEK",
            vec![Node::Hidden("_SEVKISEK".into()), Node::Hidden("_hidden".into())],
        ),
        (
            r#"for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown"#,
            vec![Node::Hidden("unknown".into()), address("2001:db8:cafe::17"), address("192.0.2.43")],
        ),
    ] {
        assert_eq!(nodes(&[value]), expected, "{value}");
    }
    let several = ["for=192.0.2.43", r#"for="[2001:db8:cafe::17]", for=unknown"#];
    let expected = [Node::Hidden("unknown".into()), address("2001:db8:cafe::17"), address("192.0.2.43")];
    assert_eq!(nodes(&several), expected);
}

#[test]
fn a_node_may_have_a_port_in_quotes_and_escapes() {
    for (value, expected) in [
        (r#"for="192.0.2.1:80""#, address("192.0.2.1")),
        (r#"for="192.0.2.1:_p-1""#, address("192.0.2.1")),
        (r#"for="unknown:80""#, Node::Hidden("unknown".into())),
        (r#"for="_a.b-c:80""#, Node::Hidden("_a.b-c".into())),
        ("FOR=UNKNOWN", Node::Hidden("unknown".into())),
        (r#"for="\1\9\2.0.2.1""#, address("192.0.2.1")),
        (r#"for="[::ffff:192.0.2.1]""#, address("192.0.2.1")),
        (r#"for="192.0.2.1";host="a,b;c\"d\\""#, address("192.0.2.1")),
        (" ; proto=http ;; for=192.0.2.1 ; by=_x;", address("192.0.2.1")),
        ("for=192.0.2.1;host=\"\u{e9}\"", address("192.0.2.1")),
    ] {
        assert_eq!(nodes(&[value]), [expected], "{value}");
    }
}

#[test]
fn empty_elements_do_not_count() {
    assert_eq!(nodes(&[" , ,", "", "\t"]), []);
    assert_eq!(nodes(&[", for=192.0.2.1 ,\t"]), [address("192.0.2.1")]);
}

#[test]
fn what_breaks_the_grammar_is_an_entry_that_names_nobody() {
    for value in [
        "x",
        "for",
        "for=",
        "=192.0.2.1",
        "proto=http",
        "for=192.0.2.1;for=192.0.2.1",
        "for=192.0.2.1:80",
        "for =192.0.2.1",
        "for= 192.0.2.1",
        "for=192.0.2.1 proto=http",
        "for=192.0.2.1;proto",
        "for=192.0.2.01",
        "for=192.0.2",
        "for=2001:db8::1",
        r#"for="2001:db8::1""#,
        "for=[2001:db8::1]",
        r#"for="[2001:db8::1""#,
        r#"for="[2001:db8::1]80""#,
        r#"for="[192.0.2.1]""#,
        r#"for="[fe80::1%1]""#,
        r#"for="192.0.2.1:""#,
        r#"for="192.0.2.1:123456""#,
        r#"for="192.0.2.1:+80""#,
        r#"for="192.0.2.1:_""#,
        r#"for="192.0.2.1"x"#,
        r#"for="192.0.2.1"#,
        r#"for="192.0.2.1\"#,
        r#"for="192.0.2.1\""#,
        r#"for=192.0.2.1""#,
        r#"for=" 192.0.2.1""#,
        r#"for="""#,
        "for=_",
        "for=_a,b",
        r#"for="_a b""#,
        "for=proxy.example",
        "f\u{e9}r=192.0.2.1",
        "for=\u{e9}",
    ] {
        assert_eq!(nodes(&[value])[0], unreadable(), "{value}");
    }
    assert_eq!(nodes(&[&format!("for=_{}", "x".repeat(MAX_ENTRY_LEN))]), [unreadable()]);
}

#[test]
fn what_stands_before_does_not_change_how_an_entry_is_read() {
    for before in [r#"for="evil"#, r#"""#, r"\", r#"for="\"#, "for=x,", r#"",""#, "\u{e9}=\"", r#"for="a\"#] {
        let value = format!(r#"{before}, for="192.0.2.1:80";host="a,b\",\\", for="[2001:db8::1]""#);
        assert_eq!(nodes(&[&value])[..2], [address("2001:db8::1"), address("192.0.2.1")], "{value}");
    }
}

#[test]
fn only_so_many_entries_are_read_and_those_are_the_last() {
    let many = (0..100).map(|n| format!("for=10.0.0.{n}")).collect::<Vec<_>>().join(",");
    for values in [&[many.as_str()][..], &["for=unknown", &many]] {
        let nodes = nodes(values);
        assert_eq!(nodes.len(), MAX_ENTRIES);
        assert_eq!((&nodes[0], &nodes[MAX_ENTRIES - 1]), (&address("10.0.0.99"), &address("10.0.0.68")));
    }
}

/// Bytes that mean something here, and what is left of a well-formed value.
const NEARLY: &str = r#"(for=|host=|"|\\|,|;| |unknown|192\.0\.2\.1|\[::1\]|:80|_x|é){0,12}"#;

proptest! {
    #[test]
    fn whatever_comes_is_read_and_shows_visible_ascii_alone(value in NEARLY, bytes: Vec<u8>) {
        for header in [ClientAddressHeader::Forwarded, ClientAddressHeader::XForwardedFor] {
            for node in nodes_from_the_last([value.as_bytes(), &bytes], header) {
                let text = node.into_text();
                prop_assert!(!text.is_empty() && text.len() <= MAX_ENTRY_LEN);
                prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }

    #[test]
    fn a_proxys_entry_is_read_the_same_whatever_a_client_wrote_before(
        before in NEARLY,
        host in "[ -~]{0,8}",
        ip: Ipv6Addr,
    ) {
        let host = host.replace('\\', r"\\").replace('"', "\\\"");
        let value = format!("{before},for=\"[{ip}]:1\";host=\"{host}\"");
        prop_assert_eq!(&nodes(&[&value])[0], &Node::Address(IpAddr::from(ip).to_canonical()));
    }
}
