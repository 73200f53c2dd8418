//! `wharf serve`, as a user starts it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this module")]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A file of this name and text, in the directory that cargo keeps for tests.
pub fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("the directory is writable");
    path
}

pub fn serve() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.arg("serve").stderr(Stdio::piped());
    command
}

/// A program that serves; it is killed with its test.
pub struct Serving {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Where the command pipes it.
    stderr: Option<BufReader<ChildStderr>>,
    /// `http`, `https`, or `unix`.
    pub scheme: String,
    /// The address in its first line.
    pub address: String,
}

impl Serving {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let stderr = child.stderr.take().map(BufReader::new);
        let mut serving = Self { child, stdout, stderr, scheme: String::new(), address: String::new() };
        (serving.scheme, serving.address) = serving.next_place();
        serving
    }

    /// The address in the next line.
    pub fn next_address(&mut self) -> String {
        self.next_place().1
    }

    fn next_place(&mut self) -> (String, String) {
        let line = self.line();
        let place = line.strip_prefix("wharf: serving ").expect("it says where");
        match place.split_once("://") {
            Some((scheme, address)) => (scheme.to_owned(), address.trim_end_matches('/').to_owned()),
            None => ("unix".to_owned(), place.to_owned()),
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.id().try_into().expect("a process's number"));
        kill(id, signal).expect("it runs");
    }

    /// Tells it to stop.
    pub fn tell_to_stop(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Waits for its end: its status.
    pub fn end(mut self) -> Option<i32> {
        self.child.wait().expect("it is a child").code()
    }

    /// The first bytes of the echo endpoint's answer to one text.
    pub fn answer_to(&self, text: &str, len: usize) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a live socket");
        answer_on(&mut stream, text, len).expect("it reads and answers")
    }

    /// Waits for its end: all that it has said and that was not read before.
    pub fn all_that_it_says(mut self) -> String {
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).expect("it writes text");
        if let Some(stderr) = &mut self.stderr {
            stderr.read_to_string(&mut said).expect("it writes text");
        }
        let _ = self.child.wait();
        said
    }

    /// The next line that it says.
    pub fn line(&mut self) -> String {
        line(&mut self.stdout)
    }

    /// The next line that it says beside its output.
    pub fn error_line(&mut self) -> String {
        line(self.stderr.as_mut().expect("it is piped"))
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

/// The first bytes of the echo endpoint's answer to one text on this connection.
pub fn answer_on(mut stream: impl Read + Write, text: &str, len: usize) -> io::Result<Vec<u8>> {
    let handshake = "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(handshake.as_bytes())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    // A masking key of zeros leaves the payload as it is.
    let len_byte = 0x80 | u8::try_from(text.len()).expect("a short frame");
    stream.write_all(&[&[0x81, len_byte, 0, 0, 0, 0], text.as_bytes()].concat())?;
    let mut answer = vec![0; len];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
