//! One connection of the load.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::num::NonZeroU32;

use crate::compressed::{CompressedCheck, Compression};
use crate::error::Failure;
use crate::messages::Messages;
use crate::opening::Opening;
use crate::received::{Judge, RawReceived, Received, Taken};
use crate::sending::Sending;
use crate::stream::Stream;

pub(crate) struct Connection {
    pub(crate) stream: Stream,
    stage: Stage,
    sending: Sending,
    on_the_way: OnTheWay,
}

enum Stage {
    /// TCP is being connected.
    Connecting(Option<Opening>),
    Opening(Opening),
    Open(Incoming),
    /// We said Close, and wait for the server's and for the end of TCP.
    Closing(Received),
    Closed,
}

enum Incoming {
    Frames(Received),
    Raw(RawReceived),
}

/// Since when messages are on their way, in the order in which they come back.
#[derive(Debug, Default)]
struct OnTheWay {
    /// How many have been on their way since when, in nanoseconds on the worker's clock.
    batches: VecDeque<(u64, u32)>,
    total: u32,
}

/// What all connections of a thread share.
pub(crate) struct Shared {
    pub(crate) messages: Messages,
    pub(crate) compression: Option<(Compression, CompressedCheck)>,
    pub(crate) pongs: wharf_proto::Connection,
    pub(crate) buffer: Box<[u8]>,
}

/// What became of a connection when it could be read or written.
#[derive(Debug, Default)]
pub(crate) struct Progressed {
    pub(crate) has_opened: bool,
    pub(crate) messages: u32,
    pub(crate) has_closed: bool,
    pub(crate) bytes_received: u64,
}

impl Connection {
    pub(crate) fn new(stream: Stream, opening: Option<Opening>, request: Vec<u8>) -> Self {
        let sending = Sending::beginning_with(request);
        Self { stream, stage: Stage::Connecting(opening), sending, on_the_way: OnTheWay::default() }
    }

    pub(crate) const fn on_the_way(&self) -> u32 {
        self.on_the_way.total
    }

    /// `count` messages are to be sent, and count as on their way since `since`.
    pub(crate) fn send(&mut self, count: NonZeroU32, since: u64) {
        self.sending.add(count.get());
        self.expect(count, since);
    }

    /// `count` messages are to be sent, which are expected with those of others.
    pub(crate) const fn send_unexpected(&mut self, count: NonZeroU32) {
        self.sending.add(count.get());
    }

    /// `count` messages are to come, whoever sends them.
    pub(crate) fn expect(&mut self, count: NonZeroU32, since: u64) {
        self.on_the_way.total += count.get();
        match self.on_the_way.batches.back_mut() {
            Some((at, batch)) if *at == since => *batch += count.get(),
            _ => self.on_the_way.batches.push_back((since, count.get())),
        }
    }

    /// `count` messages have come back: calls `record` with since when how many were on their way.
    pub(crate) fn came_back(&mut self, mut count: u32, mut record: impl FnMut(u64, u32)) {
        while let Some((since, batch)) = self.on_the_way.batches.front_mut() {
            let here = count.min(*batch);
            if here > 0 {
                record(*since, here);
            }
            *batch -= here;
            count -= here;
            self.on_the_way.total -= here;
            if *batch > 0 {
                return;
            }
            self.on_the_way.batches.pop_front();
        }
    }

    /// Says Close.
    pub(crate) fn close(&mut self, frame: &[u8]) {
        if let Stage::Open(Incoming::Frames(received)) = &mut self.stage {
            self.stage = Stage::Closing(std::mem::take(received));
            self.sending.control.extend_from_slice(frame);
        }
    }

    /// Writes what the socket takes; how many bytes.
    pub(crate) fn write(&mut self, shared: &Shared) -> Result<u64, Failure> {
        if self.sending.has_nothing() || matches!(self.stage, Stage::Connecting(_)) {
            return Ok(0);
        }
        Ok(self.sending.write(&mut self.stream, &shared.messages)?)
    }

    /// TCP may be connected now.
    pub(crate) fn writable(&mut self, progressed: &mut Progressed) -> Result<(), Failure> {
        if !matches!(self.stage, Stage::Connecting(_)) {
            return Ok(());
        }
        if let Some(error) = self.stream.tcp().take_error()? {
            return Err(error.into());
        }
        match self.stream.tcp().peer_addr() {
            Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(()),
            connected => connected?,
        };
        self.stream.tcp().set_nodelay(true)?;
        let Stage::Connecting(opening) = std::mem::replace(&mut self.stage, Stage::Closed) else {
            return Ok(());
        };
        progressed.has_opened = opening.is_none();
        self.stage =
            opening.map_or_else(|| Stage::Open(Incoming::Raw(RawReceived::default())), Stage::Opening);
        Ok(())
    }

    /// Reads all there is. `has_ended`: the end of TCP is there, too.
    pub(crate) fn readable(
        &mut self,
        has_ended: bool,
        shared: &mut Shared,
        progressed: &mut Progressed,
    ) -> Result<(), Failure> {
        if matches!(self.stage, Stage::Connecting(_)) {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut shared.buffer);
        let result = self.read(&mut buffer, has_ended, shared, progressed);
        shared.buffer = buffer;
        result
    }

    fn read(
        &mut self,
        buffer: &mut [u8],
        has_ended: bool,
        shared: &mut Shared,
        progressed: &mut Progressed,
    ) -> Result<(), Failure> {
        loop {
            let len = match self.stream.read(buffer) {
                Ok(0) => return self.ended(progressed),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The end of a TLS stream that was not said.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return self.ended(progressed),
                Err(error) => return Err(error.into()),
            };
            progressed.bytes_received += len as u64;
            self.take(&buffer[..len], shared, progressed)?;
            if len < buffer.len() && !has_ended && self.stream.is_emptied_by_short_reads() {
                return Ok(());
            }
        }
    }

    fn ended(&mut self, progressed: &mut Progressed) -> Result<(), Failure> {
        match self.stage {
            Stage::Closed => {
                progressed.has_closed = true;
                Ok(())
            }
            _ => Err(Failure::HungUp),
        }
    }

    fn take(
        &mut self,
        bytes: &[u8],
        shared: &mut Shared,
        progressed: &mut Progressed,
    ) -> Result<(), Failure> {
        match &mut self.stage {
            Stage::Connecting(_) | Stage::Closed => Ok(()),
            Stage::Opening(opening) => {
                let compression = shared.compression.as_ref().map(|(compression, _)| compression);
                let Some(behind) = opening.take(bytes, compression)? else { return Ok(()) };
                self.stage = Stage::Open(Incoming::Frames(Received::default()));
                progressed.has_opened = true;
                self.take(&behind, shared, progressed)
            }
            Stage::Open(Incoming::Raw(received)) => {
                progressed.messages += received.take(bytes, &shared.messages)?.messages;
                Ok(())
            }
            Stage::Open(Incoming::Frames(received)) => {
                let taken = judged(received, bytes, shared, &mut self.sending, false)?;
                progressed.messages += taken.messages;
                Ok(())
            }
            Stage::Closing(received) => {
                let taken = judged(received, bytes, shared, &mut self.sending, true)?;
                if taken.is_closed {
                    self.stage = Stage::Closed;
                }
                Ok(())
            }
        }
    }
}

fn judged(
    received: &mut Received,
    bytes: &[u8],
    shared: &mut Shared,
    sending: &mut Sending,
    expects_close: bool,
) -> Result<Taken, Failure> {
    let Shared { messages, compression, pongs, .. } = shared;
    let compressed = compression.as_mut().map(|(_, check)| check);
    received
        .take(bytes, &mut Judge { messages, compressed, pongs, control: &mut sending.control, expects_close })
}
