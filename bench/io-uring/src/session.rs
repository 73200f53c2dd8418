//! What both drivers do with bytes: the opening handshake, then an echo of every message, by wharf's own protocol core.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use std::{io, mem};

use socket2::{Domain, Socket, Type};
use wharf_proto::connection::{Config, Connection, Event, Input};
use wharf_proto::handshake::{Accept, HeadLimits, Request, parse_request};
use wharf_proto::limits::Limits;

/// Empty outputs that are kept for others.
const SPARE_OUTPUTS: usize = 64;

/// The largest one, in bytes.
const KEPT_OUTPUT: usize = 2 * 1024 * 1024;

/// One connection above its socket.
pub(crate) enum Session {
    /// What has come of the request.
    Opening(Vec<u8>),
    Open(Connection),
    Refused,
}

/// What all sessions of a thread share.
pub(crate) struct Shared {
    pub(crate) now: Instant,
    config: Arc<Config>,
    scratch: Vec<u8>,
}

impl Session {
    pub(crate) const fn new() -> Self {
        Self::Opening(Vec::new())
    }

    /// Handles all that came; what is to be sent is put behind what `output` holds.
    pub(crate) fn receive(&mut self, bytes: &mut [u8], output: &mut Vec<u8>, shared: &mut Shared) {
        match self {
            Self::Opening(begun) => {
                let mut request = mem::take(begun);
                request.extend_from_slice(bytes);
                self.open(request, output, shared);
            }
            Self::Open(connection) => {
                let mut input = Input::new(bytes);
                while let Some(event) =
                    connection.receive(&mut input, &mut shared.scratch, output, shared.now)
                {
                    if let Event::Message(message) = event {
                        // Fails only once the connection is closing.
                        let _ = connection.send(message.as_ref(), output);
                    }
                }
            }
            Self::Refused => {}
        }
    }

    /// Whether TCP is to be ended when the output has left.
    pub(crate) const fn is_over(&self) -> bool {
        match self {
            Self::Opening(_) => false,
            Self::Open(connection) => connection.ending().is_some(),
            Self::Refused => true,
        }
    }

    fn open(&mut self, mut request: Vec<u8>, output: &mut Vec<u8>, shared: &mut Shared) {
        let Ok(head) = parse_request(&request, &HeadLimits::default()) else {
            *self = Self::Refused;
            return;
        };
        let Some((head, length)) = head else {
            *self = Self::Opening(request);
            return;
        };
        let answer = Request::read(&head).ok().and_then(|request| Accept::default().answer(&request).ok());
        let Some(answer) = answer else {
            *self = Self::Refused;
            return;
        };
        answer.write(output);
        *self = Self::Open(Connection::server(shared.config.clone(), shared.now));
        self.receive(&mut request[length..], output, shared);
    }
}

impl Shared {
    pub(crate) fn new() -> Self {
        let limits = Limits { max_frame_size: 16 * 1024 * 1024, ..Limits::default() };
        let config = Config { limits, fragmentation_threshold: None, ..Config::default() };
        Self { now: Instant::now(), config: Arc::new(config), scratch: Vec::new() }
    }
}

/// Accepted sockets inherit that they send at once.
pub(crate) fn listen() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.set_tcp_nodelay(true)?;
    socket.listen(4096)?;
    Ok(socket)
}

/// Prints where the server listens, for those who started it.
pub(crate) fn announce(addr: Option<SocketAddr>) {
    println!("{}", addr.expect("the listener has an address of IP"));
}

/// Keeps an output's memory for another connection, the last one first.
pub(crate) fn keep(spare: &mut Vec<Vec<u8>>, mut output: Vec<u8>) {
    if spare.len() < SPARE_OUTPUTS && (1..=KEPT_OUTPUT).contains(&output.capacity()) {
        output.clear();
        spare.push(output);
    }
}
