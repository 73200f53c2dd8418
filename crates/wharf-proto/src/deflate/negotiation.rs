//! What is offered, agreed to and declined in the opening handshake (RFC 7692 §5, §7.1).

mod parameters;

use std::sync::Arc;

use parameters::{Element, MAX_BITS, MIN_BITS, Parameters, limit};

use super::library::IS_AVAILABLE;
use super::memory::compressor_size;
use super::{Agreed, Config, ContextMemory, Direction, Reservation};
use crate::handshake::{Extension, excerpt};

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
    /// Whether the client asked for `server_max_window_bits`, which is answered even where it is no limit.
    server_window_asked: bool,
}

impl Negotiated {
    /// What a server answers: [`Agreed::extension`], and `server_max_window_bits=15` where the client asked for just that,
    /// since an offer with this parameter is accepted by answering it (RFC 7692 §7.1.2.1). On a client, what the server
    /// answered, and what the client keeps to though the server left it out (RFC 7692 §7.1.1.2, §7.1.2.2).
    pub fn extension(&self) -> Extension {
        let mut params = Parameters::from(self.agreed);
        if self.server_window_asked {
            params.server_max_window_bits = Some(self.agreed.server.window_bits);
        }
        params.write(Element::Answer)
    }
}

impl Agreed {
    /// The canonical element of `Sec-WebSocket-Extensions` for it: no parameter that says what its absence says.
    pub fn extension(&self) -> Extension {
        Parameters::from(*self).write(Element::Answer)
    }
}

/// Server: takes the first of the client's offers that can be kept (RFC 7692 §5), `None` where there is none. Other
/// extensions are passed over.
///
/// The window for what the client sends is taken from `memory`. Where `memory` has no room, nobody takes a context over.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use wharf_proto::deflate::{self, Config, ContextMemory, WindowBits};
/// use wharf_proto::handshake::{parse_extensions, write_extensions};
///
/// let config = Config {
///     level: 6,
///     memory_level: 8,
///     threshold: 64,
///     server_context_takeover: false,
///     client_context_takeover: true,
///     server_max_window_bits: WindowBits::MAX,
///     client_max_window_bits: WindowBits::new(12)?,
///     idle_timeout: Duration::from_secs(60),
/// };
/// let memory = Arc::new(ContextMemory::new(64 * 1024 * 1024));
///
/// let offers = parse_extensions([b"permessage-deflate; client_max_window_bits".as_slice()])?;
/// let negotiated = deflate::negotiate(&offers, &config, &memory).expect("the offer can be kept");
/// assert_eq!(
///     write_extensions(&[negotiated.extension()])?,
///     "permessage-deflate; server_no_context_takeover; client_max_window_bits=12"
/// );
/// assert_eq!(memory.used(), 4096);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn negotiate(offers: &[Extension], config: &Config, memory: &Arc<ContextMemory>) -> Option<Negotiated> {
    // RFC 7692 §5: the order is the client's preference.
    let mut ours = offers.iter().filter(|offer| IS_AVAILABLE && offer.name == NAME);
    ours.find_map(|offer| agree(offer, config, memory))
}

/// Client: what to offer, preferred first.
///
/// A server that cannot limit its window declines an offer that asks for it (RFC 7692 §7.1.2.1). So there is a second one
/// then, without a limit but also without takeover, which needs no window here, and without a limit of the client's window.
/// Takeover for which `memory` has no room is not offered.
pub fn offers(config: &Config, memory: &Arc<ContextMemory>) -> Vec<Extension> {
    if !IS_AVAILABLE {
        return Vec::new();
    }
    let (server_bits, client_bits) =
        (config.server_max_window_bits.get(), config.client_max_window_bits.get());
    let server_takeover = config.server_context_takeover && memory.has_room(window_size(server_bits));
    let window = if server_takeover { window_size(server_bits) } else { 0 };
    let compressor = compressor_size(client_bits, config.memory_level);
    let client_takeover = config.client_context_takeover && memory.has_room(window + compressor);
    let preferred = Parameters {
        server_no_context_takeover: !server_takeover,
        client_no_context_takeover: !client_takeover,
        server_max_window_bits: limit(server_bits),
        client_max_window_bits: Some(client_bits),
    };
    // What the client keeps to by itself it need not insist on: node's `ws` declines a hint below a limit of its own.
    let limits_server = preferred.server_max_window_bits.is_some();
    let fallback = (limits_server || client_bits < MAX_BITS).then_some(Parameters {
        server_no_context_takeover: preferred.server_no_context_takeover || limits_server,
        server_max_window_bits: None,
        client_max_window_bits: Some(MAX_BITS),
        ..preferred
    });
    [Some(preferred), fallback].into_iter().flatten().map(|params| params.write(Element::Offer)).collect()
}

/// Client: judges the answer to `offers`, `Ok(None)` where the server took none.
///
/// The window for what the server sends is taken from `memory`.
///
/// # Errors
/// [`AgreementError`], after which the client must fail the connection (RFC 7692 §7).
pub fn accept(
    answer: &[Extension],
    offers: &[Extension],
    config: &Config,
    memory: &Arc<ContextMemory>,
) -> Result<Option<Negotiated>, AgreementError> {
    // RFC 6455 §9.1. It also keeps any other extension from using RSV1 beside this one (RFC 7692 §5).
    if let Some(other) = answer.iter().find(|element| element.name != NAME) {
        return Err(AgreementError::NotOffered { name: excerpt(other.name.as_bytes()) });
    }
    let answer = match answer {
        [] => return Ok(None),
        [element] => Parameters::read(element, Element::Answer)?,
        several => return Err(AgreementError::Repeated { count: several.len() }),
    };
    let offer = answered_offer(answer, offers)?;
    let server = Direction {
        context_takeover: !answer.server_no_context_takeover,
        window_bits: answer.server_max_window_bits.unwrap_or(MAX_BITS),
    };
    let client = Direction {
        // RFC 7692 §7.1.1.2: the server may leave an offered client_no_context_takeover out; the client keeps to it.
        context_takeover: config.client_context_takeover
            && !offer.client_no_context_takeover
            && !answer.client_no_context_takeover,
        // RFC 7692 §7.1.2.2: so it is with client_max_window_bits.
        window_bits: answer
            .client_max_window_bits
            .unwrap_or(MAX_BITS)
            .min(config.client_max_window_bits.get()),
    };
    let window = match server.context_takeover.then(|| window_size(server.window_bits)) {
        None => None,
        Some(bytes) => Some(memory.reserve(bytes).ok_or(AgreementError::MemoryExhausted { bytes })?),
    };
    let server_window_asked = offer.server_max_window_bits.is_some();
    let agreed = Agreed { server, client };
    Ok(Some(Negotiated { agreed, window, memory: memory.clone(), server_window_asked }))
}

/// An answer to an offer of permessage-deflate that a client cannot keep to (RFC 7692 §7).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgreementError {
    /// Nothing of this name was offered (RFC 6455 §9.1).
    #[error("the server uses the extension {name}, which was not offered")]
    NotOffered {
        /// What came.
        name: String,
    },
    /// One offer is accepted, not several (RFC 7692 §5).
    #[error("the server accepts permessage-deflate {count} times, not once")]
    Repeated {
        /// How often it came.
        count: usize,
    },
    /// A parameter that has no meaning in an answer (RFC 7692 §7).
    #[error("the server answers permessage-deflate with the unknown parameter {name}")]
    ParameterUnknown {
        /// What came.
        name: String,
    },
    /// A parameter came more than once (RFC 7692 §7).
    #[error("the server answers the parameter {name} more than once")]
    ParameterRepeated {
        /// The parameter.
        name: &'static str,
    },
    /// A parameter that has no value came with one (RFC 7692 §7.1.1.1, §7.1.1.2).
    #[error("the server answers the parameter {name} with the value \"{value}\", but it has none")]
    ValueNotAllowed {
        /// The parameter.
        name: &'static str,
        /// What came.
        value: String,
    },
    /// A window came without its size (RFC 7692 §7.1.2.1, §7.1.2.2).
    #[error("the server answers the parameter {name} without a value, which must be 8 to 15")]
    WindowBitsMissing {
        /// The parameter.
        name: &'static str,
    },
    /// A window's size is no decimal number from 8 to 15 without leading zeros (RFC 7692 §7.1.2.1, §7.1.2.2).
    #[error("the server answers the parameter {name} with the value \"{value}\", which must be 8 to 15")]
    WindowBits {
        /// The parameter.
        name: &'static str,
        /// What came.
        value: String,
    },
    /// The server would take its context over, but was asked not to (RFC 7692 §7.1.1.1).
    #[error("the server must answer server_no_context_takeover, which was offered")]
    ServerContextTakeover,
    /// The server would not limit its window, but was asked to (RFC 7692 §7.1.2.1).
    #[error("the server must answer server_max_window_bits with at most {limit}, which was offered")]
    ServerWindowUnlimited {
        /// What was offered.
        limit: u8,
    },
    /// The server's window would be larger than it was asked for (RFC 7692 §7.1.2.1).
    #[error("the server answers server_max_window_bits={bits}, but at most {limit} was offered")]
    ServerWindow {
        /// What came.
        bits: u8,
        /// What was offered.
        limit: u8,
    },
    /// The server limits the client's window, which was not offered (RFC 7692 §7.1.2.2).
    #[error("the server answers client_max_window_bits={bits}, which was not offered")]
    ClientWindowNotOffered {
        /// What came.
        bits: u8,
    },
    /// The [`ContextMemory`] had room for the server's takeover when it was offered, and has none left.
    #[error("no memory is left for the {bytes} bytes that the server's messages refer back over")]
    MemoryExhausted {
        /// The size of the window.
        bytes: usize,
    },
}

/// Server: what is agreed on for one offer, `None` where it is declined.
fn agree(offer: &Extension, config: &Config, memory: &Arc<ContextMemory>) -> Option<Negotiated> {
    // RFC 7692 §7: a server must decline parameters that are unknown, repeated, or have an invalid value ...
    let offer = Parameters::read(offer, Element::Offer).ok()?;
    // ... and a configuration that it does not support: nothing here compresses with a window of 2^8 bytes.
    if offer.server_max_window_bits == Some(MIN_BITS) {
        return None;
    }
    // RFC 7692 §7.1.2.1: the same as was offered, or smaller.
    let server_bits =
        offer.server_max_window_bits.unwrap_or(MAX_BITS).min(config.server_max_window_bits.get());
    // RFC 7692 §7.1.2.2: who does not offer client_max_window_bits must not be answered it.
    let client_limit = config.client_max_window_bits.get();
    let client_bits = offer.client_max_window_bits.map_or(MAX_BITS, |hint| hint.min(client_limit));
    // A window that is larger than the limit, because the client cannot limit it, is not kept.
    let keeps_window = config.client_context_takeover
        && !offer.client_no_context_takeover // RFC 7692 §7.1.1.2
        && client_bits <= client_limit;
    let window = if keeps_window { memory.reserve(window_size(client_bits)) } else { None };
    let server_takeover = config.server_context_takeover
        && !offer.server_no_context_takeover // RFC 7692 §7.1.1.1
        && memory.has_room(compressor_size(server_bits, config.memory_level));
    let agreed = Agreed {
        server: Direction { context_takeover: server_takeover, window_bits: server_bits },
        client: Direction { context_takeover: window.is_some(), window_bits: client_bits },
    };
    let server_window_asked = offer.server_max_window_bits.is_some();
    Some(Negotiated { agreed, window, memory: memory.clone(), server_window_asked })
}

/// Client: the first offer that the answer fits, or why it does not fit the preferred one.
fn answered_offer(answer: Parameters, offers: &[Extension]) -> Result<Parameters, AgreementError> {
    let mut misfit = None;
    for offer in offers.iter().filter(|offer| offer.name == NAME) {
        let Ok(offer) = Parameters::read(offer, Element::Offer) else { continue };
        match answer.check(offer) {
            Ok(()) => return Ok(offer),
            Err(error) => misfit = misfit.or(Some(error)),
        }
    }
    Err(misfit.unwrap_or_else(|| AgreementError::NotOffered { name: NAME.to_owned() }))
}

/// What is kept, in bytes. Decompressors have no window of 2^8 bytes, and need the next larger one for it.
fn window_size(bits: u8) -> usize {
    1 << bits.max(MIN_BITS + 1)
}

#[cfg(test)]
mod tests;
