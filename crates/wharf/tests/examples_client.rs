//! The examples that make connections, run as their users run them.

#![cfg(feature = "tls")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// An example while it runs; it ends with its test.
struct Example {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Example {
    fn start(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut process = Command::new(path_of(name))
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`cargo build --examples` has built it");
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        Self { process, input, output }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line of text");
        line.trim_end().to_owned()
    }

    fn write(&mut self, line: &str) {
        let input = self.input.as_mut().expect("not ended yet");
        writeln!(input, "{line}").expect("it reads");
    }

    fn end_input(&mut self) {
        self.input = None;
    }

    /// The rest of what it says, and whether it ended well.
    fn finish(mut self) -> (String, bool) {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("text");
        let status = self.process.wait().expect("it has ended");
        (rest.trim_end().to_owned(), status.success())
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Beside the folder that the test itself is in.
fn path_of(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("it has a path");
    let deps = test.parent().expect("it lies in a folder");
    deps.with_file_name("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

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

#[test]
fn client_says_what_keeps_it_from_connecting() {
    for arguments in [&[][..], &["http://127.0.0.1/"], &["ws://127.0.0.1:1/"]] {
        let (said, ended_well) = Example::start("client", arguments, &[]).finish();
        assert_eq!((said.as_str(), ended_well), ("", false), "{arguments:?}");
    }
}
