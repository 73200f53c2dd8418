//! What an echoed message costs a server in CPU time when messages come in bursts: wharf, by its handler and by
//! `recv`/`send`, beside tokio-tungstenite as its users write it.
//!
//! `cargo run --release -p wharf --example burst_cost [CONNECTIONS [IN_FLIGHT [BYTES]]]`
//!
//! Each server has a thread of its own, whose CPU time is what the kernel counts for it; the load comes from another
//! thread. Rounds are interleaved, so that a slower minute of the machine hits all alike.

#![expect(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that measures, and stops where it cannot"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::runtime::Builder;
use wharf::{Accept, Context, Event, Handler, HttpServer, MessageRef, Server, ServerConfig};

const ROUNDS: usize = 7;
const BURSTS: usize = 150;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>().unwrap());
    let connections = arguments.next().unwrap_or(64);
    let load = Load { in_flight: arguments.next().unwrap_or(32), bytes: arguments.next().unwrap_or(20) };
    let servers = [
        Subject::start("wharf, handler", |ready| Box::pin(wharf(ready, true))),
        Subject::start("wharf, recv and send", |ready| Box::pin(wharf(ready, false))),
        Subject::start("tokio-tungstenite", |ready| Box::pin(tungstenite(ready))),
    ];
    let mut streams: Vec<Vec<TcpStream>> = Vec::new();
    for server in &servers {
        streams.push((0..connections).map(|_| open(server.addr)).collect());
    }
    let mut costs = vec![Vec::new(); servers.len()];
    for _ in 0..ROUNDS {
        for (server, (streams, costs)) in servers.iter().zip(streams.iter_mut().zip(&mut costs)) {
            load.bursts(streams, BURSTS / 10);
            let before = server.cpu_time();
            load.bursts(streams, BURSTS);
            let messages = connections * load.in_flight * BURSTS;
            costs.push((server.cpu_time() - before) as f64 / messages as f64);
        }
    }
    let Load { in_flight, bytes } = load;
    println!("{connections} connections x {bytes} bytes x {in_flight} in flight, {ROUNDS} rounds");
    let reference = median(costs.last_mut().unwrap());
    for (server, costs) in servers.iter().zip(&mut costs) {
        let cost = median(costs);
        let (low, high) = (costs[0], costs[costs.len() - 1]);
        println!(
            "{:22} {cost:7.0} ns of CPU a message ({low:.0} to {high:.0}), {:.3} of tokio-tungstenite",
            server.name,
            cost / reference
        );
    }
}

/// A server on a thread of its own.
struct Subject {
    name: &'static str,
    addr: SocketAddr,
    schedstat: PathBuf,
}

type Serving = std::pin::Pin<Box<dyn Future<Output = ()>>>;

impl Subject {
    fn start(name: &'static str, serve: fn(mpsc::Sender<SocketAddr>) -> Serving) -> Self {
        let (ready, addr) = mpsc::channel();
        let (thread_id, told) = mpsc::channel();
        thread::spawn(move || {
            thread_id.send(fs::read_link("/proc/thread-self").unwrap()).unwrap();
            Builder::new_current_thread().enable_all().build().unwrap().block_on(serve(ready));
        });
        let schedstat = PathBuf::from("/proc").join(told.recv().unwrap()).join("schedstat");
        Self { name, addr: addr.recv().unwrap(), schedstat }
    }

    /// User and system time of the server's thread, in nanoseconds.
    fn cpu_time(&self) -> u64 {
        let schedstat = fs::read_to_string(&self.schedstat).unwrap();
        schedstat.split(' ').next().unwrap().parse().unwrap()
    }
}

struct Echo;

impl Handler for Echo {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        let _ = context.send(message);
    }
}

async fn wharf(ready: mpsc::Sender<SocketAddr>, by_handler: bool) {
    let http = HttpServer::bind("127.0.0.1:0").await.unwrap();
    // A ping between two rounds is no echo; the keepalive itself stays on.
    let server = Server::new(ServerConfig::default().keepalive_interval(Duration::from_secs(3600)));
    server.mount([&http]).unwrap();
    ready.send(http.local_addr()).unwrap();
    while let Some(event) = server.next_event().await {
        let Event::Request(request) = event else { continue };
        if by_handler {
            request.accept_with(Accept::new(), Echo).unwrap();
            continue;
        }
        let connection = request.accept(Accept::new()).unwrap();
        tokio::spawn(async move {
            while let Some(message) = connection.recv().await {
                if connection.send(message).await.is_err() {
                    break;
                }
            }
        });
    }
}

async fn tungstenite(ready: mpsc::Sender<SocketAddr>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    ready.send(listener.local_addr().unwrap()).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        tokio::spawn(async move {
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                if message.is_close() || socket.send(message).await.is_err() {
                    break;
                }
            }
        });
    }
}

/// Messages that are sent at once on a connection, and echoed before the next burst.
#[derive(Clone, Copy)]
struct Load {
    in_flight: usize,
    bytes: usize,
}

impl Load {
    fn bursts(self, streams: &mut [TcpStream], bursts: usize) {
        let (sent, mut echo) = self.burst();
        let expected = echo.clone();
        for _ in 0..bursts {
            for stream in streams.iter_mut() {
                stream.write_all(&sent).unwrap();
            }
            for stream in streams.iter_mut() {
                stream.read_exact(&mut echo).unwrap();
                assert!(echo == expected, "every echo is right");
            }
        }
    }

    /// A burst as a client sends it, masked, and as a server echoes it.
    fn burst(self) -> (Vec<u8>, Vec<u8>) {
        let key = wharf_proto::mask::MaskingKey([1, 2, 3, 4]);
        let (mut sent, mut echo) = (Vec::new(), Vec::new());
        for _ in 0..self.in_flight {
            let header = wharf_proto::frame::Header::new(true, wharf::Opcode::Text, self.bytes as u64);
            wharf_proto::frame::Header { mask: Some(key), ..header }.write(&mut sent);
            header.write(&mut echo);
            let start = sent.len();
            sent.resize(start + self.bytes, b'x');
            echo.resize(echo.len() + self.bytes, b'x');
            key.apply(&mut sent[start..]);
        }
        (sent, echo)
    }
}

fn open(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_nodelay(true).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    stream
}

fn median(costs: &mut [f64]) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 2]
}
