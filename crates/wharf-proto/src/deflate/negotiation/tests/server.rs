//! What a server answers.

use super::*;

#[test]
fn other_extensions_are_passed_over_by_a_server() {
    // RFC 7692 §5, §5.1
    assert_eq!(answer("permessage-foo; x=10", &config()), None);
    assert_eq!(answer("permessage-foo; use_y, permessage-foo", &config()), None);
    assert_eq!(answer("permessage-bar, permessage-deflate", &config()).unwrap(), "permessage-deflate");
    assert!(negotiate(&[], &config(), &room()).is_none());
}

#[test]
fn what_browsers_offer_is_accepted() {
    let small = Config { client_max_window_bits: WindowBits::new(11).unwrap(), ..server_bits(12) };
    let chromium = "permessage-deflate; client_max_window_bits";
    assert_eq!(answer(chromium, &config()).unwrap(), "permessage-deflate");
    assert_eq!(
        answer(chromium, &small).unwrap(),
        "permessage-deflate; server_max_window_bits=12; client_max_window_bits=11"
    );
    // Firefox, Safari
    assert_eq!(answer("permessage-deflate", &config()).unwrap(), "permessage-deflate");
    assert_eq!(
        answer("permessage-deflate", &small).unwrap(),
        "permessage-deflate; client_no_context_takeover; server_max_window_bits=12"
    );
    // Safari before it had permessage-deflate
    assert_eq!(answer("x-webkit-deflate-frame", &config()), None);
}

#[test]
fn an_offer_with_a_parameter_that_breaks_the_rules_is_declined_and_the_next_is_taken() {
    // RFC 7692 §5, §7
    let declined = [
        "x",
        "server_max_window_bits=10; x=1",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
        // RFC 7692 §7.1.1.1, §7.1.1.2
        "server_no_context_takeover=1",
        "server_no_context_takeover=\"\"",
        "client_no_context_takeover=true",
        // RFC 7692 §7.1.2.1
        "server_max_window_bits",
        "server_max_window_bits=\"\"",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=09",
        "server_max_window_bits=+9",
        "server_max_window_bits=-9",
        "server_max_window_bits=9.0",
        "server_max_window_bits=0x9",
        "server_max_window_bits=266",
        "server_max_window_bits=\"10 \"",
        // RFC 7692 §7.1.2.2
        "client_max_window_bits=\"\"",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=010",
        "client_max_window_bits=+10",
        "client_max_window_bits=ten",
        "client_max_window_bits=4294967305",
    ];
    for params in declined {
        let offer = format!("permessage-deflate; {params}");
        assert_eq!(answer(&offer, &config()), None, "{params}");
        let with_fallback = format!("{offer}, permessage-deflate; server_no_context_takeover");
        let expected = "permessage-deflate; server_no_context_takeover";
        assert_eq!(answer(&with_fallback, &config()).unwrap(), expected, "{params}");
    }
}

#[test]
fn a_window_of_256_bytes_is_declined_of_the_server_and_granted_to_the_client() {
    // RFC 7692 §7, §7.1.2.1, §7.1.2.2
    assert_eq!(answer("permessage-deflate; server_max_window_bits=8", &config()), None);
    let memory = room();
    let negotiated =
        negotiate(&parse("permessage-deflate; client_max_window_bits=8"), &config(), &memory).unwrap();
    assert_eq!(negotiated.agreed.client, direction(true, 8));
    assert_eq!(negotiated.extension(), parse("permessage-deflate; client_max_window_bits=8")[0]);
    assert_eq!(memory.used(), 512);
}

#[test]
fn the_first_acceptable_offer_counts() {
    // RFC 7692 §5
    let offers = "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=9, \
        permessage-deflate";
    assert_eq!(answer(offers, &config()).unwrap(), "permessage-deflate; server_max_window_bits=9");
}

#[test]
fn a_server_takes_no_context_over_where_either_side_does_not_want_it() {
    // RFC 7692 §7.1.1.1
    let none = Config { server_context_takeover: false, ..config() };
    let expected = "permessage-deflate; server_no_context_takeover";
    assert_eq!(answer("permessage-deflate", &none).unwrap(), expected);
    assert_eq!(answer(expected, &config()).unwrap(), expected);
    assert_eq!(answer(expected, &none).unwrap(), expected);
}

#[test]
fn a_client_is_asked_for_no_takeover_where_either_side_does_not_want_it() {
    // RFC 7692 §7.1.1.2
    let none = Config { client_context_takeover: false, ..config() };
    let expected = "permessage-deflate; client_no_context_takeover";
    assert_eq!(answer("permessage-deflate", &none).unwrap(), expected);
    assert_eq!(answer(expected, &config()).unwrap(), expected);
    let negotiated = negotiate(&parse(expected), &config(), &room()).unwrap();
    assert!(negotiated.window.is_none());
}

#[test]
fn a_server_limits_its_window_to_the_smaller_of_both_sides() {
    // RFC 7692 §7.1.2.1
    for (offer, own, expected) in [(10, 12, 10), (12, 10, 10), (9, 9, 9), (15, 14, 14)] {
        let offer = format!("permessage-deflate; server_max_window_bits={offer}");
        let expected = format!("permessage-deflate; server_max_window_bits={expected}");
        assert_eq!(answer(&offer, &server_bits(own)).unwrap(), expected);
    }
    // Unasked, a server may say so too.
    assert_eq!(
        answer("permessage-deflate", &server_bits(9)).unwrap(),
        "permessage-deflate; server_max_window_bits=9"
    );
}

#[test]
fn a_limit_of_the_server_that_was_asked_for_is_answered_even_where_it_is_the_largest_window() {
    // RFC 7692 §7.1.2.1: the offer is accepted by answering the parameter.
    let asked = "permessage-deflate; server_max_window_bits=15";
    assert_eq!(answer(asked, &config()).unwrap(), asked);
    let negotiated = negotiate(&parse(asked), &config(), &room()).unwrap();
    assert_eq!(negotiated.agreed.extension(), Extension::new(NAME));
}

#[test]
fn a_client_is_limited_only_where_it_offers_to_be() {
    // RFC 7692 §7.1.2.2
    let cases = [
        ("client_max_window_bits", 15, "permessage-deflate"),
        ("client_max_window_bits", 10, "permessage-deflate; client_max_window_bits=10"),
        ("client_max_window_bits=15", 10, "permessage-deflate; client_max_window_bits=10"),
        ("client_max_window_bits=15", 15, "permessage-deflate"),
        ("client_max_window_bits=9", 15, "permessage-deflate; client_max_window_bits=9"),
        ("client_max_window_bits=9", 10, "permessage-deflate; client_max_window_bits=9"),
    ];
    for (params, own, expected) in cases {
        let offer = format!("permessage-deflate; {params}");
        assert_eq!(answer(&offer, &client_bits(own)).unwrap(), expected, "{params}, {own}");
    }
    let unlimited = negotiate(&parse("permessage-deflate"), &client_bits(14), &room()).unwrap();
    assert_eq!(unlimited.agreed.client, direction(false, 15));
    assert!(unlimited.window.is_none());
}

#[test]
fn a_server_keeps_a_window_of_the_agreed_size_until_it_is_dropped() {
    for (params, bytes) in
        [("", 32_768), ("; client_max_window_bits=12", 4096), ("; client_no_context_takeover", 0)]
    {
        let memory = room();
        let offers = parse(&format!("permessage-deflate{params}"));
        let negotiated = negotiate(&offers, &config(), &memory).unwrap();
        assert_eq!((memory.used(), negotiated.window.is_some()), (bytes, bytes > 0));
        assert!(Arc::ptr_eq(&negotiated.memory, &memory));
        drop(negotiated);
        assert_eq!(memory.used(), 0);
    }
}

#[test]
fn a_declined_offer_holds_no_memory() {
    let memory = room();
    assert!(negotiate(&parse("permessage-deflate; server_max_window_bits=8"), &config(), &memory).is_none());
    assert_eq!(memory.used(), 0);
}

#[test]
fn a_server_without_memory_agrees_without_takeover() {
    let takeovers = |limit| {
        let agreed = negotiate(&parse("permessage-deflate"), &config(), &memory(limit)).unwrap().agreed;
        (agreed.server.context_takeover, agreed.client.context_takeover)
    };
    assert_eq!(takeovers(0), (false, false));
    assert_eq!(takeovers(WINDOW - 1), (false, false));
    assert_eq!(takeovers(WINDOW), (false, true));
    assert_eq!(takeovers(WINDOW + COMPRESSOR - 1), (false, true));
    assert_eq!(takeovers(WINDOW + COMPRESSOR), (true, true));
}
