use super::*;

const NO_TIME: Duration = Duration::ZERO;
const TOO_LONG: Duration = Duration::MAX;

fn refusal(config: &ServerConfig) -> String {
    config.validate().unwrap_err().to_string()
}

#[test]
fn o19_1_the_default_configuration_has_exactly_these_names_and_values() {
    let default = ServerConfig::default();
    // What is in it, its own test lists.
    #[cfg(feature = "deflate")]
    assert_eq!(default.compression, Some(Compression::default()));
    #[cfg(feature = "deflate")]
    let default = default.compression(None);
    let printed = format!("{default:#?}");
    let lines: Vec<_> = printed.lines().map(str::trim).collect();
    assert_eq!(
        lines,
        [
            "ServerConfig {",
            "max_received_frame_size: 65536,",
            "max_received_message_size: 1048576,",
            "fragment_outgoing_messages: true,",
            "fragmentation_threshold: 16384,",
            "keepalive: true,",
            "keepalive_interval: 20s,",
            "drop_connection_on_keepalive_timeout: true,",
            "keepalive_grace_period: 10s,",
            "use_native_keepalive: false,",
            "assemble_fragments: true,",
            "auto_accept_connections: false,",
            "close_timeout: 5s,",
            "disable_nagle_algorithm: true,",
            "ignore_x_forwarded_for: false,",
            "parse_extensions: true,",
            "parse_cookies: true,",
            "trusted_proxies: [],",
            "client_address_header: XForwardedFor,",
            "allowed_origins: [],",
            "handshake_timeout: 10s,",
            "max_pending_requests: 1024,",
            "max_connections: 1000000,",
            "max_fragments: 131072,",
            "max_buffered_amount: 1048576,",
            "max_unread_messages: 256,",
            "max_unread_bytes: 1048576,",
            "write_timeout: 30s,",
            "max_pending_events: 4096,",
            #[cfg(feature = "deflate")]
            "compression: None,",
            "}",
        ]
    );
    assert_eq!(ServerConfig::default().validate(), Ok(()));
}

#[test]
fn a_setter_changes_its_own_option_and_no_other() {
    let networks = vec!["10.0.0.0/8".parse().unwrap()];
    let config = ServerConfig::default().keepalive(false).trusted_proxies(networks.clone());
    let expected = ServerConfig { keepalive: false, trusted_proxies: networks, ..ServerConfig::default() };
    assert_eq!(config, expected);
}

#[test]
fn o2_bad_zero_is_refused_by_name() {
    assert_eq!(
        refusal(&ServerConfig::default().max_received_frame_size(0)),
        "max_received_frame_size is 0, but must be at least 1"
    );
}

#[test]
fn o2_disabled_unlimited_is_said_explicitly() {
    let config =
        ServerConfig::default().max_received_frame_size(UNLIMITED).max_received_message_size(UNLIMITED);
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn o3_bad_zero_is_refused_by_name() {
    assert_eq!(
        refusal(&ServerConfig::default().max_received_message_size(0)),
        "max_received_message_size is 0, but must be at least 1"
    );
}

#[test]
fn o5_bad_zero_is_refused_by_name_also_without_fragmenting() {
    let config = ServerConfig::default().fragmentation_threshold(0);
    let expected = "fragmentation_threshold is 0, but must be at least 1";
    assert_eq!(refusal(&config), expected);
    assert_eq!(refusal(&config.fragment_outgoing_messages(false)), expected);
}

#[test]
fn o7_bad_zero_is_refused_by_name_with_keepalive_of_either_kind() {
    let config = ServerConfig::default().keepalive_interval(NO_TIME);
    let expected = "keepalive_interval is 0ns, but must be longer than 0";
    assert_eq!(refusal(&config), expected);
    assert_eq!(refusal(&config.use_native_keepalive(true)), expected);
}

#[test]
fn o7_disabled_zero_is_ignored_without_keepalive() {
    let config = ServerConfig::default().keepalive(false).keepalive_interval(NO_TIME);
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn o9_bad_zero_is_refused_by_name_where_connections_are_dropped() {
    assert_eq!(
        refusal(&ServerConfig::default().keepalive_grace_period(NO_TIME)),
        "keepalive_grace_period is 0ns, but must be longer than 0"
    );
}

#[test]
fn o9_disabled_zero_is_ignored_where_nothing_is_dropped() {
    let config = ServerConfig::default().keepalive_grace_period(NO_TIME);
    assert_eq!(config.clone().drop_connection_on_keepalive_timeout(false).validate(), Ok(()));
    assert_eq!(config.clone().use_native_keepalive(true).validate(), Ok(()));
    assert_eq!(config.keepalive(false).validate(), Ok(()));
}

#[test]
fn o13_disabled_a_close_timeout_of_zero_does_not_wait_and_is_no_error() {
    assert_eq!(ServerConfig::default().close_timeout(NO_TIME).validate(), Ok(()));
}

#[test]
fn a_time_that_no_clock_reaches_is_refused_by_name() {
    let default = ServerConfig::default();
    for (option, config) in [
        ("keepalive_interval", default.clone().keepalive_interval(TOO_LONG)),
        ("keepalive_grace_period", default.clone().keepalive_grace_period(TOO_LONG)),
        ("close_timeout", default.clone().close_timeout(TOO_LONG)),
        ("handshake_timeout", default.clone().handshake_timeout(TOO_LONG)),
        ("write_timeout", default.clone().write_timeout(TOO_LONG)),
    ] {
        let error = config.validate().unwrap_err();
        assert_eq!((error.option, error.allowed), (option, "at most 365 days"));
    }
    assert_eq!(default.write_timeout(LONGEST_TIME).validate(), Ok(()));
}

#[test]
fn a_header_that_counts_from_named_proxies_needs_some() {
    let config = ServerConfig::default().client_address_header(ClientAddressHeader::Forwarded);
    let expected =
        "trusted_proxies is empty, but must be at least one network where client_address_header is Forwarded";
    assert_eq!(refusal(&config), expected);
    assert_eq!(config.trusted_proxies(vec!["::1".parse().unwrap()]).validate(), Ok(()));
}

#[cfg(feature = "deflate")]
#[test]
fn a_value_without_meaning_in_the_options_of_compression_is_refused_by_both_names() {
    let config = ServerConfig::default().compression(Compression::default().level(0));
    assert_eq!(refusal(&config), "compression.level is 0, but must be 1 to 9");
    assert_eq!(config.compression(None).validate(), Ok(()));
}

#[test]
fn a_bound_of_nothing_is_refused_by_name() {
    let default = ServerConfig::default();
    for (option, config) in [
        ("max_pending_requests", default.clone().max_pending_requests(0)),
        ("max_connections", default.clone().max_connections(0)),
        ("max_fragments", default.clone().max_fragments(0)),
        ("max_buffered_amount", default.clone().max_buffered_amount(0)),
        ("max_unread_messages", default.clone().max_unread_messages(0)),
        ("max_unread_bytes", default.clone().max_unread_bytes(0)),
        ("max_pending_events", default.clone().max_pending_events(0)),
        ("handshake_timeout", default.clone().handshake_timeout(NO_TIME)),
        ("write_timeout", default.write_timeout(NO_TIME)),
    ] {
        assert_eq!(config.validate().unwrap_err().option, option);
    }
}
