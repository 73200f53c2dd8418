//! Runs an example as its users do: the program that `cargo build --examples` has built.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this module")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// An example while it runs; it ends with its test.
pub struct Example {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Example {
    pub fn start(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
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

    /// The next line that it says.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line of text");
        line.trim_end().to_owned()
    }

    pub fn write(&mut self, line: &str) {
        let input = self.input.as_mut().expect("not ended yet");
        writeln!(input, "{line}").expect("it reads");
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        let pid = self.process.id().to_string();
        let status = Command::new("kill").args(["-INT", &pid]).status().expect("every system has it");
        assert!(status.success());
    }

    pub fn end_input(&mut self) {
        self.input = None;
    }

    /// The rest of what it says, and whether it ended well.
    pub fn finish(mut self) -> (String, bool) {
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
pub fn path_of(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("it has a path");
    let deps = test.parent().expect("it lies in a folder");
    deps.with_file_name("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}
