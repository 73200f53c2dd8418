//! Steps whose instructions are counted: each is taken once before, so that what is set up by the first is not counted.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use wharf_proto::connection::{Config, Connection, Event, Input, PreparedMessage};
use wharf_proto::frame::{Header, Opcode};
use wharf_proto::mask::MaskingKey;
use wharf_proto::message::MessageRef;
use wharf_proto::utf8::{self, SplitCharacter};

use crate::text::{TEXTS, repeated};
use crate::{Aligned, size_name};

type Step = (String, Box<dyn FnOnce()>);

const KEY: MaskingKey = MaskingKey([0x37, 0xfa, 0x21, 0x3d]);
/// What precedes a payload of up to 125 bytes in a read.
const HEADER_LEN: usize = 6;

/// callgrind counts in here, and nowhere else.
#[inline(never)]
fn counted<R>(work: impl FnOnce() -> R) -> R {
    black_box(work())
}

pub fn all() -> Vec<Step> {
    let steps: [Vec<Step>; 5] = [headers(), masking(), texts(), connections(), sent()];
    steps.into_iter().flatten().collect()
}

fn headers() -> Vec<Step> {
    let masked = |opcode, payload_len| Header { mask: Some(KEY), ..Header::new(true, opcode, payload_len) };
    let forms = [
        ("20 bytes, masked", masked(Opcode::Text, 20)),
        ("1 KiB, masked", masked(Opcode::Binary, 1024)),
        ("1 MiB, masked", masked(Opcode::Binary, 1 << 20)),
        ("ping, masked", masked(Opcode::Ping, 4)),
        ("20 bytes, unmasked", Header::new(true, Opcode::Text, 20)),
        ("1 KiB, unmasked", Header::new(true, Opcode::Binary, 1024)),
        ("1 MiB, unmasked", Header::new(true, Opcode::Binary, 1 << 20)),
    ];
    let mut steps: Vec<Step> = Vec::new();
    for (name, header) in forms {
        // A frame's payload follows.
        let mut bytes = Vec::new();
        header.write(&mut bytes);
        bytes.resize(32, 0);
        steps.push((format!("read a header: {name}"), read_header(bytes)));
    }
    for (name, header) in [("20 bytes, masked", forms[0].1), ("1 KiB, masked", forms[1].1)] {
        let mut bytes = Vec::new();
        header.write(&mut bytes);
        bytes.pop();
        steps.push((format!("read a header: {name}, cut before its end"), read_header(bytes)));
    }
    for (name, header) in forms {
        let step = move || {
            let mut output = Vec::with_capacity(64);
            header.write(&mut output);
            output.clear();
            let (header, output) = (black_box(&header), black_box(&mut output));
            counted(|| header.write(output));
        };
        steps.push((format!("write a header: {name}"), Box::new(step)));
    }
    steps
}

fn read_header(bytes: Vec<u8>) -> Box<dyn FnOnce()> {
    Box::new(move || {
        _ = black_box(Header::read(&bytes));
        let bytes = black_box(bytes.as_slice());
        counted(|| Header::read(bytes).is_ok_and(|header| black_box(header).is_some()));
    })
}

fn masking() -> Vec<Step> {
    let step = |size: usize| -> Step {
        let step = move || {
            let mut payload = Aligned::new(&vec![0x55; size], HEADER_LEN);
            KEY.apply(payload.bytes());
            let (key, payload) = (black_box(KEY), black_box(payload.bytes()));
            counted(|| key.apply(payload));
        };
        (format!("mask {}", size_name(size)), Box::new(step))
    };
    [0, 3, 7, 13, 16, 20, 60, 125, 200, 1024, 16 * 1024, 1 << 20].map(step).into()
}

fn texts() -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (name, text) in TEXTS {
        for size in [20, 125, 1024, 16 * 1024] {
            let text = repeated(text, size);
            let step = move || {
                let mut bytes = Aligned::new(text.as_bytes(), HEADER_LEN);
                assert!(utf8::check(bytes.bytes()).is_ok());
                let bytes = black_box(bytes.bytes());
                counted(|| utf8::check(bytes).is_ok());
            };
            steps.push((format!("check text: {name}, {}", size_name(size)), Box::new(step)));
        }
    }
    let json = repeated(TEXTS[4].1, 1024);
    let step = move || {
        let cut = json.find('😀').expect("an emoji") + 2;
        let in_two = |bytes: &[u8]| {
            let mut split = SplitCharacter::default();
            let (first, second) = bytes.split_at(cut);
            let is_text = split.check(first, |text| _ = black_box(text)).is_ok();
            is_text && split.check(second, |text| _ = black_box(text)).is_ok()
        };
        assert!(in_two(json.as_bytes()));
        let bytes = black_box(json.as_bytes());
        counted(|| in_two(bytes));
    };
    steps.push((
        "check text: JSON with emoji, 1 KiB, in two pieces that cut a character".into(),
        Box::new(step),
    ));
    steps
}

fn connections() -> Vec<Step> {
    let json = |size| repeated(TEXTS[4].1, size).into_bytes();
    let small = b"twenty bytes of text".to_vec();
    let fragments = [
        frame(false, Opcode::Text, &small),
        frame(false, Opcode::Continuation, &small),
        frame(true, Opcode::Continuation, &small),
    ];
    let one = frame(true, Opcode::Text, &small);
    let large = frame(true, Opcode::Text, &json(16 * 1024));
    let (first, second) = large.split_at(4096);
    let cut = vec![first.to_vec(), second.to_vec()];
    let reads: [(&str, Vec<Vec<u8>>); 9] = [
        ("a text of 20 bytes", vec![one.clone()]),
        ("157 texts of 20 bytes in one read", vec![one.repeat(157)]),
        ("a binary message of 125 bytes", vec![frame(true, Opcode::Binary, &[7; 125])]),
        ("a binary message of 1 KiB", vec![frame(true, Opcode::Binary, &[7; 1024])]),
        ("a text of 1 KiB", vec![frame(true, Opcode::Text, &json(1024))]),
        ("a text of 16 KiB", vec![large.clone()]),
        ("a text of 16 KiB in two reads", cut),
        ("a text in three fragments of 20 bytes", vec![fragments.concat()]),
        ("a ping", vec![frame(true, Opcode::Ping, b"ping")]),
    ];
    reads.into_iter().map(|(name, reads)| (format!("echo {name}"), echo_step(reads))).collect()
}

/// A client's frame.
fn frame(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Header { mask: Some(KEY), ..Header::new(fin, opcode, payload.len() as u64) }.write(&mut bytes);
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    KEY.apply(&mut bytes[start..]);
    bytes
}

fn echo_step(reads: Vec<Vec<u8>>) -> Box<dyn FnOnce()> {
    Box::new(move || {
        let now = Instant::now();
        let mut connection = Connection::server(Arc::new(Config::default()), now);
        let mut output = Vec::with_capacity(64 * 1024);
        let aligned = || reads.iter().map(|read| Aligned::new(read, 0)).collect::<Vec<_>>();
        for read in &mut aligned() {
            echo(&mut connection, read.bytes(), &mut output, now);
        }
        output.clear();
        let mut reads = aligned();
        let (connection, output) = (black_box(&mut connection), black_box(&mut output));
        counted(|| reads.iter_mut().for_each(|read| echo(connection, read.bytes(), output, now)));
        assert!(!output.is_empty() && connection.is_open());
    })
}

fn echo(connection: &mut Connection, read: &mut [u8], output: &mut Vec<u8>, now: Instant) {
    let (mut input, mut scratch) = (Input::new(read), Vec::new());
    while let Some(event) = connection.receive(&mut input, &mut scratch, output, now) {
        if let Event::Message(message) = event {
            connection.send(message.as_ref(), output).expect("an open connection");
        }
    }
}

fn sent() -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for size in [20, 1024] {
        let step = move || {
            let (config, text) = (Config::default(), repeated(TEXTS[0].1, size));
            let message = MessageRef::Text(&text);
            _ = PreparedMessage::new(message, &config);
            let (message, config) = (black_box(message), black_box(&config));
            counted(|| PreparedMessage::new(message, config));
        };
        steps.push((format!("prepare a broadcast of {}", size_name(size)), Box::new(step)));
    }
    let broadcast = || {
        let (config, now) = (Arc::new(Config::default()), Instant::now());
        let prepared = PreparedMessage::new(MessageRef::Text("twenty bytes of text"), &config);
        let mut connection = Connection::server(config, now);
        let mut output = Vec::with_capacity(1024);
        connection.send_prepared(&prepared, &mut output).expect("an open connection");
        let (connection, output) = (black_box(&mut connection), black_box(&mut output));
        counted(|| connection.send_prepared(&prepared, output).is_ok());
    };
    steps.push(("send a broadcast of 20 B".into(), Box::new(broadcast)));
    for size in [20, 1024] {
        let step = move || {
            let (config, text) = (Arc::new(Config::default()), repeated(TEXTS[0].1, size));
            let mut connection = Connection::client(config, || KEY, Instant::now());
            let mut output = Vec::with_capacity(4096);
            connection.send(MessageRef::Text(&text), &mut output).expect("an open connection");
            let (connection, output) = (black_box(&mut connection), black_box(&mut output));
            counted(|| connection.send(MessageRef::Text(&text), output).is_ok());
        };
        steps.push((format!("send {} as a client, masked", size_name(size)), Box::new(step)));
    }
    steps
}
