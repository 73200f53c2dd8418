//! Both sides together, and what came from anywhere.

use proptest::prelude::*;

use super::*;

#[test]
fn the_examples_of_the_rfc_are_answered_as_there() {
    // RFC 7692 §7.1.3
    let config = config();
    assert_eq!(answer("permessage-deflate", &config).unwrap(), "permessage-deflate");
    let limited = "permessage-deflate; client_max_window_bits; server_max_window_bits=10";
    assert_eq!(answer(limited, &config).unwrap(), "permessage-deflate; server_max_window_bits=10");
    let with_fallback = format!("{limited}, permessage-deflate; client_max_window_bits");
    assert_eq!(answer(&with_fallback, &config).unwrap(), "permessage-deflate; server_max_window_bits=10");

    let first = agreed("permessage-deflate; server_max_window_bits=10", &with_fallback, &config);
    assert_eq!(first, Agreed { server: direction(true, 10), client: direction(true, 15) });
    let second = agreed("permessage-deflate", &with_fallback, &config);
    assert_eq!(second, Agreed { server: direction(true, 15), client: direction(true, 15) });
}

#[test]
fn both_sides_agree_on_the_same_whatever_their_configs() {
    // RFC 7692 §5, §7.1
    for client in configs() {
        let header = offered(&client, &room());
        let offers = parse(&header);
        for server in configs() {
            for offers in (0..offers.len()).map(|declined| &offers[declined..]) {
                let of_server = negotiate(offers, &server, &room()).unwrap();
                let answer = parse(&write_extensions(&[of_server.extension()]).unwrap());
                let of_client = accept(&answer, offers, &client, &room()).unwrap().unwrap();
                // The client keeps to a limit of its own, also where its second offer did not insist on it.
                let mut expected = of_server.agreed;
                let own_limit = client.client_max_window_bits.get();
                expected.client.window_bits = expected.client.window_bits.min(own_limit);
                assert_eq!(of_client.agreed, expected, "{header}, {server:?}");
                assert_eq!(of_server.window.is_some(), of_server.agreed.client.context_takeover);
                assert_eq!(of_client.window.is_some(), of_server.agreed.server.context_takeover);
                let Agreed { server: down, client: up } = of_client.agreed;
                for config in [&client, &server] {
                    assert!(config.server_context_takeover || !down.context_takeover);
                    assert!(config.client_context_takeover || !up.context_takeover);
                    assert!(up.window_bits <= config.client_max_window_bits.get());
                    // The second offer limits nothing, but then nothing is taken over.
                    let limit = config.server_max_window_bits.get();
                    assert!(down.window_bits <= limit || !down.context_takeover);
                }
            }
        }
    }
}

/// All combinations of takeover and window bits: 196.
fn configs() -> impl Iterator<Item = Config> {
    let takeovers = [(false, false), (false, true), (true, false), (true, true)];
    takeovers.into_iter().flat_map(|(server_context_takeover, client_context_takeover)| {
        let windows = (9..=15).flat_map(|server| (9..=15).map(move |client| (server, client)));
        windows.map(move |(server, client)| Config {
            server_context_takeover,
            client_context_takeover,
            server_max_window_bits: WindowBits::new(server).unwrap(),
            client_max_window_bits: WindowBits::new(client).unwrap(),
            ..config()
        })
    })
}

fn any_config() -> impl Strategy<Value = (Config, usize)> {
    let takeovers = (any::<bool>(), any::<bool>());
    (takeovers, 9..=15_u8, 9..=15_u8, 1..=9_u8, 0..600 * KIB).prop_map(
        |(takeovers, server, client, level, limit)| {
            let config = Config {
                memory_level: level,
                server_context_takeover: takeovers.0,
                client_context_takeover: takeovers.1,
                server_max_window_bits: WindowBits::new(server).unwrap(),
                client_max_window_bits: WindowBits::new(client).unwrap(),
                ..config()
            };
            (config, limit)
        },
    )
}

/// Mostly legal ones, so that agreements come out, too.
fn any_extension() -> impl Strategy<Value = Extension> {
    let value = prop_oneof![
        3 => Just(None),
        5 => (8..=15_u8).prop_map(|bits| Some(bits.to_string())),
        1 => proptest::option::of("[ -~]{0,4}"),
        1 => any::<Option<String>>(),
    ];
    let name = prop_oneof![
        5 => Just("server_max_window_bits".to_owned()),
        5 => Just("client_max_window_bits".to_owned()),
        3 => Just("server_no_context_takeover".to_owned()),
        3 => Just("client_no_context_takeover".to_owned()),
        1 => any::<String>(),
    ];
    let params = proptest::collection::vec((name, value), 0..4);
    (prop_oneof![9 => Just(NAME.to_owned()), 1 => any::<String>()], params)
        .prop_map(|(name, params)| Extension { name, params })
}

/// The parameter as it stands there, for a judgement that owes nothing to the code under test.
fn param<'e>(extension: &'e Extension, name: &str) -> Option<&'e (String, Option<String>)> {
    let mut params = extension.params.iter().filter(|(param, _)| param == name);
    let first = params.next();
    assert_eq!(params.next(), None, "{name} came twice");
    first
}

fn bits(extension: &Extension, name: &str) -> Option<u8> {
    param(extension, name)?.1.as_ref().map(|bits| bits.parse().unwrap())
}

proptest! {
    #[test]
    fn whatever_is_negotiated_fits_the_offer((config, limit) in any_config(), offer in any_extension()) {
        // RFC 7692 §5, §7, §7.1
        let memory = memory(limit);
        let Some(negotiated) = negotiate(std::slice::from_ref(&offer), &config, &memory) else {
            prop_assert_eq!(memory.used(), 0);
            return Ok(());
        };
        let answer = negotiated.extension();
        prop_assert_eq!(&offer.name, NAME);
        if param(&offer, "server_no_context_takeover").is_some() {
            prop_assert!(param(&answer, "server_no_context_takeover").is_some());
        }
        if let Some(asked) = bits(&offer, "server_max_window_bits") {
            prop_assert!((9..=asked).contains(&bits(&answer, "server_max_window_bits").unwrap()));
        }
        if let Some(granted) = bits(&answer, "client_max_window_bits") {
            prop_assert!(param(&offer, "client_max_window_bits").is_some());
            let hint = bits(&offer, "client_max_window_bits").unwrap_or(15);
            prop_assert!((8..=hint).contains(&granted));
        }
        prop_assert_eq!(memory.used() > 0, negotiated.agreed.client.context_takeover);
        prop_assert!(memory.used() <= limit);
    }

    #[test]
    fn no_answer_panics_and_what_is_agreed_on_fits_the_config(
        (config, limit) in any_config(),
        answer in proptest::collection::vec(any_extension(), 0..3),
    ) {
        let memory = memory(limit);
        let offers = offers(&config, &memory);
        match accept(&answer, &offers, &config, &memory) {
            Ok(Some(negotiated)) => {
                let Agreed { server, client } = negotiated.agreed;
                prop_assert!((8..=15).contains(&server.window_bits));
                prop_assert!((8..=config.client_max_window_bits.get()).contains(&client.window_bits));
                prop_assert!(!client.context_takeover || config.client_context_takeover);
                prop_assert!(!server.context_takeover || config.server_context_takeover);
                prop_assert_eq!(negotiated.window.is_some(), server.context_takeover);
            }
            Ok(None) => prop_assert!(answer.is_empty()),
            Err(error) => {
                let text = error.to_string();
                prop_assert!(text.len() < 400 && text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{}", text);
                prop_assert_eq!(memory.used(), 0);
            }
        }
    }
}
