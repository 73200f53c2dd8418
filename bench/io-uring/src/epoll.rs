//! The echo server on epoll, as wharf's driver uses it by tokio: edge-triggered, one read into a shared buffer, all frames,
//! one write; a short read is the last.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::Shutdown;
use std::str::FromStr;
use std::time::Instant;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use crate::session::{self, Session, Shared};

const LISTENER: Token = Token(usize::MAX);

#[derive(Clone, Copy)]
pub(crate) struct Variant {
    /// How much one read can bring, in bytes; 64 KiB is wharf's.
    read_size: usize,
    /// All connections read before the first one writes, as on io_uring, where sends enter the kernel with the next wait.
    writes_late: bool,
}

struct Peer {
    stream: TcpStream,
    session: Session,
    /// What the socket did not take, or what waits for the end of the turn.
    unsent: Vec<u8>,
    is_shut: bool,
}

struct Buffers {
    read: Box<[u8]>,
    spare: Vec<Vec<u8>>,
}

pub(crate) fn serve(variant: Variant) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let listener = session::listen()?;
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener.into());
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    session::announce(listener.local_addr().ok());

    let mut peers: Slab<Peer> = Slab::new();
    let mut shared = Shared::new();
    let mut buffers = Buffers { read: vec![0; variant.read_size].into(), spare: Vec::new() };
    let mut events = Events::with_capacity(1024);
    let mut touched = Vec::new();
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        shared.now = Instant::now();
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut peers)?;
                continue;
            }
            let key = event.token().0;
            let result = peers[key].turn(event, variant, &mut buffers, &mut shared);
            if result.is_err() {
                peers.remove(key);
            } else if variant.writes_late {
                touched.push(key);
            }
        }
        for key in touched.drain(..) {
            if peers[key].write_what_goes(&mut buffers.spare).is_err() {
                peers.remove(key);
            }
        }
    }
}

fn accept(listener: &TcpListener, poll: &Poll, peers: &mut Slab<Peer>) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let entry = peers.vacant_entry();
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(entry.key()), interest)?;
        entry.insert(Peer { stream, session: Session::new(), unsent: Vec::new(), is_shut: false });
    }
}

impl Peer {
    /// Fails when the connection has ended.
    fn turn(
        &mut self,
        event: &Event,
        variant: Variant,
        buffers: &mut Buffers,
        shared: &mut Shared,
    ) -> io::Result<()> {
        self.write_what_goes(&mut buffers.spare)?;
        if !self.unsent.is_empty() {
            return Ok(());
        }
        self.unsent = buffers.spare.pop().unwrap_or_default();
        loop {
            let len = match self.stream.read(&mut buffers.read) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            self.session.receive(&mut buffers.read[..len], &mut self.unsent, shared);
            if !variant.writes_late {
                self.write()?;
            }
            // The end of the stream would not be told a second time.
            if len < buffers.read.len() && !event.is_read_closed() {
                break;
            }
        }
        if self.unsent.is_empty() {
            session::keep(&mut buffers.spare, mem::take(&mut self.unsent));
        }
        Ok(())
    }

    fn write_what_goes(&mut self, spare: &mut Vec<Vec<u8>>) -> io::Result<()> {
        self.write()?;
        if self.unsent.is_empty() {
            session::keep(spare, mem::take(&mut self.unsent));
        }
        Ok(())
    }

    /// Keeps what the socket does not take.
    fn write(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if self.session.is_over() && !self.is_shut {
            self.is_shut = true;
            self.stream.shutdown(Shutdown::Write)?;
        }
        Ok(())
    }
}

impl FromStr for Variant {
    type Err = String;

    /// `+256k` is how much one read can bring, `+late` that all read before the first one writes.
    fn from_str(words: &str) -> Result<Self, String> {
        let mut variant = Self { read_size: 64 * 1024, writes_late: false };
        for word in words.split('+').filter(|word| !word.is_empty()) {
            if word == "late" {
                variant.writes_late = true;
                continue;
            }
            let size: Option<usize> = word.strip_suffix('k').and_then(|size| size.parse().ok());
            variant.read_size = size.ok_or_else(|| format!("no variant is called {word}"))? * 1024;
        }
        Ok(variant)
    }
}
