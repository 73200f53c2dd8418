//! What a client offers, and what it makes of the answer.

use super::*;

#[test]
fn a_client_offers_what_its_config_says() {
    // RFC 7692 §7.1.1, §7.1.2, §7.1.2.1, §7.1.2.2
    let unlimited = "permessage-deflate; client_max_window_bits";
    assert_eq!(offered(&config(), &room()), unlimited);
    assert_eq!(
        offered(&client_bits(10), &room()),
        "permessage-deflate; client_max_window_bits=10, permessage-deflate; client_max_window_bits"
    );
    let neither = Config { server_context_takeover: false, client_context_takeover: false, ..config() };
    assert_eq!(
        offered(&neither, &room()),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits"
    );
}

#[test]
fn a_client_that_limits_the_server_offers_second_that_it_takes_nothing_over() {
    // RFC 7692 §5, §7.1.2.1
    assert_eq!(
        offered(&server_bits(10), &room()),
        "permessage-deflate; server_max_window_bits=10; client_max_window_bits, \
         permessage-deflate; server_no_context_takeover; client_max_window_bits"
    );
}

#[test]
fn a_client_without_memory_offers_no_takeover() {
    let takeovers = |limit| {
        let offers = offers(&config(), &memory(limit));
        let has = |name| offers[0].params.iter().any(|(param, _)| param == name);
        (!has("server_no_context_takeover"), !has("client_no_context_takeover"))
    };
    assert_eq!(takeovers(0), (false, false));
    assert_eq!(takeovers(WINDOW), (true, false));
    assert_eq!(takeovers(WINDOW + COMPRESSOR - 1), (true, false));
    assert_eq!(takeovers(WINDOW + COMPRESSOR), (true, true));
}

#[test]
fn an_answer_without_extensions_is_no_compression() {
    assert!(accepted("", "permessage-deflate", &config()).unwrap().is_none());
}

#[test]
fn an_answer_may_restrict_more_than_was_offered() {
    // RFC 7692 §7.1.1.1, §7.1.1.2, §7.1.2.1
    let offer = "permessage-deflate";
    let all = "permessage-deflate; server_max_window_bits=9; client_no_context_takeover; \
        server_no_context_takeover";
    assert_eq!(
        agreed(all, offer, &config()),
        Agreed { server: direction(false, 9), client: direction(false, 15) }
    );
    let hinted = "permessage-deflate; client_max_window_bits=12";
    assert_eq!(
        agreed("permessage-deflate; client_max_window_bits=9", hinted, &config()).client,
        direction(true, 9)
    );
}

#[test]
fn an_answered_window_of_256_bytes_is_agreed_to() {
    // RFC 7692 §7.1.2.1, §7.1.2.2
    let offer = "permessage-deflate; client_max_window_bits";
    let answer = "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8";
    let memory = room();
    let negotiated = accept(&parse(answer), &parse(offer), &config(), &memory).unwrap().unwrap();
    assert_eq!(negotiated.agreed, Agreed { server: direction(true, 8), client: direction(true, 8) });
    assert_eq!(memory.used(), 512);
    assert_eq!(negotiated.extension(), parse(answer)[0]);
}

#[test]
fn a_client_keeps_to_what_it_offered_of_itself_where_the_server_leaves_it_out() {
    // RFC 7692 §7.1.1.2, §7.1.2.2
    let config = Config { client_context_takeover: false, ..client_bits(10) };
    let offers = offered(&config, &room());
    assert_eq!(agreed("permessage-deflate", &offers, &config).client, direction(false, 10));
    // There was no room for a compressor when it was offered, though its config wants takeover.
    let offers = "permessage-deflate; client_no_context_takeover";
    assert_eq!(agreed("permessage-deflate", offers, &self::config()).client, direction(false, 15));
}

#[test]
fn a_client_keeps_a_window_of_the_agreed_size_until_it_is_dropped() {
    let answers = [("", 32_768), ("; server_max_window_bits=12", 4096), ("; server_no_context_takeover", 0)];
    for (params, bytes) in answers {
        let memory = room();
        let answer = parse(&format!("permessage-deflate{params}"));
        let negotiated = accept(&answer, &parse("permessage-deflate"), &config(), &memory).unwrap().unwrap();
        assert_eq!((memory.used(), negotiated.window.is_some()), (bytes, bytes > 0));
        drop(negotiated);
        assert_eq!(memory.used(), 0);
    }
}

#[test]
fn an_answer_with_another_extension_or_with_several_is_an_error() {
    // RFC 7692 §5, RFC 6455 §9.1
    let offer = "permessage-deflate";
    let foo = AgreementError::NotOffered { name: "permessage-foo".to_owned() };
    assert_eq!(error("permessage-foo", offer), foo);
    assert_eq!(error("permessage-deflate, permessage-foo", offer), foo);
    assert_eq!(error("permessage-deflate, permessage-deflate", offer), AgreementError::Repeated { count: 2 });
    let deflate = AgreementError::NotOffered { name: NAME.to_owned() };
    assert_eq!(error("permessage-deflate", ""), deflate);
    assert_eq!(error("permessage-deflate", "permessage-foo"), deflate);
}

#[test]
fn an_answer_with_a_parameter_that_breaks_the_rules_is_an_error() {
    // RFC 7692 §7
    let error = |params: &str| {
        error(&format!("permessage-deflate; {params}"), "permessage-deflate; client_max_window_bits")
    };
    assert_eq!(error("x=1"), AgreementError::ParameterUnknown { name: "x".to_owned() });
    let names = [
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits",
        "client_max_window_bits",
    ];
    // RFC 7692 §7.1.1.1, §7.1.1.2
    for name in &names[..2] {
        let value = "1".to_owned();
        assert_eq!(error(&format!("{name}=1")), AgreementError::ValueNotAllowed { name, value });
        assert_eq!(error(&format!("{name}; {name}")), AgreementError::ParameterRepeated { name });
    }
    // RFC 7692 §7.1.2.1, §7.1.2.2
    for name in &names[2..] {
        assert_eq!(error(name), AgreementError::WindowBitsMissing { name });
        assert_eq!(error(&format!("{name}=9; {name}=9")), AgreementError::ParameterRepeated { name });
        for value in ["", "7", "16", "09", "+9", "-9", "1e1", "265"] {
            let expected = AgreementError::WindowBits { name, value: value.to_owned() };
            assert_eq!(error(&format!("{name}=\"{value}\"")), expected);
        }
    }
}

#[test]
fn an_answer_that_grants_less_than_was_asked_for_is_an_error() {
    // RFC 7692 §7, §7.1.1.1
    let offer = "permessage-deflate; server_no_context_takeover";
    assert_eq!(error("permessage-deflate", offer), AgreementError::ServerContextTakeover);
    // RFC 7692 §7.1.2.1
    let offer = "permessage-deflate; server_max_window_bits=10";
    let unlimited = AgreementError::ServerWindowUnlimited { limit: 10 };
    assert_eq!(error("permessage-deflate; client_no_context_takeover", offer), unlimited);
    assert_eq!(
        error("permessage-deflate; server_max_window_bits=11", offer),
        AgreementError::ServerWindow { bits: 11, limit: 10 }
    );
}

#[test]
fn an_answer_that_limits_the_client_unasked_is_an_error_and_one_beyond_its_offer_is_no_limit() {
    // RFC 7692 §7.1.2.2
    assert_eq!(
        error("permessage-deflate; client_max_window_bits=15", "permessage-deflate"),
        AgreementError::ClientWindowNotOffered { bits: 15 }
    );
    let beyond = agreed(
        "permessage-deflate; client_max_window_bits=11",
        "permessage-deflate; client_max_window_bits=10",
        &client_bits(10),
    );
    assert_eq!(beyond.client.window_bits, 10);
}

#[test]
fn an_answer_to_the_second_offer_is_accepted_and_one_to_neither_is_an_error_about_the_first() {
    // RFC 7692 §5
    let config = server_bits(10);
    let offers = offered(&config, &room());
    let second = agreed("permessage-deflate; server_no_context_takeover", &offers, &config);
    assert_eq!(second, Agreed { server: direction(false, 15), client: direction(true, 15) });
    let neither = accepted("permessage-deflate", &offers, &config).unwrap_err();
    assert_eq!(neither, AgreementError::ServerWindowUnlimited { limit: 10 });
}

#[test]
fn memory_that_is_gone_since_the_offer_is_an_error_only_where_a_window_is_needed() {
    let memory = memory(WINDOW);
    let offers = offers(&config(), &memory);
    let taken = memory.reserve(1).unwrap();
    let answer = |text: &str| accept(&parse(text), &offers, &config(), &memory);
    let error = answer("permessage-deflate").unwrap_err();
    assert_eq!(error, AgreementError::MemoryExhausted { bytes: WINDOW });
    assert!(answer("permessage-deflate; server_no_context_takeover").is_ok());
    drop(taken);
    assert!(answer("permessage-deflate").is_ok());
}

#[test]
fn errors_say_what_came_and_what_was_offered_and_stay_short() {
    let text = |answer: &str, offer: &str| error(answer, offer).to_string();
    assert_eq!(
        text(
            "permessage-deflate; server_max_window_bits=12",
            "permessage-deflate; server_max_window_bits=10"
        ),
        "the server answers server_max_window_bits=12, but at most 10 was offered"
    );
    let long = "x".repeat(4000);
    for answer in [
        long.clone(),
        format!("permessage-deflate; {long}"),
        format!("permessage-deflate; server_max_window_bits={long}"),
        format!("permessage-deflate; server_no_context_takeover={long}"),
    ] {
        assert!(text(&answer, "permessage-deflate").len() < 200);
    }
}
