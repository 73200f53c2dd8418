//! `Compression` in files: the features `deflate` and `serde`.

use std::time::Duration;

use wharf::{Compression, ServerConfig, UNLIMITED};

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

#[test]
fn compression_is_true_for_the_defaults_and_false_for_none() {
    let off = ServerConfig::default().compression(None);
    assert_eq!(from_toml("compression = true"), ServerConfig::default());
    assert_eq!(from_json(r#"{"compression": true}"#), ServerConfig::default());
    assert_eq!(from_toml("compression = false"), off);
    assert_eq!(from_json(r#"{"compression": false}"#), off);
    assert!(toml::to_string(&off).unwrap().ends_with("\ncompression = false\n"));
}

#[test]
fn what_the_table_leaves_out_has_its_default() {
    let expected = ServerConfig::default().compression(
        Compression::default().level(3).idle_timeout(Duration::from_secs(60)).server_context_takeover(true),
    );
    let table = "[compression]\nlevel = 3\nidle_timeout = \"1m\"\nserver_context_takeover = true";
    assert_eq!(from_toml(table), expected);
    let dotted = "compression.level = 3\ncompression.server_context_takeover = true";
    assert_eq!(from_toml(dotted), expected);
    assert_eq!(from_json(r#"{"compression": {"level": 3, "server_context_takeover": true}}"#), expected);
    assert_eq!(from_toml("[compression]"), ServerConfig::default());
    assert_eq!(from_json(r#"{"compression": {}}"#), ServerConfig::default());
}

#[test]
fn what_is_written_is_read_back() {
    let compression = Compression::default()
        .level(1)
        .memory_level(9)
        .threshold(0)
        .server_context_takeover(true)
        .client_context_takeover(true)
        .server_max_window_bits(9)
        .client_max_window_bits(10)
        .memory_limit(UNLIMITED)
        .idle_timeout(Duration::from_millis(1_500));
    let config = ServerConfig::default().compression(compression.clone());
    let written = toml::to_string(&config).unwrap();
    assert!(written.contains("\nmemory_limit = \"unlimited\"\nidle_timeout = \"1s 500ms\"\n"), "{written}");
    assert_eq!(from_toml(&written), config);
    assert_eq!(from_json(&serde_json::to_string(&config).unwrap()), config);

    let off = ServerConfig::default().compression(None);
    assert_eq!(from_toml(&toml::to_string(&off).unwrap()), off);
    assert_eq!(from_json(&serde_json::to_string(&off).unwrap()), off);

    let alone = toml::to_string(&compression).unwrap();
    assert_eq!(toml::from_str::<Compression>(&alone).unwrap(), compression);
}

#[test]
fn o19_2_an_unknown_name_in_the_table_is_an_error_that_suggests_the_nearest_in_it() {
    for (name, nearest) in [
        ("levle", "level"),
        ("memoryLevel", "memory_level"),
        ("idleTimeout", "idle_timeout"),
        ("server-context-takeover", "server_context_takeover"),
    ] {
        let message = format!("unknown option \"compression.{name}\"; did you mean compression.{nearest}?");
        let expected = (message, 3);
        assert_eq!(toml_error(&format!("[compression]\nthreshold = 1\n{name} = 1")), expected);
        assert_eq!(json_error(&format!("{{\"compression\":\n{{\n\"{name}\": 1}}}}")), expected);
    }
    // An option of the server that came behind the table's heading, and one that is in the table only.
    let expected = ("unknown option \"compression.keepalive\"".to_owned(), 2);
    assert_eq!(toml_error("[compression]\nkeepalive = true"), expected);
    assert_eq!(toml_error("\nlevel = 1"), ("unknown option \"level\"".to_owned(), 2));
    let expected = ("unknown option \"compresion\"; did you mean compression?".to_owned(), 1);
    assert_eq!(toml_error("compresion = true"), expected);
}

#[test]
fn a_value_that_is_none_is_an_error_that_names_table_and_option_and_what_is_expected() {
    for (text, expected, line) in [
        (
            "compression = 6",
            "invalid value: integer `6`, expected compression to be true, false or a table of its options",
            1,
        ),
        ("keepalive = { level = 6 }", "invalid type: map, expected keepalive to be true or false", 1),
        (
            "[compression]\nlevel = 256",
            "invalid value: integer `256`, expected compression.level to be a number",
            2,
        ),
        (
            "[compression]\n\nlevel = \"best\"",
            "invalid value: string \"best\", expected compression.level to be a number",
            3,
        ),
        (
            "[compression]\nidle_timeout = 60",
            "invalid value: integer `60`, expected compression.idle_timeout to be a time with its unit, such as \"20s\" \
             or \"500ms\"",
            2,
        ),
        (
            "[compression]\nmemory_limit = \"64 MiB\"",
            "invalid value: string \"64 MiB\", expected compression.memory_limit to be a number of bytes, or \
             \"unlimited\"",
            2,
        ),
        (
            "[compression]\nclient_context_takeover = 1",
            "invalid value: integer `1`, expected compression.client_context_takeover to be true or false",
            2,
        ),
    ] {
        assert_eq!(toml_error(text), (expected.to_owned(), line));
    }
}

#[test]
fn an_option_that_the_table_has_twice_is_an_error() {
    let (message, line) = json_error("{\"compression\": {\"level\": 1,\n\"level\": 1}}");
    assert_eq!((message.as_str(), line), ("the option compression.level is given twice", 2));
}
