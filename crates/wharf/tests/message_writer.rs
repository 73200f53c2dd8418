//! One message written piece by piece, in fragments whose number is not known before.

mod support;

use std::io::{self, ErrorKind};
use std::pin::pin;

use bytes::Bytes;
use futures_util::stream;
use support::{Client, Frame, Site, begin_and_drop, binary, close, continuation, ping, text, waits, within};
use tokio::io::AsyncWriteExt;
use wharf::{Connection, Context, Handler, MessageKind, ServerConfig, TrySendError};

fn threshold(threshold: usize) -> ServerConfig {
    ServerConfig::default().fragmentation_threshold(threshold)
}

async fn open(config: ServerConfig) -> (Site, Client, Connection) {
    let site = Site::with(config).await;
    let (client, connection) = site.pair().await;
    (site, client, connection)
}

async fn sees(client: &mut Client, frames: impl IntoIterator<Item = Frame>) {
    for frame in frames {
        assert_eq!(client.frame().await, frame);
    }
}

#[tokio::test]
async fn what_is_written_goes_out_in_full_fragments_and_a_last_one_that_is_never_empty() {
    let (_site, mut client, connection) = open(threshold(4)).await;
    let mut writer = connection.message_writer(MessageKind::Text);
    for piece in ["a", "bc", "", "de", "fghijklmnop"] {
        within(writer.write_all(piece.as_bytes())).await.unwrap();
    }
    within(writer.finish()).await.unwrap();
    let fragments = [
        text("abcd").more_follows(),
        continuation("efgh").more_follows(),
        continuation("ijkl").more_follows(),
        continuation("mnop"),
    ];
    sees(&mut client, fragments).await;
}

#[tokio::test]
async fn a_message_that_fits_one_fragment_goes_out_whole_also_an_empty_one() {
    let (_site, mut client, connection) = open(threshold(4)).await;
    let mut writer = connection.message_writer(MessageKind::Binary);
    within(writer.write_all(b"ab")).await.unwrap();
    within(writer.write_all(b"cd")).await.unwrap();
    within(writer.shutdown()).await.unwrap();
    within(writer.finish()).await.unwrap();
    within(connection.message_writer(MessageKind::Text).finish()).await.unwrap();
    sees(&mut client, [binary("abcd"), text("")]).await;
    assert_eq!(writer.write(b"e").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn flush_sends_what_there_is() {
    let (_site, mut client, connection) = open(threshold(4)).await;
    let mut writer = connection.message_writer(MessageKind::Binary);
    within(writer.flush()).await.unwrap();
    within(writer.write_all(b"a")).await.unwrap();
    within(writer.flush()).await.unwrap();
    sees(&mut client, [binary("a").more_follows()]).await;
    within(writer.flush()).await.unwrap();
    within(writer.finish()).await.unwrap();
    sees(&mut client, [continuation("")]).await;
}

#[tokio::test]
async fn without_a_threshold_fragments_have_16_kib() {
    let (_site, mut client, connection) =
        open(ServerConfig::default().fragment_outgoing_messages(false)).await;
    let mut writer = connection.message_writer(MessageKind::Binary);
    within(writer.write_all(&vec![7; 16_385])).await.unwrap();
    within(writer.finish()).await.unwrap();
    sees(&mut client, [binary(vec![7; 16_384]).more_follows(), continuation([7])]).await;
}

#[tokio::test]
async fn other_messages_wait_until_it_ends_and_control_frames_pass() {
    let (_site, mut client, connection) = open(threshold(1)).await;
    let mut writer = connection.message_writer(MessageKind::Text);
    connection.try_send("before").unwrap();
    within(writer.write_all(b"ab")).await.unwrap();
    assert_eq!(connection.try_send("late"), Err(TrySendError::Full("late".into())));
    let mut late = pin!(connection.send("late"));
    let mut frame = pin!(connection.send_frame(wharf::Frame::new(true, wharf::Opcode::Text, b"frame")));
    let mut second = connection.message_writer(MessageKind::Binary);
    {
        let mut writing = pin!(second.write_all(b"cd"));
        assert!(waits(late.as_mut()) && waits(frame.as_mut()) && waits(writing.as_mut()));
    }
    connection.ping("amid").unwrap();
    within(writer.finish()).await.unwrap();
    within(late).await.unwrap();
    within(frame).await.unwrap();
    within(second.write_all(b"cd")).await.unwrap();
    within(second.finish()).await.unwrap();
    assert_eq!(client.message().await, "before".into());
    sees(&mut client, [text("a").more_follows(), ping("amid"), continuation("b")]).await;
    assert_eq!(client.message().await, "late".into());
    sees(&mut client, [text("frame"), binary("c").more_follows(), continuation("d")]).await;
}

#[tokio::test]
async fn c10_1_with_a_peer_that_does_not_read_the_writer_waits_within_the_bound() {
    const PIECE: usize = 64 * 1024;
    const LIMIT: usize = 256 * 1024;
    let (_site, mut client, connection) = open(ServerConfig::default().max_buffered_amount(LIMIT)).await;
    let mut writer = connection.message_writer(MessageKind::Binary);
    let piece = vec![7; PIECE];
    let mut written = 0;
    loop {
        // A piece that is not taken at once leaves nothing of it behind.
        let write = tokio::time::timeout(std::time::Duration::from_millis(300), writer.write(&piece));
        let Ok(len) = write.await else { break };
        written += len.unwrap();
        assert!(written < 256 * PIECE, "the bound holds");
    }
    assert!(connection.is_output_full());
    assert!(connection.buffered_amount() <= LIMIT + PIECE + 1024, "{}", connection.buffered_amount());
    let finishing = async {
        within(writer.finish()).await.unwrap();
        connection.buffered_amount()
    };
    let (message, _) = tokio::join!(client.message(), finishing);
    assert_eq!(message.len(), written);
}

#[tokio::test]
async fn text_is_judged_before_it_goes_out_over_the_borders_of_what_is_written() {
    let (_site, mut client, connection) = open(threshold(4)).await;
    let mut writer = connection.message_writer(MessageKind::Text);
    let (head, tail) = "€".as_bytes().split_at(2);
    within(writer.write_all(head)).await.unwrap();
    let refused = [&b"x"[..], b"\xacmuch more text that is fine\xff", b"\xff"];
    for chunk in refused {
        let error = within(writer.write_all(chunk)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
    let error = within(writer.finish()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::InvalidData, "the text ends within a character")
    );
    within(writer.write_all(tail)).await.unwrap();
    within(writer.write_all(b"ok")).await.unwrap();
    within(writer.finish()).await.unwrap();
    sees(&mut client, [text("€o").more_follows(), continuation("k")]).await;

    let mut binary_writer = connection.message_writer(MessageKind::Binary);
    within(binary_writer.write_all(&[0xff])).await.unwrap();
    within(binary_writer.finish()).await.unwrap();
    sees(&mut client, [binary([0xff])]).await;
}

#[tokio::test]
async fn dropped_unfinished_it_closes_the_connection_with_1011() {
    let (site, mut client, connection) = open(threshold(4)).await;
    let mut writer = connection.message_writer(MessageKind::Text);
    within(writer.write_all(b"abcdefg")).await.unwrap();
    drop(writer);
    assert!(!connection.is_connected());
    let reason = "A message was given up before its end.";
    sees(&mut client, [text("abcd").more_follows(), close(1011, reason)]).await;
    client.send([close(1011, "")]).await;
    client.sees_end().await;
    client.end().await;
    assert_eq!(site.close_event().await, (1011, reason.to_owned()));
}

#[tokio::test]
async fn dropped_before_anything_of_it_went_out_it_was_never_there() {
    let (_site, mut client, connection) = open(threshold(4)).await;
    let mut writer = connection.message_writer(MessageKind::Text);
    within(writer.write_all(b"abcd")).await.unwrap();
    drop(writer);
    within(connection.send("next")).await.unwrap();
    sees(&mut client, [text("next")]).await;
}

#[tokio::test]
async fn once_the_connection_closes_writing_fails() {
    let (_site, mut client, connection) = open(threshold(4)).await;
    let mut writer = connection.message_writer(MessageKind::Text);
    within(writer.write_all(b"abcde")).await.unwrap();
    connection.close(wharf::CloseCode::NORMAL, Some("")).unwrap();
    assert_eq!(within(writer.write_all(b"x")).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(within(writer.flush()).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(within(writer.finish()).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    drop(writer);
    sees(&mut client, [text("abcd").more_follows(), close(1000, "")]).await;
}

#[tokio::test]
async fn a_writer_that_waits_is_told_when_the_connection_ends() {
    let (_site, client, connection) = open(ServerConfig::default().max_buffered_amount(1)).await;
    connection.try_send("fills it").unwrap();
    let mut writer = connection.message_writer(MessageKind::Text);
    let mut finishing = pin!(writer.finish());
    assert!(waits(finishing.as_mut()));
    connection.drop_silently(wharf::CloseCode::ABNORMAL, None);
    assert_eq!(within(finishing).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    drop(client);
}

#[tokio::test]
async fn send_reader_sends_all_of_a_reader_as_one_message() {
    let (_site, mut client, connection) = open(ServerConfig::default()).await;
    let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let sending = connection.send_reader(MessageKind::Binary, &bytes[..]);
    let (sent, message) = tokio::join!(sending, client.message());
    assert_eq!(sent.unwrap(), 3_000_000);
    assert!(message == bytes.into());
    assert_eq!(within(connection.send_reader(MessageKind::Text, &b"short"[..])).await.unwrap(), 5);
    assert_eq!(within(connection.send_reader(MessageKind::Text, &b""[..])).await.unwrap(), 0);
    sees(&mut client, [text("short"), text("")]).await;
}

#[tokio::test]
async fn send_stream_cuts_large_chunks_and_sends_at_once_what_has_nothing_behind_it() {
    let (_site, mut client, connection) = open(threshold(4)).await;
    let (chunks, receiver) = tokio::sync::mpsc::unbounded_channel();
    let stream = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    let sending = connection.send_stream(MessageKind::Binary, stream);
    let talking = async {
        let send = |chunk: &'static str| chunks.send(io::Result::Ok(Bytes::from(chunk))).unwrap();
        send("abcdefghij");
        let expected = [
            binary("abcd").more_follows(),
            continuation("efgh").more_follows(),
            continuation("ij").more_follows(),
        ];
        sees(&mut client, expected).await;
        send("k");
        send("");
        send("lm");
        sees(&mut client, [continuation("klm").more_follows()]).await;
        drop(chunks);
        sees(&mut client, [continuation("")]).await;
    };
    let (sent, ()) = within(async { tokio::join!(sending, talking) }).await;
    assert_eq!(sent.unwrap(), 13);
}

#[tokio::test]
async fn a_source_that_fails_ends_no_message_that_was_begun() {
    let (_site, mut client, connection) = open(threshold(4)).await;
    let failing =
        |first| stream::iter([Ok(Bytes::from_static(first)), Err(io::Error::other("the disk is gone"))]);
    let error = within(connection.send_stream(MessageKind::Text, failing(b"ab"))).await.unwrap_err();
    assert_eq!(error.to_string(), "the disk is gone");
    within(connection.send("nothing was begun")).await.unwrap();
    assert_eq!(client.message().await, "nothing was begun".into());
    let error = within(connection.send_stream(MessageKind::Text, failing(b"abcdefg"))).await.unwrap_err();
    assert_eq!(error.to_string(), "the disk is gone");
    let closed = close(1011, "A message was given up before its end.");
    sees(&mut client, [text("abcd").more_follows(), closed]).await;
}

#[tokio::test]
async fn send_reader_given_up_before_it_sent_leaves_nothing() {
    let (_site, mut client, connection) = open(ServerConfig::default()).await;
    let (never_written, _writing) = tokio::io::duplex(10);
    begin_and_drop(connection.send_reader(MessageKind::Text, never_written));
    within(connection.send("next")).await.unwrap();
    sees(&mut client, [text("next")]).await;
}

struct Echo;

impl Handler for Echo {
    fn message(&mut self, context: &mut Context<'_>, message: wharf::MessageRef<'_>) {
        let answer = context.send(message).map_or_else(|error| error.to_string(), |()| "sent".to_owned());
        context.ping(answer.split(' ').next().unwrap_or_default().as_bytes()).expect("the connection lives");
    }
}

#[tokio::test]
async fn a_handlers_answer_does_not_pass_between_the_fragments() {
    let site = Site::with(threshold(1)).await;
    let (mut client, connection) = site.pair_with(Echo).await;
    let mut writer = connection.message_writer(MessageKind::Text);
    within(writer.write_all(b"ab")).await.unwrap();
    sees(&mut client, [text("a").more_follows()]).await;
    client.send([text("x")]).await;
    sees(&mut client, [ping("a")]).await;
    within(writer.finish()).await.unwrap();
    sees(&mut client, [continuation("b")]).await;
    client.send([text("y")]).await;
    sees(&mut client, [text("y"), ping("sent")]).await;
}
