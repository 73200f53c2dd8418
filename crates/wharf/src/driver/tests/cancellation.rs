//! Futures given up at every point where they wait lose nothing, double nothing, change no order, and miss no wake.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::{Choice, Executor, Operation, Pair, paused_runtime};
use crate::config::ServerConfig;
use crate::connection::Connection;
use crate::message_reader::MessageReader;
use crate::message_writer::MessageWriter;
use crate::proto::connection::Frame;
use crate::proto::frame::Opcode;
use crate::proto::message::MessageKind;
use crate::proto::{CloseCode, Message};

/// How many messages each sender has.
const MESSAGES: usize = 12;

/// What the receivers of one end got, in the order in which they got it.
type Log = Rc<RefCell<Vec<String>>>;

/// How far the whole is.
#[derive(Clone, Default)]
struct Progress {
    senders: Rc<Cell<usize>>,
    receivers: Rc<Cell<usize>>,
    ends: Rc<Cell<usize>>,
}

fn count(cell: &Cell<usize>, change: isize) {
    cell.set(cell.get().wrapping_add_signed(change));
}

/// The messages of a sender: of lengths around the fragments', with characters that these cut.
fn text_of(sender: &str, number: usize) -> String {
    format!("{sender} {number} {}", "€".repeat(number * 5 % 13))
}

/// How an end sends its messages.
#[derive(Clone, Copy, Debug)]
enum Sending {
    Messages,
    Frames,
    Writer,
}

/// How an end receives.
#[derive(Clone, Copy, Debug)]
enum Receiving {
    Messages,
    Frames,
    Reader,
}

fn send(
    executor: &mut Executor,
    connection: &Connection,
    name: &'static str,
    how: Sending,
    progress: &Progress,
) {
    count(&progress.senders, 1);
    let (connection, senders) = (connection.clone(), progress.senders.clone());
    let next = Rc::new(Cell::new(0));
    let mut send_one: Box<dyn FnMut(usize) -> Operation> = match how {
        Sending::Messages => Box::new({
            let next = next.clone();
            move |number| {
                let (connection, next) = (connection.clone(), next.clone());
                Box::pin(async move {
                    connection.send(text_of(name, number)).await.unwrap();
                    next.set(number + 1);
                })
            }
        }),
        Sending::Frames => send_as_frames(connection, name, next.clone()),
        Sending::Writer => send_with_writer(connection, name, next.clone()),
    };
    let mut is_done = false;
    executor.repeat(move || {
        if next.get() == MESSAGES {
            if !is_done {
                is_done = true;
                count(&senders, -1);
            }
            return None;
        }
        Some(send_one(next.get()))
    });
}

/// Each message in three frames, with a ping between.
fn send_as_frames(
    connection: Connection,
    name: &'static str,
    next: Rc<Cell<usize>>,
) -> Box<dyn FnMut(usize) -> Operation> {
    let part = Rc::new(Cell::new(0));
    Box::new(move |number| {
        let (connection, next, part) = (connection.clone(), next.clone(), part.clone());
        Box::pin(async move {
            let text = text_of(name, number).into_bytes();
            let (head, tail) = text.split_at(text.len() / 2);
            let frame = match part.get() {
                0 => Frame::new(false, Opcode::Text, head.to_vec()),
                1 => Frame::new(true, Opcode::Ping, vec![7]),
                2 => Frame::new(false, Opcode::Continuation, tail.to_vec()),
                _ => Frame::new(true, Opcode::Continuation, vec![]),
            };
            connection.send_frame(frame).await.unwrap();
            if part.get() == 3 {
                next.set(number + 1);
            }
            part.set((part.get() + 1) % 4);
        })
    })
}

/// A message that is being written, and how much of it.
struct Written {
    writer: MessageWriter,
    len: usize,
}

/// Each message in writes of a few bytes, some of them flushed.
fn send_with_writer(
    connection: Connection,
    name: &'static str,
    next: Rc<Cell<usize>>,
) -> Box<dyn FnMut(usize) -> Operation> {
    let writing: Rc<RefCell<Option<Written>>> = Rc::default();
    Box::new(move |number| {
        let (connection, next, writing) = (connection.clone(), next.clone(), writing.clone());
        Box::pin(async move {
            let text = text_of(name, number);
            // Put back also where this future is given up.
            let mut written = PutBack::new(writing);
            let Written { writer, len } = written.value.get_or_insert_with(|| Written {
                writer: connection.message_writer(MessageKind::Text),
                len: 0,
            });
            if *len < text.len() {
                let end = text.len().min(*len + 1 + number);
                *len += writer.write(&text.as_bytes()[*len..end]).await.unwrap();
                if number % 3 == 0 {
                    writer.flush().await.unwrap();
                }
                return;
            }
            writer.finish().await.unwrap();
            written.value = None;
            next.set(number + 1);
        })
    })
}

/// Holds what several futures use one after the other, each of which may be dropped.
struct PutBack<T> {
    place: Rc<RefCell<Option<T>>>,
    value: Option<T>,
}

impl<T> PutBack<T> {
    fn new(place: Rc<RefCell<Option<T>>>) -> Self {
        let value = place.borrow_mut().take();
        Self { place, value }
    }
}

impl<T> Drop for PutBack<T> {
    fn drop(&mut self) {
        *self.place.borrow_mut() = self.value.take();
    }
}

fn receive(executor: &mut Executor, connection: &Connection, log: &Log, how: Receiving, progress: &Progress) {
    count(&progress.receivers, 1);
    let (connection, log, receivers) = (connection.clone(), log.clone(), progress.receivers.clone());
    let has_ended = Rc::new(Cell::new(false));
    let partial: Rc<RefCell<Vec<u8>>> = Rc::default();
    let reading: Rc<RefCell<Option<Read>>> = Rc::default();
    executor.repeat(move || {
        if has_ended.get() {
            return None;
        }
        let (connection, log, partial, reading) =
            (connection.clone(), log.clone(), partial.clone(), reading.clone());
        let (has_ended, receivers) = (has_ended.clone(), receivers.clone());
        Some(Box::pin(async move {
            let goes_on = match how {
                Receiving::Messages => receive_message(&connection, &log).await,
                Receiving::Frames => receive_frame(&connection, &log, &partial).await,
                Receiving::Reader => read(&connection, &log, reading).await,
            };
            if !goes_on {
                has_ended.set(true);
                count(&receivers, -1);
            }
        }))
    });
}

async fn receive_message(connection: &Connection, log: &Log) -> bool {
    let Some(message) = connection.recv().await else { return false };
    let Message::Text(text) = message else { panic!("{message:?}") };
    log.borrow_mut().push(text);
    true
}

async fn receive_frame(connection: &Connection, log: &Log, partial: &RefCell<Vec<u8>>) -> bool {
    let Some(frame) = connection.recv_frame().await else { return false };
    if frame.header.opcode.is_control() {
        return true;
    }
    let is_start = partial.borrow().is_empty();
    assert_eq!(is_start, frame.header.opcode == Opcode::Text, "a message begins where none is unfinished");
    partial.borrow_mut().extend_from_slice(&frame.payload);
    if frame.header.fin {
        log.borrow_mut().push(String::from_utf8(partial.take()).unwrap());
    }
    true
}

/// A message that is being read, its bytes so far, and its place in the log.
struct Read {
    reader: MessageReader,
    bytes: Vec<u8>,
    place: usize,
}

async fn read(connection: &Connection, log: &Log, reading: Rc<RefCell<Option<Read>>>) -> bool {
    let mut reading = PutBack::new(reading);
    let Some(Read { reader, bytes, place }) = &mut reading.value else {
        let Some(reader) = connection.recv_reader().await else { return false };
        let place = log.borrow().len();
        log.borrow_mut().push(String::new());
        reading.value = Some(Read { reader, bytes: Vec::new(), place });
        return true;
    };
    if let Some(chunk) = reader.chunk().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    } else {
        log.borrow_mut()[*place] = String::from_utf8(std::mem::take(bytes)).unwrap();
        reading.value = None;
    }
    true
}

/// When all has been sent, and the client got what was sent to it, it drains and closes; both ends wait for the end.
fn close(executor: &mut Executor, pair: &Pair, at_client: &Log, progress: &Progress) {
    let (client, at_client, senders) = (pair.client.clone(), at_client.clone(), progress.senders.clone());
    executor.repeat(move || {
        let has_all = senders.get() == 0
            && at_client.borrow().iter().filter(|text| !text.is_empty()).count() == MESSAGES;
        (has_all && client.is_connected()).then(|| {
            let client = client.clone();
            Box::pin(async move {
                client.flush().await.unwrap();
                client.drained().await;
                client.close(CloseCode::NORMAL, None).unwrap();
            }) as Operation
        })
    });
    for connection in [&pair.client, &pair.server] {
        let (connection, ends) = (connection.clone(), progress.ends.clone());
        let has_ended = Rc::new(Cell::new(false));
        executor.repeat(move || {
            let (connection, ends, has_ended) = (connection.clone(), ends.clone(), has_ended.clone());
            (!has_ended.get()).then(|| {
                Box::pin(async move {
                    assert!(connection.closed().await.is_clean());
                    has_ended.set(true);
                    count(&ends, 1);
                }) as Operation
            })
        });
    }
}

/// Two ends that send and receive all the while, and what to do with them.
#[derive(Clone, Debug)]
struct Scene {
    sending: [Sending; 2],
    receiving: Receiving,
    /// How many take what came at the server.
    receivers: usize,
    capacity: usize,
    max_unread: usize,
    max_buffered: usize,
    threshold: usize,
}

impl Scene {
    /// Runs it: nothing may be lost, doubled or out of order.
    fn play(&self, run: impl FnOnce(&mut Executor, &dyn Fn() -> bool)) {
        let runtime = paused_runtime();
        let _context = runtime.enter();
        let config = ServerConfig::default()
            .assemble_fragments(matches!(self.receiving, Receiving::Messages))
            .max_unread_messages(self.max_unread)
            .max_buffered_amount(self.max_buffered)
            .fragmentation_threshold(self.threshold);
        let mut pair = Pair::open(config, self.capacity);
        let (mut executor, progress) = (Executor::default(), Progress::default());
        let [at_server, at_client] = [Log::default(), Log::default()];
        close(&mut executor, &pair, &at_client, &progress);
        send(&mut executor, &pair.client, "first", self.sending[0], &progress);
        send(&mut executor, &pair.client, "second", self.sending[1], &progress);
        send(&mut executor, &pair.server, "back", self.sending[0], &progress);
        for _ in 0..self.receivers {
            receive(&mut executor, &pair.server, &at_server, self.receiving, &progress);
        }
        receive(&mut executor, &pair.client, &at_client, self.receiving, &progress);
        let [server, client] =
            std::mem::replace(&mut pair.drivers, Pair::open(ServerConfig::default(), 1).drivers);
        executor.drive(server);
        executor.drive(client);
        let is_done = move || progress.ends.get() == 2 && progress.receivers.get() == 0;
        run(&mut executor, &is_done);

        let all = |sender| (0..MESSAGES).map(|number| text_of(sender, number)).collect::<Vec<_>>();
        assert_eq!(*at_client.borrow(), all("back"));
        for sender in ["first", "second"] {
            let from = |text: &&String| text.starts_with(sender);
            let received: Vec<_> = at_server.borrow().iter().filter(from).cloned().collect();
            assert_eq!(received, all(sender));
        }
        assert_eq!(at_server.borrow().len(), 2 * MESSAGES);
    }
}

fn any_scene() -> impl Strategy<Value = Scene> {
    let frames = Just(Sending::Frames);
    let message = || prop_oneof![Just(Sending::Messages), Just(Sending::Writer)];
    // Of those that choose the frames of their messages, a connection has one.
    let sending = (prop_oneof![message(), frames], message()).prop_map(|(first, second)| [first, second]);
    // Frames are of one message only where one takes them all.
    let receiving = prop_oneof![
        (Just(Receiving::Messages), 1_usize..4),
        Just((Receiving::Frames, 1)),
        (Just(Receiving::Reader), 1_usize..4),
    ];
    let limits = (1_usize..100, 1_usize..5, 1_usize..80, 1_usize..20);
    (sending, receiving, limits).prop_map(|(sending, (receiving, receivers), limits)| {
        let (capacity, max_unread, max_buffered, threshold) = limits;
        Scene { sending, receiving, receivers, capacity, max_unread, max_buffered, threshold }
    })
}

fn any_choices() -> impl Strategy<Value = Vec<Choice>> {
    let choice = prop_oneof![
        3 => any::<u8>().prop_map(|number| Choice::Poll(number.into())),
        2 => any::<u8>().prop_map(|number| Choice::GiveUp(number.into())),
    ];
    proptest::collection::vec(choice, 0..2000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn futures_given_up_anywhere_lose_double_and_reorder_nothing_and_no_wake_is_missed(
        scene in any_scene(),
        choices in any_choices(),
    ) {
        scene.play(|executor, is_done| executor.run(choices, is_done));
    }

    #[test]
    fn futures_given_up_at_every_point_where_they_wait_lose_double_and_reorder_nothing(scene in any_scene()) {
        scene.play(|executor, is_done| executor.run_giving_up_always(is_done));
    }
}
