//! `wharf bench`, as a script runs it.

use serde_json::Value;
use wharf::{Accept, Request};

use crate::program::run_with;
use crate::server::Server;

async fn echo(request: Request) {
    let connection = request.accept(Accept::new()).unwrap();
    while let Some(message) = connection.recv().await {
        if connection.send(message).await.is_err() {
            return;
        }
    }
}

async fn answer_something_else(request: Request) {
    let connection = request.accept(Accept::new()).unwrap();
    while connection.recv().await.is_some() {
        let _ = connection.send("something else").await;
    }
}

fn bench(arguments: &[&str]) -> (i32, String, String) {
    let ended = run_with(&[&["bench"], arguments].concat(), b"");
    (ended.status, String::from_utf8(ended.stdout).unwrap(), ended.stderr)
}

#[test]
fn a_count_of_messages_is_told_as_json() {
    let server = Server::start(echo);
    let url = server.url("/");
    let arguments = ["--json", "-n", "200", "-c", "3", "-s", "1000", "-f", "2", "-H", "Cookie: a=1", &url];
    let (status, stdout, stderr) = bench(&arguments);
    assert_eq!((status, stderr.as_str()), (0, ""));
    let told: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&told["messages"], &told["missing"], &told["lost"]), (&200.into(), &0.into(), &0.into()));
    assert!(told["bytes_received"].as_u64() >= Some(200 * 1000), "{told}");
    assert!(told["latency_ns"]["p99.99"].as_u64() >= told["latency_ns"]["p50"].as_u64(), "{told}");
}

#[test]
fn people_get_a_table_and_a_picture() {
    let server = Server::start(echo);
    let (status, stdout, _) = bench(&["-n", "50", "--rate", "1000", &server.url("/")]);
    assert_eq!(status, 0);
    for part in ["64 connections, 20 bytes of text, 1000 a second", "messages              50", "p99.9", "█"]
    {
        assert!(stdout.contains(part), "{part:?} in {stdout}");
    }
}

#[test]
fn rounds_of_connecting_are_counted_over_tls_too() {
    let server = Server::start_tls(echo);
    let (status, stdout, stderr) =
        bench(&["--json", "--connect", "-k", "-n", "20", "-c", "2", &server.url("/")]);
    assert_eq!((status, stderr.as_str()), (0, ""));
    assert!(stdout.contains("\"messages\":20"), "{stdout}");
}

#[test]
fn answers_that_are_no_echo_end_it_with_status_1_and_say_where() {
    let server = Server::start(answer_something_else);
    let (status, stdout, _) = bench(&["-n", "50", "-c", "2", &server.url("/")]);
    assert_eq!(status, 1);
    assert!(stdout.contains("byte 0 of message 0 is not what was sent"), "{stdout}");
    assert!(stdout.contains("lost                   2"), "{stdout}");
}

#[test]
fn no_server_is_status_3_and_what_means_nothing_status_2() {
    let (status, _, stderr) = bench(&["ws://127.0.0.1:1/"]);
    assert_eq!(status, 3, "{stderr}");
    assert!(stderr.contains("0 of 64 connections were open"), "{stderr}");
    for (arguments, expected) in [
        (&["http://127.0.0.1:1/"][..], "\"http\" is not ws or wss"),
        (&["--rate", "0", "ws://127.0.0.1:1/"], "the rate must be more than 0"),
        (&["-n", "1", "-d", "1s", "ws://127.0.0.1:1/"], "cannot be used with"),
    ] {
        let (status, _, stderr) = bench(arguments);
        assert_eq!(status, 2, "{stderr}");
        assert!(stderr.contains(expected) && stderr.lines().count() == 1, "{stderr}");
    }
}
