//! Learning that what was sent has left.

mod support;

use std::pin::pin;
use std::time::Duration;

use support::{Site, begin_and_drop, close, text, until, waits, within};
use wharf::{CloseCode, Connection, Context, FlushError, Handler, MessageRef, ServerConfig};

/// More than the kernel's buffers take on both sides together.
const LARGE: usize = 32 * 1024 * 1024;

/// A server whose connections take everything at once and wait for their peers longer than any test.
async fn patient() -> Site {
    let long = Duration::from_secs(3600);
    Site::with(ServerConfig::default().max_buffered_amount(4 * LARGE).write_timeout(long).close_timeout(long))
        .await
}

/// Sends more than the socket takes, in many fragments.
fn send_large(connection: &Connection) {
    connection.try_send(vec![7; LARGE]).expect("there is room");
}

#[tokio::test]
async fn c2_3_a_flush_ends_after_the_last_fragment_is_out_and_not_before() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    send_large(&connection);
    let mut flush = pin!(connection.flush());
    assert!(waits(flush.as_mut()));
    let mut received = 0;
    while received < LARGE / 4 {
        received += client.frame().await.payload.len();
        assert!(waits(flush.as_mut()), "the last fragment cannot be out");
    }
    let reading = async {
        while received < LARGE {
            received += client.frame().await.payload.len();
        }
    };
    let (flushed, ()) = within(async { tokio::join!(flush, reading) }).await;
    assert_eq!(flushed, Ok(()));
    assert_eq!(within(connection.flush()).await, Ok(()), "nothing waits");
}

#[tokio::test]
async fn c2_3_a_flush_does_not_wait_for_what_is_sent_after_it() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.try_send("first").unwrap();
    let mut flush = pin!(connection.flush());
    assert!(waits(flush.as_mut()));
    send_large(&connection);
    assert_eq!(within(flush).await, Ok(()));
    assert!(connection.buffered_amount() > 0, "the large one is not out");
    assert_eq!(client.frame().await, text("first"));
}

#[tokio::test]
async fn c2_3_a_flush_fails_where_the_connection_ends_before() {
    for end in [
        |connection: &Connection| connection.drop_now(CloseCode::NORMAL, None).unwrap(),
        |connection: &Connection| connection.drop_silently(CloseCode::ABNORMAL, None),
    ] {
        let site = patient().await;
        let (client, connection) = site.pair().await;
        send_large(&connection);
        let mut flush = pin!(connection.flush());
        assert!(waits(flush.as_mut()));
        end(&connection);
        assert_eq!(within(flush).await, Err(FlushError));
        assert_eq!(within(connection.flush()).await, Err(FlushError), "also when asked later");
        drop(client);
    }
    let site = patient().await;
    let (client, connection) = site.pair().await;
    send_large(&connection);
    let mut flush = pin!(connection.flush());
    assert!(waits(flush.as_mut()));
    client.reset();
    assert_eq!(within(flush).await, Err(FlushError));
}

#[tokio::test]
async fn c2_3_what_left_before_the_end_has_left_also_when_asked_after_it() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    connection.try_send("last words").unwrap();
    connection.close(CloseCode::NORMAL, Some("")).unwrap();
    assert_eq!(within(connection.flush()).await, Ok(()), "its own Close is no hindrance");
    assert_eq!(client.frame().await, text("last words"));
    assert_eq!(client.frame().await, close(1000, ""));
    client.send([close(1000, "")]).await;
    client.sees_end().await;
    client.end().await;
    within(connection.closed()).await;
    assert_eq!(within(connection.flush()).await, Ok(()));
}

/// Queues a message that its own Close overtakes.
struct Overtaking(tokio::sync::mpsc::UnboundedSender<Result<(), FlushError>>);

impl Handler for Overtaking {
    fn message(&mut self, context: &mut Context<'_>, _: MessageRef<'_>) {
        let connection = context.connection().clone();
        connection.try_send("queued").expect("it is open");
        context.close(CloseCode::NORMAL, Some("")).expect("a code that may be sent");
        let told = self.0.clone();
        tokio::spawn(async move { told.send(connection.flush().await) });
    }
}

#[tokio::test]
async fn c2_3_a_queued_message_that_a_close_overtook_is_told_as_lost() {
    let site = patient().await;
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    let (mut client, connection) = site.pair_with(Overtaking(sender)).await;
    client.send([text("go")]).await;
    assert_eq!(client.frame().await, close(1000, ""), "nothing follows it, nothing went before");
    assert_eq!(within(told.recv()).await, Some(Err(FlushError)));
    assert_eq!(within(connection.flush()).await, Err(FlushError));
    client.send([close(1000, "")]).await;
    client.sees_end().await;
}

#[tokio::test]
async fn a_flush_given_up_again_and_again_costs_nothing_and_changes_nothing() {
    let site = patient().await;
    let (mut client, connection) = site.pair().await;
    send_large(&connection);
    let waiting = connection.buffered_amount();
    for _ in 0..1000 {
        begin_and_drop(connection.flush());
    }
    assert_eq!(connection.buffered_amount(), waiting);
    let mut left = LARGE;
    while left > 0 {
        left -= client.frame().await.payload.len();
    }
    assert_eq!(within(connection.flush()).await, Ok(()));
    until(|| connection.buffered_amount() == 0).await;
}

/// Answers, and tells when the answer is out.
struct Answering(tokio::sync::mpsc::UnboundedSender<Result<(), FlushError>>);

impl Handler for Answering {
    fn message(&mut self, context: &mut Context<'_>, _: MessageRef<'_>) {
        context.send(&vec![7; LARGE][..]).expect("it is open");
        let (connection, told) = (context.connection().clone(), self.0.clone());
        tokio::spawn(async move { told.send(connection.flush().await) });
    }
}

#[tokio::test]
async fn c2_3_what_a_handler_sent_can_be_waited_for_through_its_connection() {
    let site = patient().await;
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    let (mut client, _connection) = site.pair_with(Answering(sender)).await;
    client.send([text("go")]).await;
    let mut left = LARGE;
    while left > LARGE / 2 {
        left -= client.frame().await.payload.len();
        assert!(told.try_recv().is_err(), "the last fragment cannot be out");
    }
    while left > 0 {
        left -= client.frame().await.payload.len();
    }
    assert_eq!(within(told.recv()).await, Some(Ok(())));
}
