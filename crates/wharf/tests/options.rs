//! Each option as its peer sees it: at its default, at another value, turned off. Times have a file of their own.

mod support;

use support::{Client, Frame, Site, binary, close, continuation, handshake, text, within};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use wharf::{
    Accept, Context, Event, Handler, HttpServer, IpNetwork, Message, MessageRef, MountError, Opcode,
    Rejection, Server, ServerConfig, UNLIMITED,
};

const KIB: usize = 1024;

async fn http() -> HttpServer {
    HttpServer::bind("127.0.0.1:0").await.expect("a port is free")
}

/// Fragments of one binary message.
fn fragments(lens: &[usize]) -> Vec<Frame> {
    let mut frames: Vec<_> = lens.iter().map(|&len| continuation(vec![7; len]).more_follows()).collect();
    frames[0].opcode = Opcode::Binary;
    frames.last_mut().expect("at least one").fin = true;
    frames
}

/// Which of the fragments of one message the server sends: opcode, FIN and length of each.
async fn sent(client: &mut Client) -> Vec<(Opcode, bool, usize)> {
    let mut frames = Vec::new();
    loop {
        let frame = client.frame().await;
        frames.push((frame.opcode, frame.fin, frame.payload.len()));
        if frame.fin {
            return frames;
        }
    }
}

async fn sees_message_too_big(client: &mut Client) {
    assert_eq!(client.frame().await, close(1009, "Maximum message size exceeded."));
}

async fn sees_frame_too_big(client: &mut Client, len: usize) {
    let reason = format!("Frame size of {len} bytes exceeds maximum accepted frame size");
    assert_eq!(client.frame().await, close(1009, &reason));
}

#[tokio::test]
async fn o1_default_without_an_http_server_there_is_no_mount() {
    let error = Server::mounted(ServerConfig::default(), []).unwrap_err();
    assert_eq!(error, MountError::NoHttpServer);
}

#[tokio::test]
async fn o1_effect_every_http_server_that_is_named_serves() {
    let (first, second) = (http().await, http().await);
    let server =
        Server::mounted(ServerConfig::default().auto_accept_connections(true), [&first, &second]).unwrap();
    let (mut one, mut other) = (Client::connect(&first).await, Client::connect(&second).await);
    for client in [&mut one, &mut other] {
        client.write(handshake("")).await;
        assert_eq!(client.head().await.status(), 101);
    }
    assert_eq!(server.connection_count(), 2);
}

#[tokio::test]
async fn o1_bad_an_empty_list_and_an_http_server_that_is_taken_are_errors_that_name_it() {
    let site = Site::open().await;
    let server = Server::new(ServerConfig::default());
    for http_servers in [vec![], vec![&site.http]] {
        let error = server.mount(http_servers).unwrap_err().to_string();
        assert!(error.starts_with("httpServer: "), "{error}");
    }
}

#[tokio::test]
async fn o2_default_a_frame_of_65536_bytes_passes_and_one_more_is_1009() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    client.send([binary(vec![7; 64 * KIB])]).await;
    assert_eq!(within(connection.recv()).await, Some(vec![7; 64 * KIB].into()));
    client.send([binary(vec![7; 64 * KIB + 1])]).await;
    sees_frame_too_big(&mut client, 64 * KIB + 1).await;
}

#[tokio::test]
async fn o2_effect_at_n_a_frame_of_n_passes_and_one_more_is_1009_from_its_header_alone() {
    let site = Site::with(ServerConfig::default().max_received_frame_size(10)).await;
    let (mut client, connection) = site.pair().await;
    client.send([text("0123456789")]).await;
    assert_eq!(within(connection.recv()).await, Some("0123456789".into()));
    client.write(&text("0123456789A").masked()[..2]).await;
    sees_frame_too_big(&mut client, 11).await;
}

#[tokio::test]
async fn o2_disabled_unlimited_takes_a_frame_of_any_length() {
    let site = Site::with(ServerConfig::default().max_received_frame_size(UNLIMITED)).await;
    let (mut client, connection) = site.pair().await;
    let message: Message = vec![7; 5000 * KIB].into();
    client.send([binary(message.as_bytes())]).await;
    assert_eq!(within(connection.recv()).await, Some(message));
}

#[tokio::test]
async fn o3_default_1_mib_of_64_kib_fragments_passes_and_one_byte_more_is_1009() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    client.send(fragments(&[64 * KIB; 16])).await;
    assert_eq!(within(connection.recv()).await.map(|message| message.len()), Some(1024 * KIB));
    let mut one_more = vec![64 * KIB; 16];
    one_more.push(1);
    client.send(fragments(&one_more)).await;
    sees_message_too_big(&mut client).await;
}

#[tokio::test]
async fn o3_effect_at_n_a_sum_of_n_passes_and_one_more_is_1009_at_the_fragment_that_passes_it() {
    let site = Site::with(ServerConfig::default().max_received_message_size(10)).await;
    let (mut client, connection) = site.pair().await;
    client.send(fragments(&[4, 0, 6])).await;
    assert_eq!(within(connection.recv()).await, Some(vec![7; 10].into()));
    // Its last fragment never comes.
    client.send(fragments(&[4, 7, 1]).into_iter().take(2)).await;
    sees_message_too_big(&mut client).await;
}

#[tokio::test]
async fn o3_disabled_it_has_no_effect_on_single_frames_and_none_where_frames_are_handed_over() {
    let config = ServerConfig::default().max_received_message_size(10);
    let site = Site::with(config.clone()).await;
    let (mut client, connection) = site.pair().await;
    client.send([text("0123456789A")]).await;
    assert_eq!(within(connection.recv()).await, Some("0123456789A".into()));

    let site = Site::with(config.assemble_fragments(false)).await;
    let (mut client, connection) = site.pair().await;
    client.send(fragments(&[10, 10, 10])).await;
    for _ in 0..3 {
        let frame = within(connection.recv_frame()).await.expect("an open connection");
        assert_eq!(frame.payload.len(), 10);
    }
}

#[tokio::test]
async fn o4_default_16385_bytes_go_out_in_two_frames() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    within(connection.send(vec![7; 16_385])).await.unwrap();
    assert_eq!(sent(&mut client).await.len(), 2);
}

#[tokio::test]
async fn o4_disabled_70000_bytes_go_out_in_one_frame_with_a_64_bit_length() {
    let site = Site::with(ServerConfig::default().fragment_outgoing_messages(false)).await;
    let (mut client, connection) = site.pair().await;
    within(connection.send(vec![7; 70_000])).await.unwrap();
    let mut header = [0; 10];
    within(client.stream.read_exact(&mut header)).await.unwrap();
    assert_eq!(header, [0x82, 127, 0, 0, 0, 0, 0, 0x01, 0x11, 0x70]);
    let mut payload = vec![0; 70_000];
    within(client.stream.read_exact(&mut payload)).await.unwrap();
    assert_eq!(payload, vec![7; 70_000]);
    within(connection.send("the next frame")).await.unwrap();
    assert_eq!(client.frame().await, text("the next frame"));
}

#[tokio::test]
async fn o5_default_a_frame_holds_16384_bytes() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    for (len, expected) in [
        (16_384, vec![(Opcode::Binary, true, 16_384)]),
        (16_385, vec![(Opcode::Binary, false, 16_384), (Opcode::Continuation, true, 1)]),
        (32_768, vec![(Opcode::Binary, false, 16_384), (Opcode::Continuation, true, 16_384)]),
    ] {
        within(connection.send(vec![7; len])).await.unwrap();
        assert_eq!(sent(&mut client).await, expected);
    }
}

#[tokio::test]
async fn o5_effect_at_10_a_text_of_25_bytes_is_10_and_10_and_5() {
    let site = Site::with(ServerConfig::default().fragmentation_threshold(10)).await;
    let (mut client, connection) = site.pair().await;
    within(connection.send("x".repeat(25))).await.unwrap();
    let expected =
        [(Opcode::Text, false, 10), (Opcode::Continuation, false, 10), (Opcode::Continuation, true, 5)];
    assert_eq!(sent(&mut client).await, expected);
}

#[tokio::test]
async fn o5_disabled_it_is_ignored_where_messages_are_not_fragmented() {
    let config = ServerConfig::default().fragmentation_threshold(10).fragment_outgoing_messages(false);
    let site = Site::with(config).await;
    let (mut client, connection) = site.pair().await;
    within(connection.send("x".repeat(25))).await.unwrap();
    assert_eq!(sent(&mut client).await, [(Opcode::Text, true, 25)]);
}

/// How soon the kernel probes the peer of the server's end, in hundredths of a second, or `None` where it never does:
/// the kernel's own table is the only place outside of the server where that can be seen (proc(5), `/proc/net/tcp`).
#[cfg(target_os = "linux")]
fn kernel_keepalive(client: &Client) -> Option<u64> {
    let server = client.stream.peer_addr().expect("a live socket").port();
    let peer = client.stream.local_addr().expect("a live socket").port();
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux has it");
    let ends = |line: &&str| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let mut ends_with =
            |port: u16| columns.next().is_some_and(|end| end.ends_with(&format!(":{port:04X}")));
        ends_with(server) && ends_with(peer)
    };
    let timer = table.lines().find(ends)?.split_ascii_whitespace().nth(5)?;
    let (kind, when) = timer.split_once(':')?;
    (kind == "02").then(|| u64::from_str_radix(when, 16).expect("a number"))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn o10_effect_the_kernel_probes_the_peer_of_an_accepted_connection_after_the_interval() {
    let native = ServerConfig::default().use_native_keepalive(true);
    let (mut client, connection) = Site::with(native.clone()).await.pair().await;
    // The answer to a message comes after its driver has set the socket's options.
    client.send([text("x")]).await;
    assert_eq!(within(connection.recv()).await, Some("x".into()));
    let soon = kernel_keepalive(&client).expect("the kernel has a timer");
    assert!((1000..=2000).contains(&soon), "{soon}");

    for config in [ServerConfig::default(), native.keepalive(false)] {
        let (mut client, connection) = Site::with(config).await.pair().await;
        client.send([text("x")]).await;
        assert_eq!(within(connection.recv()).await, Some("x".into()));
        assert_eq!(kernel_keepalive(&client), None);
    }
}

/// Passes messages on, and is told of no frame.
struct NoFrames(mpsc::UnboundedSender<Message>);

impl Handler for NoFrames {
    fn message(&mut self, _: &mut Context<'_>, message: MessageRef<'_>) {
        let _ = self.0.send(message.into());
    }

    fn frame(&mut self, _: &mut Context<'_>, frame: &wharf::Frame<'_>) {
        panic!("told of a frame: {frame:?}");
    }
}

#[tokio::test]
async fn o11_default_a_fragmented_message_is_one_message_and_no_frame_is_told() {
    let site = Site::open().await;
    let (sender, mut messages) = mpsc::unbounded_channel();
    let (mut client, _connection) = site.pair_with(NoFrames(sender)).await;
    client.send([text("in ").more_follows(), continuation("two"), text("whole")]).await;
    assert_eq!(within(messages.recv()).await, Some("in two".into()));
    assert_eq!(within(messages.recv()).await, Some("whole".into()));
}

#[tokio::test]
async fn o11_disabled_frames_are_told_and_only_a_message_in_one_frame_is_one() {
    let site = Site::with(ServerConfig::default().assemble_fragments(false)).await;
    let (mut client, connection) = site.pair().await;
    client.send([text("in ").more_follows(), continuation("two"), text("whole")]).await;
    for (opcode, fin, payload) in
        [(Opcode::Text, false, "in "), (Opcode::Continuation, true, "two"), (Opcode::Text, true, "whole")]
    {
        let frame = within(connection.recv_frame()).await.expect("an open connection");
        assert_eq!(
            (frame.header.opcode, frame.header.fin, &*frame.payload),
            (opcode, fin, payload.as_bytes())
        );
    }
    assert_eq!(within(connection.recv()).await, Some("whole".into()));
}

#[tokio::test]
async fn o12_default_the_application_decides_each_request() {
    let site = Site::open().await;
    let (mut client, request) = site.ask("").await;
    request.reject(Rejection::new(404)).unwrap();
    assert_eq!(client.head().await.status(), 404);
    let (mut client, request) = site.ask("").await;
    let _connection = request.accept(Accept::new()).unwrap();
    assert_eq!(client.head().await.status(), 101);
}

#[tokio::test]
async fn o12_effect_with_auto_accept_the_application_is_told_of_connections_alone() {
    let site = Site::with(ServerConfig::default().auto_accept_connections(true)).await;
    let mut client = site.asking("Sec-WebSocket-Protocol: Chat, b\r\nOrigin: http://a\r\n").await;
    let head = client.head().await;
    assert_eq!((head.status(), head.field("sec-websocket-protocol")), (101, Some("Chat")));
    assert_eq!(head.field("origin"), Some("http://a"));
    assert!(matches!(site.event().await, Event::Connect(_)));
}

const FORWARDED: &str = "X-Forwarded-For: 1.1.1.1\r\n";

#[tokio::test]
async fn o15_default_the_header_counts() {
    let (_client, request) = Site::open().await.ask(FORWARDED).await;
    assert_eq!(request.remote_address(), "1.1.1.1");
}

#[tokio::test]
async fn o15_disabled_only_the_sockets_address_counts() {
    let site = Site::with(ServerConfig::default().ignore_x_forwarded_for(true)).await;
    let (_client, request) = site.ask(FORWARDED).await;
    assert_eq!(
        (request.remote_address(), request.remote_addresses()),
        ("127.0.0.1", &["127.0.0.1".to_owned()][..])
    );
}

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

#[tokio::test]
async fn o16_default_offered_extensions_are_listed() {
    let (_client, request) = Site::open().await.ask(OFFER).await;
    assert_eq!(request.requested_extensions()[0].name, "permessage-deflate");
}

#[tokio::test]
async fn o16_disabled_no_extension_is_listed() {
    let (_client, request) =
        Site::with(ServerConfig::default().parse_extensions(false)).await.ask(OFFER).await;
    assert!(request.requested_extensions().is_empty());
}

#[tokio::test]
async fn o17_default_cookies_are_listed() {
    let (_client, request) = Site::open().await.ask("Cookie: a=1\r\n").await;
    assert_eq!(request.cookies().get("a"), Some("1"));
}

#[tokio::test]
async fn o17_disabled_no_cookie_is_listed_and_any_header_passes() {
    let site = Site::with(ServerConfig::default().parse_cookies(false)).await;
    for cookies in ["a=1", "a=%zz", "=;;=\"", "\u{e9}"] {
        let (mut client, request) = site.ask(&format!("Cookie: {cookies}\r\n")).await;
        assert!(request.cookies().is_empty());
        let _connection = request.accept(Accept::new()).unwrap();
        assert_eq!(client.head().await.status(), 101, "{cookies}");
        site.connected().await;
        client.reset();
        site.closed().await;
    }
}

fn trusting(networks: &[&str]) -> ServerConfig {
    let networks = networks.iter().map(|network| network.parse().expect("a network"));
    ServerConfig::default().trusted_proxies(networks.collect())
}

#[tokio::test]
async fn o18_default_nobody_is_named_and_ignore_x_forwarded_for_alone_decides() {
    assert!(ServerConfig::default().trusted_proxies.is_empty());
    for (ignore, expected) in [(false, "1.1.1.1"), (true, "127.0.0.1")] {
        let site = Site::with(trusting(&[]).ignore_x_forwarded_for(ignore)).await;
        let (_client, request) = site.ask(FORWARDED).await;
        assert_eq!(request.remote_address(), expected);
    }
}

#[tokio::test]
async fn o18_effect_the_header_counts_from_a_named_peer_only() {
    for (networks, expected) in [
        (&["127.0.0.0/8"][..], "1.1.1.1"),
        (&["::1", "127.0.0.1"], "1.1.1.1"),
        (&["10.0.0.0/8"], "127.0.0.1"),
    ] {
        let site = Site::with(trusting(networks)).await;
        let (_client, request) = site.ask(FORWARDED).await;
        assert_eq!(request.remote_address(), expected, "{networks:?}");
    }
}

#[test]
fn o18_bad_what_is_no_network_is_an_error() {
    for text in ["", "proxy.example", "10.0.0.0/33", "10.1.2.3/8", "10.0.0.0/+8"] {
        text.parse::<IpNetwork>().unwrap_err();
    }
}
