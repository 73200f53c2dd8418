//! permessage-deflate at either end of a connection (RFC 7692).

#![cfg(feature = "deflate")]

mod support;

use std::time::Duration;

use support::{Client as RawClient, Site, binary, text, within};
use tokio::io::AsyncWriteExt;
use wharf::{Accept, Client, ClientConfig, Compression, ConnectRequest, Connection, Context, Extension};
use wharf::{Handler, Message, MessageKind, MessageRef, ServerConfig};

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

fn takeover() -> Compression {
    Compression::default().server_context_takeover(true).client_context_takeover(true).threshold(0)
}

fn json() -> String {
    let entry = |number: usize| format!("{{\"id\":{number},\"name\":\"user {}\"}},", number * 7);
    (0..200).map(entry).collect::<Vec<_>>().concat()
}

/// Both ends of one connection.
async fn pair(server: ServerConfig, client: ClientConfig) -> (Site, Connection, Connection) {
    let site = Site::with(server).await;
    let url = format!("ws://{}/", site.http.local_addr());
    let client = Client::new(client).expect("valid options");
    let accepting = async { site.request().await.accept(Accept::new()).expect("nobody else decides") };
    let (connected, accepted) = within(async { tokio::join!(client.connect(url.as_str()), accepting) }).await;
    (site, accepted, connected.expect("a connection"))
}

fn parameters(connection: &Connection) -> Vec<String> {
    let extensions = connection.extensions();
    let name = |(name, value): &(String, Option<String>)| match value {
        Some(value) => format!("{name}={value}"),
        None => name.clone(),
    };
    extensions.iter().flat_map(|extension| extension.params.iter().map(name)).collect()
}

/// What a raw client is answered, and the connection that it has.
async fn answer(config: ServerConfig, offer: &str) -> (Site, RawClient, Connection, Option<String>) {
    let site = Site::with(config).await;
    let (mut client, request) = site.ask(offer).await;
    let connection = request.accept(Accept::new()).expect("nobody else decides");
    site.connected().await;
    let head = client.head().await;
    let extensions = head.field("sec-websocket-extensions").map(ToOwned::to_owned);
    (site, client, connection, extensions)
}

#[tokio::test]
async fn what_was_negotiated_is_told_at_both_ends() {
    let (_site, server, client) = pair(ServerConfig::default(), ClientConfig::default()).await;
    let none = ["server_no_context_takeover", "client_no_context_takeover"];
    assert_eq!(
        (parameters(&server), parameters(&client)),
        (none.map(Into::into).into(), none.map(Into::into).into())
    );
    assert_eq!(server.extensions()[0].name, "permessage-deflate");

    let small = takeover().server_max_window_bits(10).client_max_window_bits(9);
    let (_site, server, client) =
        pair(ServerConfig::default().compression(small), ClientConfig::default().compression(takeover()))
            .await;
    let bits = ["server_max_window_bits=10", "client_max_window_bits=9"];
    assert_eq!(
        (parameters(&server), parameters(&client)),
        (bits.map(Into::into).into(), bits.map(Into::into).into())
    );
}

#[tokio::test]
async fn a_browsers_offer_is_taken_by_default_and_not_where_compression_is_off() {
    let (_site, _client, _, extensions) = answer(ServerConfig::default(), OFFER).await;
    let expected = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assert_eq!(extensions.as_deref(), Some(expected));
    let (_site, mut client, connection, extensions) =
        answer(ServerConfig::default().compression(None), OFFER).await;
    assert_eq!((extensions, connection.extensions()), (None, Vec::<Extension>::new()));
    within(connection.send(json())).await.unwrap();
    assert_eq!(client.frame().await, text(json()));
}

#[tokio::test]
async fn where_extensions_are_not_parsed_nothing_is_compressed() {
    let (.., extensions) = answer(ServerConfig::default().parse_extensions(false), OFFER).await;
    assert_eq!(extensions, None);
}

#[tokio::test]
async fn an_offer_that_cannot_be_kept_is_declined_and_the_next_one_is_taken() {
    // RFC 7692 §5.1
    let offers = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8, \
        permessage-deflate; nonsense\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n";
    let (.., extensions) = answer(ServerConfig::default(), offers).await;
    assert!(extensions.unwrap().contains("server_max_window_bits=10"));
    let (.., extensions) = answer(
        ServerConfig::default(),
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8\r\n",
    )
    .await;
    assert_eq!(extensions, None);
}

#[tokio::test]
async fn messages_of_every_kind_and_length_arrive_with_and_without_takeover() {
    for compression in [Compression::default().threshold(0), takeover()] {
        let (_site, server, client) = pair(
            ServerConfig::default().compression(compression.clone()),
            ClientConfig::default().compression(compression),
        )
        .await;
        let noise: Vec<u8> =
            (0..100_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let messages = [
            Message::from(""),
            Message::from("short"),
            Message::from(json()),
            Message::from(json().repeat(20)),
            Message::from(noise),
            Message::from(json()),
        ];
        for message in messages {
            within(client.send(message.clone())).await.unwrap();
            assert_eq!(within(server.recv()).await, Some(message.clone()));
            within(server.send(message.clone())).await.unwrap();
            assert_eq!(within(client.recv()).await, Some(message));
        }
    }
}

/// The length on the wire, and whether the first byte has RSV1, of what `send` makes a server send.
async fn on_the_wire(config: ServerConfig, send: impl AsyncFnOnce(&Connection)) -> (usize, bool) {
    let (_site, mut client, connection, _) = answer(config, OFFER).await;
    send(&connection).await;
    within(connection.drained()).await;
    connection.drop_silently(wharf::CloseCode::NORMAL, None);
    let bytes = client.rest().await;
    (bytes.len(), bytes[0] & 0x40 != 0)
}

#[tokio::test]
async fn a_message_below_the_threshold_or_told_so_goes_out_as_it_is() {
    let default = ServerConfig::default();
    let (len, is_compressed) =
        on_the_wire(default.clone(), async |c| c.send("x".repeat(1023)).await.unwrap()).await;
    assert_eq!((len, is_compressed), (1023 + 4, false));
    let (len, is_compressed) =
        on_the_wire(default.clone(), async |c| c.send("x".repeat(1024)).await.unwrap()).await;
    assert!(len < 50 && is_compressed);
    let (len, is_compressed) =
        on_the_wire(default.clone(), async |c| c.send_uncompressed("x".repeat(2000)).await.unwrap()).await;
    assert_eq!((len, is_compressed), (2000 + 4, false));
    let (_, is_compressed) =
        on_the_wire(default.clone(), async |c| c.try_send_uncompressed("x".repeat(2000)).unwrap()).await;
    assert!(!is_compressed);
    let (_, is_compressed) = on_the_wire(default, async |c| {
        let mut writer = c.message_writer(MessageKind::Text).uncompressed();
        writer.write_all("x".repeat(100_000).as_bytes()).await.unwrap();
        writer.finish().await.unwrap();
    })
    .await;
    assert!(!is_compressed);
}

#[tokio::test]
async fn a_message_that_is_written_in_parts_is_compressed_while_it_is_written() {
    // RFC 7692 §6.1, §7.2.1
    for compression in [Compression::default(), takeover()] {
        let (_site, server, client) = pair(
            ServerConfig::default().compression(compression.clone()),
            ClientConfig::default().compression(compression),
        )
        .await;
        let receiving = async {
            let mut received = Vec::new();
            for _ in 0..4 {
                received.push(within(client.recv()).await.unwrap());
            }
            received
        };
        let sending = async {
            // Before and after, so that neither's context is taken for the other's.
            server.send(json()).await.unwrap();
            let mut writer = server.message_writer(MessageKind::Text);
            for _ in 0..50 {
                writer.write_all(json().as_bytes()).await.unwrap();
            }
            writer.flush().await.unwrap();
            writer.finish().await.unwrap();
            server.message_writer(MessageKind::Binary).finish().await.unwrap();
            server.send(json()).await.unwrap();
        };
        let (received, ()) = tokio::join!(receiving, sending);
        let expected = [Message::from(json()), json().repeat(50).into(), Vec::new().into(), json().into()];
        assert_eq!(received, expected);
    }
    let (len, is_compressed) = on_the_wire(ServerConfig::default(), async |c| {
        let mut writer = c.message_writer(MessageKind::Text);
        writer.write_all(&vec![b'x'; 200_000]).await.unwrap();
        writer.finish().await.unwrap();
    })
    .await;
    assert!(is_compressed && len < 5000, "{len}");
}

#[tokio::test]
async fn a_broadcast_is_compressed_for_those_who_agreed_and_plain_for_the_others() {
    let site = Site::with(ServerConfig::default().compression(takeover())).await;
    let lists = [
        OFFER,
        "",
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; server_max_window_bits=9\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n",
    ];
    let mut clients = Vec::new();
    for offer in lists {
        let (mut client, request) = site.ask(offer).await;
        request.accept(Accept::new()).unwrap();
        site.connected().await;
        client.head().await;
        clients.push(client);
    }
    assert_eq!(site.server.broadcast(json()).sent, 5);
    assert_eq!(site.server.broadcast_uncompressed("plain").sent, 5);
    for connection in site.server.connections() {
        within(connection.drained()).await;
        connection.drop_silently(wharf::CloseCode::NORMAL, None);
    }
    let mut written = Vec::new();
    for client in &mut clients {
        let bytes = client.rest().await;
        assert!(bytes.ends_with(b"\x81\x05plain"));
        written.push(bytes);
    }
    let is_compressed: Vec<bool> = written.iter().map(|bytes| bytes[0] & 0x40 != 0).collect();
    assert_eq!(is_compressed, [true, false, true, true, true]);
    assert!(written.iter().enumerate().all(|(at, bytes)| at == 1 || bytes.len() < json().len() / 2));
    assert_eq!(written[2], written[4]);
}

/// Sends back, and every other time as it is.
struct Echo {
    count: usize,
}

impl Handler for Echo {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        self.count += 1;
        let sent = if self.count.is_multiple_of(2) {
            context.send_uncompressed(message)
        } else {
            context.send(message)
        };
        sent.expect("an open connection");
    }
}

#[tokio::test]
async fn a_handler_is_lent_inflated_messages_and_sends_compressed_ones_while_it_holds_them() {
    let site = Site::with(ServerConfig::default().compression(takeover())).await;
    let client = Client::new(ClientConfig::default()).unwrap();
    let url = format!("ws://{}/", site.http.local_addr());
    let accepting = async { site.request().await.accept_with(Accept::new(), Echo { count: 0 }).unwrap() };
    let (connected, _) = within(async { tokio::join!(client.connect(url.as_str()), accepting) }).await;
    let connection = connected.unwrap();
    for number in 0..10 {
        let message = Message::from(format!("{number}{}", json()));
        within(connection.send(message.clone())).await.unwrap();
        assert_eq!(within(connection.recv()).await, Some(message));
    }
}

#[tokio::test]
async fn frame_by_frame_compressed_messages_are_handed_on_inflated() {
    let (_site, mut client, connection, _) =
        answer(ServerConfig::default().assemble_fragments(false), OFFER).await;
    client.write([0x41, 0x83, 0, 0, 0, 0, 0xf2, 0x48, 0xcd]).await;
    client.write([0x80, 0x84, 0, 0, 0, 0, 0xc9, 0xc9, 0x07, 0x00]).await;
    let mut reader = within(connection.recv_reader()).await.unwrap();
    let mut text = String::new();
    within(tokio::io::AsyncReadExt::read_to_string(&mut reader, &mut text)).await.unwrap();
    assert_eq!(text, "Hello");
}

#[tokio::test]
async fn beyond_the_memory_limit_new_connections_agree_to_no_takeover() {
    let site = Site::with(ServerConfig::default().compression(takeover().memory_limit(500_000))).await;
    let mut clients = Vec::new();
    let mut answers = Vec::new();
    for _ in 0..5 {
        let (mut client, request) = site.ask(OFFER).await;
        let connection = request.accept(Accept::new()).unwrap();
        site.connected().await;
        answers.push(client.head().await.field("sec-websocket-extensions").unwrap().to_owned());
        // Its compressor takes what it needs.
        within(connection.send(json())).await.unwrap();
        within(connection.drained()).await;
        clients.push(client);
    }
    assert_eq!(answers[0], "permessage-deflate");
    assert_eq!(answers[1], "permessage-deflate; server_no_context_takeover", "there is room for a window");
    assert_eq!(answers[4], "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
}

#[tokio::test]
async fn corrupt_data_and_a_bomb_end_the_connection_with_their_codes() {
    let (site, mut client, ..) = answer(ServerConfig::default(), OFFER).await;
    client.write([0xc1, 0x81, 0, 0, 0, 0, 0x06]).await;
    assert_eq!(client.frame().await, support::close(1007, "Invalid compressed data."));
    assert_eq!(site.close_event().await.0, 1007);

    let (_site, server, sender) =
        pair(ServerConfig::default(), ClientConfig::default().max_received_message_size(64 << 20)).await;
    within(sender.send(vec![0; 30 << 20])).await.unwrap();
    assert_eq!(within(server.closed()).await.code().get(), 1009);
}

#[tokio::test]
async fn a_request_that_offers_is_listed_and_the_clients_own_offer_can_be_turned_off() {
    let site = Site::open().await;
    let client = Client::new(ClientConfig::default().compression(None)).unwrap();
    let request = ConnectRequest::new(format!("ws://{}/", site.http.local_addr())).unwrap();
    let accepting = async {
        let request = site.request().await;
        assert!(request.requested_extensions().is_empty());
        request.accept(Accept::new()).unwrap()
    };
    let (connected, server) = within(async { tokio::join!(client.connect(request), accepting) }).await;
    assert_eq!((connected.unwrap().extensions(), server.extensions()), (Vec::new(), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn an_unused_compressor_is_given_back_and_the_connection_goes_on() {
    let config =
        ServerConfig::default().keepalive(false).compression(takeover().idle_timeout(Duration::from_secs(5)));
    let (_site, server, client) = pair(config, ClientConfig::default().compression(takeover())).await;
    for _ in 0..3 {
        server.send(json()).await.unwrap();
        assert_eq!(client.recv().await, Some(json().into()));
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

#[tokio::test]
async fn a_binary_message_stays_binary() {
    let (_site, mut client, connection, _) = answer(ServerConfig::default(), OFFER).await;
    within(connection.send(vec![1, 2, 3])).await.unwrap();
    assert_eq!(client.frame().await, binary([1, 2, 3]));
}
