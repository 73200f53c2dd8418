//! What an idle connection costs a server in resident memory.
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

use wharf::{Accept, Context, Event, Handler, HttpServer, MessageRef, Server, ServerConfig};

fn main() {
    match env::args().nth(1).as_deref() {
        Some("serve") => serve(),
        Some(count) => measure(count.parse().unwrap()),
        None => measure(10_000),
    }
}

fn measure(connections: usize) {
    let mut server = Command::new(env::current_exe().unwrap())
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut addr = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut addr).unwrap();
    // What the first connections bring about once and for all is not theirs.
    let warm: Vec<_> = (0..200).map(|_| open(addr.trim())).collect();
    drop(warm);
    let before = resident(server.id());
    let opened: Vec<_> = (0..connections).map(|_| open(addr.trim())).collect();
    let after = resident(server.id());
    println!(
        "{connections} idle connections after one message each: {} bytes of resident memory a connection \
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
    let server = Server::new(ServerConfig::default());
    server.mount([&http]).unwrap();
    println!("{}", http.local_addr());
    while let Some(event) = server.next_event().await {
        if let Event::Request(request) = event {
            request.accept_with(Accept::new(), Echo).unwrap();
        }
    }
}

fn open(addr: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    // A masked "Hello" (RFC 6455 §5.7), and its echo.
    stream.write_all(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]).unwrap();
    let mut echo = [0; 7];
    stream.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"\x81\x05Hello");
    stream
}

/// Resident memory of a process, in KiB.
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
