//! Long messages go to the socket from where they lie.

use std::io::IoSlice;

use super::Connection;
use super::send::for_each_fragment;
use crate::copy;
use crate::error::CommandError;
use crate::message::MessageRef;

/// Fragments shorter than this, in bytes, are copied: a system call takes only so many parts, each of which has to be listed.
const SHORT_FRAGMENT: usize = 4096;

impl Connection {
    /// Whether [`send_through`](Self::send_through) spares a copy here: on a server's connection, where nothing is masked,
    /// compressed or cut into short fragments.
    pub fn spares_copies(&self) -> bool {
        let has_long_fragments =
            self.config.fragmentation_threshold.is_none_or(|threshold| threshold.get() >= SHORT_FRAGMENT);
        has_long_fragments && self.compression.is_none() && self.is_server()
    }

    /// Sends messages as [`send`](Self::send) does, one after the other, but without a copy of them where they go out as they
    /// are: `write` gets their frames in parts, none of which has been copied, and says how many bytes of them the socket took.
    /// The rest is put into `output`. It pays for long messages, where [copies are spared](Self::spares_copies), and for a driver
    /// that has nothing else to write: where `output` is not empty, they are copied behind what is there.
    ///
    /// # Errors
    /// As for [`send`](Self::send); then none was sent.
    pub fn send_through<'m>(
        &mut self,
        messages: impl IntoIterator<Item = MessageRef<'m>>,
        output: &mut Vec<u8>,
        write: impl FnOnce(&[IoSlice<'_>]) -> usize,
    ) -> Result<(), CommandError> {
        self.check_message()?;
        if !self.spares_copies() || !output.is_empty() {
            return messages.into_iter().try_for_each(|message| self.send(message, output));
        }
        let mut headers = Vec::new();
        let mut ends = Vec::new();
        for message in messages {
            for_each_fragment(message.opcode(), 0, message.as_bytes(), &self.config, |header, fragment| {
                header.write(&mut headers);
                ends.push((headers.len(), fragment));
            });
        }
        let mut parts = Vec::with_capacity(2 * ends.len());
        let mut start = 0;
        for (end, fragment) in ends {
            parts.push(IoSlice::new(&headers[start..end]));
            parts.push(IoSlice::new(fragment));
            start = end;
        }
        let mut taken = write(&parts);
        let all: usize = parts.iter().map(|part| part.len()).sum();
        output.reserve(all.saturating_sub(taken));
        for part in &parts {
            let here = taken.min(part.len());
            taken -= here;
            copy::append(output, &part[here..]);
        }
        Ok(())
    }
}
