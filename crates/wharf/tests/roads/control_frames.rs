//! Pings and pongs, both ways.

use super::{Client, Site};
use crate::support::{binary, close, continuation, ping, pong, text, within};
use tokio::sync::mpsc;
use wharf::{CloseCode, Connection, Context, ControlError, Handler, MessageRef, ServerConfig};

/// Tells what it is told, as one would say it.
struct Teller(mpsc::UnboundedSender<String>);

impl Teller {
    fn tell(&self, told: String) {
        self.0.send(told).expect("the test listens");
    }
}

impl Handler for Teller {
    fn message(&mut self, _: &mut Context<'_>, message: MessageRef<'_>) {
        self.tell(format!("message {}", message.as_bytes().escape_ascii()));
    }

    fn ping(&mut self, _: &mut Context<'_>, payload: &[u8]) {
        self.tell(format!("ping {}", payload.escape_ascii()));
    }

    fn pong(&mut self, _: &mut Context<'_>, payload: &[u8]) {
        self.tell(format!("pong {}", payload.escape_ascii()));
    }
}

struct Listened {
    client: Client,
    told: mpsc::UnboundedReceiver<String>,
    _site: Site,
    _connection: Connection,
}

impl Listened {
    async fn open() -> Self {
        let site = Site::open().await;
        let (sender, told) = mpsc::unbounded_channel();
        let (client, connection) = site.pair_with(Teller(sender)).await;
        Self { client, told, _site: site, _connection: connection }
    }

    async fn sees(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(within(self.told.recv()).await.as_deref(), Some(*expected));
        }
    }
}

/// That the client sees nothing but a Close frame after what it has seen.
async fn sees_nothing_more(client: &mut Client) {
    client.send([close(1000, "")]).await;
    assert_eq!(client.frame().await, close(1000, ""));
}

#[tokio::test]
async fn c3_1_a_ping_is_empty_or_text_or_bytes_up_to_125_and_an_error_above() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    connection.ping("").unwrap();
    connection.ping("str").unwrap();
    connection.ping(vec![0, 255]).unwrap();
    connection.ping(vec![7; 125]).unwrap();
    let too_long = Err(ControlError::PayloadTooLong { length: 126 });
    assert_eq!(connection.ping(vec![7; 126]), too_long);
    assert_eq!(connection.ping("é".repeat(63)), too_long, "bytes count, not characters");
    for frame in [ping(""), ping("str"), ping([0, 255]), ping([7; 125])] {
        assert_eq!(client.frame().await, frame);
    }
    sees_nothing_more(&mut client).await;
}

#[tokio::test]
async fn c3_2_a_pong_may_be_unsolicited_and_holds_what_a_ping_does() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    connection.pong("").unwrap();
    connection.pong("str").unwrap();
    connection.pong(vec![0, 255]).unwrap();
    connection.pong(vec![7; 125]).unwrap();
    assert_eq!(connection.pong(vec![7; 126]), Err(ControlError::PayloadTooLong { length: 126 }));
    for frame in [pong(""), pong("str"), pong([0, 255]), pong([7; 125])] {
        assert_eq!(client.frame().await, frame);
    }
    sees_nothing_more(&mut client).await;
}

#[tokio::test]
async fn c4_1_a_ping_of_any_length_is_answered_with_its_payload() {
    let site = Site::open().await;
    let (mut client, _connection) = site.pair().await;
    client.send((0..=125).map(|length| ping(vec![7; length]))).await;
    for length in 0..=125 {
        assert_eq!(client.frame().await, pong(vec![7; length]));
    }
}

#[tokio::test]
async fn c4_2_a_ping_between_fragments_is_answered_before_the_message_ends() {
    let mut listened = Listened::open().await;
    listened.client.send([text("Hel").more_follows(), ping("x")]).await;
    assert_eq!(listened.client.frame().await, pong("x"));
    listened.client.send([continuation("lo")]).await;
    listened.sees(&["ping x", "message Hello"]).await;
}

/// Lets one ping go unanswered.
struct Secretive;

impl Handler for Secretive {
    fn ping(&mut self, context: &mut Context<'_>, payload: &[u8]) {
        if payload == b"secret" {
            context.cancel_pong();
        }
    }
}

#[tokio::test]
async fn c4_3_only_the_ping_that_a_handler_cancels_goes_unanswered() {
    for config in [ServerConfig::default(), ServerConfig::default().assemble_fragments(false)] {
        let site = Site::with(config).await;
        let (mut client, _connection) = site.pair_with(Secretive).await;
        client.send([ping("before"), ping("secret"), ping("after"), ping("secret")]).await;
        assert_eq!(client.frame().await, pong("before"));
        assert_eq!(client.frame().await, pong("after"));
        sees_nothing_more(&mut client).await;
    }
}

#[tokio::test]
async fn c4_4_a_pong_is_told_with_its_payload_and_nothing_is_sent() {
    let mut listened = Listened::open().await;
    listened.client.send([pong(""), pong("late"), pong([b'x'; 125])]).await;
    listened.sees(&["pong ", "pong late", &format!("pong {}", "x".repeat(125))]).await;
    sees_nothing_more(&mut listened.client).await;
}

#[tokio::test]
async fn c4_5_text_ping_text_in_one_segment_are_told_in_that_order() {
    let mut listened = Listened::open().await;
    listened.client.send([text("1"), ping("p"), text("2"), pong("q"), binary("3")]).await;
    listened.sees(&["message 1", "ping p", "message 2", "pong q", "message 3"]).await;
    assert_eq!(listened.client.frame().await, pong("p"));
}

#[tokio::test]
async fn a_ping_of_our_own_is_refused_once_the_connection_closes() {
    // RFC 6455 §5.5.2: the peer's is answered until its own Close.
    let site = Site::open().await;
    let (mut client, connection) = site.pair().await;
    connection.close(CloseCode::NORMAL, Some("")).unwrap();
    assert_eq!(connection.ping(""), Err(ControlError::Closed));
    assert_eq!(connection.pong(""), Err(ControlError::Closed));
    assert_eq!(client.frame().await, close(1000, ""));
    client.send([ping("answered all the same"), close(1000, ""), ping("not answered")]).await;
    assert_eq!(client.frame().await, pong("answered all the same"));
    client.sees_end().await;
}
