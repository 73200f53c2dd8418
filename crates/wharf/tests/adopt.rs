//! Streams whose opening handshake was made elsewhere.

mod support;

use std::time::Duration;

use support::{Client, ClientOf, Site, bytes_of, close, text, within};
use tokio::io::{DuplexStream, duplex};
use tokio::net::TcpListener;
use wharf::{AdoptError, CloseCode, Context, Event, Handler, MessageRef, OpenStream, Server, ServerConfig};

impl support::roads::Peer for DuplexStream {
    fn reset(self) {}
}

fn stream() -> (ClientOf<DuplexStream>, OpenStream) {
    let (client, server) = duplex(1024);
    (ClientOf::on(client), OpenStream::new(server))
}

struct Echo;

impl Handler for Echo {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        let _ = context.send(message);
    }
}

#[tokio::test]
async fn any_stream_of_bytes_becomes_a_connection_of_the_server() {
    let site = Site::open().await;
    let (mut client, stream) = stream();
    let peer = "192.0.2.1:4711".parse().unwrap();
    let connection = site.server.adopt(stream.protocol("Chat").peer(peer)).unwrap();
    assert_eq!(connection.protocol(), Some("chat"));
    assert_eq!((connection.remote_address(), connection.socket_address()), ("192.0.2.1", Some(peer)));
    assert_eq!(site.connected().await, connection);
    assert_eq!(site.server.connections(), std::slice::from_ref(&connection));

    client.send([text("hello")]).await;
    assert_eq!(within(connection.recv()).await, Some("hello".into()));
    assert_eq!(site.server.broadcast("to all").sent, 1);
    assert_eq!(client.frame().await, text("to all"));
    client.send([close(1000, "bye")]).await;
    assert_eq!(client.frame().await, close(1000, "bye"));
    client.sees_end().await;
    drop(client);
    assert_eq!(site.close_event().await, (1000, "bye".to_owned()));
}

#[tokio::test]
async fn a_socket_of_tcp_is_taken_as_such() {
    let server = Server::new(ServerConfig::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = Client::to(listener.local_addr().unwrap()).await;
    let (stream, _) = listener.accept().await.unwrap();
    stream.set_nodelay(false).unwrap();
    server.adopt_with(OpenStream::new(stream), Echo).unwrap();
    client.send([text("hello")]).await;
    assert_eq!(client.frame().await, text("hello"));
}

#[tokio::test]
async fn what_was_read_behind_the_handshake_is_received_first() {
    let site = Site::open().await;
    let (mut client, stream) = stream();
    let connection = site.server.adopt(stream.already_read(bytes_of([text("early")]))).unwrap();
    client.send([text("late")]).await;
    assert_eq!(within(connection.recv()).await, Some("early".into()));
    assert_eq!(within(connection.recv()).await, Some("late".into()));
}

#[tokio::test]
async fn a_peer_that_nobody_names_is_unknown() {
    let site = Site::open().await;
    let connection = site.server.adopt(stream().1).unwrap();
    assert_eq!((connection.remote_address(), connection.socket_address()), ("unknown", None));
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn extensions_are_those_that_were_agreed_on_or_an_error() {
    let site = Site::open().await;
    let agreed = "permessage-deflate; client_no_context_takeover; server_no_context_takeover";
    let connection = site.server.adopt(stream().1.extensions(agreed)).unwrap();
    assert_eq!(connection.extensions()[0].name, "permessage-deflate");
    assert_eq!(site.server.adopt(stream().1.extensions("")).unwrap().extensions(), []);
    // With a context of the peer's, which the options do not keep; of another kind; or no header at all.
    for extensions in ["permessage-deflate", "x-other", "permessage-deflate; x", "a b"] {
        let error = AdoptError::Extensions { extensions: extensions.to_owned() };
        assert_eq!(site.server.adopt(stream().1.extensions(extensions)), Err(error));
    }
}

#[tokio::test]
async fn a_server_that_is_full_or_shut_down_or_has_a_wrong_option_adopts_nobody() {
    let site = Site::with(ServerConfig::default().max_connections(1)).await;
    site.server.adopt(stream().1).unwrap();
    assert!(matches!(site.server.adopt(stream().1), Err(AdoptError::Full(_))));
    within(site.server.shut_down(CloseCode::GOING_AWAY, Duration::ZERO)).await;
    assert_eq!(site.server.adopt(stream().1), Err(AdoptError::ShutDown));

    let wrong = Server::new(ServerConfig::default().max_connections(0));
    assert!(matches!(wrong.adopt(stream().1), Err(AdoptError::Config(_))));
}

#[tokio::test]
async fn a_server_without_a_mount_tells_of_those_it_adopts_once_it_is_listened_to() {
    let server = Server::new(ServerConfig::default());
    let mut told = std::pin::pin!(server.next_event());
    assert!(support::waits(told.as_mut()));
    let connection = server.adopt(stream().1).unwrap();
    assert!(matches!(within(told).await, Some(Event::Connect(connected)) if connected == connection));
}

#[tokio::test]
async fn a_stream_that_is_adopted_before_anybody_takes_events_is_told_to_who_does() {
    let server = Server::new(ServerConfig::default());
    let (_client, stream) = stream();
    let connection = server.adopt(stream).unwrap();
    let event = within(server.next_event()).await;
    assert!(matches!(event, Some(Event::Connect(connected)) if connected == connection));
}
