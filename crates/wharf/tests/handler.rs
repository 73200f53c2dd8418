//! Handlers: told in place, with what a driver promises them.

mod support;

use std::time::Duration;

use support::{Client, Site, binary, bytes_of, close, continuation, ping, pong, text, within};
use tokio::sync::mpsc;
use wharf::{
    Cause, CloseCode, Connection, Context, Ending, Frame, Handler, Message, MessageRef, Opcode, ServerConfig,
};

/// What a handler was told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Connect,
    Message(Message),
    Frame(Opcode, bool, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Drain,
    Close(CloseCode),
}

fn message(message: impl Into<Message>) -> Told {
    Told::Message(message.into())
}

/// Passes on what it is told, and does with each message as it says.
struct Recorder<A> {
    told: mpsc::UnboundedSender<Told>,
    act: A,
}

impl<A> Recorder<A>
where
    A: FnMut(&mut Context<'_>, &Told) + Send + 'static,
{
    fn tell(&mut self, context: &mut Context<'_>, told: Told) {
        (self.act)(context, &told);
        let _ = self.told.send(told);
    }
}

impl<A> Handler for Recorder<A>
where
    A: FnMut(&mut Context<'_>, &Told) + Send + 'static,
{
    fn connect(&mut self, context: &mut Context<'_>) {
        self.tell(context, Told::Connect);
    }

    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        self.tell(context, Told::Message(message.into()));
    }

    fn frame(&mut self, context: &mut Context<'_>, frame: &Frame<'_>) {
        self.tell(context, Told::Frame(frame.header.opcode, frame.header.fin, frame.payload.to_vec()));
    }

    fn ping(&mut self, context: &mut Context<'_>, payload: &[u8]) {
        self.tell(context, Told::Ping(payload.to_vec()));
    }

    fn pong(&mut self, context: &mut Context<'_>, payload: &[u8]) {
        self.tell(context, Told::Pong(payload.to_vec()));
    }

    fn drain(&mut self, context: &mut Context<'_>) {
        self.tell(context, Told::Drain);
    }

    fn close(&mut self, _: &Connection, ending: &Ending) {
        let _ = self.told.send(Told::Close(ending.code()));
    }
}

/// A connection whose handler records.
struct Recorded {
    client: Client,
    connection: Connection,
    told: mpsc::UnboundedReceiver<Told>,
    site: Site,
}

impl Recorded {
    async fn with(config: ServerConfig, act: impl FnMut(&mut Context<'_>, &Told) + Send + 'static) -> Self {
        let site = Site::with(config).await;
        let (sender, told) = mpsc::unbounded_channel();
        let (client, connection) = site.pair_with(Recorder { told: sender, act }).await;
        let mut recorded = Self { client, connection, told, site };
        assert_eq!(recorded.next().await, Told::Connect);
        recorded
    }

    async fn next(&mut self) -> Told {
        within(self.told.recv()).await.expect("the handler lives")
    }

    async fn sees(&mut self, expected: impl IntoIterator<Item = Told>) {
        for expected in expected {
            assert_eq!(self.next().await, expected);
        }
    }

    /// Sees the handler closed and dropped, with nothing more told before.
    async fn sees_end(&mut self, code: CloseCode) {
        self.sees([Told::Close(code)]).await;
        assert_eq!(within(self.told.recv()).await, None);
    }
}

fn nothing(_: &mut Context<'_>, _: &Told) {}

fn frames() -> ServerConfig {
    ServerConfig::default().assemble_fragments(false)
}

#[tokio::test]
async fn c4_a_handler_is_told_everything_in_order_and_pings_are_answered() {
    let mut recorded = Recorded::with(ServerConfig::default(), nothing).await;
    let client = &mut recorded.client;
    client.send([text("1"), ping("p"), text("2").more_follows(), ping(""), continuation("3")]).await;
    client.send([pong("q"), binary([4]), close(4000, "")]).await;
    for frame in [pong("p"), pong(""), close(4000, "")] {
        assert_eq!(client.frame().await, frame);
    }
    client.end().await;
    let expected = [
        message("1"),
        Told::Ping(b"p".to_vec()),
        Told::Ping(Vec::new()),
        message("23"),
        Told::Pong(b"q".to_vec()),
        message(vec![4]),
    ];
    recorded.sees(expected).await;
    recorded.sees_end(CloseCode::new(4000)).await;
    assert_eq!(within(recorded.connection.recv()).await, None, "a handler receives instead");
}

#[tokio::test]
async fn c4_3_a_handler_can_cancel_the_answer_to_a_ping() {
    let mut recorded = Recorded::with(ServerConfig::default(), |context, told| {
        if *told == Told::Ping(b"secret".to_vec()) {
            context.cancel_pong();
        }
    })
    .await;
    recorded.client.send([ping("secret"), ping("open")]).await;
    assert_eq!(recorded.client.frame().await, pong("open"));
}

#[tokio::test]
async fn what_a_handler_sends_goes_out_in_order_before_what_its_connection_sends() {
    let mut recorded = Recorded::with(ServerConfig::default(), |context, told| {
        if let Told::Message(message) = told {
            context.connection().try_send("through the connection").unwrap();
            context.send(message.as_ref()).unwrap();
            context.ping(b"ping").unwrap();
            context.pong(b"pong").unwrap();
            context.ping(&[0; 126]).unwrap_err();
        }
    })
    .await;
    recorded.client.send([text("echo")]).await;
    for frame in [text("echo"), ping("ping"), pong("pong"), text("through the connection")] {
        assert_eq!(recorded.client.frame().await, frame);
    }
}

#[tokio::test]
async fn c5_9_a_handler_that_closes_is_told_no_further_message() {
    let mut recorded = Recorded::with(ServerConfig::default(), |context, told| {
        if matches!(told, Told::Message(_)) {
            context.close(CloseCode::new(1005), None).unwrap_err();
            context.close(CloseCode::new(4001), Some("why")).unwrap();
            assert_eq!(context.send("late"), Err(wharf::CommandError::Closed));
        }
    })
    .await;
    recorded.client.send([text("first"), text("not told")]).await;
    assert_eq!(recorded.client.frame().await, close(4001, "why"));
    assert!(!recorded.connection.is_connected());
    recorded.client.send([text("not told"), close(4001, "")]).await;
    recorded.client.sees_end().await;
    recorded.client.end().await;
    recorded.sees([message("first")]).await;
    recorded.sees_end(CloseCode::new(4001)).await;
}

#[tokio::test]
async fn c6_1_a_handler_can_drop_its_connection() {
    let mut recorded = Recorded::with(ServerConfig::default(), |context, told| {
        if matches!(told, Told::Message(_)) {
            context.drop_now(CloseCode::POLICY_VIOLATION, None).unwrap();
        }
    })
    .await;
    recorded.client.send([text("first"), text("not told")]).await;
    assert_eq!(recorded.client.frame().await, close(1008, "Policy violation"));
    recorded.client.sees_end().await;
    recorded.sees([message("first")]).await;
    recorded.sees_end(CloseCode::POLICY_VIOLATION).await;
}

#[tokio::test]
async fn c10_3_a_pause_holds_the_next_message_of_the_same_segment_and_resume_delivers_all() {
    let mut recorded = Recorded::with(ServerConfig::default(), |context, told| {
        if matches!(told, Told::Message(_)) {
            context.pause();
        }
    })
    .await;
    recorded.client.send((0..50).map(|number| text(number.to_string()))).await;
    for number in 0..50 {
        recorded.sees([message(number.to_string())]).await;
        assert!(recorded.connection.is_paused());
        // Were the next one not held, it would be there after this turn of the driver's.
        recorded.connection.try_send("turn").unwrap();
        assert_eq!(recorded.client.frame().await, text("turn"));
        assert!(recorded.told.try_recv().is_err(), "held");
        recorded.connection.resume();
    }
}

#[tokio::test]
async fn c10_3_a_pause_before_the_first_read_holds_what_came_with_the_handshake() {
    let site = Site::open().await;
    let mut client = site.client().await;
    let bytes = [support::handshake("").into_bytes(), bytes_of([text("early")])].concat();
    client.write(bytes).await;
    let (sender, mut told) = mpsc::unbounded_channel();
    let act = |context: &mut Context<'_>, told: &Told| {
        if *told == Told::Connect {
            context.pause();
        }
    };
    let request = site.request().await;
    let connection = request.accept_with(wharf::Accept::new(), Recorder { told: sender, act }).unwrap();
    assert_eq!(within(told.recv()).await, Some(Told::Connect));
    connection.try_send("turn").unwrap();
    client.head().await;
    assert_eq!(client.frame().await, text("turn"));
    assert!(told.try_recv().is_err(), "held");
    connection.resume();
    assert_eq!(within(told.recv()).await, Some(message("early")));
}

#[tokio::test]
async fn c10_5_after_an_accept_nothing_is_told_that_nobody_asked_for() {
    let mut recorded = Recorded::with(ServerConfig::default(), nothing).await;
    recorded.connection.resume();
    recorded.client.send([text("first"), close(1000, "")]).await;
    recorded.client.end().await;
    recorded.sees([message("first")]).await;
    recorded.sees_end(CloseCode::NORMAL).await;
}

#[tokio::test]
async fn c10_2_drain_is_told_once_for_each_time_the_output_was_full() {
    let config = ServerConfig::default().max_buffered_amount(1000);
    let mut recorded = Recorded::with(config, |context, told| {
        if matches!(told, Told::Message(_)) {
            while !context.is_output_full() {
                context.send(&b"x".repeat(300)[..]).unwrap();
            }
            assert!(context.buffered_amount() >= 1000);
        }
    })
    .await;
    for _ in 0..3 {
        recorded.client.send([text("fill")]).await;
        for _ in 0..4 {
            assert_eq!(recorded.client.frame().await.payload.len(), 300);
        }
        recorded.sees([message("fill"), Told::Drain]).await;
    }
    recorded.client.send([pong("no filling")]).await;
    recorded.sees([Told::Pong(b"no filling".to_vec())]).await;
}

#[tokio::test]
async fn c10_2_drain_is_told_to_whoever_filled_the_output_through_the_connection_too() {
    let config = ServerConfig::default().max_buffered_amount(1000);
    let mut recorded = Recorded::with(config, nothing).await;
    for length in [10, 300] {
        let mut sent = 0;
        while recorded.connection.try_send(vec![7; length]).is_ok() {
            sent += 1;
        }
        for _ in 0..sent {
            recorded.client.frame().await;
        }
        recorded.sees([Told::Drain]).await;
    }
    recorded.connection.try_send("not full").unwrap();
    recorded.client.frame().await;
    recorded.client.send([text("last")]).await;
    recorded.sees([message("last")]).await;
}

#[tokio::test]
async fn c10_1_a_handler_whose_peer_does_not_read_is_told_no_more_than_fits() {
    let config = ServerConfig::default().write_timeout(Duration::from_secs(3600));
    let mut recorded = Recorded::with(config, |context, told| {
        if let Told::Message(message) = told {
            context.send(message.as_ref()).unwrap();
            assert!(context.buffered_amount() <= 1024 * 1024 + 64 * 1024 + 64, "one answer over the bound");
        }
    })
    .await;
    let mut bytes = bytes_of((0..1024).map(|_| binary(vec![7; 32 * 1024])));
    let written = recorded.client.write_until_held(&bytes).await;
    assert!(written < bytes.len(), "reading stops while the output is full");
    let rest = bytes.split_off(written);
    // From here the client reads as well, and every echo arrives.
    let Recorded { client, connection: _connection, site: _site, told: _told } = recorded;
    let (reading, mut writing) = client.stream.into_split();
    let echoes = tokio::spawn(async move {
        let mut reading = tokio::io::BufReader::new(reading);
        let mut frame = vec![0; 4 + 16 * 1024];
        for _ in 0..1024 {
            for opcode in [0x02, 0x80] {
                tokio::io::AsyncReadExt::read_exact(&mut reading, &mut frame).await.expect("all echoes");
                assert_eq!((frame[0], &frame[4..]), (opcode, &[7; 16 * 1024][..]));
            }
        }
    });
    within(tokio::io::AsyncWriteExt::write_all(&mut writing, &rest)).await.unwrap();
    within(echoes).await.unwrap();
}

#[tokio::test]
async fn long_and_short_answers_come_whole_and_in_order_however_slowly_they_are_read() {
    const LENGTHS: [usize; 6] = [3 << 20, 5, 70_000, 65_536, 20, 1 << 20];
    let config = ServerConfig::default().fragment_outgoing_messages(false).max_buffered_amount(1 << 30);
    let mut recorded = Recorded::with(config, |context, told| {
        if let Told::Message(_) = told {
            for (number, len) in (0..).zip(LENGTHS) {
                context.send(vec![number; len].as_slice()).unwrap();
            }
        }
    })
    .await;
    recorded.client.send([text("all, three times"), text("twice"), text("once")]).await;
    recorded.sees(["all, three times", "twice", "once"].map(message)).await;
    for (number, len) in [(); 3].iter().flat_map(|()| (0..).zip(LENGTHS)) {
        let frame = recorded.client.frame().await;
        assert!(frame == binary(vec![number; len]), "answer {number} of {len} bytes");
    }
    recorded.client.send([text("more")]).await;
    recorded.sees([message("more")]).await;
}

#[tokio::test]
async fn c11_3_with_assembling_no_frame_is_told() {
    let mut recorded = Recorded::with(ServerConfig::default(), nothing).await;
    let frames = [text("a").more_follows(), ping("p"), continuation("b"), binary("c"), pong("q")];
    recorded.client.send(frames).await;
    recorded.client.send([close(1000, "")]).await;
    recorded.client.end().await;
    let told = [Told::Ping(b"p".to_vec()), message("ab"), message(b"c".to_vec()), Told::Pong(b"q".to_vec())];
    recorded.sees(told).await;
    recorded.sees_end(CloseCode::NORMAL).await;
}

#[tokio::test]
async fn c11_6_in_frame_mode_a_fragmented_message_is_no_message_and_its_sum_has_no_limit() {
    let mut recorded = Recorded::with(frames().max_received_message_size(10), nothing).await;
    recorded.client.send([binary([1; 9]).more_follows(), continuation([2; 9]).more_follows()]).await;
    recorded.client.send([continuation([3; 9]), close(1000, "")]).await;
    recorded.client.end().await;
    recorded
        .sees([
            Told::Frame(Opcode::Binary, false, vec![1; 9]),
            Told::Frame(Opcode::Continuation, false, vec![2; 9]),
            Told::Frame(Opcode::Continuation, true, vec![3; 9]),
            Told::Frame(Opcode::Close, true, vec![0x03, 0xe8]),
        ])
        .await;
    recorded.sees_end(CloseCode::NORMAL).await;
}

#[tokio::test]
async fn c11_4_c11_5_c11_6_in_frame_mode_every_frame_is_told_and_a_message_in_one_frame_too() {
    let mut recorded = Recorded::with(frames(), nothing).await;
    let client = &mut recorded.client;
    client.send([text("one"), text("two").more_follows(), ping("p"), continuation("three")]).await;
    client.send([pong("q"), close(4000, "why")]).await;
    assert_eq!(client.frame().await, pong("p"));
    assert_eq!(client.frame().await, close(4000, "why"));
    client.end().await;
    let expected = [
        Told::Frame(Opcode::Text, true, b"one".to_vec()),
        message("one"),
        Told::Frame(Opcode::Text, false, b"two".to_vec()),
        Told::Frame(Opcode::Ping, true, b"p".to_vec()),
        Told::Ping(b"p".to_vec()),
        Told::Frame(Opcode::Continuation, true, b"three".to_vec()),
        Told::Frame(Opcode::Pong, true, b"q".to_vec()),
        Told::Pong(b"q".to_vec()),
    ];
    recorded.sees(expected).await;
    let told = recorded.next().await;
    assert!(matches!(told, Told::Frame(Opcode::Close, true, _)), "{told:?}");
    recorded.sees_end(CloseCode::new(4000)).await;
}

#[tokio::test]
async fn c11_4_c11_5_in_frame_mode_frames_and_messages_can_be_received() {
    let site = Site::with(frames()).await;
    let (mut client, connection) = site.pair().await;
    client.send([text("a").more_follows(), continuation("b"), binary([7]), text("c")]).await;
    for (opcode, fin, payload) in
        [(Opcode::Text, false, &b"a"[..]), (Opcode::Continuation, true, b"b"), (Opcode::Binary, true, &[7])]
    {
        let frame = within(connection.recv_frame()).await.expect("a frame");
        assert_eq!((frame.header.opcode, frame.header.fin, &frame.payload[..]), (opcode, fin, payload));
    }
    assert_eq!(within(connection.recv()).await, Some(vec![7].into()), "the message behind its frame");
    assert_eq!(within(connection.recv()).await, Some("c".into()));
    client.send([close(1000, "")]).await;
    assert_eq!(within(connection.recv()).await, None);
    assert_eq!(within(connection.recv_frame()).await, None);
}

#[tokio::test]
async fn c11_7_in_frame_mode_the_rules_hold_too() {
    for (frames_sent, code) in [
        (vec![continuation("x")], 1002),
        (vec![text("a").more_follows(), text("b")], 1002),
        (vec![text([0xff]).more_follows()], 1007),
        (vec![binary(vec![7; 65_537])], 1009),
    ] {
        let mut recorded = Recorded::with(frames(), nothing).await;
        recorded.client.send(frames_sent).await;
        let frame = recorded.client.frame().await;
        assert_eq!((frame.opcode, &frame.payload[..2]), (Opcode::Close, &u16::to_be_bytes(code)[..]));
    }
}

#[tokio::test]
async fn a_handlers_panic_ends_its_connection_alone_with_1011() {
    fn panics(_: &mut Context<'_>, told: &Told) {
        assert!(!matches!(told, Told::Message(_)), "on purpose");
    }
    let mut recorded = Recorded::with(ServerConfig::default(), panics).await;
    let (mut other, bystander) = recorded.site.pair().await;
    recorded.client.send([text("panic"), text("never told")]).await;
    assert_eq!(recorded.client.frame().await, close(1011, "Internal Server Error"));
    recorded.client.sees_end().await;
    let (closed, ending) = recorded.site.closed().await;
    assert_eq!((closed, ending.code()), (recorded.connection, CloseCode::INTERNAL_SERVER_ERROR));
    other.send([text("alive")]).await;
    assert_eq!(within(bystander.recv()).await, Some("alive".into()));
}

/// Panics where it is told of the end.
struct PanicsAtTheEnd;

impl Handler for PanicsAtTheEnd {
    fn close(&mut self, _: &Connection, _: &Ending) {
        panic!("on purpose");
    }
}

#[tokio::test]
async fn a_handlers_panic_at_the_end_keeps_nobody_waiting() {
    let site = Site::open().await;
    let (mut client, connection) = site.pair_with(PanicsAtTheEnd).await;
    client.send([close(1000, "")]).await;
    assert_eq!(client.frame().await, close(1000, ""));
    client.end().await;
    assert_eq!(within(connection.closed()).await.code(), CloseCode::NORMAL);
    assert_eq!(site.close_event().await.0, 1000);
    within(site.server.shut_down(CloseCode::NORMAL, Duration::ZERO)).await;
}

#[test]
fn a_handler_is_told_of_the_end_of_the_runtime_too() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut recorded = runtime.block_on(Recorded::with(ServerConfig::default(), nothing));
    drop(runtime);
    assert_eq!(recorded.told.try_recv(), Ok(Told::Close(CloseCode::ABNORMAL)));
    assert_eq!(recorded.connection.ending().map(|ending| ending.code()), Some(CloseCode::ABNORMAL));
    assert_eq!(recorded.site.server.connection_count(), 0);
}

/// Passes on what the end of its connection is told as.
struct Mourner(mpsc::UnboundedSender<String>);

impl Handler for Mourner {
    fn error(&mut self, _: &Connection, cause: &Cause) {
        self.0.send(format!("error: {cause}")).expect("the test listens");
    }

    fn close(&mut self, _: &Connection, ending: &Ending) {
        self.0.send(format!("close: {}", ending.code())).expect("the test listens");
    }
}

#[tokio::test]
async fn c7_10_a_reset_is_told_as_an_error_and_then_as_a_close() {
    let site = Site::open().await;
    let (told, mut tells) = mpsc::unbounded_channel();
    let (client, _connection) = site.pair_with(Mourner(told)).await;
    client.reset();
    let error = within(tells.recv()).await.expect("a handler");
    assert!(error.starts_with("error: Socket Error: "), "{error}");
    assert_eq!(within(tells.recv()).await.as_deref(), Some("close: 1006"));
}
