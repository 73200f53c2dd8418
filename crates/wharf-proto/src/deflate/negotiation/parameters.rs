//! The parameters of permessage-deflate: read, judged, written (RFC 7692 §7.1).

use std::mem;

use super::{AgreementError, NAME};
use crate::deflate::Agreed;
use crate::handshake::{Extension, excerpt};

/// The parameters of one element, understood (RFC 7692 §7.1).
#[derive(Clone, Copy, Default)]
pub(super) struct Parameters {
    pub(super) server_no_context_takeover: bool,
    pub(super) client_no_context_takeover: bool,
    pub(super) server_max_window_bits: Option<u8>,
    pub(super) client_max_window_bits: Option<u8>,
}

/// Whose element it is: the grammar differs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    /// What a client sends.
    Offer,
    /// What a server sends.
    Answer,
}

impl From<Agreed> for Parameters {
    fn from(agreed: Agreed) -> Self {
        Self {
            server_no_context_takeover: !agreed.server.context_takeover,
            client_no_context_takeover: !agreed.client.context_takeover,
            server_max_window_bits: limit(agreed.server.window_bits),
            client_max_window_bits: limit(agreed.client.window_bits),
        }
    }
}

impl Parameters {
    /// RFC 7692 §7: what is unknown, repeated, or has an invalid value, declines an offer and fails an answer.
    pub(super) fn read(extension: &Extension, element: Element) -> Result<Self, AgreementError> {
        let mut params = Self::default();
        for (name, value) in &extension.params {
            let value = value.as_deref();
            let (name, repeated) = match name.as_str() {
                SERVER_NO_CONTEXT_TAKEOVER => {
                    check_no_value(SERVER_NO_CONTEXT_TAKEOVER, value)?;
                    let before = mem::replace(&mut params.server_no_context_takeover, true);
                    (SERVER_NO_CONTEXT_TAKEOVER, before)
                }
                CLIENT_NO_CONTEXT_TAKEOVER => {
                    check_no_value(CLIENT_NO_CONTEXT_TAKEOVER, value)?;
                    let before = mem::replace(&mut params.client_no_context_takeover, true);
                    (CLIENT_NO_CONTEXT_TAKEOVER, before)
                }
                SERVER_MAX_WINDOW_BITS => {
                    let bits = window_bits(SERVER_MAX_WINDOW_BITS, value)?;
                    (SERVER_MAX_WINDOW_BITS, params.server_max_window_bits.replace(bits).is_some())
                }
                CLIENT_MAX_WINDOW_BITS => {
                    let bits = match value {
                        // RFC 7692 §7.1.2.2: in an offer it may have no value, which limits nothing; not so in an answer.
                        None if element == Element::Offer => MAX_BITS,
                        _ => window_bits(CLIENT_MAX_WINDOW_BITS, value)?,
                    };
                    (CLIENT_MAX_WINDOW_BITS, params.client_max_window_bits.replace(bits).is_some())
                }
                _ => return Err(AgreementError::ParameterUnknown { name: excerpt(name.as_bytes()) }),
            };
            if repeated {
                return Err(AgreementError::ParameterRepeated { name });
            }
        }
        Ok(params)
    }

    /// Whether a server may answer `offer` so. What else it adds unasked, it may (RFC 7692 §7.1.1.1, §7.1.1.2, §7.1.2.1).
    pub(super) fn check(self, offer: Self) -> Result<(), AgreementError> {
        // RFC 7692 §7.1.1.1
        if offer.server_no_context_takeover && !self.server_no_context_takeover {
            return Err(AgreementError::ServerContextTakeover);
        }
        // RFC 7692 §7.1.2.1
        match (self.server_max_window_bits, offer.server_max_window_bits) {
            (None, Some(limit)) => return Err(AgreementError::ServerWindowUnlimited { limit }),
            (Some(bits), Some(limit)) if bits > limit => {
                return Err(AgreementError::ServerWindow { bits, limit });
            }
            _ => {}
        }
        // RFC 7692 §7.1.2.2. A larger window than was offered is no limit: the client keeps to its own. Node's `ws` answers so.
        match (self.client_max_window_bits, offer.client_max_window_bits) {
            (Some(bits), None) => Err(AgreementError::ClientWindowNotOffered { bits }),
            _ => Ok(()),
        }
    }

    /// RFC 7692 §7.1.2.1, §7.1.2.2: windows are decimal numbers without leading zeros.
    pub(super) fn write(self, element: Element) -> Extension {
        let mut extension = Extension::new(NAME);
        if self.server_no_context_takeover {
            extension = extension.param(SERVER_NO_CONTEXT_TAKEOVER, None);
        }
        if self.client_no_context_takeover {
            extension = extension.param(CLIENT_NO_CONTEXT_TAKEOVER, None);
        }
        if let Some(bits) = self.server_max_window_bits {
            extension = extension.param(SERVER_MAX_WINDOW_BITS, Some(&bits.to_string()));
        }
        match self.client_max_window_bits {
            // RFC 7692 §7.1.2.2: without a value, a client says that it can be limited, and wants no limit itself.
            Some(MAX_BITS) if element == Element::Offer => extension.param(CLIENT_MAX_WINDOW_BITS, None),
            Some(bits) => extension.param(CLIENT_MAX_WINDOW_BITS, Some(&bits.to_string())),
            None => extension,
        }
    }
}

/// RFC 7692 §7.1.1.1, §7.1.1.2.
fn check_no_value(name: &'static str, value: Option<&str>) -> Result<(), AgreementError> {
    match value {
        None => Ok(()),
        Some(value) => Err(AgreementError::ValueNotAllowed { name, value: excerpt(value.as_bytes()) }),
    }
}

/// RFC 7692 §7.1.2.1, §7.1.2.2: a decimal number without leading zeros, from 8 to 15.
fn window_bits(name: &'static str, value: Option<&str>) -> Result<u8, AgreementError> {
    let value = value.ok_or(AgreementError::WindowBitsMissing { name })?;
    let bits = value.parse().ok().filter(|bits| (MIN_BITS..=MAX_BITS).contains(bits));
    // Rust reads "+9" and "09", too.
    bits.filter(|_| !value.starts_with(['+', '0']))
        .ok_or_else(|| AgreementError::WindowBits { name, value: excerpt(value.as_bytes()) })
}

/// What to say about a window: nothing about the largest, which is what nothing says (RFC 7692 §7.1.2).
pub(super) fn limit(bits: u8) -> Option<u8> {
    (bits < MAX_BITS).then_some(bits)
}

const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// RFC 7692 §7.1.2.
pub(super) const MIN_BITS: u8 = 8;
pub(super) const MAX_BITS: u8 = 15;
