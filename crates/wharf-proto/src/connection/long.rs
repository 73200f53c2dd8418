//! Long messages go to the socket from where they lie.

use std::io::IoSlice;

use super::Connection;
use super::send::for_each_fragment;
use crate::error::CommandError;
use crate::frame::MAX_HEADER_LEN;
use crate::message::MessageRef;
use crate::spare::LONG;

impl Connection {
    /// Sends a message as [`send`](Self::send) does, but without a copy of it where it is long and goes out as it is: `write`
    /// gets its frames in parts, none of which has been copied, and says how many bytes of them the socket took. The rest is
    /// put into `output`. Only for a driver that has nothing else to write: `output` has to be empty.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn send_through(
        &mut self,
        message: MessageRef<'_>,
        output: &mut Vec<u8>,
        write: impl FnOnce(&[IoSlice<'_>]) -> usize,
    ) -> Result<(), CommandError> {
        let payload = message.as_bytes();
        let is_copied = self.compression.is_some() || !self.is_server() || !output.is_empty();
        if is_copied || payload.len() < LONG {
            return self.send(message, output);
        }
        self.check_message()?;
        let mut headers = Vec::new();
        let mut ends = Vec::new();
        for_each_fragment(message.opcode(), 0, payload, &self.config, |header, fragment| {
            header.write(&mut headers);
            ends.push((headers.len(), fragment));
        });
        let mut parts = Vec::with_capacity(2 * ends.len());
        let mut start = 0;
        for (end, fragment) in ends {
            parts.push(IoSlice::new(&headers[start..end]));
            parts.push(IoSlice::new(fragment));
            start = end;
        }
        let mut taken = write(&parts);
        output.reserve((payload.len() + headers.len()).saturating_sub(taken) + MAX_HEADER_LEN);
        for part in &parts {
            let here = taken.min(part.len());
            taken -= here;
            output.extend_from_slice(&part[here..]);
        }
        Ok(())
    }
}
