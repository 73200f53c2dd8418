//! The program under test, as a script runs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

/// What is left of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn with(status: i32, stdout: &str, stderr: &str) -> Self {
        Self { status, stdout: stdout.into(), stderr: stderr.into() }
    }
}

/// While it runs, with pipes in place of a terminal. It is killed when this is dropped.
pub(crate) struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<BufReader<ChildStdout>>,
    stderr: ChildStderr,
}

/// Runs `wharf connect` to its end.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Ended {
    Program::start(connect(arguments)).end_with(input)
}

/// Runs `wharf` to its end.
pub(crate) fn run_with(arguments: &[&str], input: &[u8]) -> Ended {
    let mut command = wharf();
    command.args(arguments);
    Program::start(command).end_with(input)
}

pub(crate) fn connect(arguments: &[&str]) -> Command {
    let mut command = wharf();
    command.arg("connect").args(arguments);
    command
}

fn wharf() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Proxies of whoever runs the tests are none of theirs.
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().map(BufReader::new);
        let stderr = child.stderr.take().unwrap();
        Self { child, stdin, stdout, stderr }
    }

    pub(crate) fn input(&mut self) -> &mut ChildStdin {
        self.stdin.as_mut().unwrap()
    }

    /// The next line of its output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn close_output(&mut self) {
        self.stdout = None;
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Signals again and again, since signals that come too close to each other count as one.
    pub(crate) fn signal_until_end(mut self, name: &str) -> i32 {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            self.signal(name);
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Gives it all of its input, and waits for its end.
    pub(crate) fn end_with(mut self, input: &[u8]) -> Ended {
        let mut stdin = self.stdin.take().unwrap();
        thread::scope(|scope| {
            // Beside the reading: pipes are full at 64 KiB. It need not read what comes after its end.
            scope.spawn(move || drop(stdin.write_all(input)));
            self.end()
        })
    }

    /// Waits for its end, with its input left as it is.
    pub(crate) fn end(mut self) -> Ended {
        let mut stdout = Vec::new();
        let mut stderr = String::new();
        if let Some(mut output) = self.stdout.take() {
            output.read_to_end(&mut stdout).unwrap();
        }
        self.stderr.read_to_string(&mut stderr).unwrap();
        let status = self.child.wait().unwrap().code().unwrap();
        Ended { status, stdout, stderr }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails where it has ended, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
