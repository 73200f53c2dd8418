//! The examples that make connections, run as their users run them.

#![cfg(feature = "tls")]

#[path = "support/example.rs"]
mod example;

use std::path::PathBuf;
use std::process::Command;

use example::{Example, path_of};

/// A folder of this test's own, with a certificate in it.
fn certificate(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("wharf-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for what is thrown away");
    let made = Command::new(path_of("certificate"))
        .arg(&folder)
        .status()
        .expect("`cargo build --examples` has built it");
    assert!(made.success());
    folder
}

/// Talks to `url` through the example `client`, and sees the echo.
fn converse(url: &str, environment: &[(&str, &str)]) {
    let mut client = Example::start("client", &[url], environment);
    assert!(client.line().starts_with("connected to "), "{url}");
    for line in ["hello", "κόσμε", ""] {
        client.write(line);
        assert_eq!(client.line(), line);
    }
    client.end_input();
    assert_eq!(client.finish(), ("closed: 1000 Normal connection closure".to_owned(), true));
}

#[test]
fn client_talks_to_plain_and_tls() {
    let folder = certificate("both");
    let file = |name: &str| folder.join(name).to_str().expect("a path of text").to_owned();
    let arguments = [&file("chain.pem"), &file("key.pem"), "127.0.0.1:0", "127.0.0.1:0"];
    let mut server = Example::start("plain_and_tls", &arguments, &[]);
    let listening = server.line();
    let (plain, secured) = listening.split_once(' ').expect("two addresses");
    converse(plain, &[]);
    assert_eq!(server.line(), "127.0.0.1 left: Normal connection closure");
    converse(&secured.replace("127.0.0.1", "localhost"), &[("SSL_CERT_FILE", &file("root.pem"))]);
    assert_eq!(server.line(), "127.0.0.1 left: Normal connection closure");

    // Without the root, nobody is believed.
    let doubting = Example::start("client", &[secured], &[]);
    assert_eq!(doubting.finish(), (String::new(), false));
    std::fs::remove_dir_all(folder).expect("it was ours");
}

#[cfg(feature = "axum")]
#[test]
fn axum_tls_echoes_and_ends_on_an_interrupt() {
    let folder = certificate("axum");
    let file = |name: &str| folder.join(name).to_str().expect("a path of text").to_owned();
    let mut server = Example::start("axum_tls", &[&file("chain.pem"), &file("key.pem"), "127.0.0.1:0"], &[]);
    let url = server.line().replace("https://127.0.0.1", "wss://localhost") + "echo";
    converse(&url, &[("SSL_CERT_FILE", &file("root.pem"))]);
    server.interrupt();
    assert_eq!(server.finish(), (String::new(), true));
    std::fs::remove_dir_all(folder).expect("it was ours");
}

#[test]
fn client_says_what_keeps_it_from_connecting() {
    for arguments in [&[][..], &["http://127.0.0.1/"], &["ws://127.0.0.1:1/"]] {
        let (said, ended_well) = Example::start("client", arguments, &[]).finish();
        assert_eq!((said.as_str(), ended_well), ("", false), "{arguments:?}");
    }
}
