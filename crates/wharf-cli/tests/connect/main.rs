//! `wharf connect` in a pipe, against servers made for each test.

#![expect(clippy::unwrap_used, reason = "it fails the test")]

mod bench;
mod program;
mod proxy;
mod server;

use std::io::Write;
use std::process::{self, Command};
use std::{env, fs};

use wharf::{Accept, CloseCode, Connection, Context, Handler, Message, Rejection, Request};

use program::{Ended, Program, connect, run};
use proxy::Proxy;
use server::Server;

async fn echo(request: Request) {
    let accept = match request.protocols().last() {
        Some(protocol) => Accept::new().protocol(protocol),
        None => Accept::new(),
    };
    let connection = request.accept(accept).unwrap();
    while let Some(message) = connection.recv().await {
        if connection.send(message).await.is_err() {
            return;
        }
    }
}

/// Accepts, and closes with this code and reason when the first message has come.
async fn close_with(request: Request, code: u16, reason: &str) {
    let connection = request.accept(Accept::new()).unwrap();
    connection.recv().await;
    connection.close(CloseCode::new(code), Some(reason)).unwrap();
}

#[test]
fn a_line_is_sent_and_its_answer_is_written() {
    let server = Server::start(echo);
    // Longer than by default, for machines that have much else to do.
    let ended = run(&["--wait", "4s", &server.url("/echo")], b"hi\n");
    assert_eq!(ended, Ended::with(0, "hi\n", ""));
}

#[test]
fn the_program_ends_when_as_many_messages_came_as_were_counted() {
    let server = Server::start(|request| async {
        let connection = request.accept(Accept::new()).unwrap();
        while let Some(message) = connection.recv().await {
            for _ in 0..3 {
                connection.send(message.clone()).await.unwrap();
            }
        }
    });
    // It would wait for ever otherwise.
    let ended = run(&["-n", "3", "--wait", "forever", &server.url("/")], b"hi");
    assert_eq!(ended, Ended::with(0, "hi\nhi\nhi\n", ""));
}

#[test]
fn a_line_that_looks_like_a_command_is_sent_as_it_is() {
    let server = Server::start(echo);
    let ended = run(&["-n", "3", &server.url("/")], b"/close\n\n//x");
    assert_eq!(ended, Ended::with(0, "/close\n\n//x\n", ""));
}

#[test]
fn messages_on_the_command_line_go_first() {
    let server = Server::start(echo);
    let ended = run(&["-m", "one", "-m", "two", "-n", "3", &server.url("/")], b"three\n");
    assert_eq!(ended, Ended::with(0, "one\ntwo\nthree\n", ""));
}

#[test]
fn bytes_come_back_as_they_were() {
    let server = Server::start(echo);
    let bytes: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    let ended = run(&["--binary", "--whole", "--raw", "-n", "1", &server.url("/")], &bytes);
    assert_eq!((ended.status, ended.stdout.as_slice() == bytes), (0, true), "{}", ended.stderr);
}

#[test]
fn separated_by_nul_a_message_has_several_lines() {
    let server = Server::start(echo);
    let ended = run(&["--null", "-n", "2", &server.url("/")], b"a\nb\0c\0");
    assert_eq!(ended, Ended::with(0, "a\nb\0c\0", ""));
}

#[test]
fn text_and_binary_are_what_the_options_say() {
    let server = Server::start(|request| async {
        let connection = request.accept(Accept::new()).unwrap();
        while let Some(message) = connection.recv().await {
            let kind = if matches!(message, Message::Text(_)) { "text" } else { "binary" };
            connection.send(kind).await.unwrap();
        }
    });
    let url = server.url("/");
    assert_eq!(run(&["-n", "2", "-m", "x", &url], b"x\n").stdout, b"text\ntext\n");
    assert_eq!(run(&["--binary", "-n", "2", "-m", "x", &url], b"x\n").stdout, b"binary\nbinary\n");
}

#[test]
fn thousands_of_lines_come_back_in_order() {
    let server = Server::start(echo);
    let lines = (0..20_000).map(|number| number.to_string() + "\n").collect::<Vec<_>>().concat();
    let ended = run(&["-n", "20000", &server.url("/")], lines.as_bytes());
    assert_eq!((ended.status, ended.stdout == lines.as_bytes()), (0, true), "{}", ended.stderr);
}

#[test]
fn an_orderly_close_of_the_peer_is_0_and_told() {
    for code in [1000, 1001] {
        let server = Server::start(move |request| close_with(request, code, "enough"));
        let ended = run(&[&server.url("/"), "--wait", "forever"], b"hi\n");
        assert_eq!(ended, Ended::with(0, "", &format!("wharf: closed by the peer: {code} \"enough\"\n")));
    }
}

#[test]
fn a_close_with_an_error_code_is_6_and_its_reason_is_harmless() {
    let server = Server::start(|request| close_with(request, 4001, "go\x1b[31m"));
    let ended = run(&[&server.url("/"), "--wait", "forever"], b"hi\n");
    assert_eq!(ended, Ended::with(6, "", "wharf: closed by the peer: 4001 \"go\\x1b[31m\"\n"));
}

#[test]
fn a_lost_connection_is_5() {
    let server = Server::start(|request| async {
        let connection = request.accept(Accept::new()).unwrap();
        connection.recv().await;
        connection.drop_silently(CloseCode::ABNORMAL, None);
    });
    let ended = run(&[&server.url("/"), "--wait", "forever"], b"hi\n");
    assert_eq!(ended.status, 5, "{ended:?}");
    assert!(ended.stderr.contains("1006"), "{ended:?}");
}

#[test]
fn quiet_says_only_what_went_wrong() {
    let server = Server::start(|request| close_with(request, 1000, ""));
    assert_eq!(run(&["-q", "--wait", "forever", &server.url("/")], b"hi\n"), Ended::with(0, "", ""));
    let server = Server::start(|request| close_with(request, 1008, ""));
    assert_eq!(
        run(&["-q", "--wait", "forever", &server.url("/")], b"hi\n"),
        Ended::with(6, "", "wharf: closed by the peer: 1008\n")
    );
}

#[test]
fn fewer_messages_than_counted_are_7() {
    let server = Server::start(|request| async {
        let connection = request.accept(Accept::new()).unwrap();
        connection.send("one").await.unwrap();
        connection.close(CloseCode::NORMAL, Some("")).unwrap();
    });
    let ended = run(&["-n", "2", &server.url("/")], b"");
    let told = "wharf: closed by the peer: 1000\nwharf: 1 of 2 messages came\n";
    assert_eq!(ended, Ended::with(7, "one\n", told));
    let server = Server::start(echo);
    assert_eq!(run(&["-n", "2", "--wait", "50ms", &server.url("/")], b"one\n").status, 7);
}

#[test]
fn a_refused_handshake_is_4_with_the_status() {
    let server = Server::start(|request| async {
        request.reject(Rejection::new(401).header("WWW-Authenticate", "Basic")).unwrap();
    });
    let ended = run(&[&server.url("/")], b"hi\n");
    assert_eq!((ended.status, ended.stdout.as_slice()), (4, b"".as_slice()));
    assert!(ended.stderr.contains("401"), "{ended:?}");
}

#[test]
fn a_redirect_is_4_with_its_place_and_followed_when_asked() {
    let target = Server::start(echo);
    let place = target.url("/there");
    let server = Server::start(move |request| {
        let rejection = Rejection::new(302).header("Location", place.clone());
        async move { request.reject(rejection).unwrap() }
    });
    let ended = run(&[&server.url("/")], b"hi\n");
    assert_eq!(ended.status, 4, "{ended:?}");
    assert!(ended.stderr.contains("302") && ended.stderr.contains(&target.url("/there")), "{ended:?}");
    let ended = run(&["--follow", "-n", "1", &server.url("/")], b"hi\n");
    assert_eq!((ended.status, ended.stdout.as_slice()), (0, b"hi\n".as_slice()), "{ended:?}");
}

#[test]
fn redirects_without_end_are_given_up() {
    let server = Server::start(|request| async {
        request.reject(Rejection::new(307).header("Location", "/again")).unwrap();
    });
    let ended = run(&["--follow=3", &server.url("/")], b"hi\n");
    assert_eq!(ended.status, 4, "{ended:?}");
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_password_does_not_follow_a_redirect_to_another_server() {
    let target = Server::start(echo);
    let place = target.url("/");
    let server = Server::start(move |request| {
        let rejection = Rejection::new(302).header("Location", place.clone());
        async move { request.reject(rejection).unwrap() }
    });
    let ended =
        run(&["--follow", "-u", "me:secret", "-H", "Cookie: a=b", "-n", "1", &server.url("/")], b"hi\n");
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(server.requests()[0].contains("authorization: Basic"));
    let followed = &target.requests()[0];
    assert!(!followed.contains("authorization") && !followed.contains("cookie"), "{followed}");
}

#[test]
fn nobody_listening_is_3() {
    let url = Server::start(echo).url("/");
    let ended = run(&[&url], b"hi\n");
    assert_eq!((ended.status, ended.stdout.as_slice()), (3, b"".as_slice()), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
}

#[test]
fn arguments_without_meaning_are_2() {
    for arguments in [
        &["connect"][..],
        &["connect", "echo"],
        &["connect", "http://127.0.0.1/"],
        &["connect", "ws://127.0.0.1/", "-H", "no header"],
        &["connect", "ws://127.0.0.1/", "-p", "not a token"],
        &["connect", "ws://127.0.0.1/", "--wait", "soon"],
        &["connect", "ws://127.0.0.1/", "--header-file", "/no/such/file"],
    ] {
        let ended = program::run_with(arguments, b"");
        assert_eq!((ended.status, ended.stdout.as_slice()), (2, b"".as_slice()), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{arguments:?}: {ended:?}");
    }
}

#[test]
fn input_that_cannot_be_sent_is_1() {
    let server = Server::start(echo);
    let ended = run(&["--wait", "4s", &server.url("/")], b"fine\n\xff\nlost\n");
    assert_eq!((ended.status, ended.stdout.as_slice()), (1, b"fine\n".as_slice()), "{ended:?}");
    assert!(ended.stderr.contains("--binary"), "{ended:?}");
    let ended = run(&["--max-message-size", "4", &server.url("/")], b"12345\n");
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.stderr.contains("--max-message-size"), "{ended:?}");
}

#[test]
fn a_message_over_the_limit_is_5_and_names_the_option() {
    let server = Server::start(|request| async {
        let connection = request.accept(Accept::new()).unwrap();
        connection.send("x".repeat(1001)).await.unwrap();
        connection.recv().await;
    });
    let ended = run(&["--max-message-size", "1000", "--wait", "forever", &server.url("/")], b"");
    assert_eq!(ended.status, 5, "{ended:?}");
    assert!(ended.stderr.contains("1009") && ended.stderr.contains("--max-message-size"), "{ended:?}");
}

#[test]
fn headers_come_from_everywhere_and_secrets_from_where_nobody_sees_them() {
    let server = Server::start(echo);
    let file = env::temp_dir().join(format!("wharf-headers-{}", process::id()));
    fs::write(&file, "X-File: three\n\nX-Other: four\n").unwrap();
    let url = server.url("/");
    let arguments = [
        &[
            "-o",
            "https://origin.example",
            "-p",
            "first",
            "-p",
            "second",
            "-H",
            "X-Line: one",
            "-u",
            "Aladdin",
        ][..],
        &[
            "--header-env",
            "X-Env=WHARF_TEST_HEADER",
            "--header-file",
            file.to_str().unwrap(),
            "-n",
            "1",
            &url,
        ],
    ]
    .concat();
    let mut command: Command = connect(&arguments);
    command.env("WHARF_TEST_HEADER", "two").env("WHARF_PASSWORD", "open sesame");
    let ended = Program::start(command).end_with(b"hi\n");
    fs::remove_file(&file).unwrap();
    let request = &server.requests()[0];
    for line in [
        "origin: https://origin.example",
        "sec-websocket-protocol: first, second",
        "x-line: one",
        "x-env: two",
        "x-file: three",
        "x-other: four",
        "authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    ] {
        assert!(request.contains(line), "{line} is not in {request}");
    }
    assert_eq!((ended.status, ended.stdout.as_slice()), (0, b"hi\n".as_slice()), "{ended:?}");
}

#[test]
fn a_proxy_is_gone_through_with_a_password_from_the_environment() {
    let server = Server::start(echo);
    let proxy = Proxy::start("me:secret");
    let url = server.url("/");
    let arguments = ["--proxy", &proxy.url, "--proxy-user", "me", "-n", "1", &url];
    let mut command = connect(&arguments);
    command.env("WHARF_PROXY_PASSWORD", "secret");
    assert_eq!(Program::start(command).end_with(b"hi\n"), Ended::with(0, "hi\n", ""));

    let refused = run(&["--proxy", &proxy.url, &url], b"hi\n");
    assert_eq!((refused.status, refused.stdout.as_slice()), (3, b"".as_slice()), "{refused:?}");
    assert!(refused.stderr.contains("407") && refused.stderr.contains("--proxy-user"), "{refused:?}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_server_is_believed_by_its_certificate_or_by_nothing_at_all() {
    let server = Server::start_tls(echo);
    let url = server.url("/");
    let authority = env::temp_dir().join(format!("wharf-authority-{}.pem", process::id()));
    fs::write(&authority, server.certificate()).unwrap();
    let believed = run(&["--ca", authority.to_str().unwrap(), "-n", "1", &url], b"hi\n");
    fs::remove_file(&authority).unwrap();
    assert_eq!(believed, Ended::with(0, "hi\n", ""));
    assert_eq!(run(&["--insecure", "-n", "1", &url], b"hi\n"), Ended::with(0, "hi\n", ""));

    let stranger = run(&[&url], b"hi\n");
    assert_eq!((stranger.status, stranger.stdout.as_slice()), (3, b"".as_slice()), "{stranger:?}");
    assert!(stranger.stderr.contains("--ca"), "{stranger:?}");
    // As the proxy sees it: TLS goes through to the server.
    let proxy = Proxy::start("me:secret");
    let tunnelled = ["--proxy", &proxy.url, "--proxy-user", "me:secret", "-k", "-n", "1", &url];
    assert_eq!(run(&tunnelled, b"hi\n"), Ended::with(0, "hi\n", ""));
}

#[test]
fn a_silent_peer_is_pinged_where_asked_for() {
    struct TellsPings;
    impl Handler for TellsPings {
        fn ping(&mut self, context: &mut Context<'_>, _: &[u8]) {
            context.send("pinged").unwrap();
        }
    }
    let server = Server::start(|request| async {
        request.accept_with(Accept::new(), TellsPings).unwrap();
    });
    let ended = run(&["--ping-interval", "10ms", "-n", "2", &server.url("/")], b"");
    assert_eq!(ended, Ended::with(0, "pinged\npinged\n", ""));
}

#[test]
fn a_reader_that_has_enough_ends_the_program_quietly() {
    let server = Server::start(|request| async {
        let connection = request.accept(Accept::new()).unwrap();
        while connection.send("line").await.is_ok() {}
    });
    let mut program = Program::start(connect(&["--wait", "forever", &server.url("/")]));
    assert_eq!(program.line(), "line\n");
    program.close_output();
    assert_eq!(program.end(), Ended::with(0, "", ""));
}

#[test]
fn ctrl_c_closes_in_order() {
    let (closed, ending) = std::sync::mpsc::channel();
    let server = Server::start(move |request| {
        let closed = closed.clone();
        async move {
            let connection: Connection = request.accept(Accept::new()).unwrap();
            connection.send("ready").await.unwrap();
            closed.send(connection.closed().await.code()).unwrap();
        }
    });
    for (signal, code) in [("INT", CloseCode::NORMAL), ("TERM", CloseCode::GOING_AWAY)] {
        let mut program = Program::start(connect(&[&server.url("/")]));
        assert_eq!(program.line(), "ready\n");
        program.signal(signal);
        assert_eq!(ending.recv().unwrap(), code);
        // Its input is still open: nothing is waited for any more.
        assert_eq!(program.end(), Ended::with(0, "", ""));
    }
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let server = Server::start(|request| async {
        let connection = request.accept(Accept::new()).unwrap();
        connection.send("ready").await.unwrap();
        connection.drained().await;
        // The Close is never read, and so never answered.
        connection.pause();
        connection.closed().await;
    });
    let mut program = Program::start(connect(&["--close-timeout", "1h", &server.url("/")]));
    assert_eq!(program.line(), "ready\n");
    let status = program.signal_until_end("INT");
    assert_eq!(status, 130);
}

#[test]
fn a_server_that_goes_away_ends_a_program_that_still_has_input() {
    let server = Server::start(|request| async {
        let connection = request.accept(Accept::new()).unwrap();
        connection.recv().await;
        connection.close(CloseCode::GOING_AWAY, Some("")).unwrap();
    });
    let mut program = Program::start(connect(&[&server.url("/")]));
    program.input().write_all(b"hi\n").unwrap();
    assert_eq!(program.end(), Ended::with(0, "", "wharf: closed by the peer: 1001\n"));
}
