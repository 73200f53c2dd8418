//! A server's connection with a clock that the test moves, and the frames that its peer sends.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this module")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use wharf_proto::connection::{Config, Connection, Ending, Event, Input};
use wharf_proto::frame::{Header, Opcode};
use wharf_proto::mask::MaskingKey;
use wharf_proto::{CloseCode, Message};

/// A frame as the test composes it or reads it from the connection's answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub fin: bool,
    pub opcode: Opcode,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn more_follows(mut self) -> Self {
        self.fin = false;
        self
    }

    /// As a client sends it.
    pub fn masked(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let key = MaskingKey([0x37, 0xfa, 0x21, 0x3d]);
        let header = Header::new(self.fin, self.opcode, self.payload.len() as u64);
        Header { mask: Some(key), ..header }.write(&mut bytes);
        let start = bytes.len();
        bytes.extend_from_slice(&self.payload);
        key.apply(&mut bytes[start..]);
        bytes
    }
}

fn frame(opcode: Opcode, payload: impl AsRef<[u8]>) -> Frame {
    Frame { fin: true, opcode, payload: payload.as_ref().to_vec() }
}

pub fn text(payload: impl AsRef<[u8]>) -> Frame {
    frame(Opcode::Text, payload)
}

pub fn binary(payload: impl AsRef<[u8]>) -> Frame {
    frame(Opcode::Binary, payload)
}

pub fn continuation(payload: impl AsRef<[u8]>) -> Frame {
    frame(Opcode::Continuation, payload)
}

pub fn ping(payload: impl AsRef<[u8]>) -> Frame {
    frame(Opcode::Ping, payload)
}

pub fn pong(payload: impl AsRef<[u8]>) -> Frame {
    frame(Opcode::Pong, payload)
}

pub fn close(code: u16, reason: &str) -> Frame {
    frame(Opcode::Close, [&code.to_be_bytes(), reason.as_bytes()].concat())
}

pub fn empty_close() -> Frame {
    frame(Opcode::Close, [])
}

pub fn bytes_of<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> Vec<u8> {
    frames.into_iter().flat_map(Frame::masked).collect()
}

/// The frames that a server wrote.
pub fn read_frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (header, header_len) = Header::read(bytes).expect("valid frames").expect("whole frames");
        assert_eq!((header.mask, header.reserved), (None, 0), "a server's frames are plain");
        let end = header_len + usize::try_from(header.payload_len).expect("frames of a test fit memory");
        frames.push(Frame {
            fin: header.fin,
            opcode: header.opcode,
            payload: bytes[header_len..end].to_vec(),
        });
        bytes = &bytes[end..];
    }
    frames
}

/// An event, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Message(Message),
    Frame(Frame),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

pub fn message(message: impl Into<Message>) -> Seen {
    Seen::Message(message.into())
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Message(message) => Self::Message(message.into_owned()),
            Event::Frame(frame) => Self::Frame(Frame {
                fin: frame.header.fin,
                opcode: frame.header.opcode,
                payload: frame.payload.into_owned(),
            }),
            Event::Ping(payload) => Self::Ping(payload.into_owned()),
            Event::Pong(payload) => Self::Pong(payload.into_owned()),
        }
    }
}

/// A server's connection, its output and its clock.
pub struct Server {
    pub connection: Connection,
    pub output: Vec<u8>,
    pub now: Instant,
    pub events: Vec<Seen>,
}

impl Server {
    pub fn with(config: Config) -> Self {
        let now = Instant::now();
        let connection = Connection::server(Arc::new(config), now);
        Self { connection, output: Vec::new(), now, events: Vec::new() }
    }

    pub fn open() -> Self {
        Self::with(Config::default())
    }

    /// Receives `bytes` in one read.
    pub fn reads(&mut self, bytes: &[u8]) -> &mut Self {
        let mut bytes = bytes.to_vec();
        let mut input = Input::new(&mut bytes);
        while let Some(event) =
            self.connection.receive(&mut input, &mut Vec::new(), &mut self.output, self.now)
        {
            self.events.push(event.into());
        }
        assert!(input.is_empty(), "all input is taken when no event follows");
        self
    }

    pub fn peer_sends(&mut self, frames: impl IntoIterator<Item = Frame>) -> &mut Self {
        let frames: Vec<_> = frames.into_iter().collect();
        self.reads(&bytes_of(&frames))
    }

    /// Takes what was answered, as if the socket had taken it all.
    pub fn answers(&mut self) -> Vec<Frame> {
        let answers = read_frames(&self.output);
        self.output.clear();
        self.connection.output_written(true, &mut self.output, self.now);
        answers
    }

    /// Moves the clock to the nearest deadline and acts on it: how far it was.
    pub fn sleep_to_deadline(&mut self) -> Duration {
        let (at, _) = self.connection.next_deadline().expect("a deadline");
        let slept = at.saturating_duration_since(self.now);
        self.now = at;
        self.connection.deadline_passed(&mut self.output, self.now);
        slept
    }

    pub fn advance(&mut self, time: Duration) {
        self.now += time;
        self.connection.deadline_passed(&mut self.output, self.now);
    }

    pub fn ending(&self) -> &Ending {
        self.connection.ending().expect("the connection has ended")
    }

    pub fn end_code(&self) -> CloseCode {
        self.ending().code()
    }
}

/// What bytes lead to: the events, the answers and the end.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub events: Vec<Seen>,
    pub answers: Vec<Frame>,
    pub ending: Option<Ending>,
}

pub fn outcome<'a>(config: &Config, reads: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut server = Server::with(config.clone());
    for read in reads {
        server.reads(read);
    }
    let answers = server.answers();
    Outcome { events: server.events, answers, ending: server.connection.ending().cloned() }
}

/// The outcome of bytes, which must be the same in one read, byte by byte, and cut in two at every position.
pub fn outcome_at_every_split(config: &Config, bytes: &[u8]) -> Outcome {
    let whole = outcome(config, [bytes]);
    assert_eq!(outcome(config, bytes.chunks(1)), whole, "byte by byte");
    for cut in 1..bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(outcome(config, [head, tail]), whole, "cut at {cut}");
    }
    whole
}

pub fn outcome_of(frames: impl IntoIterator<Item = Frame>) -> Outcome {
    let frames: Vec<_> = frames.into_iter().collect();
    outcome_at_every_split(&Config::default(), &bytes_of(&frames))
}

/// That the bytes fail the connection with `code` and `reason`, on the wire and for the application.
pub fn assert_fails(config: &Config, bytes: &[u8], code: CloseCode, reason: &str) -> Outcome {
    let outcome = outcome_at_every_split(config, bytes);
    assert_eq!(outcome.answers.last(), Some(&close(code.get(), reason)));
    let ending = outcome.ending.as_ref().expect("it ends");
    assert_eq!((ending.code(), ending.description().as_str()), (code, reason));
    outcome
}
