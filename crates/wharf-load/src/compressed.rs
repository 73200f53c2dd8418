//! Compression: what is agreed on, and the check of what comes back compressed.

use std::sync::Arc;
use std::time::Instant;

use wharf_proto::connection::{Config, Connection, Event, Input};
use wharf_proto::deflate::{self, ContextMemory, Negotiated};
use wharf_proto::frame::{Header, Opcode};
use wharf_proto::handshake::Extension;
use wharf_proto::limits::Limits;

use crate::error::Failure;
use crate::messages::{Messages, framer};

/// permessage-deflate without takeover, of all that is sent.
pub(crate) struct Compression {
    config: deflate::Config,
    memory: Arc<ContextMemory>,
}

impl Compression {
    pub(crate) fn new() -> Self {
        let config = deflate::Config { threshold: 0, ..deflate::Config::default() };
        // Without takeover nothing is kept.
        Self { config, memory: Arc::new(ContextMemory::new(0)) }
    }

    /// What to ask for, which leaves a server nothing but to compress without takeover, or not at all.
    pub(crate) fn offer() -> Extension {
        Extension::new(deflate::NAME)
            .param("server_no_context_takeover", None)
            .param("client_no_context_takeover", None)
    }

    /// Judges a server's answer.
    pub(crate) fn accept(&self, answer: &[Extension]) -> Result<Negotiated, Failure> {
        deflate::accept(answer, &[Self::offer()], &self.config, &self.memory)?.ok_or(Failure::NoCompression)
    }

    /// A client's end as if a server had agreed.
    pub(crate) fn framer(&self) -> Result<Connection, Failure> {
        let negotiated = self.accept(&[Self::offer()])?;
        let limits = Limits { max_frame_size: u64::MAX, max_message_size: u64::MAX, max_fragments: u32::MAX };
        let config = Config {
            limits,
            deflate: Some(self.config.clone()),
            fragmentation_threshold: None,
            ..Config::default()
        };
        Ok(framer(config).with_deflate(negotiated))
    }
}

/// Checks compressed messages. Inflating each would cost the load more than some servers need: a message that comes as one
/// that was inflated before is known to be right.
pub(crate) struct CompressedCheck {
    inflater: Connection,
    /// For each message, as what it came last.
    known: Vec<Vec<u8>>,
    frame: Vec<u8>,
    scratch: Vec<u8>,
}

impl CompressedCheck {
    pub(crate) fn new(messages: &Messages) -> Result<Self, Failure> {
        let inflater = Compression::new().framer()?;
        let known = vec![Vec::new(); messages.number()];
        Ok(Self { inflater, known, frame: Vec::new(), scratch: Vec::new() })
    }

    /// Whether `compressed`, all that came of message `at`, is it.
    pub(crate) fn is_right(&mut self, compressed: &[u8], at: usize, messages: &Messages) -> bool {
        if self.known[at] == compressed {
            return true;
        }
        self.frame.clear();
        let opcode: Opcode = messages.kind.opcode();
        let header = Header { reserved: 0b100, ..Header::new(true, opcode, compressed.len() as u64) };
        header.write(&mut self.frame);
        self.frame.extend_from_slice(compressed);
        let (mut input, mut output) = (Input::new(&mut self.frame), Vec::new());
        let event = self.inflater.receive(&mut input, &mut self.scratch, &mut output, Instant::now());
        let is_right = matches!(&event, Some(Event::Message(message))
            if message.as_ref().as_bytes() == messages.payload(at));
        if is_right {
            self.known[at] = compressed.to_vec();
        }
        is_right
    }
}
