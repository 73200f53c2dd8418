//! An HTTP proxy that connects whoever knows its password.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Lives as long as the tests do.
pub(crate) struct Proxy {
    pub(crate) url: String,
}

impl Proxy {
    /// With its login, `NAME:PASSWORD`.
    pub(crate) fn start(login: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let expected = format!("Proxy-Authorization: Basic {}", STANDARD.encode(login));
        thread::spawn(move || {
            for client in listener.incoming() {
                serve(client.unwrap(), &expected);
            }
        });
        Self { url }
    }
}

fn serve(mut client: TcpStream, expected: &str) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let head: Vec<_> =
        reader.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
    if !head.iter().any(|line| line == expected) {
        let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
        return client.write_all(answer.as_bytes()).unwrap();
    }
    let target = head[0].strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
    let server = TcpStream::connect(target).unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || pass(reader, server));
    thread::spawn(move || pass(back.0, back.1));
}

fn pass(mut from: impl Read, mut to: TcpStream) {
    // Either end may be gone before the other has noticed.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
