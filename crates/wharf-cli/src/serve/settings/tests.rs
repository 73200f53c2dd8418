use clap::Parser;
use wharf::Compression;

use super::*;

#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    serve: Serve,
}

fn flags(flags: &[&str]) -> Serve {
    Program::try_parse_from(["wharf"].iter().chain(flags)).unwrap().serve
}

/// The settings of a file of this name and text, with these flags.
fn settings(name: &str, text: &str, arguments: &[&str]) -> Result<Settings, String> {
    let path = Path::new(name);
    let file = File::parse(path, Format::of(path)?, text.to_owned())?;
    Settings::of(&flags(arguments), Some(&file))
}

/// Listening there, and no more said of it.
fn on(places: &[&str]) -> Listening {
    let on = places.iter().map(|place| place.parse().unwrap()).collect();
    Listening { on, unix_permissions: None, reuse_port: false, proxy_protocol: false }
}

fn refusal(name: &str, text: &str) -> String {
    settings(name, text, &[]).unwrap_err()
}

#[test]
fn without_file_and_flags_the_settings_are_the_defaults() {
    let settings = Settings::read(&flags(&[])).unwrap();
    assert_eq!(settings.listening, on(&["127.0.0.1:9001"]));
    assert_eq!(settings.shutdown_timeout, Duration::from_secs(10));
    assert!(settings.http2);
    assert_eq!(settings.workers, None);
    assert_eq!(settings.tls, None);
    assert_eq!(settings.server, ServerConfig::default());
}

#[test]
fn a_file_says_the_options_of_the_server_and_of_the_program() {
    let expected = Settings {
        listening: on(&["[::1]:0"]),
        shutdown_timeout: Duration::from_secs(90),
        http2: false,
        workers: NonZero::new(3),
        tls: None,
        hub: HubOptions::to_try(false),
        broker: None,
        server: ServerConfig::default()
            .max_received_frame_size(10)
            .keepalive_interval(Duration::from_secs(20)),
    };
    let toml = "listen = \"[::1]:0\"\nmax_received_frame_size = 10\nkeepalive_interval = \"20s\"\n\
                shutdown_timeout = \"1m 30s\"\nhttp2 = false\nworkers = 3\n";
    assert_eq!(settings("a.toml", toml, &[]).unwrap(), expected);
    let json = "{\"maxReceivedFrameSize\": 10, \"shutdown_timeout\": \"90s\", \"keepaliveInterval\": 20000,\n\
                \"listen\": \"[::1]:0\", \"http2\": false, \"workers\": 3}";
    assert_eq!(settings("a.json", json, &[]).unwrap(), expected);
    assert_eq!(settings("a.json", "{}", &[]).unwrap(), Settings::read(&flags(&[])).unwrap());
}

#[test]
fn flags_win_over_the_file() {
    let text = "listen = \"[::1]:1\"\nkeepalive = false\nfragmentation_threshold = 5\n\
                trusted_proxies = [\"10.0.0.0/8\"]\nallowed_origins = [\"null\"]\nshutdown_timeout = \"1s\"\nhttp2 = true\nworkers = 1\n";
    let arguments = [
        "--listen=[::1]:2",
        "--keepalive=true",
        "--trusted-proxies=::1",
        "--allowed-origins=https://example.com",
        "--shutdown-timeout=2s",
        "--close-timeout=3s",
        "--http2=false",
        "--workers=2",
    ];
    let expected = Settings {
        listening: on(&["[::1]:2"]),
        shutdown_timeout: Duration::from_secs(2),
        http2: false,
        workers: NonZero::new(2),
        tls: None,
        hub: HubOptions::to_try(false),
        broker: None,
        server: ServerConfig::default()
            .fragmentation_threshold(5)
            .close_timeout(Duration::from_secs(3))
            .trusted_proxies(vec!["::1".parse().unwrap()])
            .allowed_origins(["https://example.com".parse().unwrap()]),
    };
    assert_eq!(settings("a.toml", text, &arguments).unwrap(), expected);
}

#[test]
fn o19_2_an_unknown_name_is_told_with_file_and_line_and_the_nearest() {
    let expected = "2: unknown option \"maxRecievedFrameSize\"; did you mean maxReceivedFrameSize?";
    let toml = refusal("a.toml", "keepalive = true\nmaxRecievedFrameSize = 1\n");
    assert_eq!(toml, format!("a.toml:{expected}"));
    let json = refusal("a.json", "{\"keepalive\": true,\n\"maxRecievedFrameSize\": 1}");
    assert_eq!(json, format!("a.json:{expected}"));
}

#[test]
fn what_is_wrong_in_a_file_is_one_line_that_names_file_line_and_option() {
    for (name, text, expected) in [
        (
            "a.toml",
            "\nlisten = 9001",
            "a.toml:2: invalid type: integer `9001`, expected a string or a list of strings",
        ),
        (
            "a.toml",
            "\n\nlisten = \"here\"",
            "a.toml:3: listen is \"here\": expected an address and a port, such as 127.0.0.1:9001, unix:PATH, inherited or inherited:NAME",
        ),
        (
            "a.json",
            "{\"shutdown_timeout\":\n\"soon\"}",
            "a.json:2: shutdown_timeout is \"soon\", but must be a time with its unit, such as 10s",
        ),
        (
            "a.json",
            "{\"listen\": \"[::1]:1\",\n\"listen\": \"[::1]:1\"}",
            "a.json:2: duplicate field `listen`",
        ),
        ("a.toml", "listen = []", "a.toml:1: listen is an empty list, but must have one entry or more"),
        (
            "a.json",
            "{\"listen\": [\"[::1]:1\",\n\"unix:\"]}",
            "a.json:2: listen is \"unix:\": expected a path behind unix:",
        ),
        (
            "a.toml",
            "unix_permissions = \"rw\"",
            "a.toml:1: unix_permissions is \"rw\": expected an octal number from 0 to 777, such as 660",
        ),
        ("a.toml", "\nunix_permissions = 660", "a.toml:2: invalid type: integer `660`, expected a string"),
        (
            "a.toml",
            "listen = \"unix:a\"\nreuse_port = true",
            "a.toml:2: reuse_port is for an address and a port, and there is none to listen on",
        ),
        ("a.toml", "\nworkers = 0", "a.toml:2: workers is 0, but must be at least 1"),
        ("a.toml", "keepalive = yes", "a.toml:1: "),
        ("a.json", "{\"keepalive\": true,}", "a.json:1: trailing comma"),
        (
            "a.toml",
            "# close_timeout\nkeepalive = true\ncloseTimeout = 99999999999",
            "a.toml:3: close_timeout is 99999999.999s, but must be at most 365 days",
        ),
        ("a.json", "{\n\"max_connections\": 0}", "a.json:2: max_connections is 0, but must be at least 1"),
        (
            "a.toml",
            "# level\nmax_connections = 5\n[compression]\n# level\nmemory_level = 9\nlevel = 0",
            "a.toml:6: compression.level is 0, but must be 1 to 9",
        ),
        (
            "a.toml",
            "compression.server_max_window_bits = 8",
            "a.toml:1: compression.server_max_window_bits is 8, but must be 9 to 15",
        ),
        (
            "a.json",
            "{\"compression\":\n{\"level\": 1,\n\"idle_timeout\": \"0s\"}}",
            "a.json:3: compression.idle_timeout is 0ns, but must be longer than 0",
        ),
        (
            "a.toml",
            "[compression]\nlevle = 1",
            "a.toml:2: unknown option \"compression.levle\"; did you mean compression.level?",
        ),
        (
            "a.json",
            "{\n\"compression\": \"on\"}",
            "a.json:2: invalid value: string \"on\", expected compression to be",
        ),
        ("a.yaml", "", "a.yaml: the name of a configuration file ends with .toml or .json"),
    ] {
        let message = refusal(name, text);
        assert!(message.starts_with(expected), "{message:?} and not {expected:?}");
        assert!(!message.contains('\n'), "{message:?}");
    }
}

#[test]
fn a_meaningless_value_is_blamed_on_the_flag_that_it_came_with() {
    let text = "max_connections = 0";
    let message = settings("a.toml", text, &["--max-connections=0"]).unwrap_err();
    assert_eq!(message, "--max-connections is 0, but must be at least 1");
    assert!(settings("a.toml", text, &["--max-connections=1"]).is_ok());
    let message = Settings::read(&flags(&["--keepalive-interval=0s"])).unwrap_err();
    assert_eq!(message, "--keepalive-interval is 0ns, but must be longer than 0");
}

#[test]
fn all_that_is_listened_on_is_said_in_a_file_or_in_flags() {
    let text = "listen = [\"unix:/a\", \"[::1]:1\"]\nunix_permissions = \"600\"\nreuse_port = true\n\
                proxy_protocol = true\n";
    let expected = Listening {
        unix_permissions: Some(Permissions(0o600)),
        reuse_port: true,
        proxy_protocol: true,
        ..on(&["unix:/a", "[::1]:1"])
    };
    assert_eq!(settings("a.toml", text, &[]).unwrap().listening, expected);
    let arguments = [
        "--listen=unix:/b",
        "--listen=inherited",
        "--unix-permissions=666",
        "--reuse-port=false",
        "--proxy-protocol=false",
    ];
    let expected = Listening { unix_permissions: Some(Permissions(0o666)), ..on(&["unix:/b", "inherited"]) };
    assert_eq!(settings("a.toml", text, &arguments).unwrap().listening, expected);
    let arguments = ["--listen=[::1]:0", "--reuse-port", "--proxy-protocol"];
    let expected = Listening { reuse_port: true, proxy_protocol: true, ..on(&["[::1]:0"]) };
    assert_eq!(Settings::read(&flags(&arguments)).unwrap().listening, expected);
}

#[test]
fn an_option_of_listeners_that_are_not_there_is_blamed_on_its_flag_or_the_file() {
    let message = Settings::read(&flags(&["--unix-permissions=600"])).unwrap_err();
    assert_eq!(message, "--unix-permissions is for unix:PATH, and there is none to listen on");
    let message = settings("a.toml", "listen = \"unix:/a\"", &["--reuse-port"]).unwrap_err();
    assert_eq!(message, "--reuse-port is for an address and a port, and there is none to listen on");
    let message = settings("a.toml", "\nreuse_port = true", &["--listen=inherited"]).unwrap_err();
    assert_eq!(message, "a.toml:2: reuse_port is for an address and a port, and there is none to listen on");
}

#[test]
fn a_meaningless_value_of_compression_is_blamed_on_its_flag_or_the_file() {
    let text = "[compression]\nlevel = 0";
    let message = settings("a.toml", text, &["--compression-level=10"]).unwrap_err();
    assert_eq!(message, "--compression-level is 10, but must be 1 to 9");
    let message = settings("a.toml", text, &["--compression-threshold=10"]).unwrap_err();
    assert_eq!(message, "a.toml:2: compression.level is 0, but must be 1 to 9");
    let message = Settings::read(&flags(&["--client-max-window-bits=16"])).unwrap_err();
    assert_eq!(message, "--client-max-window-bits is 16, but must be 9 to 15");
    let message = Settings::read(&flags(&["--compression-idle-timeout=0s"])).unwrap_err();
    assert_eq!(message, "--compression-idle-timeout is 0ns, but must be longer than 0");
}

#[test]
fn flags_of_compression_win_over_the_file() {
    let compression =
        |text, arguments: &[&str]| settings("a.toml", text, arguments).unwrap().server.compression;
    let fast = Compression::default().level(1);
    let table = "[compression]\nlevel = 1\nthreshold = 5";
    assert_eq!(compression("compression = false", &[]), None);
    assert_eq!(compression("compression = false", &["--compression-level=1"]), Some(fast.clone()));
    assert_eq!(compression(table, &["--compression-threshold=6"]), Some(fast.threshold(6)));
    assert_eq!(compression(table, &["--no-compression"]), None);
    // What the flag turns off cannot be wrong.
    assert_eq!(compression("compression.level = 0", &["--no-compression"]), None);
}

#[test]
fn a_file_that_cannot_be_read_is_told_by_its_name() {
    let message = Settings::read(&flags(&["--config=nowhere/a.toml"])).unwrap_err();
    assert_eq!(message, "cannot read nowhere/a.toml: there is no such file");
}

fn tls_of_flags(arguments: &[&str]) -> Option<TlsSettings> {
    Settings::read(&flags(arguments)).unwrap().tls
}

#[test]
fn a_file_says_of_tls_what_flags_say() {
    for (text, arguments) in [
        (
            "tls_cert = \"a.pem\"\ntls_key = \"b.pem\"\ntls_client_ca = \"c.pem\"\ntls_client_certificates = \"optional\"",
            &[
                "--tls-cert=a.pem",
                "--tls-key=b.pem",
                "--tls-client-ca=c.pem",
                "--tls-client-certificates=optional",
            ][..],
        ),
        (
            "tls_cert = [\"a\", \"c\"]\ntls_key = [\"b\", \"d\"]\ntls_client_ca = \"e\"",
            &[
                "--tls-cert=a",
                "--tls-key=b",
                "--tls-cert=c",
                "--tls-key=d",
                "--tls-client-ca=e",
                "--tls-client-certificates=required",
            ],
        ),
        ("tls_self_signed = true", &["--tls-self-signed"]),
    ] {
        let tls = settings("a.toml", text, &[]).unwrap().tls;
        assert!(tls.is_some());
        assert_eq!(tls, tls_of_flags(arguments), "{text}");
    }
    assert_eq!(settings("a.toml", "tls_self_signed = false", &[]).unwrap().tls, None);
    assert_eq!(tls_of_flags(&[]), None);
}

#[test]
fn flags_of_tls_win_over_the_file() {
    let tls = |text, arguments: &[&str]| settings("a.toml", text, arguments).unwrap().tls;
    let ours = &["--tls-cert=a", "--tls-key=b"];
    let other = "tls_cert = [\"c\", \"d\"]\ntls_key = [\"e\", \"f\"]";
    assert_eq!(tls(other, ours), tls_of_flags(ours));
    assert_eq!(tls("tls_self_signed = true", ours), tls_of_flags(ours));
    assert_eq!(tls(other, &["--tls-self-signed"]), tls_of_flags(&["--tls-self-signed"]));
    // What flags replace cannot be wrong.
    assert_eq!(tls("tls_cert = \"c\"", ours), tls_of_flags(ours));

    let clients = "tls_client_ca = \"c\"\ntls_client_certificates = \"optional\"";
    let flags = ["--tls-self-signed", "--tls-client-ca=d"];
    let expected = [&flags[..], &["--tls-client-certificates=optional"]].concat();
    assert_eq!(tls(clients, &flags), tls_of_flags(&expected));
}

#[test]
fn options_of_tls_that_mean_nothing_together_are_told_where_they_were_said() {
    for (text, expected) in [
        ("\ntls_cert = \"a\"", "a.toml:2: tls_cert needs tls_key"),
        ("\ntls_key = \"a\"", "a.toml:2: tls_key needs tls_cert"),
        (
            "tls_cert = [\"a\", \"b\"]\ntls_key = \"c\"",
            "a.toml:2: tls_cert names 2 files and tls_key 1, but each certificate has one key",
        ),
        (
            "tls_cert = \"a\"\ntls_key = \"c\"\ntls_self_signed = true",
            "a.toml:3: tls_self_signed goes without tls_cert",
        ),
        (
            "tls_client_ca = \"a\"",
            "a.toml:1: tls_client_ca needs a certificate for the server: tls_cert or tls_self_signed",
        ),
        (
            "tls_self_signed = true\ntls_client_certificates = \"required\"",
            "a.toml:2: tls_client_certificates needs tls_client_ca",
        ),
        ("tls_cert = 1", "a.toml:1: expected the name of a file, or a list of them"),
        (
            "tls_client_certificates = \"perhaps\"",
            "a.toml:1: unknown variant `perhaps`, expected `required` or `optional`",
        ),
    ] {
        assert_eq!(refusal("a.toml", text), expected);
    }
    let repeated = refusal("a.json", "{\"tls_key\": \"a\",\n\"tls_key\": \"b\"}");
    assert_eq!(repeated, "a.json:2: duplicate field `tls_key`");
    let of_flags = |arguments| Settings::read(&flags(arguments)).unwrap_err();
    assert_eq!(of_flags(&["--tls-cert=a"]), "--tls-cert needs --tls-key");
    assert_eq!(
        of_flags(&["--tls-cert=a", "--tls-cert=b", "--tls-key=c"]),
        "--tls-cert names 2 files and --tls-key 1, but each certificate has one key"
    );
    assert_eq!(
        settings("a.toml", "tls_client_ca = \"a\"", &["--tls-client-certificates=optional"]).unwrap_err(),
        "a.toml:1: tls_client_ca needs a certificate for the server: tls_cert or tls_self_signed"
    );
}
