//! `ServerConfig` in files: the feature `serde`.

use std::collections::BTreeSet;
use std::time::Duration;

use wharf::{ClientAddressHeader, OriginRule, ServerConfig, UNLIMITED};

fn from_toml(text: &str) -> ServerConfig {
    toml::from_str(text).expect("valid options")
}

fn from_json(text: &str) -> ServerConfig {
    serde_json::from_str(text).expect("valid options")
}

/// What is wrong, and in which line.
fn toml_error(text: &str) -> (String, usize) {
    let error = toml::from_str::<ServerConfig>(text).expect_err("a mistake");
    let at = error.span().expect("an error has its place").start;
    (error.message().to_owned(), text[..at].matches('\n').count() + 1)
}

fn json_error(text: &str) -> (String, usize) {
    let error = serde_json::from_str::<ServerConfig>(text).expect_err("a mistake");
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    (message.to_owned(), error.line())
}

const DEFAULT: &str = r#"max_received_frame_size = 65536
max_received_message_size = 1048576
fragment_outgoing_messages = true
fragmentation_threshold = 16384
keepalive = true
keepalive_interval = "20s"
drop_connection_on_keepalive_timeout = true
keepalive_grace_period = "10s"
use_native_keepalive = false
assemble_fragments = true
auto_accept_connections = false
close_timeout = "5s"
disable_nagle_algorithm = true
ignore_x_forwarded_for = false
parse_extensions = true
parse_cookies = true
trusted_proxies = []
client_address_header = "X-Forwarded-For"
allowed_origins = []
handshake_timeout = "10s"
max_pending_requests = 1024
max_connections = 1000000
max_fragments = 131072
max_buffered_amount = 1048576
max_unread_messages = 256
max_unread_bytes = 1048576
write_timeout = "30s"
max_pending_events = 4096

[compression]
level = 1
memory_level = 8
threshold = 1024
server_context_takeover = false
client_context_takeover = false
server_max_window_bits = 15
client_max_window_bits = 15
memory_limit = 67108864
idle_timeout = "1m"
"#;

#[test]
fn o19_1_the_default_configuration_is_written_with_exactly_these_names_and_values() {
    assert_eq!(toml::to_string(&ServerConfig::default()).unwrap(), DEFAULT);
    let json = serde_json::to_value(ServerConfig::default()).unwrap();
    assert_eq!(json, serde_json::to_value(toml::from_str::<toml::Table>(DEFAULT).unwrap()).unwrap());
}

#[test]
fn every_option_has_its_name_in_files() {
    let printed = format!("{:#?}", ServerConfig::default());
    let fields: BTreeSet<_> =
        printed.lines().filter_map(|line| line.trim().split_once(": ")).map(|(name, _)| name).collect();
    let written = toml::from_str::<toml::Table>(DEFAULT).unwrap();
    let nested = written["compression"].as_table().unwrap();
    assert_eq!(written.keys().chain(nested.keys()).map(String::as_str).collect::<BTreeSet<_>>(), fields);
}

#[test]
fn what_is_written_is_read_back_and_what_is_left_out_has_its_default() {
    assert_eq!(from_toml(DEFAULT), ServerConfig::default());
    assert_eq!(from_toml(""), ServerConfig::default());
    assert_eq!(from_json("{}"), ServerConfig::default());

    let config = ServerConfig::default()
        .max_received_frame_size(UNLIMITED)
        .max_fragments(u32::MAX)
        .keepalive(false)
        .close_timeout(Duration::ZERO)
        .write_timeout(Duration::from_millis(90_500))
        .trusted_proxies(vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()])
        .client_address_header(ClientAddressHeader::Forwarded)
        .allowed_origins([OriginRule::SAME_ORIGIN, "https://*.example.com".parse().unwrap()]);
    let written = toml::to_string(&config).unwrap();
    assert!(written.contains("\nwrite_timeout = \"1m 30s 500ms\"\n"), "{written}");
    assert!(written.contains("\ntrusted_proxies = [\"10.0.0.0/8\", \"::1/128\"]\n"), "{written}");
    assert!(written.contains("\nclient_address_header = \"Forwarded\"\n"), "{written}");
    assert!(
        written.contains("\nallowed_origins = [\"same-origin\", \"https://*.example.com\"]\n"),
        "{written}"
    );
    assert!(written.starts_with("max_received_frame_size = \"unlimited\"\n"), "{written}");
    assert_eq!(from_toml(&written), config);
    assert_eq!(from_json(&serde_json::to_string(&config).unwrap()), config);
}

#[test]
fn o19_2_an_unknown_name_is_an_error_that_names_it_and_suggests_the_nearest() {
    for (name, nearest) in [
        ("maxRecievedFrameSize", "maxReceivedFrameSize"),
        ("max_recieved_frame_size", "max_received_frame_size"),
        ("keepAlive", "keepalive"),
        ("keepaliveIntervall", "keepaliveInterval"),
        ("closetimeout", "close_timeout"),
        ("trusted-proxies", "trusted_proxies"),
        ("trustedProxies", "trusted_proxies"),
    ] {
        let expected = (format!("unknown option {name:?}; did you mean {nearest}?"), 2);
        assert_eq!(toml_error(&format!("keepalive = true\n{name} = 1")), expected);
        assert_eq!(json_error(&format!("{{\n\"{name}\": 1}}")), expected);
    }
    for name in ["httpServer", "port", "x"] {
        let expected = (format!("unknown option {name:?}"), 1);
        assert_eq!(toml_error(&format!("{name} = 1")), expected);
        assert_eq!(json_error(&format!("{{\"{name}\": 1}}")), expected);
    }
}

#[test]
fn o19_3_the_references_names_are_taken_and_its_numbers_count_milliseconds() {
    let reference = r#"{
        "maxReceivedFrameSize": 1, "maxReceivedMessageSize": 2, "fragmentOutgoingMessages": false,
        "fragmentationThreshold": 3, "keepalive": false, "keepaliveInterval": 20001,
        "dropConnectionOnKeepaliveTimeout": false, "keepaliveGracePeriod": 4, "useNativeKeepalive": true,
        "assembleFragments": false, "autoAcceptConnections": true, "closeTimeout": 0,
        "disableNagleAlgorithm": false, "ignoreXForwardedFor": true, "parseExtensions": false,
        "parseCookies": false
    }"#;
    let expected = ServerConfig::default()
        .max_received_frame_size(1)
        .max_received_message_size(2)
        .fragment_outgoing_messages(false)
        .fragmentation_threshold(3)
        .keepalive(false)
        .keepalive_interval(Duration::from_millis(20_001))
        .drop_connection_on_keepalive_timeout(false)
        .keepalive_grace_period(Duration::from_millis(4))
        .use_native_keepalive(true)
        .assemble_fragments(false)
        .auto_accept_connections(true)
        .close_timeout(Duration::ZERO)
        .disable_nagle_algorithm(false)
        .ignore_x_forwarded_for(true)
        .parse_extensions(false)
        .parse_cookies(false);
    assert_eq!(from_json(reference), expected);

    let table: toml::Table = serde_json::from_str(reference).unwrap();
    assert_eq!(from_toml(&toml::to_string(&table).unwrap()), expected);
    let with_unit = ServerConfig::default().keepalive_interval(Duration::from_secs(20));
    assert_eq!(from_toml("keepaliveInterval = \"20s\""), with_unit);
}

#[test]
fn a_value_that_is_none_is_an_error_that_names_its_option_and_what_is_expected() {
    for (text, expected) in [
        (
            "keepalive_interval = 20000",
            "invalid value: integer `20000`, expected keepalive_interval to be a time with its unit, such as \"20s\" or \
             \"500ms\"",
        ),
        (
            "closeTimeout = -1",
            "invalid value: integer `-1`, expected close_timeout to be a time with its unit, such as \"20s\" or \"500ms\"",
        ),
        (
            "max_received_frame_size = \"1 MiB\"",
            "invalid value: string \"1 MiB\", expected max_received_frame_size to be a number of bytes, or \"unlimited\"",
        ),
        ("keepalive = 1", "invalid value: integer `1`, expected keepalive to be true or false"),
        (
            "max_fragments = 4294967296",
            "invalid value: integer `4294967296`, expected max_fragments to be a number",
        ),
        (
            "max_connections = 1.5",
            "invalid type: floating point `1.5`, expected max_connections to be a number",
        ),
        ("max_connections = []", "invalid type: sequence, expected max_connections to be a number"),
        (
            "trusted_proxies = \"10.0.0.0/8\"",
            "invalid value: string \"10.0.0.0/8\", expected trusted_proxies to be a list of networks such as \
             [\"10.0.0.0/8\"]",
        ),
        (
            "client_address_header = \"X-Real-IP\"",
            "invalid value: string \"X-Real-IP\", expected client_address_header to be X-Forwarded-For or Forwarded",
        ),
        (
            "allowed_origins = true",
            "invalid value: boolean `true`, expected allowed_origins to be a list of origins such as [\"same-origin\", \
             \"https://example.com\"]",
        ),
    ] {
        assert_eq!(toml_error(&format!("\n{text}")), (expected.to_owned(), 2));
    }
}

#[test]
fn o18_bad_what_is_not_a_network_in_a_file_is_an_error_that_names_the_option() {
    let (message, line) = toml_error("trusted_proxies = [\n  \"10.0.0.0/8\",\n  \"proxy.example\",\n]");
    let expected =
        "trusted_proxies: \"proxy.example\" is not a network like 10.0.0.0/8 or an address like ::1";
    assert_eq!((message.as_str(), line), (expected, 3));
}

#[test]
fn what_is_not_an_origin_in_a_file_is_an_error_that_names_the_option() {
    let (message, line) =
        toml_error("allowed_origins = [\n  \"same-origin\",\n  \"https://example.com/\",\n]");
    let expected = "allowed_origins: \"https://example.com/\" has more than an origin, which is a scheme, a host and a port \
                    like https://example.com";
    assert_eq!((message.as_str(), line), (expected, 3));
}

#[test]
fn an_option_under_both_of_its_names_is_an_error() {
    let (message, line) = toml_error("keepaliveInterval = 1\nkeepalive_interval = \"1s\"");
    assert_eq!((message.as_str(), line), ("the option keepalive_interval is given twice", 2));
    let (message, _) = json_error(r#"{"keepalive": true, "keepalive": true}"#);
    assert_eq!(message, "the option keepalive is given twice");
}
