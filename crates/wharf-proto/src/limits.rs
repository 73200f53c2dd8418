//! What a peer may cost us: plain data.

/// Bounds on what one peer's frames and messages may take (all in one place, so that they can be read at once).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest payload of any one frame, in bytes. A longer one is refused from its header with 1009, before
    /// any payload comes. Default 65,536, the reference's.
    pub max_frame_size: u64,
    /// The most bytes that the fragments of one message may have together. The fragment whose header passes it
    /// is refused with 1009. A message in one frame has the frame's limit only, unless it is compressed: then what it is
    /// inflated to may not pass the larger of both, and inflating stops there. Frames handed on without
    /// assembly have no limit on their sum. Default 1,048,576, the reference's.
    pub max_message_size: u64,
    /// The most frames that one message may be cut into, empty ones included; the next one is refused with 1008.
    /// It bounds the work of a message that never ends; memory follows bytes, not fragments. Frames handed on without
    /// assembly have no limit on their number. Default 131,072.
    pub max_fragments: u32,
}

impl Limits {
    /// The most bytes that a compressed message may be inflated to: what it might have without compression, in one frame or
    /// in fragments.
    pub(crate) const fn max_inflated_size(&self, is_in_one_frame: bool) -> u64 {
        if is_in_one_frame && self.max_frame_size > self.max_message_size {
            self.max_frame_size
        } else {
            self.max_message_size
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_frame_size: 65_536, max_message_size: 1_048_576, max_fragments: 131_072 }
    }
}
