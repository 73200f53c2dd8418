//! `wharf serve --config`: the program with a file, as a user starts it.

mod serving;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serving::{Serving, file};

fn wharf(config: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.args(["serve", "--config"]).arg(config).args(flags);
    command
}

fn serving(config: &Path, flags: &[&str]) -> Serving {
    Serving::start(wharf(config, flags))
}

#[cfg(target_os = "linux")]
#[test]
fn workers_serve_the_endpoints_of_the_program() {
    let config = file("workers.toml", "listen = \"127.0.0.1:0\"\nworkers = 2\n");
    for (flags, expected) in [(&[][..], 2), (&["--workers=3"], 3)] {
        let serving = serving(&config, flags);
        let threads = fs::read_dir(format!("/proc/{}/task", serving.id())).expect("it runs");
        let names = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("comm")).ok());
        assert_eq!(names.filter(|name| name.starts_with("wharf-worker-")).count(), expected);
        assert_eq!(serving.answer_to("abc", 5), b"\x81\x03abc");
    }
}

const CLOSE_1009: &[u8] = &[0x03, 0xf1];

#[test]
fn o19_3_a_file_with_the_references_names_is_gone_by() {
    let config = file("reference.json", r#"{"listen": "127.0.0.1:0", "maxReceivedFrameSize": 3}"#);
    let serving = serving(&config, &[]);
    assert_eq!(serving.answer_to("abc", 5), b"\x81\x03abc");
    assert_eq!(serving.answer_to("abcd", 4)[2..], *CLOSE_1009);
}

#[test]
fn flags_win_over_the_file() {
    let config = file("flags.toml", "listen = \"127.0.0.1:0\"\nmax_received_frame_size = 3\n");
    let serving = serving(&config, &["--max-received-frame-size=4"]);
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
