use proptest::prelude::*;

use super::*;

const PEER: &str = "10.0.0.9";

fn resolved(peer: &str, values: &[&[u8]], config: &ServerConfig) -> ClientAddress {
    let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
    resolve(&Arrival::of_peer(Some(peer)), values.iter().copied(), config)
}

fn trusting(networks: &[&str]) -> ServerConfig {
    ServerConfig::default().trusted_proxies(networks.iter().map(|text| text.parse().unwrap()).collect())
}

#[track_caller]
fn assert_addresses(addresses: &ClientAddress, remote_address: &str, remote_addresses: &[&str]) {
    assert_eq!(
        (addresses.remote_address.as_str(), addresses.remote_addresses.as_slice()),
        (remote_address, remote_addresses.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice())
    );
}

#[test]
fn r6_1_the_header_names_the_client_and_the_proxies_and_the_peer_comes_last() {
    let addresses = resolved(PEER, &[b"1.1.1.1, 2.2.2.2"], &ServerConfig::default());
    assert_addresses(&addresses, "1.1.1.1", &["1.1.1.1", "2.2.2.2", PEER]);
}

#[test]
fn r6_1_several_fields_are_one_list_and_blanks_do_not_count() {
    let addresses = resolved(PEER, &[b"1.1.1.1 ,\t2.2.2.2", b" 3.3.3.3"], &ServerConfig::default());
    assert_addresses(&addresses, "1.1.1.1", &["1.1.1.1", "2.2.2.2", "3.3.3.3", PEER]);
}

#[test]
fn r6_2_an_absent_or_empty_header_leaves_the_peer() {
    for values in [&[][..], &[&b""[..]], &[b" , ,", b""]] {
        assert_addresses(&resolved(PEER, values, &ServerConfig::default()), PEER, &[PEER]);
    }
}

#[test]
fn r6_an_ipv4_peer_on_an_ipv6_socket_is_written_as_ipv4() {
    let addresses = resolved("::ffff:10.0.0.9", &[], &ServerConfig::default());
    assert_addresses(&addresses, PEER, &[PEER]);
}

#[test]
fn r6_hostile_bytes_never_come_out() {
    let value = b"1.1.1.1\xff\xfe \t2, \xc3\xa9\x80, <b>";
    let addresses = resolved(PEER, &[value], &ServerConfig::default());
    assert_addresses(&addresses, "1.1.1.12", &["1.1.1.12", "<b>", PEER]);
}

#[test]
fn r6_number_and_length_of_the_entries_are_bounded_and_the_last_ones_stay() {
    let many = (0..1000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let addresses = resolved(PEER, &[many.as_bytes()], &ServerConfig::default());
    assert_eq!(addresses.remote_addresses.len(), 33);
    assert_eq!(addresses.remote_addresses[31..], ["999", PEER]);

    let long = resolved(PEER, &["x".repeat(1000).as_bytes()], &ServerConfig::default());
    assert_eq!(long.remote_address.len(), 64);
}

#[test]
fn o15_disabled_an_ignored_header_leaves_the_peer() {
    let ignoring = ServerConfig::default().ignore_x_forwarded_for(true);
    assert_addresses(&resolved(PEER, &[b"1.1.1.1"], &ignoring), PEER, &[PEER]);
    let both = trusting(&["10.0.0.0/8"]).ignore_x_forwarded_for(true);
    assert_addresses(&resolved(PEER, &[b"1.1.1.1"], &both), PEER, &[PEER]);
}

#[test]
fn o18_effect_the_header_counts_from_a_named_proxy_only() {
    let config = trusting(&["10.0.0.0/8", "::1"]);
    for (peer, expected) in [("10.0.0.9", "1.1.1.1"), ("::1", "1.1.1.1"), ("11.0.0.9", "11.0.0.9")] {
        assert_eq!(resolved(peer, &[b"1.1.1.1"], &config).remote_address, expected);
    }
}

#[test]
fn o18_effect_what_the_client_wrote_itself_is_not_believed() {
    let config = trusting(&["10.0.0.0/8"]);
    let addresses = resolved(PEER, &[b"6.6.6.6, 1.1.1.1, 10.2.2.2"], &config);
    assert_addresses(&addresses, "1.1.1.1", &["6.6.6.6", "1.1.1.1", "10.2.2.2", PEER]);

    let padded = "6.6.6.6, ".repeat(1000) + "1.1.1.1";
    assert_eq!(resolved(PEER, &[padded.as_bytes()], &config).remote_address, "1.1.1.1");
}

#[test]
fn o18_effect_a_proxy_is_known_by_its_address_with_port_and_brackets_too() {
    let config = trusting(&["10.0.0.0/8", "::1"]);
    let value = b"1.1.1.1:99, unknown, 10.2.2.2:80, [::1]:80, [::1]";
    assert_eq!(resolved(PEER, &[value], &config).remote_address, "unknown");
    assert_eq!(resolved(PEER, &[b"10.1.1.1, 10.2.2.2"], &config).remote_address, "10.1.1.1");
}

#[test]
fn an_entry_that_is_no_address_ends_the_search_at_the_proxy_that_sent_it() {
    let config = trusting(&["10.0.0.0/8"]);
    for (value, expected) in [
        ("1.1.1.1, garbage", PEER),
        ("1.1.1.1, garbage, 10.2.2.2", "10.2.2.2"),
        ("10.3.3.3, 1.1.1.1 2, 10.2.2.2", "10.2.2.2"),
        ("1.1.1.1, 10.2.2.2:99999", PEER),
        ("1.1.1.1, _hidden", PEER),
        ("1.1.1.1, <script>", PEER),
        ("1.1.1.1, \u{e9}", PEER),
        ("1.1.1.1, 10.3.3.3\u{e9}, 10.2.2.2", "10.2.2.2"),
        ("1.1.1.1, , 10.2.2.2", "1.1.1.1"),
        ("1.1.1.1, UNKNOWN, 10.2.2.2", "unknown"),
    ] {
        assert_eq!(resolved(PEER, &[value.as_bytes()], &config).remote_address, expected, "{value}");
    }
    let addresses = resolved(PEER, &[b"1.1.1.1, garbage, 10.2.2.2"], &config);
    assert_addresses(&addresses, "10.2.2.2", &["1.1.1.1", "garbage", "10.2.2.2", PEER]);
}

#[test]
fn the_address_of_a_client_is_without_its_port_so_that_it_is_the_same_from_each() {
    let config = trusting(&["10.0.0.0/8"]);
    for (value, expected) in [
        ("1.1.1.1:99", "1.1.1.1"),
        ("[2001:DB8::1]:99", "2001:db8::1"),
        ("[::1]", "::1"),
        ("::ffff:1.1.1.1", "1.1.1.1"),
        ("1.1.1.1, ::ffff:10.1.1.1", "1.1.1.1"),
    ] {
        assert_eq!(resolved(PEER, &[value.as_bytes()], &config).remote_address, expected, "{value}");
    }
}

fn forwarded(networks: &[&str]) -> ServerConfig {
    trusting(networks).client_address_header(ClientAddressHeader::Forwarded)
}

#[test]
fn forwarded_is_read_from_a_named_proxy_only() {
    let value: &[&[u8]] = &[b"for=6.6.6.6, for=1.1.1.1", b"for=\"10.2.2.2:80\";proto=https"];
    let addresses = resolved(PEER, value, &forwarded(&["10.0.0.0/8"]));
    assert_addresses(&addresses, "1.1.1.1", &["6.6.6.6", "1.1.1.1", "10.2.2.2", PEER]);
    for networks in [&["11.0.0.0/8"][..], &[]] {
        assert_addresses(&resolved(PEER, value, &forwarded(networks)), PEER, &[PEER]);
    }
    let other_ignored = forwarded(&["10.0.0.0/8"]).ignore_x_forwarded_for(true);
    assert_eq!(resolved(PEER, value, &other_ignored).remote_address, "1.1.1.1");
}

#[test]
fn an_element_of_forwarded_that_names_nobody_ends_the_search_at_the_proxy_that_sent_it() {
    let config = forwarded(&["10.0.0.0/8"]);
    for (value, expected) in [
        ("for=1.1.1.1, proto=http", PEER),
        ("for=1.1.1.1, for=10.2.2.2;for=1.1.1.1", PEER),
        ("for=1.1.1.1, for=garbage, for=10.2.2.2", "10.2.2.2"),
        ("for=1.1.1.1, for=_hidden, for=10.2.2.2", "_hidden"),
        ("for=1.1.1.1, for=unknown", "unknown"),
        ("for=\"evil, for=1.1.1.1, for=10.2.2.2", "1.1.1.1"),
    ] {
        assert_eq!(resolved(PEER, &[value.as_bytes()], &config).remote_address, expected, "{value}");
    }
    let addresses = resolved(PEER, &[b"for=\"evil, for=<b>, for=10.2.2.2"], &config);
    assert_addresses(&addresses, "10.2.2.2", &["unknown", "unknown", "10.2.2.2", PEER]);
}

fn arrived(peer: Option<&str>, proxied: Option<&str>, value: &str, config: &ServerConfig) -> ClientAddress {
    let socket = |text: &str| SocketAddr::new(text.parse().unwrap(), 4711);
    let proxied = match proxied {
        None => Proxied::NoHeader,
        Some("") => Proxied::Untold,
        Some(source) => Proxied::Source(socket(source)),
    };
    let arrival = Arrival { proxied, ..Arrival::of_peer(peer.map(socket)) };
    resolve(&arrival, [value.as_bytes()], config)
}

#[test]
fn the_source_in_a_proxy_header_counts_from_a_named_proxy_only() {
    let source = Some("2.2.2.2");
    let named = arrived(Some(PEER), source, "", &trusting(&["10.0.0.0/8"]));
    assert_addresses(&named, "2.2.2.2", &["2.2.2.2", PEER]);
    let other = arrived(Some(PEER), source, "1.1.1.1", &trusting(&["11.0.0.0/8"]));
    assert_addresses(&other, PEER, &[PEER]);
    let mapped = arrived(Some(PEER), Some("::ffff:2.2.2.2"), "", &trusting(&["10.0.0.0/8"]));
    assert_addresses(&mapped, "2.2.2.2", &["2.2.2.2", PEER]);
}

#[test]
fn behind_a_proxy_header_another_one_counts_only_where_its_source_is_a_named_proxy() {
    let config = trusting(&["10.0.0.0/8"]);
    let client = arrived(Some(PEER), Some("2.2.2.2"), "1.1.1.1", &config);
    assert_addresses(&client, "2.2.2.2", &["2.2.2.2", PEER]);
    let chain = arrived(Some(PEER), Some("10.5.5.5"), "6.6.6.6, 1.1.1.1", &config);
    assert_addresses(&chain, "1.1.1.1", &["6.6.6.6", "1.1.1.1", "10.5.5.5", PEER]);
    let unreadable = arrived(Some(PEER), Some("10.5.5.5"), "1.1.1.1, x", &config);
    assert_addresses(&unreadable, "10.5.5.5", &["1.1.1.1", "x", "10.5.5.5", PEER]);
    let ignored = arrived(Some(PEER), Some("10.5.5.5"), "1.1.1.1", &config.ignore_x_forwarded_for(true));
    assert_addresses(&ignored, "10.5.5.5", &["10.5.5.5", PEER]);
}

#[test]
fn where_no_proxy_is_named_the_source_in_a_proxy_header_is_the_client_whatever_it_says() {
    for config in [ServerConfig::default(), ServerConfig::default().ignore_x_forwarded_for(true)] {
        let addresses = arrived(Some(PEER), Some("2.2.2.2"), "1.1.1.1", &config);
        assert_addresses(&addresses, "2.2.2.2", &["2.2.2.2", PEER]);
    }
}

#[test]
fn behind_a_proxy_header_that_tells_of_no_client_the_peer_is_the_client_whatever_another_header_says() {
    for config in [ServerConfig::default(), trusting(&["10.0.0.0/8"]), trusting(&["11.0.0.0/8"])] {
        assert_addresses(&arrived(Some(PEER), Some(""), "1.1.1.1", &config), PEER, &[PEER]);
    }
}

#[test]
fn a_peer_without_an_address_counts_as_named() {
    let config = trusting(&["10.0.0.0/8"]);
    assert_addresses(&arrived(None, None, "", &config), "unknown", &["unknown"]);
    let addresses = arrived(None, None, "6.6.6.6, 1.1.1.1, 10.2.2.2", &config);
    assert_addresses(&addresses, "1.1.1.1", &["6.6.6.6", "1.1.1.1", "10.2.2.2", "unknown"]);
    let proxied = arrived(None, Some("2.2.2.2"), "1.1.1.1", &config);
    assert_addresses(&proxied, "2.2.2.2", &["2.2.2.2", "unknown"]);
    let unnamed = arrived(None, None, "6.6.6.6, 1.1.1.1", &ServerConfig::default());
    assert_addresses(&unnamed, "6.6.6.6", &["6.6.6.6", "1.1.1.1", "unknown"]);
}

proptest! {
    #[test]
    fn what_a_client_writes_never_becomes_its_address_behind_a_named_proxy(
        written in r#"([0-9.]{7,9}|10\.2\.2\.2|for=|"|\\|,|;|=| |unknown|_x|\PC){0,12}"#,
    ) {
        for (config, appended) in
            [(trusting(&["10.0.0.0/8"]), "1.1.1.1"), (forwarded(&["10.0.0.0/8"]), "for=1.1.1.1")]
        {
            let value = format!("{written}, {appended}");
            prop_assert_eq!(resolved(PEER, &[value.as_bytes()], &config).remote_address, "1.1.1.1");
        }
    }
}
