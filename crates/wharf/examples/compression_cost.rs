//! What a server spends on echoing a compressed message, and on a connection that has echoed one, beside other servers.
//!
//! `cargo run --release -p wharf --example compression_cost [COMMAND OF A PEER]...`
//!
//! Each peer is a command that prints `HOST:PORT` and echoes there, compressed and without takeover:
//!
//! ```sh
//! npm ci --prefix bench/peers/node
//! bench/peers/uwebsockets/build
//! cargo run --release -p wharf --example compression_cost "bench/peers/uwebsockets/target/uwebsockets echo --deflate" "node bench/peers/node/ws.mjs echo --deflate"
//! ```
//!
//! wharf serves in a process of its own, on one thread. 16 connections each keep one message in flight; servers take turns
//! in every round. The processor time is the server's own, user and system; what it sends back is compared with what was
//! sent, once a message, and its length is the one on the wire. Memory is what is resident with 1000 more connections, each
//! idle after one message of 1 KiB. Linux only.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that measures, and stops where it cannot"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use wharf::{Accept, Compression, Context, Event, Handler, HttpServer, MessageRef, Server, ServerConfig};
use wharf_proto::connection::{Config, Connection, Event as ProtoEvent, Input};
use wharf_proto::deflate::{self, ContextMemory};
use wharf_proto::handshake::parse_extensions;
use wharf_proto::mask::MaskingKey;

const SIZES: [usize; 3] = [128, 1024, 16 * 1024];
const CONNECTIONS: usize = 16;
const ROUNDS: usize = 5;
const IDLE: usize = 1000;
/// Different ones, in turn.
const MESSAGES: usize = 100;

/// The allocator of the program `wharf`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [serve, level] = arguments.as_slice()
        && serve == "serve"
    {
        return serve_on_one_thread(level.parse().unwrap());
    }
    let own = env::current_exe().unwrap().display().to_string();
    let mut commands = vec![format!("{own} serve 1"), format!("{own} serve 6")];
    commands.extend(arguments);
    let mut servers: Vec<Running> = commands.iter().map(|command| Running::start(command)).collect();
    println!("{:<44} {:>20}", "server", "bytes a connection");
    let load = Load::of(1024);
    for server in &servers {
        // What the server has once, as compressors, is made for the first.
        let mut first = Peer::connect(&server.addr);
        first.stream.write_all(&load.frames[0]).unwrap();
        first.receive(None);
        let before = server.resident();
        let mut peers: Vec<_> = (0..IDLE).map(|_| Peer::connect(&server.addr)).collect();
        for (turn, peer) in peers.iter_mut().enumerate() {
            peer.stream.write_all(&load.frames[turn % MESSAGES]).unwrap();
            peer.receive(None);
        }
        println!("{:<44} {:>20}", server.name, server.resident().saturating_sub(before) / IDLE);
    }
    println!();
    println!("{:<44} {:>7} {:>12} {:>9} {:>8}", "server", "bytes", "µs a message", "ratio", "on wire");
    for size in SIZES {
        let load = Load::of(size);
        let mut costs: Vec<Vec<f64>> = vec![Vec::new(); servers.len()];
        let mut on_wire = vec![0; servers.len()];
        for _ in 0..ROUNDS {
            for (at, server) in servers.iter_mut().enumerate() {
                let before = server.cpu();
                let (echoes, bytes) = load.run(&server.addr);
                let spent = server.cpu().checked_sub(before).unwrap() / u32::try_from(echoes).unwrap();
                costs[at].push(spent.as_secs_f64() * 1e6);
                on_wire[at] = bytes / echoes;
            }
        }
        let medians: Vec<f64> = costs.iter_mut().map(|costs| median(costs)).collect();
        for (at, server) in servers.iter().enumerate() {
            let (cost, ratio) = (medians[at], medians[at] / medians[0]);
            println!("{:<44} {size:>7} {cost:>12.2} {ratio:>9.2} {:>8}", server.name, on_wire[at]);
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A server in a process of its own.
struct Running {
    name: String,
    addr: String,
    process: Child,
}

impl Running {
    fn start(command: &str) -> Self {
        let mut words = command.split(' ');
        let program = words.next().unwrap();
        let mut process =
            Command::new(program).args(words).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut addr = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut addr).unwrap();
        let name = command.rsplit_once('/').map_or(command, |(_, name)| name).to_owned();
        Self { name, addr: addr.trim().to_owned(), process }
    }

    /// Processor time so far, of all threads.
    fn cpu(&self) -> Duration {
        let mut total = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap() {
            let times = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
            total += times.split(' ').next().unwrap().parse::<u64>().unwrap();
        }
        Duration::from_nanos(total)
    }

    /// Bytes.
    fn resident(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim_end_matches("kB").trim().parse::<usize>().unwrap() * 1024
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// What clients send, made once, so that sending it costs them nothing.
struct Load {
    texts: Vec<String>,
    frames: Vec<Vec<u8>>,
    echoes_each: usize,
}

impl Load {
    fn of(size: usize) -> Self {
        let texts: Vec<String> = (0..MESSAGES).map(|seed| json(size, seed)).collect();
        let mut client = client();
        let frame = |text: &String| {
            let mut bytes = Vec::new();
            client.send(text.as_str().into(), &mut bytes).unwrap();
            bytes
        };
        let frames = texts.iter().map(frame).collect();
        Self { texts, frames, echoes_each: 6_000_000 / (size + 2000) }
    }

    /// How many messages came back, and with how many bytes.
    fn run(&self, addr: &str) -> (usize, usize) {
        let mut peers: Vec<_> = (0..CONNECTIONS).map(|_| Peer::connect(addr)).collect();
        let mut bytes = 0;
        for turn in 0..self.echoes_each {
            let at = turn % MESSAGES;
            for peer in &mut peers {
                peer.stream.write_all(&self.frames[at]).unwrap();
            }
            for (number, peer) in peers.iter_mut().enumerate() {
                // Of every message one echo is inflated; the others cost only their bytes.
                let is_checked = turn < MESSAGES && number == turn % CONNECTIONS;
                bytes += peer.receive(is_checked.then(|| self.texts[at].as_str()));
            }
        }
        (self.echoes_each * CONNECTIONS, bytes)
    }
}

/// Entries as an API lists them: keys that come again, and values that do not.
fn json(size: usize, seed: usize) -> String {
    let mut random = seed as u64 * 2 + 1;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 33
    };
    let mut entries = String::from("[");
    while entries.len() < size {
        let (id, price, name) = (next() % 100_000, next() % 10_000, next() % 26);
        let name = char::from(b'a' + name.to_le_bytes()[0]);
        entries +=
            &["{\"id\":", &id.to_string(), ",\"name\":\"item ", &name.to_string(), "\",\"price\":"].concat();
        entries += &[&price.to_string(), ",\"tags\":[\"new\",\"sale\"],\"stock\":true},"].concat();
    }
    entries.truncate(size);
    entries
}

fn compression() -> deflate::Config {
    deflate::Config { level: 6, threshold: 0, ..deflate::Config::default() }
}

/// A client's end that has agreed on no takeover.
fn client() -> Connection {
    let memory = Arc::new(ContextMemory::new(0));
    let offers = deflate::offers(&compression(), &memory);
    let answer = b"permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let answer = parse_extensions([answer.as_slice()]).unwrap();
    let negotiated = deflate::accept(&answer, &offers, &compression(), &memory).unwrap().unwrap();
    let config = Config { deflate: Some(compression()), fragmentation_threshold: None, ..Config::default() };
    let key = || MaskingKey([0x12, 0x34, 0x56, 0x78]);
    Connection::client(Arc::new(config), key, std::time::Instant::now()).with_deflate(negotiated)
}

struct Peer {
    stream: TcpStream,
    connection: Connection,
    read: Vec<u8>,
}

impl Peer {
    fn connect(addr: &str) -> Self {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.contains("permessage-deflate"), "{head}");
        Self { stream, connection: client(), read: vec![0; 64 * 1024] }
    }

    /// Reads one message: how many bytes it has on the wire. All servers send one in one frame at these sizes.
    fn receive(&mut self, expected: Option<&str>) -> usize {
        let mut len = 0;
        loop {
            let read = self.stream.read(&mut self.read[len..]).unwrap();
            assert_ne!(read, 0, "the server hung up");
            len += read;
            let Some((header, header_len)) = wharf_proto::frame::Header::read(&self.read[..len]).unwrap()
            else {
                continue;
            };
            assert!(header.fin);
            let whole = header_len + usize::try_from(header.payload_len).unwrap();
            if len == whole {
                break;
            }
        }
        if let Some(expected) = expected {
            let (mut scratch, mut output) = (Vec::new(), Vec::new());
            let mut input = Input::new(&mut self.read[..len]);
            let now = std::time::Instant::now();
            let event = self.connection.receive(&mut input, &mut scratch, &mut output, now);
            let Some(ProtoEvent::Message(message)) = event else { panic!("{event:?}") };
            assert_eq!(message.as_ref(), MessageRef::Text(expected));
        }
        len
    }
}

struct Echo;

impl Handler for Echo {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        context.send(message).unwrap();
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve_on_one_thread(level: u8) {
    let http = HttpServer::bind("127.0.0.1:0").await.unwrap();
    let compression = Compression::default().threshold(0).level(level);
    let config = ServerConfig::default().compression(compression).fragment_outgoing_messages(false);
    let server = Server::mounted(config, [&http]).unwrap();
    println!("{}", http.local_addr());
    while let Some(event) = server.next_event().await {
        if let Event::Request(request) = event {
            request.accept_with(Accept::new(), Echo).unwrap();
        }
    }
}
