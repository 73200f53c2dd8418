//! Clients: frames made once, a window of messages in flight on each connection, every echo compared.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use wharf_proto::frame::{Header, Opcode};
use wharf_proto::mask::MaskingKey;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const KEY: MaskingKey = MaskingKey([0x12, 0x34, 0x56, 0x78]);
const READ_SIZE: usize = 256 * 1024;

/// How many connections, each with how many messages of how many bytes in flight.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) connections: usize,
    pub(crate) payload: usize,
    pub(crate) in_flight: usize,
}

/// The connections of one scenario to one server.
pub(crate) struct Clients {
    scenario: Scenario,
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    window: Window,
    read: Box<[u8]>,
}

/// As many different messages as are in flight.
struct Window {
    /// As a client sends them, masked.
    frames: Vec<u8>,
    /// As a server echoes them.
    echoes: Vec<u8>,
    frame_len: usize,
    echo_len: usize,
}

struct Client {
    stream: TcpStream,
    /// Bytes of frames that are to be sent, from `sent` on.
    unsent: usize,
    /// Where in the window the next bytes are taken from, and where they are expected from.
    sent: usize,
    received: usize,
}

impl Clients {
    pub(crate) fn connect(addr: SocketAddr, scenario: Scenario) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut clients = Vec::new();
        for key in 0..scenario.connections {
            let stream = open(addr)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(key), Interest::READABLE | Interest::WRITABLE)?;
            clients.push(Client { stream, unsent: 0, sent: 0, received: 0 });
        }
        let window = Window::of(scenario);
        let events = Events::with_capacity(1024);
        Ok(Self { scenario, poll, events, clients, window, read: vec![0; READ_SIZE].into() })
    }

    /// Keeps the windows full for this long, then takes what is still in flight: how many messages came back.
    pub(crate) fn run(&mut self, duration: Duration) -> io::Result<u32> {
        let end = Instant::now() + duration;
        let (mut messages, mut in_flight) = (0, 0);
        for client in &mut self.clients {
            client.unsent = self.scenario.in_flight * self.window.frame_len;
            in_flight += self.scenario.in_flight;
            client.write(&self.window)?;
        }
        while in_flight > 0 {
            self.poll.poll(&mut self.events, None)?;
            let goes_on = Instant::now() < end;
            for event in &self.events {
                let client = &mut self.clients[event.token().0];
                let echoed = client.read(&self.window, &mut self.read)?;
                messages += echoed;
                if goes_on {
                    client.unsent += echoed * self.window.frame_len;
                } else {
                    in_flight -= echoed;
                }
                client.write(&self.window)?;
            }
        }
        Ok(u32::try_from(messages).expect("runs are short"))
    }
}

impl Window {
    fn of(Scenario { payload, in_flight, .. }: Scenario) -> Self {
        let (mut frames, mut echoes) = (Vec::new(), Vec::new());
        let header = Header::new(true, Opcode::Text, payload as u64);
        for number in 0..in_flight {
            let text: Vec<u8> = (b'a'..=b'z').cycle().skip(number % 26).take(payload).collect();
            Header { mask: Some(KEY), ..header }.write(&mut frames);
            let start = frames.len();
            frames.extend_from_slice(&text);
            KEY.apply(&mut frames[start..]);
            header.write(&mut echoes);
            echoes.extend_from_slice(&text);
        }
        let (frame_len, echo_len) = (frames.len() / in_flight, echoes.len() / in_flight);
        Self { frames, echoes, frame_len, echo_len }
    }
}

impl Client {
    fn write(&mut self, window: &Window) -> io::Result<()> {
        while self.unsent > 0 {
            let rest = &window.frames[self.sent..];
            match self.stream.write(&rest[..rest.len().min(self.unsent)]) {
                Ok(len) => {
                    self.unsent -= len;
                    self.sent = (self.sent + len) % window.frames.len();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How many echoes are complete.
    fn read(&mut self, window: &Window, buffer: &mut [u8]) -> io::Result<usize> {
        let (mut echoed, mut within) = (0, self.received % window.echo_len);
        loop {
            let len = match self.stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            let mut bytes = &buffer[..len];
            while !bytes.is_empty() {
                let expected = &window.echoes[self.received..];
                let (now, rest) = bytes.split_at(expected.len().min(bytes.len()));
                assert!(now == &expected[..now.len()], "every echo is right");
                self.received = (self.received + now.len()) % window.echoes.len();
                bytes = rest;
            }
            within += len;
            echoed += within / window.echo_len;
            within %= window.echo_len;
            if len < buffer.len() {
                break;
            }
        }
        Ok(echoed)
    }
}

/// Connects, shakes hands, has one message echoed, closes, and sees TCP end; so many connections at a time.
pub(crate) fn cycles(addr: SocketAddr, at_a_time: usize, duration: Duration) -> io::Result<u32> {
    let end = Instant::now() + duration;
    let window = Window::of(Scenario { connections: 1, payload: 20, in_flight: 1 });
    let mut close = Vec::new();
    Header { mask: Some(KEY), ..Header::new(true, Opcode::Close, 0) }.write(&mut close);
    let (mut cycles, mut echo) = (0, window.echoes.clone());
    while Instant::now() < end {
        let mut streams = Vec::new();
        for _ in 0..at_a_time {
            let mut stream = std::net::TcpStream::connect(addr)?;
            stream.write_all(REQUEST)?;
            streams.push(stream);
        }
        for stream in &mut streams {
            read_answer(stream)?;
            stream.write_all(&window.frames)?;
        }
        for stream in &mut streams {
            stream.read_exact(&mut echo)?;
            assert!(echo == window.echoes, "every echo is right");
            stream.write_all(&close)?;
        }
        for stream in &mut streams {
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest)?;
            assert!(rest == [0x88, 0], "the server says Close and ends TCP: {rest:?}");
            cycles += 1;
        }
    }
    Ok(cycles)
}

/// Connections that have had one message echoed, and stay open.
pub(crate) fn idle(addr: SocketAddr, count: usize) -> io::Result<Vec<std::net::TcpStream>> {
    let window = Window::of(Scenario { connections: 1, payload: 20, in_flight: 1 });
    let mut echo = window.echoes.clone();
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = open(addr)?;
        stream.write_all(&window.frames)?;
        stream.read_exact(&mut echo)?;
        assert!(echo == window.echoes, "every echo is right");
        streams.push(stream);
    }
    Ok(streams)
}

fn open(addr: SocketAddr) -> io::Result<std::net::TcpStream> {
    let mut stream = std::net::TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    stream.write_all(REQUEST)?;
    read_answer(&mut stream)?;
    Ok(stream)
}

/// The server sends nothing of its own behind it.
fn read_answer(stream: &mut std::net::TcpStream) -> io::Result<()> {
    let (mut answer, mut buffer) = (Vec::new(), [0; 1024]);
    while !answer.ends_with(b"\r\n\r\n") {
        let len = stream.read(&mut buffer)?;
        assert_ne!(len, 0, "the server hung up");
        answer.extend_from_slice(&buffer[..len]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    Ok(())
}
