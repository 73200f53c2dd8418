//! What is offered, agreed to and declined in the opening handshake (RFC 7692 §5, §7.1).

use std::sync::Arc;

use super::{Agreed, Config, ContextMemory, Reservation};
use crate::handshake::Extension;

/// The extension's name (RFC 7692 §7).
pub const NAME: &str = "permessage-deflate";

/// What both sides agreed on, and the memory that one needs to keep it.
#[derive(Debug)]
pub struct Negotiated {
    /// What was agreed on.
    pub agreed: Agreed,
    /// The window that has to be kept of what the peer sends, where it takes its context over.
    pub(crate) window: Option<Reservation>,
    /// Where the memory of a compressor that takes its context over comes from.
    pub(crate) memory: Arc<ContextMemory>,
}
