//! What is offered, agreed to and declined in the opening handshake (RFC 7692 §5, §7.1).

use std::sync::Arc;

use super::library::IS_AVAILABLE;
use super::memory::compressor_size;
use super::{Agreed, Config, ContextMemory, Direction, Reservation, WindowBits};
use crate::handshake::Extension;

/// The extension's name (RFC 7692 §7).
pub const NAME: &str = "permessage-deflate";

const SERVER_NO_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

/// What both sides agreed on, and the memory that one of them needs to keep it.
#[derive(Debug)]
pub struct Negotiated {
    /// What was agreed on.
    pub agreed: Agreed,
    /// The window that has to be kept of what the peer sends, where it takes its context over.
    pub(crate) window: Option<Reservation>,
    /// Where the memory of a compressor that takes its context over comes from.
    pub(crate) memory: Arc<ContextMemory>,
}

impl Agreed {
    /// What the server answers, and the client reads: only what differs from the default (RFC 7692 §7.1).
    pub fn extension(&self) -> Extension {
        let mut extension = Extension::new(NAME);
        for (name, direction) in [(SERVER_NO_TAKEOVER, self.server), (CLIENT_NO_TAKEOVER, self.client)] {
            if !direction.context_takeover {
                extension = extension.param(name, None);
            }
        }
        for (name, direction) in [(SERVER_BITS, self.server), (CLIENT_BITS, self.client)] {
            if direction.window_bits < WindowBits::MAX.get() {
                extension = extension.param(name, Some(&direction.window_bits.to_string()));
            }
        }
        extension
    }
}

/// A server's choice: the first of the offers that it can meet, in the client's order (RFC 7692 §5.1, §7.1). `None`: all of
/// them are declined, and messages are not compressed.
///
/// Where `memory` is exhausted, neither side takes its context over.
pub fn negotiate(offers: &[Extension], config: &Config, memory: &Arc<ContextMemory>) -> Option<Negotiated> {
    let ours = offers.iter().filter(|offer| IS_AVAILABLE && offer.name == NAME);
    ours.filter_map(|offer| Parameters::read(offer).ok()).find_map(|offer| agree(offer, config, memory))
}

/// RFC 7692 §7.1.1, §7.1.2.
fn agree(offer: Parameters, config: &Config, memory: &Arc<ContextMemory>) -> Option<Negotiated> {
    // RFC 7692 §7.1.2.1: 8 cannot be compressed with, so such an offer is declined.
    let asked = WindowBits::new(offer.server_bits.unwrap_or(15)).ok()?;
    let server_bits = asked.min(config.server_max_window_bits).get();
    // RFC 7692 §7.1.2.2: a window is only limited where the client says that it can be. If it cannot, it is not kept.
    let hint = offer.client_bits.map(|hint| hint.unwrap_or(15));
    let client_bits = hint.map_or(15, |hint| hint.min(config.client_max_window_bits.get()));
    let is_kept = config.client_context_takeover
        && !offer.client_no_takeover
        && (client_bits <= config.client_max_window_bits.get());
    let window = is_kept.then(|| memory.reserve(window_size(client_bits))).flatten();
    let compressor = compressor_size(server_bits, config.memory_level);
    let server = Direction {
        context_takeover: config.server_context_takeover
            && !offer.server_no_takeover
            && memory.has_room(compressor),
        window_bits: server_bits,
    };
    let client = Direction { context_takeover: window.is_some(), window_bits: client_bits };
    Some(Negotiated { agreed: Agreed { server, client }, window, memory: memory.clone() })
}

/// What a client offers, what it likes best first (RFC 7692 §5.1, §7.1.3). Where `memory` is exhausted, it asks for no
/// takeover.
pub fn offers(config: &Config, memory: &Arc<ContextMemory>) -> Vec<Extension> {
    if !IS_AVAILABLE {
        return Vec::new();
    }
    let (server, client) = (config.server_max_window_bits, config.client_max_window_bits);
    let server_takeover = config.server_context_takeover && memory.has_room(server.window_size());
    let client_takeover =
        config.client_context_takeover && memory.has_room(compressor_size(client.get(), config.memory_level));
    let offer = |server_takeover: bool, server_bits: Option<WindowBits>| {
        let mut offer = Extension::new(NAME);
        if !server_takeover {
            offer = offer.param(SERVER_NO_TAKEOVER, None);
        }
        if !client_takeover {
            offer = offer.param(CLIENT_NO_TAKEOVER, None);
        }
        if let Some(bits) = server_bits {
            offer = offer.param(SERVER_BITS, Some(&bits.to_string()));
        }
        // Without a value it says no more than that the window can be limited.
        let hint = (client < WindowBits::MAX).then(|| client.to_string());
        offer.param(CLIENT_BITS, hint.as_deref())
    };
    if server == WindowBits::MAX {
        return vec![offer(server_takeover, None)];
    }
    // A server that cannot limit its window may say that it refers back to nothing: then no window need be kept.
    vec![offer(server_takeover, Some(server)), offer(false, None)]
}

/// A client's verdict on the answer to its `offers`; `None` where the server took none of them.
///
/// # Errors
/// [`AgreementError`], for which the connection is to be failed (RFC 7692 §5.1, §7.1).
pub fn accept(
    answer: &[Extension],
    offers: &[Extension],
    config: &Config,
    memory: &Arc<ContextMemory>,
) -> Result<Option<Negotiated>, AgreementError> {
    let Some((answer, rest)) = answer.split_first() else { return Ok(None) };
    if let Some(other) = [answer].into_iter().chain(rest).find(|extension| extension.name != NAME) {
        return Err(AgreementError::NotOffered { name: other.name.clone() });
    }
    if !rest.is_empty() {
        return Err(AgreementError::Repeated);
    }
    let parameters = Parameters::read(answer)?;
    if parameters.client_bits == Some(None) {
        return Err(AgreementError::Value { name: CLIENT_BITS, value: None });
    }
    let fits = |offer: &Extension| Parameters::read(offer).is_ok_and(|offer| parameters.fits(offer));
    if !offers.iter().any(fits) {
        return Err(AgreementError::NotAsOffered {
            answer: in_words(answer),
            offers: offers.iter().map(in_words).collect::<Vec<_>>().join(", "),
        });
    }
    let server_bits = parameters.server_bits.unwrap_or(15);
    let window = if parameters.server_no_takeover {
        None
    } else {
        Some(memory.reserve(window_size(server_bits)).ok_or(AgreementError::OutOfMemory)?)
    };
    let server = Direction { context_takeover: window.is_some(), window_bits: server_bits };
    let client = Direction {
        // It is ours to give up (RFC 7692 §7.1.1.2).
        context_takeover: !parameters.client_no_takeover && config.client_context_takeover,
        window_bits: parameters.client_bits.flatten().unwrap_or(15),
    };
    Ok(Some(Negotiated { agreed: Agreed { server, client }, window, memory: memory.clone() }))
}

/// The parameters of one element, each at most once and with a value as it has to be (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::option_option, reason = "whether it is there, and whether it has a value")]
struct Parameters {
    server_no_takeover: bool,
    client_no_takeover: bool,
    server_bits: Option<u8>,
    client_bits: Option<Option<u8>>,
}

impl Parameters {
    /// # Errors
    /// A parameter that is unknown (RFC 7692 §7.1), that stands there twice, or whose value is not what it may be.
    fn read(extension: &Extension) -> Result<Self, AgreementError> {
        let mut read = Self::default();
        for (name, value) in &extension.params {
            let value = value.as_deref();
            let is_first = match name.as_str() {
                SERVER_NO_TAKEOVER => no_value(SERVER_NO_TAKEOVER, value, &mut read.server_no_takeover)?,
                CLIENT_NO_TAKEOVER => no_value(CLIENT_NO_TAKEOVER, value, &mut read.client_no_takeover)?,
                SERVER_BITS => {
                    let bits = value.ok_or(AgreementError::Value { name: SERVER_BITS, value: None })?;
                    read.server_bits.replace(window_bits(SERVER_BITS, bits)?).is_none()
                }
                CLIENT_BITS => {
                    let bits = value.map(|bits| window_bits(CLIENT_BITS, bits)).transpose()?;
                    read.client_bits.replace(bits).is_none()
                }
                _ => return Err(AgreementError::Unknown { name: name.clone() }),
            };
            if !is_first {
                return Err(AgreementError::ParameterRepeated { name: name.clone() });
            }
        }
        Ok(read)
    }

    /// Whether an answer with these parameters takes an offer up (RFC 7692 §7.1.1.1, §7.1.2.1, §7.1.2.2). What the offer does
    /// not mention the server may add, but for the limit of a window that it has not been told can be limited.
    fn fits(self, offer: Self) -> bool {
        let is_asked_for = self.server_no_takeover || !offer.server_no_takeover;
        let is_in_servers_limit =
            offer.server_bits.is_none_or(|most| self.server_bits.is_some_and(|bits| bits <= most));
        let is_in_clients_limit = self.client_bits.flatten().is_none_or(|bits| {
            offer.client_bits.is_some_and(|most| bits <= most.unwrap_or(WindowBits::MAX.get()))
        });
        is_asked_for && is_in_servers_limit && is_in_clients_limit
    }
}

/// RFC 7692 §7.1.1: a parameter without a value.
fn no_value(name: &'static str, value: Option<&str>, is_there: &mut bool) -> Result<bool, AgreementError> {
    match value {
        Some(value) => Err(AgreementError::Value { name, value: Some(value.to_owned()) }),
        None => Ok(!std::mem::replace(is_there, true)),
    }
}

/// RFC 7692 §7.1.2: a decimal number from 8 to 15, without leading zeros.
fn window_bits(name: &'static str, value: &str) -> Result<u8, AgreementError> {
    let is_written_so = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0');
    let bits = value.parse().ok().filter(|bits| is_written_so && (8..=15).contains(bits));
    bits.ok_or_else(|| AgreementError::Value { name, value: Some(value.to_owned()) })
}

/// What a window takes, in bytes. Who says 8 and compresses with zlib uses 9.
const fn window_size(bits: u8) -> usize {
    if bits < WindowBits::MIN.get() { WindowBits::MIN.window_size() } else { 1 << bits }
}

fn in_words(extension: &Extension) -> String {
    let mut text = extension.name.clone();
    for (name, value) in &extension.params {
        text.extend(["; ", name]);
        if let Some(value) = value {
            text.extend(["=", value]);
        }
    }
    text
}

/// Why an answer, or one of several offers, agrees on nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgreementError {
    /// An extension that was not offered (RFC 6455 §4.1).
    #[error("the server answered with the extension {name:?}, which was not offered")]
    NotOffered {
        /// Its name.
        name: String,
    },
    /// permessage-deflate more than once.
    #[error("the server answered with {NAME} more than once")]
    Repeated,
    /// A parameter that permessage-deflate does not have (RFC 7692 §7.1).
    #[error("{NAME} has no parameter {name:?}")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// A parameter more than once (RFC 7692 §7.1).
    #[error("the parameter {name} of {NAME} is given more than once")]
    ParameterRepeated {
        /// Its name.
        name: String,
    },
    /// A value that the parameter may not have (RFC 7692 §7.1.1, §7.1.2).
    #[error("the parameter {name} of {NAME} has the value {value:?}; {}", expected(name))]
    Value {
        /// The parameter's name.
        name: &'static str,
        /// What came; `None`: no value.
        value: Option<String>,
    },
    /// An answer that takes up none of the offers (RFC 7692 §5.1).
    #[error("the server answered {answer:?}, which takes up none of the offers {offers:?}")]
    NotAsOffered {
        /// The answer.
        answer: String,
        /// What was offered.
        offers: String,
    },
    /// The server takes its context over, and meanwhile there is no memory left to keep its window.
    #[error("the server takes its context over, and the memory for the contexts of this client is exhausted")]
    OutOfMemory,
}

fn expected(name: &str) -> &'static str {
    match name {
        SERVER_BITS | CLIENT_BITS => "expected 8 to 15",
        _ => "expected none",
    }
}
