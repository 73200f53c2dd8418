//! What an idle connection costs a server in resident memory: plain, compressed, and compressed with takeover at both ends,
//! whose compressors and windows `memory_limit` bounds.
//!
//! `cargo run --release -p wharf --example idle_memory [CONNECTIONS]`
//!
//! The program starts itself as the server, opens the connections, sends one message on each, and reads the server's
//! resident memory before and after. It needs twice as many file descriptors as connections over both processes: see
//! `ulimit -n`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that measures, and stops where it cannot"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::{env, fs};

use wharf::{Accept, Compression, Context, Event, Handler, HttpServer, MessageRef, Server, ServerConfig};

/// How connections are opened.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Compressed,
    WithTakeover,
}

fn main() {
    match env::args().nth(1).as_deref() {
        Some("serve") => serve(),
        Some(count) => measure_all(count.parse().unwrap()),
        None => measure_all(10_000),
    }
}

fn measure_all(connections: usize) {
    for (kind, name) in [
        (Kind::Plain, "plain"),
        (Kind::Compressed, "compressed"),
        (Kind::WithTakeover, "compressed, with takeover"),
    ] {
        measure(connections, kind, name);
    }
}

fn measure(connections: usize, kind: Kind, name: &str) {
    let mut server = Command::new(env::current_exe().unwrap())
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut addr = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut addr).unwrap();
    // What the first connections bring about once and for all is not theirs.
    let warm: Vec<_> = (0..200).map(|_| open(addr.trim(), kind)).collect();
    drop(warm);
    let before = resident(server.id());
    let opened: Vec<_> = (0..connections).map(|_| open(addr.trim(), kind)).collect();
    let after = resident(server.id());
    println!(
        "{connections} idle connections, {name}, after one message each: {} bytes of resident memory a connection \
         ({before} KiB before, {after} KiB after)",
        (after - before) * 1024 / connections as u64,
    );
    drop(opened);
    server.kill().unwrap();
    server.wait().unwrap();
}

/// The allocator of the program `wharf`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Echo;

impl Handler for Echo {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        let _ = context.send(message);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve() {
    let http = HttpServer::bind("127.0.0.1:0").await.unwrap();
    let compression =
        Compression::default().threshold(0).server_context_takeover(true).client_context_takeover(true);
    let server = Server::mounted(ServerConfig::default().compression(compression), [&http]).unwrap();
    println!("{}", http.local_addr());
    while let Some(event) = server.next_event().await {
        if let Event::Request(request) = event {
            request.accept_with(Accept::new(), Echo).unwrap();
        }
    }
}

fn open(addr: &str, kind: Kind) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    let offer = match kind {
        Kind::Plain => "",
        Kind::Compressed => {
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
        }
        Kind::WithTakeover => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
    };
    let request = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{offer}\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    if kind == Kind::Plain {
        // A masked "Hello" (RFC 6455 §5.7), and its echo.
        stream.write_all(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]).unwrap();
        let mut echo = [0; 7];
        stream.read_exact(&mut echo).unwrap();
        assert_eq!(&echo, b"\x81\x05Hello");
        return stream;
    }
    stream.write_all(&[&[0xc1, 0x80 | 0x0a, 0, 0, 0, 0], HELLOS].concat()).unwrap();
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 0xc1);
    let mut echo = vec![0; usize::from(head[1])];
    stream.read_exact(&mut echo).unwrap();
    stream
}

/// 16 times "Hello", compressed (RFC 7692 §7.2.1), so that it comes back compressed.
const HELLOS: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0xf7, 0xa0, 0x1e, 0x01, 0x00];

/// Resident memory of a process, in KiB.
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
