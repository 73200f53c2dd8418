use proptest::prelude::*;

use super::*;

fn rule(text: &str) -> OriginRule {
    text.parse().unwrap()
}

/// Of a request to `server.example.com:81`.
#[track_caller]
fn assert_allows(text: &str, allowed: &[&str], refused: &[&str]) {
    let rule = rule(text);
    for origin in allowed {
        assert!(rule.allows(origin, HOST), "{text} allows {origin}");
    }
    for origin in refused {
        assert!(!rule.allows(origin, HOST), "{text} does not allow {origin:?}");
    }
}

const HOST: &str = "server.example.com:81";

#[test]
fn an_origin_is_the_same_by_its_scheme_host_and_port() {
    assert_allows(
        "https://example.com",
        &["https://example.com", "https://example.com:443", "HTTPS://EXAMPLE.com"],
        &[
            "http://example.com",
            "http://example.com:443",
            "https://example.com:8443",
            "https://www.example.com",
            "https://badexample.com",
            "https://example.com.evil.example",
            "https://example.com.",
            "wss://example.com",
            "null",
            "file://",
        ],
    );
    assert_allows("HTTP://Example.COM:80", &["http://example.com"], &["https://example.com"]);
    assert_allows(
        "https://example.com:8443",
        &["https://example.com:8443"],
        &["https://example.com", "https://example.com:443", "http://example.com:8443"],
    );
}

#[test]
fn a_star_stands_for_one_or_more_labels_and_never_for_none() {
    assert_allows(
        "https://*.example.com",
        &["https://a.example.com", "https://a.b.example.com", "https://A.Example.Com:443"],
        &[
            "https://example.com",
            "https://.example.com",
            "https://a..example.com",
            "https://*.example.com",
            "https://badexample.com",
            "https://aexample.com",
            "https://a.example.com.evil.example",
            "https://a.example.com.",
            "https://a.example.com:8443",
            "http://a.example.com",
            "https://evil.example/.example.com",
            "https://evil.example#.example.com",
            "https://evil.example@a.example.com",
            "https://[::1]",
            "null",
        ],
    );
    assert_allows(
        "http://*.example.com:8080",
        &["http://a.example.com:8080"],
        &["http://a.example.com", "http://example.com:8080"],
    );
}

#[test]
fn null_is_the_opaque_origin_and_nothing_else() {
    assert_allows(
        "null",
        &["null"],
        &["NULL", "null ", "https://null", "", "https://example.com", "file://"],
    );
}

#[test]
fn the_same_origin_has_the_host_and_port_of_the_request() {
    let same = OriginRule::SAME_ORIGIN;
    for (origin, host) in [
        ("https://example.com", "example.com"),
        ("http://example.com", "example.com"),
        ("https://example.com", "Example.COM:443"),
        ("http://example.com:80", "example.com"),
        ("https://example.com:8443", "example.com:8443"),
        ("http://127.0.0.1:9001", "127.0.0.1:9001"),
        ("http://[::1]:9001", "[0:0:0:0:0:0:0:1]:9001"),
        ("https://xn--bcher-kva.example", "XN--BCHER-KVA.example"),
    ] {
        assert!(same.allows(origin, host), "{origin} at {host}");
    }
    for (origin, host) in [
        ("https://example.com", "example.com:80"),
        ("http://example.com", "example.com:443"),
        ("https://example.com:8443", "example.com"),
        ("https://example.com", "www.example.com"),
        ("https://www.example.com", "example.com"),
        ("https://example.com", "example.com."),
        ("https://example.com", "example.com:"),
        ("https://example.com", "user@example.com"),
        ("https://example.com", "example.com,evil.example"),
        ("http://[::1]", "::1"),
        ("ionic://localhost", "localhost"),
        ("null", "null"),
        ("file://", ""),
        ("", ""),
    ] {
        assert!(!same.allows(origin, host), "{origin} at {host}");
    }
}

#[test]
fn an_ipv6_address_is_the_same_however_it_is_written() {
    assert_allows(
        "http://[::1]:8080",
        &["http://[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080"],
        &[
            "http://[::1]",
            "http://[::2]:8080",
            "http://::1:8080",
            "http://[::1]8080",
            "http://[::1%25lo]:8080",
        ],
    );
    assert_eq!(rule("http://[0:0::1]:8080").to_string(), "http://[::1]:8080");
}

#[test]
fn pages_of_extensions_and_applications_have_origins_too() {
    assert_allows("file://", &["file://"], &["file:///", "null", "http://"]);
    let extension = "chrome-extension://abcdefghijklmnop";
    assert_allows(extension, &[extension], &["chrome-extension://other", "https://abcdefghijklmnop"]);
}

#[test]
fn what_is_no_origin_is_allowed_by_no_rule() {
    let huge = format!("https://{}.example.com", "a".repeat(100_000) + "/");
    for text in
        ["same-origin", "null", "https://example.com", "https://*.example.com", "http://[::1]", "file://"]
    {
        let rule = rule(text);
        for origin in [
            "",
            " ",
            "https",
            "https:",
            "https://",
            "https://:443",
            "https:example.com",
            "https:/example.com",
            "://example.com",
            "1https://example.com",
            "https://example.com/",
            "https://example.com?",
            "https://example.com#",
            "https://example.com:",
            "https://example.com:+443",
            "https://example.com:65979",
            "https://example.com:443:443",
            "https://example.com:443 ",
            " https://example.com",
            "https://user@example.com",
            "https://user:443@example.com",
            "https://example.com https://example.com",
            "https://example.com, https://example.com",
            "https://evil.example null",
            "https://example.com\\evil.example",
            "https://exa%6dple.com",
            "https://b\u{fc}cher.example",
            "https://[::1",
            "https://[]",
            "https://]",
            "null null",
            &huge,
        ] {
            assert!(!rule.allows(origin, "example.com"), "{text} does not allow {origin:?}");
        }
    }
}

#[test]
fn a_rule_reads_back_what_it_prints() {
    for text in [
        "same-origin",
        "null",
        "https://example.com",
        "https://example.com:8443",
        "http://*.example.com:81",
        "https://xn--bcher-kva.example",
        "http://[::1]:8080",
        "http://127.0.0.1",
        "capacitor://localhost",
        "file://",
    ] {
        assert_eq!(rule(text).to_string(), text);
    }
    assert_eq!(rule("HTTPS://*.Example.com:443").to_string(), "https://*.example.com");
}

#[test]
fn what_is_no_rule_is_an_error_that_says_why() {
    let error = |text: &str| text.parse::<OriginRule>().unwrap_err();
    for text in [
        "",
        "example.com",
        "*.example.com",
        "https:",
        "https://",
        "https://*",
        "https://*.",
        "https://*.*.example.com",
        "https://a.*.example.com",
        "https://*example.com",
        "https://*.[::1]",
        "https://example.com:0x1",
        "https://example.com:65536",
        "https://.example.com",
        "Same-Origin",
        "file://*.",
    ] {
        assert_eq!(error(text), OriginRuleError::Unreadable { text: text.to_owned() });
    }
    for text in ["https://example.com/", "https://u@example.com", "https://a?b", "https://a#b"] {
        assert_eq!(error(text), OriginRuleError::MoreThanOrigin { text: text.to_owned() });
    }
    assert!(matches!(error("WSS://example.com"), OriginRuleError::WebSocketUrl { .. }));
    assert!(matches!(error("https://b\u{fc}cher.example"), OriginRuleError::NotAscii { .. }));
    assert_eq!(error("*").to_string(), "\"*\" is not an origin; any may connect where none is listed");
}

/// Texts that are nearly origins.
const NEARLY: &str = r"[a-zA-Z]{0,5}:?/{0,3}[*.]{0,2}([a-z0-9._-]{0,3}|\[[0-9a-f:]{0,6}\]?)(\.?example\.com)?(:[0-9+]{0,6})?.{0,2}";

proptest! {
    #[test]
    fn whatever_comes_is_allowed_or_not(text in NEARLY, origin in NEARLY, host in NEARLY, any in ".*") {
        for text in [&text, &any] {
            let Ok(rule) = text.parse::<OriginRule>() else { continue };
            prop_assert_eq!(&rule.to_string().parse::<OriginRule>(), &Ok(rule.clone()));
            for origin in [&origin, &any] {
                rule.allows(origin, &host);
            }
        }
        OriginRule::SAME_ORIGIN.allows(&any, &any);
    }

    #[test]
    fn a_rule_without_a_star_allows_exactly_the_origin_that_it_is(text in NEARLY) {
        if let Ok(rule @ OriginRule(Rule::Exact(_))) = text.parse::<OriginRule>() {
            prop_assert!(rule.allows(&text, HOST));
            prop_assert!(rule.allows(&rule.to_string(), HOST));
        }
    }

    #[test]
    fn what_a_star_allows_ends_with_the_parent(origin in NEARLY) {
        if rule("https://*.example.com").allows(&origin, HOST) {
            let origin = origin.to_ascii_lowercase();
            let origin = origin.strip_suffix(":443").unwrap_or(&origin);
            prop_assert!(origin.starts_with("https://") && origin.ends_with(".example.com"));
        }
    }
}
