//! `wharf serve`, as a user starts it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this module")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

/// A file of this name and text, in the directory that cargo keeps for tests.
pub fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("the directory is writable");
    path
}

pub fn serve() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.arg("serve");
    command
}

/// A program that serves; it is killed with its test.
pub struct Serving {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    /// `http` or `https`.
    pub scheme: String,
    pub address: String,
}

impl Serving {
    pub fn start(mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let line = line(&mut stdout);
        let url = line.strip_prefix("wharf: serving ").and_then(|url| url.strip_suffix('/'));
        let (scheme, address) = url.and_then(|url| url.split_once("://")).expect("it says where");
        let (scheme, address) = (scheme.to_owned(), address.to_owned());
        Self { child, stdout, stderr, scheme, address }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(status.expect("there is kill").success());
    }

    /// The next line that it says.
    pub fn line(&mut self) -> String {
        line(&mut self.stdout)
    }

    /// The next line that it says beside its output.
    pub fn error_line(&mut self) -> String {
        line(&mut self.stderr)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("it writes text");
    line.trim_end().to_owned()
}

/// The first bytes of the echo endpoint's answer to one text.
pub fn answer_to(text: &str, len: usize, stream: &mut (impl Read + Write)) -> Vec<u8> {
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
