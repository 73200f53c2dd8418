//! The echo server on io_uring: multishot accept and receive into provided buffers; all completions of a turn are handled, the
//! answers of each connection go out in one send, and all sends enter the kernel with the wait for the next turn.
//!
//! What a driver needs beyond that and this one lacks: deadlines, and holding back a peer that does not read.

mod read_buffers;
mod variant;

use std::io;
use std::mem;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd};
use std::time::Instant;

use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};
use slab::Slab;
use socket2::Socket;

use crate::session::{self, Session, Shared};
use read_buffers::{GROUP, ReadBuffers};
pub(crate) use variant::Variant;
use variant::{Receive, Send, TaskRun};

/// Sockets at a time where they are slots of the ring's table.
const SLOTS: u32 = 16 * 1024;

/// Both queues are walked through from end to end: small ones stay in the cache.
const SUBMISSIONS: u32 = 256;
const COMPLETIONS: u32 = 2048;

const ZERO_COPY_FROM: usize = 16 * 1024;

const MSG_DONTWAIT: i32 = 0x40;
const MSG_WAITALL: i32 = 0x100;
const MSG_NOSIGNAL: i32 = 0x4000;
const ENOBUFS: i32 = 105;

pub(crate) fn serve(variant: Variant) -> io::Result<()> {
    let mut driver = Driver::new(variant)?;
    session::announce(driver.listener.local_addr()?.as_socket());
    loop {
        driver.turn()?;
    }
}

struct Driver {
    variant: Variant,
    ring: IoUring,
    buffers: ReadBuffers,
    listener: Socket,
    peers: Slab<Peer>,
    shared: Shared,
    completions: Vec<cqueue::Entry>,
    /// Those with something to send or to end, in this turn.
    touched: Vec<usize>,
    spare: Vec<Vec<u8>>,
}

struct Peer {
    socket: PeerSocket,
    session: Session,
    /// What the kernel reads until the send completes; neither moved nor freed before.
    sending: Vec<u8>,
    /// What follows.
    waiting: Vec<u8>,
    is_sending: bool,
    is_receiving: bool,
    is_touched: bool,
    is_lost: bool,
    is_ending: bool,
}

enum PeerSocket {
    Descriptor(Socket),
    Slot(u32),
}

/// What a completion is of: in the two low bits of its user data, above them the peer's key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Accept,
    Receive,
    Send,
    /// Of a cancel or a close: nobody waits for it.
    Other,
}

impl Operation {
    const fn of(self, key: usize) -> u64 {
        (key as u64) << 2 | self as u64
    }

    const fn read(user_data: u64) -> (Self, usize) {
        let operation = match user_data & 0b11 {
            0 => Self::Accept,
            1 => Self::Receive,
            2 => Self::Send,
            _ => Self::Other,
        };
        (operation, (user_data >> 2) as usize)
    }
}

impl Driver {
    fn new(variant: Variant) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder.setup_cqsize(COMPLETIONS).setup_submit_all().setup_single_issuer().setup_no_sqarray();
        match variant.task_run {
            TaskRun::AtOnce => {}
            TaskRun::Cooperative => drop(builder.setup_coop_taskrun()),
            TaskRun::Deferred => drop(builder.setup_defer_taskrun()),
        }
        let ring = builder.build(SUBMISSIONS)?;
        if variant.is_direct {
            ring.submitter().register_files_sparse(SLOTS)?;
        }
        let in_pieces = variant.receive == Receive::Pieces;
        let buffers =
            ReadBuffers::register(&ring.submitter(), variant.buffers, variant.buffer_size, in_pieces)?;
        let mut driver = Self {
            variant,
            ring,
            buffers,
            listener: session::listen()?,
            peers: Slab::new(),
            shared: Shared::new(),
            completions: Vec::new(),
            touched: Vec::new(),
            spare: Vec::new(),
        };
        driver.accept()?;
        Ok(driver)
    }

    fn turn(&mut self) -> io::Result<()> {
        match self.ring.submit_and_wait(1) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => drop(result?),
        }
        self.shared.now = Instant::now();
        let mut completions = mem::take(&mut self.completions);
        completions.extend(self.ring.completion());
        for completion in completions.drain(..) {
            self.complete(&completion)?;
        }
        self.completions = completions;
        let mut touched = mem::take(&mut self.touched);
        for key in touched.drain(..) {
            self.send_or_end(key)?;
        }
        self.touched = touched;
        Ok(())
    }

    fn complete(&mut self, completion: &cqueue::Entry) -> io::Result<()> {
        let (operation, key) = Operation::read(completion.user_data());
        match operation {
            Operation::Accept => self.accepted(completion),
            Operation::Receive => self.received(key, completion),
            Operation::Send => {
                self.sent(key, completion);
                Ok(())
            }
            Operation::Other => Ok(()),
        }
    }

    fn accepted(&mut self, completion: &cqueue::Entry) -> io::Result<()> {
        if let Ok(number) = u32::try_from(completion.result()) {
            let socket = if self.variant.is_direct {
                PeerSocket::Slot(number)
            } else {
                // SAFETY: the kernel has just made this descriptor for us.
                PeerSocket::Descriptor(unsafe { Socket::from_raw_fd(completion.result()) })
            };
            let key = self.peers.insert(Peer::new(socket));
            self.receive(key)?;
        }
        if cqueue::more(completion.flags()) { Ok(()) } else { self.accept() }
    }

    fn received(&mut self, key: usize, completion: &cqueue::Entry) -> io::Result<()> {
        let peer = &mut self.peers[key];
        if peer.waiting.capacity() == 0 {
            peer.waiting = self.spare.pop().unwrap_or_default();
        }
        self.buffers.take(completion, |bytes| {
            peer.session.receive(bytes, &mut peer.waiting, &mut self.shared);
        });
        if peer.waiting.is_empty() {
            session::keep(&mut self.spare, mem::take(&mut peer.waiting));
        }
        peer.is_receiving = cqueue::more(completion.flags());
        // Without an error a multishot receive ends where the completion queue was full.
        let is_to_go_on = completion.result() > 0 || completion.result() == -ENOBUFS;
        peer.is_lost |= !is_to_go_on;
        let is_over = peer.is_lost || peer.session.is_over();
        if !peer.waiting.is_empty() || is_over {
            peer.touch(key, &mut self.touched);
        }
        if peer.is_receiving || peer.is_lost { Ok(()) } else { self.receive(key) }
    }

    fn sent(&mut self, key: usize, completion: &cqueue::Entry) {
        let peer = &mut self.peers[key];
        peer.is_lost |= completion.result() < 0;
        // Of a send without copies a second completion tells when the kernel needs the bytes no longer.
        if cqueue::more(completion.flags()) {
            return;
        }
        peer.is_sending = false;
        session::keep(&mut self.spare, mem::take(&mut peer.sending));
        if !peer.waiting.is_empty() || peer.is_lost || peer.session.is_over() {
            peer.touch(key, &mut self.touched);
        }
    }

    fn send_or_end(&mut self, key: usize) -> io::Result<()> {
        let peer = &mut self.peers[key];
        peer.is_touched = false;
        if peer.is_sending {
            return Ok(());
        }
        if !peer.is_lost && !peer.waiting.is_empty() {
            let mut unsent = 0;
            if let (Send::SystemCall, PeerSocket::Descriptor(socket)) = (self.variant.send, &peer.socket) {
                // What fails here fails in the ring again.
                unsent = socket.send_with_flags(&peer.waiting, MSG_DONTWAIT | MSG_NOSIGNAL).unwrap_or(0);
            }
            if unsent < peer.waiting.len() {
                return self.send(key, unsent);
            }
            peer.waiting.clear();
            session::keep(&mut self.spare, mem::take(&mut peer.waiting));
        }
        if !peer.is_receiving {
            return self.close(key);
        }
        if (peer.session.is_over() || peer.is_lost) && !peer.is_ending {
            peer.is_ending = true;
            return self.end(key);
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        let accept = opcode::AcceptMulti::new(Fd(self.listener.as_raw_fd()))
            .allocate_file_index(self.variant.is_direct)
            .build();
        self.push(accept.user_data(Operation::Accept.of(0)))
    }

    fn receive(&mut self, key: usize) -> io::Result<()> {
        let peer = &mut self.peers[key];
        peer.is_receiving = true;
        let is_bundle = self.variant.receive == Receive::Bundle;
        let receive = match (&peer.socket, is_bundle) {
            (PeerSocket::Descriptor(socket), false) => {
                opcode::RecvMulti::new(Fd(socket.as_raw_fd()), GROUP).build()
            }
            (PeerSocket::Descriptor(socket), true) => {
                opcode::RecvMultiBundle::new(Fd(socket.as_raw_fd()), GROUP).build()
            }
            (PeerSocket::Slot(slot), false) => opcode::RecvMulti::new(Fixed(*slot), GROUP).build(),
            (PeerSocket::Slot(slot), true) => opcode::RecvMultiBundle::new(Fixed(*slot), GROUP).build(),
        };
        self.push(receive.user_data(Operation::Receive.of(key)))
    }

    /// Sends what waits, from `start` on, all of it.
    fn send(&mut self, key: usize, start: usize) -> io::Result<()> {
        let peer = &mut self.peers[key];
        peer.is_sending = true;
        peer.sending = mem::take(&mut peer.waiting);
        let bytes = &peer.sending[start..];
        let (address, len) = (bytes.as_ptr(), u32::try_from(bytes.len()).expect("windows bound the output"));
        let flags = MSG_WAITALL | MSG_NOSIGNAL;
        let is_zero_copy = self.variant.send == Send::ZeroCopy && bytes.len() >= ZERO_COPY_FROM;
        let send = match (&peer.socket, is_zero_copy) {
            (PeerSocket::Descriptor(socket), false) => {
                opcode::Send::new(Fd(socket.as_raw_fd()), address, len).flags(flags).build()
            }
            (PeerSocket::Descriptor(socket), true) => {
                opcode::SendZc::new(Fd(socket.as_raw_fd()), address, len).flags(flags).build()
            }
            (PeerSocket::Slot(slot), false) => {
                opcode::Send::new(Fixed(*slot), address, len).flags(flags).build()
            }
            (PeerSocket::Slot(slot), true) => {
                opcode::SendZc::new(Fixed(*slot), address, len).flags(flags).build()
            }
        };
        self.push(send.user_data(Operation::Send.of(key)))
    }

    /// Our half first; the peer's end comes as the end of the receive. A slot has no `shutdown` that stays out of the
    /// kernel's worker threads: there the receive is cancelled, and the close ends both halves.
    fn end(&mut self, key: usize) -> io::Result<()> {
        match &self.peers[key].socket {
            PeerSocket::Descriptor(socket) => {
                // Fails where the peer was faster, whose end comes all the same.
                let _ = socket.shutdown(Shutdown::Write);
                Ok(())
            }
            PeerSocket::Slot(_) => {
                let cancel = opcode::AsyncCancel::new(Operation::Receive.of(key)).build();
                self.push(cancel.user_data(Operation::Other.of(0)))
            }
        }
    }

    /// Nothing of the peer is with the kernel any more.
    fn close(&mut self, key: usize) -> io::Result<()> {
        match self.peers.remove(key).socket {
            PeerSocket::Descriptor(_) => Ok(()),
            PeerSocket::Slot(slot) => {
                self.push(opcode::Close::new(Fixed(slot)).build().user_data(Operation::Other.of(0)))
            }
        }
    }

    fn push(&mut self, entry: squeue::Entry) -> io::Result<()> {
        loop {
            // SAFETY: what an entry points to is the `sending` of a peer, whose memory stays where it is until the send has
            // completed: only then is it taken, and the peer removed.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return Ok(());
            }
            self.ring.submit()?;
        }
    }
}

impl Peer {
    const fn new(socket: PeerSocket) -> Self {
        Self {
            socket,
            session: Session::new(),
            sending: Vec::new(),
            waiting: Vec::new(),
            is_sending: false,
            is_receiving: false,
            is_touched: false,
            is_lost: false,
            is_ending: false,
        }
    }

    fn touch(&mut self, key: usize, touched: &mut Vec<usize>) {
        if !self.is_touched {
            self.is_touched = true;
            touched.push(key);
        }
    }
}
