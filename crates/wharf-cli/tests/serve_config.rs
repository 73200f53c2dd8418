//! `wharf serve --config`: the program with a file, as a user starts it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A file of this name and text, in the directory that cargo keeps for tests.
fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("the directory is writable");
    path
}

fn wharf(config: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.args(["serve", "--config"]).arg(config).args(flags);
    command
}

/// A program that serves; it is killed with its test.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(config: &Path, flags: &[&str]) -> Self {
        let mut child = wharf(config, flags).stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it writes text");
        let address =
            line.trim().trim_start_matches("wharf: serving http://").trim_end_matches('/').to_owned();
        Self { child, address }
    }

    /// The first bytes of the echo endpoint's answer to one text.
    fn answer_to(&self, text: &str, len: usize) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a live socket");
        let handshake = "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        stream.write_all(handshake.as_bytes()).expect("it reads");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("it answers");
            head.extend(byte);
        }
        // A masking key of zeros leaves the payload as it is.
        let len_byte = 0x80 | u8::try_from(text.len()).expect("a short frame");
        stream.write_all(&[&[0x81, len_byte, 0, 0, 0, 0], text.as_bytes()].concat()).expect("it reads");
        let mut answer = vec![0; len];
        stream.read_exact(&mut answer).expect("it answers");
        answer
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn workers_serve_the_endpoints_of_the_program() {
    let config = file("workers.toml", "listen = \"127.0.0.1:0\"\nworkers = 2\n");
    for (flags, expected) in [(&[][..], 2), (&["--workers=3"], 3)] {
        let serving = Serving::start(&config, flags);
        let threads = fs::read_dir(format!("/proc/{}/task", serving.child.id())).expect("it runs");
        let names = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("comm")).ok());
        assert_eq!(names.filter(|name| name.starts_with("wharf-worker-")).count(), expected);
        assert_eq!(serving.answer_to("abc", 5), b"\x81\x03abc");
    }
}

const CLOSE_1009: &[u8] = &[0x03, 0xf1];

#[test]
fn o19_3_a_file_with_the_references_names_is_gone_by() {
    let config = file("reference.json", r#"{"listen": "127.0.0.1:0", "maxReceivedFrameSize": 3}"#);
    let serving = Serving::start(&config, &[]);
    assert_eq!(serving.answer_to("abc", 5), b"\x81\x03abc");
    assert_eq!(serving.answer_to("abcd", 4)[2..], *CLOSE_1009);
}

#[test]
fn flags_win_over_the_file() {
    let config = file("flags.toml", "listen = \"127.0.0.1:0\"\nmax_received_frame_size = 3\n");
    let serving = Serving::start(&config, &["--max-received-frame-size=4"]);
    assert_eq!(serving.answer_to("abcd", 6), b"\x81\x04abcd");
    assert_eq!(serving.answer_to("abcde", 4)[2..], *CLOSE_1009);
}

#[test]
fn o19_2_an_unknown_name_ends_the_program_with_one_line_that_says_where() {
    let config = file("unknown.toml", "listen = \"127.0.0.1:0\"\nmaxRecievedFrameSize = 3\n");
    let Output { status, stdout, stderr } = wharf(&config, &[]).output().expect("the program runs");
    assert_eq!((status.code(), stdout.len()), (Some(2), 0));
    let expected = format!(
        "wharf: {}:2: unknown option \"maxRecievedFrameSize\"; did you mean maxReceivedFrameSize?\n",
        config.display()
    );
    assert_eq!(String::from_utf8(stderr).expect("text"), expected);
}
