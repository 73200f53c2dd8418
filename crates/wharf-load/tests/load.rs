//! The load against wharf itself, and against servers that are wrong in one way each.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use wharf::{
    Accept, Compression, Context, Event, Handler, HttpServer, MessageRef, Server, ServerConfig, ServerTls,
};
use wharf_load::rustls::crypto::ring;
use wharf_load::rustls::{ClientConfig, RootCertStore};
use wharf_load::{Failure, Load, LoadError, MessageKind, Outcome, Plan, Progress, Shape, Target, Until};

/// What a server does with a message.
#[derive(Clone, Copy)]
enum Answer {
    Echo,
    /// The seventh message comes back without its last letter.
    WrongOnce,
    Broadcast,
    /// To all but the one that sent it.
    Publish,
    /// Nothing for so long after the first message, and all that came meanwhile then.
    StallOnce(Duration),
    Close,
}

struct Answering {
    answer: Answer,
    server: Server,
    messages: u32,
}

impl Handler for Answering {
    fn connect(&mut self, context: &mut Context<'_>) {
        if let Answer::Publish = self.answer {
            context.connection().subscribe("t").unwrap();
        }
    }

    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        self.messages += 1;
        match self.answer {
            Answer::Broadcast => {
                self.server.broadcast(message);
                return;
            }
            Answer::Publish => {
                context.connection().publish("t", message).unwrap();
                return;
            }
            Answer::WrongOnce if self.messages == 7 => {
                let (_, shorter) = message.as_bytes().split_last().unwrap();
                return context.send(std::str::from_utf8(shorter).unwrap()).unwrap();
            }
            Answer::StallOnce(time) if self.messages == 1 => thread::sleep(time),
            Answer::Close => return context.close(wharf::CloseCode::GOING_AWAY, Some("enough")).unwrap(),
            _ => {}
        }
        context.send(message).unwrap();
    }
}

/// Serves on a thread of its own until the test ends.
fn serve(answer: Answer, compression: bool, tls: Option<ServerTls>) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut builder = HttpServer::builder();
            if let Some(tls) = tls {
                builder = builder.tls(tls);
            }
            let http = builder.bind("127.0.0.1:0").await.unwrap();
            let mut config = ServerConfig::default();
            if compression {
                config = config.compression(Compression::default().threshold(0));
            }
            let server = Server::mounted(config, [&http]).unwrap();
            tell.send(http.local_addr()).unwrap();
            while let Some(event) = server.next_event().await {
                if let Event::Request(request) = event {
                    let handler = Answering { answer, server: server.clone(), messages: 0 };
                    let _ = request.accept_with(Accept::new(), handler);
                }
            }
        });
    });
    told.recv().unwrap()
}

fn run(target: &Target, plan: &Plan, until: Until) -> Outcome {
    let progress = Progress::default();
    let outcome = Load::open(target, plan).unwrap().run(until, &progress).unwrap();
    assert_eq!(progress.messages(), outcome.messages);
    outcome
}

fn target(address: SocketAddr) -> Target {
    Target::new(&format!("ws://{address}/")).unwrap()
}

const fn echo(in_flight: u32, rate: Option<f64>) -> Shape {
    Shape::Echo { in_flight: NonZeroU32::new(in_flight).unwrap(), rate }
}

#[track_caller]
fn assert_right(outcome: &Outcome, messages: u64) {
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    assert_eq!((outcome.messages, outcome.missing, outcome.latency.len()), (messages, 0, messages));
}

#[test]
fn every_message_of_a_count_comes_back_whatever_its_size_and_kind() {
    let target = target(serve(Answer::Echo, false, None));
    // 20,000 bytes come back in two frames.
    for (size, kind) in [
        (0, MessageKind::Text),
        (1, MessageKind::Binary),
        (125, MessageKind::Text),
        (20_000, MessageKind::Binary),
    ] {
        let plan = Plan { connections: 3, size, kind, shape: echo(5, None), ..Plan::default() };
        let outcome = run(&target, &plan, Until::Messages(1001));
        assert_right(&outcome, 1001);
        assert!(outcome.bytes_sent >= 1001 * (size as u64 + 6), "{outcome:?}");
        assert!(outcome.bytes_received >= 1001 * (size as u64 + 2), "{outcome:?}");
    }
}

#[test]
fn the_connections_serve_several_runs_and_threads_share_them() {
    let target = target(serve(Answer::Echo, false, None));
    let plan = Plan { connections: 5, threads: 2, ..Plan::default() };
    let mut load = Load::open(&target, &plan).unwrap();
    for count in [1, 7, 100] {
        assert_right(&load.run(Until::Messages(count), &Progress::default()).unwrap(), count);
    }
    let timed = load.run(Until::Elapsed(Duration::from_millis(50)), &Progress::default()).unwrap();
    assert_right(&timed, timed.messages);
    assert!(timed.messages > 0);
}

#[test]
fn compressed_messages_are_inflated_and_compared() {
    let target = target(serve(Answer::Echo, true, None));
    let plan = Plan { size: 1000, compression: true, ..Plan::default() };
    let outcome = run(&target, &plan, Until::Messages(500));
    assert_right(&outcome, 500);
    assert!(outcome.bytes_received < 500 * 500, "{} bytes came", outcome.bytes_received);
}

#[test]
fn a_server_that_does_not_compress_is_an_error_where_compression_is_asked_for() {
    let target = target(serve_without_compression());
    let plan = Plan { compression: true, ..Plan::default() };
    let Err(error) = Load::open(&target, &plan) else { panic!("it opened") };
    assert!(matches!(error, LoadError::Connection { failure: Failure::NoCompression, .. }), "{error}");
}

fn serve_without_compression() -> SocketAddr {
    answer_by_hand("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
}

/// A server that answers the handshake with these lines and the right key, and then with nothing.
fn answer_by_hand(lines: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut byte) = (String::new(), [0]);
            while !head.ends_with("\r\n\r\n") {
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0].into());
            }
            let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
            let accept = wharf_proto::handshake::accept_key(key);
            stream.write_all(format!("{lines}Sec-WebSocket-Accept: {accept}\r\n\r\n").as_bytes()).unwrap();
            open.push(stream);
        }
    });
    address
}

#[test]
fn what_comes_over_tls_is_the_same() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let tls = ServerTls::from_pem(made.cert.pem(), made.signing_key.serialize_pem()).unwrap();
    let address = serve(Answer::Echo, false, Some(tls));
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let target = Target::with_tls(&format!("wss://{address}/"), Arc::new(client)).unwrap();
    for size in [20, 60_000] {
        let plan = Plan { connections: 2, size, shape: echo(4, None), ..Plan::default() };
        assert_right(&run(&target, &plan, Until::Messages(300)), 300);
    }
}

#[test]
fn each_round_of_connecting_echoes_and_closes_in_order() {
    let target = target(serve(Answer::Echo, false, None));
    let plan = Plan { connections: 4, shape: Shape::Connect, ..Plan::default() };
    assert_right(&run(&target, &plan, Until::Messages(101)), 101);
}

#[test]
fn a_broadcast_counts_what_comes_to_all() {
    let target = target(serve(Answer::Broadcast, false, None));
    let burst = NonZeroU32::new(3).unwrap();
    let plan = Plan { connections: 10, shape: Shape::Broadcast { burst }, ..Plan::default() };
    // 20 sent, each of which comes to 10.
    assert_right(&run(&target, &plan, Until::Messages(20)), 200);
}

#[test]
fn what_is_published_is_to_come_to_all_but_the_publisher() {
    let target = target(serve(Answer::Publish, false, None));
    let publish = |rate| Shape::Publish { burst: NonZeroU32::new(3).unwrap(), rate };
    let plan = Plan { connections: 10, shape: publish(None), ..Plan::default() };
    let mut load = Load::open(&target, &plan).unwrap();
    assert_right(&load.run(Until::Messages(20), &Progress::default()).unwrap(), 9 * 20);
    load.set_shape(publish(Some(1000.0))).unwrap();
    let outcome = load.run(Until::Messages(20), &Progress::default()).unwrap();
    assert_right(&outcome, 9 * 20);
    // The last burst is due after 18 of 1000 a second.
    assert!(outcome.elapsed >= Duration::from_millis(18), "{:?}", outcome.elapsed);
}

#[test]
fn a_publisher_that_gets_its_own_message_is_told_of_it() {
    let target = target(serve(Answer::Broadcast, false, None));
    let shape = Shape::Publish { burst: NonZeroU32::MIN, rate: None };
    let plan = Plan { connections: 3, shape, ..Plan::default() };
    let outcome = run(&target, &plan, Until::Messages(100));
    assert!(matches!(outcome.failures[..], [Failure::TooMany(_)]), "{outcome:?}");
}

#[test]
fn an_echo_that_is_wrong_is_told_with_its_message_and_place() {
    let target = target(serve(Answer::WrongOnce, false, None));
    let plan = Plan { connections: 1, ..Plan::default() };
    let outcome = run(&target, &plan, Until::Messages(100));
    assert_eq!((outcome.messages, outcome.lost), (6, 1));
    assert!(matches!(outcome.failures[0], Failure::Mismatch { message: 6, .. }), "{:?}", outcome.failures);
}

#[test]
fn a_server_that_closes_is_told_with_its_reason() {
    let target = target(serve(Answer::Close, false, None));
    let outcome = run(&target, &Plan { connections: 2, ..Plan::default() }, Until::Messages(100));
    assert_eq!((outcome.messages, outcome.lost), (0, 2));
    assert_eq!(outcome.failures[0].to_string(), "the server closed with 1001: \"enough\"");
}

#[test]
fn a_server_that_stalls_is_not_spared_what_it_kept_from_being_sent() {
    let stall = Duration::from_millis(200);
    let target = target(serve(Answer::StallOnce(stall), false, None));
    let plan = Plan { connections: 1, shape: echo(1, Some(1000.0)), ..Plan::default() };
    let outcome = run(&target, &plan, Until::Elapsed(Duration::from_millis(400)));
    assert!(outcome.failures.is_empty());
    // About 200 were due while it stalled, and waited for half of it on average: far more than the one that was sent.
    let late = outcome.latency.count_between(100_000_000, u64::MAX);
    assert!(late >= 50, "{late} of {}", outcome.messages);
}

#[test]
fn nobody_listening_is_an_error_with_how_many_were_open() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let Err(error) = Load::open(&target(address), &Plan::default()) else { panic!("it opened") };
    assert!(
        matches!(error, LoadError::Connection { failure: Failure::Io(_), open: 0, wanted: 64 }),
        "{error}"
    );
}

#[test]
fn an_answer_that_is_not_right_is_an_error() {
    let address = answer_by_hand("HTTP/1.1 200 OK\r\n");
    let Err(error) = Load::open(&target(address), &Plan::default()) else { panic!("it opened") };
    assert!(matches!(error, LoadError::Connection { failure: Failure::Handshake(_), .. }), "{error}");
}

#[test]
fn a_plan_that_means_nothing_is_an_error() {
    let target = target("127.0.0.1:1".parse().unwrap());
    for plan in [
        Plan { connections: 0, ..Plan::default() },
        Plan { shape: echo(1, Some(0.0)), ..Plan::default() },
        Plan { shape: Shape::Broadcast { burst: NonZeroU32::MIN }, threads: 2, ..Plan::default() },
        Plan {
            shape: Shape::Publish { burst: NonZeroU32::MIN, rate: None },
            connections: 1,
            ..Plan::default()
        },
    ] {
        assert!(matches!(Load::open(&target, &plan), Err(LoadError::Plan(_))));
    }
}
