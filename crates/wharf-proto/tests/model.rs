//! The connection against a reading of the RFC that is as plain as can be: one frame after the other out of all the
//! bytes, nothing kept but what was said, no buffer, no speed.

use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;
use wharf_proto::connection::{Config, Connection, Event, Input};
use wharf_proto::limits::Limits;
use wharf_proto::mask::MaskingKey;
use wharf_proto::{Close, CloseCode, Message};

const MAX_FRAME: u64 = 300;
const MAX_MESSAGE: u64 = 500;
const MAX_FRAGMENTS: u32 = 8;
const KEY: [u8; 4] = [0x11, 0x80, 0xfe, 0x03];

/// What a connection tells, does and comes to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// Opcode, FIN and payload; a message counts as a frame of its kind.
    told: Vec<(u8, bool, Vec<u8>)>,
    /// Opcode and payload.
    answers: Vec<(u8, Vec<u8>)>,
    /// Code and description.
    ending: Option<(u16, String)>,
}

struct Model {
    is_server: bool,
    assembles: bool,
    outcome: Outcome,
    /// The message that has begun: its opcode, its content so far, its fragments so far.
    begun: Option<(u8, Vec<u8>, u32)>,
}

/// What became of the front of the bytes.
enum Step {
    Took(usize),
    Incomplete,
    Broke(u16, String),
}

fn broke(reason: &str) -> Step {
    Step::Broke(1002, reason.to_owned())
}

fn not_utf8() -> Step {
    Step::Broke(1007, "Invalid UTF-8 Data Received".to_owned())
}

impl Model {
    fn read(is_server: bool, assembles: bool, mut bytes: &[u8]) -> Outcome {
        let mut model = Self { is_server, assembles, outcome: Outcome::default(), begun: None };
        while model.outcome.ending.is_none() && !bytes.is_empty() {
            match model.step(bytes) {
                Step::Took(len) => bytes = &bytes[len..],
                Step::Incomplete => break,
                Step::Broke(code, reason) => {
                    let payload = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
                    model.outcome.answers.push((8, payload));
                    model.outcome.ending = Some((code, reason));
                }
            }
        }
        model.outcome
    }

    fn step(&mut self, bytes: &[u8]) -> Step {
        let (fin, reserved, opcode) = (bytes[0] >> 7 == 1, (bytes[0] >> 4) & 7, bytes[0] & 15);
        if reserved != 0 {
            return broke("Unsupported usage of rsv bits without negotiated extension.");
        }
        match (opcode, &self.begun) {
            (0, None) => return broke("Unexpected Continuation Frame"),
            (1..=7, Some(_)) => {
                let reason =
                    format!("Illegal frame opcode {opcode:#x} received in middle of fragmented message.");
                return broke(&reason);
            }
            (3..=7 | 11..=15, _) => return broke(&format!("Unrecognized Opcode: {opcode:#x}")),
            (8..=10, _) if !fin => return broke("Control frames must not be fragmented."),
            _ => {}
        }
        let Some(second) = bytes.get(1) else { return Step::Incomplete };
        match (self.is_server, second >> 7 == 1) {
            (true, false) => return broke("Frames from a client must be masked."),
            (false, true) => return broke("Frames from a server must not be masked."),
            _ => {}
        }
        if opcode >= 8 && second & 127 > 125 {
            return broke("Illegal control frame longer than 125 bytes.");
        }
        let (len_bytes, least) = match second & 127 {
            126 => (2, 126),
            127 => (8, 65_536),
            _ => (0, 0),
        };
        let Some(long) = bytes.get(2..2 + len_bytes) else { return Step::Incomplete };
        let long = long.iter().fold(0_u64, |len, byte| (len << 8) | u64::from(*byte));
        let len = if len_bytes == 0 { u64::from(second & 127) } else { long };
        if len < least {
            return broke(&format!("Frame length {len} is not in its shortest form."));
        }
        if len >> 63 == 1 {
            return broke("Unsupported 64-bit length frame received");
        }
        if len > MAX_FRAME {
            let reason = format!("Frame size of {len} bytes exceeds maximum accepted frame size");
            return Step::Broke(1009, reason);
        }
        let key_len = if self.is_server { 4 } else { 0 };
        let start = 2 + len_bytes + key_len;
        if bytes.len() < start {
            return Step::Incomplete;
        }
        let key = if self.is_server { &bytes[start - 4..start] } else { &[0; 4] };
        let len = usize::try_from(len).expect("within the limit");
        let end = bytes.len().min(start + len);
        let payload: Vec<u8> =
            bytes[start..end].iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        let is_whole = payload.len() == len;
        let step = if opcode >= 8 {
            if is_whole { self.control(opcode, payload) } else { Step::Incomplete }
        } else {
            self.data(opcode, fin, payload, len)
        };
        match step {
            Step::Took(_) => Step::Took(end),
            step => step,
        }
    }

    /// Takes a frame of data, of which only the front may have come.
    fn data(&mut self, opcode: u8, fin: bool, payload: Vec<u8>, len: usize) -> Step {
        let (kind, mut content, mut fragments) = self.begun.take().unwrap_or((opcode, Vec::new(), 0));
        fragments += 1;
        if self.assembles && fragments > MAX_FRAGMENTS {
            return Step::Broke(1008, format!("Message of more than {MAX_FRAGMENTS} fragments."));
        }
        let is_alone = fin && opcode != 0;
        if self.assembles && !is_alone && (content.len() + len) as u64 > MAX_MESSAGE {
            return Step::Broke(1009, "Maximum message size exceeded.".to_owned());
        }
        content.extend_from_slice(&payload);
        let is_whole = payload.len() == len;
        if let Some(error) = std::str::from_utf8(&content).err().filter(|_| kind == 1) {
            let may_go_on = !(is_whole && fin);
            if error.error_len().is_some() || !may_go_on {
                return not_utf8();
            }
        }
        if !is_whole {
            return Step::Incomplete;
        }
        if !self.assembles {
            self.outcome.told.push((opcode, fin, payload));
        } else if fin {
            self.outcome.told.push((kind, true, content.clone()));
        }
        if !fin {
            self.begun = Some((kind, content, fragments));
        }
        Step::Took(0)
    }

    fn control(&mut self, opcode: u8, payload: Vec<u8>) -> Step {
        if opcode == 8 {
            match &payload[..] {
                [] => self.outcome.ending = Some((1005, "Reason not provided".to_owned())),
                [_] => return broke("Close frame with a payload of one byte."),
                [high, low, reason @ ..] => {
                    let code = u16::from_be_bytes([*high, *low]);
                    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                        return broke(&format!("Close frame with the invalid code {code}."));
                    }
                    let Ok(reason) = std::str::from_utf8(reason) else { return not_utf8() };
                    let default = CloseCode::new(code).default_description().unwrap_or_default();
                    let description = if reason.is_empty() { default } else { reason };
                    self.outcome.ending = Some((code, description.to_owned()));
                }
            }
            self.outcome.answers.push((8, payload.clone()));
        }
        if opcode == 9 {
            self.outcome.answers.push((10, payload.clone()));
        }
        if opcode != 8 || !self.assembles {
            self.outcome.told.push((opcode, true, payload));
        }
        Step::Took(0)
    }
}

fn connection(is_server: bool, config: Config) -> Connection {
    let config = Arc::new(config);
    if is_server {
        Connection::server(config, Instant::now())
    } else {
        Connection::client(config, || MaskingKey(KEY), Instant::now())
    }
}

/// The outcome of the connection itself, for these reads.
fn read<'a>(is_server: bool, assembles: bool, reads: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let limits =
        Limits { max_frame_size: MAX_FRAME, max_message_size: MAX_MESSAGE, max_fragments: MAX_FRAGMENTS };
    let config = Config { limits, assemble_fragments: assembles, ..Config::default() };
    let mut connection = connection(is_server, config);
    let (mut told, mut output) = (Vec::new(), Vec::new());
    for bytes in reads {
        let mut bytes = bytes.to_vec();
        let mut input = Input::new(&mut bytes);
        while let Some(event) = connection.receive(&mut input, &mut Vec::new(), &mut output, Instant::now()) {
            told.push(match event {
                Event::Message(message) => match message.into_owned() {
                    Message::Text(text) => (1, true, text.into_bytes()),
                    Message::Binary(bytes) => (2, true, bytes.to_vec()),
                },
                Event::Frame(frame) => {
                    (frame.header.opcode.bits(), frame.header.fin, frame.payload.into_owned())
                }
                Event::Ping(payload) => (9, true, payload.into_owned()),
                Event::Pong(payload) => (10, true, payload.into_owned()),
            });
        }
    }
    let ending = connection.ending().map(|ending| (ending.code().get(), ending.description()));
    Outcome { told, answers: answers(!is_server, &output), ending }
}

/// The frames that were answered, all of them short and control frames.
fn answers(are_masked: bool, mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut answers = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert_eq!((first & 0xf0, second >> 7 == 1), (0x80, are_masked));
        let (key, rest) = if are_masked { rest.split_at(4) } else { (&[0; 4][..], rest) };
        let (payload, rest) = rest.split_at(usize::from(second & 127));
        let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
        answers.push((first & 15, payload.collect()));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    answers
}

/// A frame as somebody might send it, right or wrong.
#[derive(Clone, Debug)]
struct Sent {
    first: u8,
    payload: Vec<u8>,
    is_mask_right: bool,
    /// How the length is written: 0, 2 or 8 further bytes at least.
    len_bytes: usize,
}

impl Sent {
    fn right(first: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { first, payload: payload.into(), is_mask_right: true, len_bytes: 0 }
    }

    fn bytes(&self, to_server: bool) -> Vec<u8> {
        let len = self.payload.len();
        let is_masked = to_server == self.is_mask_right;
        let mask_bit = if is_masked { 0x80 } else { 0 };
        let len_bytes = self.len_bytes.max(if len > 125 { 2 } else { 0 });
        let mut bytes = vec![self.first];
        match len_bytes {
            0 => bytes.push(mask_bit | u8::try_from(len).expect("short")),
            2 => {
                bytes.push(mask_bit | 0x7e);
                bytes.extend(u16::try_from(len).expect("short").to_be_bytes());
            }
            _ => {
                bytes.push(mask_bit | 0x7f);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        let key = if is_masked { KEY } else { [0; 4] };
        if is_masked {
            bytes.extend(key);
        }
        bytes.extend(self.payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-zé€😀]{0,40}".prop_map(String::into_bytes),
        1 => "[a-zé€😀]{40,90}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => (115_usize..135).prop_map(|len| vec![b'x'; len]),
        1 => (295_usize..303).prop_map(|len| vec![b'x'; len]),
    ]
}

fn control() -> impl Strategy<Value = Sent> {
    let short = proptest::collection::vec(any::<u8>(), 0..10);
    (prop_oneof![Just(0x89), Just(0x8a)], short).prop_map(|(first, payload)| Sent::right(first, payload))
}

/// A whole message, cut anywhere, also within characters, with control frames between its fragments.
fn message() -> impl Strategy<Value = Vec<Sent>> {
    let cuts =
        proptest::collection::vec((any::<prop::sample::Index>(), proptest::option::of(control())), 0..5);
    (payload(), cuts, prop_oneof![3 => Just(1), 1 => Just(2)]).prop_map(|(payload, cuts, opcode)| {
        let mut cuts: Vec<_> =
            cuts.into_iter().map(|(at, between)| (at.index(payload.len() + 1), between)).collect();
        cuts.sort_by_key(|(at, _)| *at);
        let (mut frames, mut start, mut opcode) = (Vec::new(), 0, opcode);
        for (at, between) in cuts {
            frames.push(Sent::right(opcode, &payload[start..at]));
            frames.extend(between);
            (start, opcode) = (at, 0);
        }
        frames.push(Sent::right(0x80 | opcode, &payload[start..]));
        frames
    })
}

fn close() -> impl Strategy<Value = Sent> {
    let code = prop_oneof![3 => 1000_u16..1016, 1 => 2995_u16..5005, 1 => any::<u16>()];
    let reason = prop_oneof![3 => "[a-zé€]{0,20}".prop_map(String::into_bytes), 1 => Just(vec![0xc3])];
    let with_code = (code, reason).prop_map(|(code, reason)| [&code.to_be_bytes()[..], &reason].concat());
    prop_oneof![6 => with_code, 1 => Just(Vec::new()), 1 => Just(vec![3])]
        .prop_map(|payload| Sent::right(0x88, payload))
}

/// Any frame at all.
fn anything() -> impl Strategy<Value = Sent> {
    let first = prop_oneof![3 => any::<u8>(), 2 => (0_u8..16).prop_map(|opcode| 0x80 | opcode)];
    let len_bytes = prop_oneof![8 => Just(0), 1 => Just(2), 1 => Just(8)];
    (first, payload(), prop::bool::weighted(0.9), len_bytes).prop_map(
        |(first, payload, is_mask_right, len_bytes)| Sent { first, payload, is_mask_right, len_bytes },
    )
}

fn frames() -> impl Strategy<Value = Vec<Sent>> {
    let part = prop_oneof![
        12 => message(),
        4 => control().prop_map(|frame| vec![frame]),
        1 => close().prop_map(|frame| vec![frame]),
        2 => anything().prop_map(|frame| vec![frame]),
    ];
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

/// Bytes cut into reads.
fn cut<'b>(bytes: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut bounds: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    bounds.extend([0, bytes.len()]);
    bounds.sort_unstable();
    bounds.windows(2).map(|bounds| &bytes[bounds[0]..bounds[1]]).collect()
}

/// What one side of a pair does next.
#[derive(Clone, Debug)]
enum Act {
    Send(Message),
    Ping(Vec<u8>),
    Close(u16),
    /// So much of what it wrote reaches the other side.
    Deliver(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => "[a-zé€😀]{0,60}".prop_map(|text| Act::Send(text.into())),
        2 => proptest::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| Act::Send(bytes.into())),
        2 => proptest::collection::vec(any::<u8>(), 0..126).prop_map(Act::Ping),
        1 => (3000_u16..3010).prop_map(Act::Close),
        6 => (0_usize..300).prop_map(Act::Deliver),
    ]
}

/// One end of a connection, with what it wrote and what it was told.
struct End {
    connection: Connection,
    output: Vec<u8>,
    sent: Vec<Message>,
    received: Vec<Message>,
    closed_with: Option<u16>,
}

impl End {
    fn new(is_server: bool) -> Self {
        let config = Config { fragmentation_threshold: std::num::NonZeroUsize::new(16), ..Config::default() };
        Self {
            connection: connection(is_server, config),
            output: Vec::new(),
            sent: Vec::new(),
            received: Vec::new(),
            closed_with: None,
        }
    }

    fn act(&mut self, act: Act, other: &mut Self) {
        let now = Instant::now();
        match act {
            Act::Send(message) => {
                if self.connection.send(message.as_ref(), &mut self.output).is_ok() {
                    self.sent.push(message);
                }
            }
            Act::Ping(payload) => {
                let is_sent = self.connection.ping(&payload, &mut self.output).is_ok();
                assert_eq!(is_sent, self.connection.is_open());
            }
            Act::Close(code) => {
                if self.connection.is_open() {
                    self.closed_with = Some(code);
                }
                let close = Close::new(CloseCode::new(code), "").expect("a code that may be sent");
                self.connection.close(&close, &mut self.output, now);
            }
            Act::Deliver(len) => {
                let mut bytes: Vec<u8> = self.output.drain(..len.min(self.output.len())).collect();
                let mut input = Input::new(&mut bytes);
                while let Some(event) =
                    other.connection.receive(&mut input, &mut Vec::new(), &mut other.output, now)
                {
                    if let Event::Message(message) = event {
                        other.received.push(message.into_owned());
                    }
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn any_frames_in_any_reads_come_to_what_the_rfc_says(
        frames in frames(),
        is_server in any::<bool>(),
        assembles in any::<bool>(),
        is_truncated in prop::bool::weighted(0.3),
        truncated in any::<prop::sample::Index>(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut bytes = frames.iter().flat_map(|frame| frame.bytes(is_server)).collect::<Vec<_>>();
        if is_truncated {
            bytes.truncate(truncated.index(bytes.len() + 1));
        }
        let expected = Model::read(is_server, assembles, &bytes);
        prop_assert_eq!(&read(is_server, assembles, [&bytes[..]]), &expected, "in one read");
        prop_assert_eq!(&read(is_server, assembles, cut(&bytes, &cuts)), &expected, "in some reads");
        prop_assert_eq!(&read(is_server, assembles, bytes.chunks(1)), &expected, "byte by byte");
    }

    #[test]
    fn two_ends_tell_each_other_everything_and_agree_on_the_end(
        acts in proptest::collection::vec((any::<bool>(), act()), 0..40),
    ) {
        let (mut server, mut client) = (End::new(true), End::new(false));
        for (is_servers, act) in acts {
            if is_servers { server.act(act, &mut client) } else { client.act(act, &mut server) }
        }
        while !(server.output.is_empty() && client.output.is_empty()) {
            server.act(Act::Deliver(usize::MAX), &mut client);
            client.act(Act::Deliver(usize::MAX), &mut server);
        }
        for (from, to) in [(&server, &client), (&client, &server)] {
            prop_assert!(from.sent.starts_with(&to.received), "in order, and nothing that was not sent");
            // What comes after one's own Close is thrown away, and nothing else is.
            prop_assert!(to.closed_with.is_some() || to.received == from.sent);
            let first_said = [to.closed_with, from.closed_with].into_iter().flatten().next();
            let told = to.connection.ending().map(|ending| (ending.is_clean(), ending.code().get()));
            prop_assert_eq!(told, first_said.map(|code| (true, code)));
        }
    }
}
