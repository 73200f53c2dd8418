//! Close codes and reasons: which may be sent, which may come (RFC 6455 §5.5.1, §7.4).

use std::borrow::Cow;
use std::fmt;

use crate::error::ProtocolError;
use crate::frame::MAX_CONTROL_PAYLOAD;

/// The most bytes of UTF-8 that a close reason may have: what a control frame holds beside the code.
pub const MAX_REASON_LEN: usize = MAX_CONTROL_PAYLOAD - 2;

/// Why a connection ended, as a number (RFC 6455 §7.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[doc(alias = "closeReasonCode")]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose is fulfilled.
    #[doc(alias = "CLOSE_REASON_NORMAL")]
    pub const NORMAL: Self = Self(1000);
    /// 1001: a server goes down, or a browser leaves the page.
    #[doc(alias = "CLOSE_REASON_GOING_AWAY")]
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    #[doc(alias = "CLOSE_REASON_PROTOCOL_ERROR")]
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of message that cannot be accepted.
    #[doc(alias = "CLOSE_REASON_UNPROCESSABLE_INPUT")]
    pub const UNPROCESSABLE_INPUT: Self = Self(1003);
    /// 1004: without a meaning. Never on the wire.
    #[doc(alias = "CLOSE_REASON_RESERVED")]
    pub const RESERVED: Self = Self(1004);
    /// 1005: the Close frame had no code. Never on the wire.
    #[doc(alias = "CLOSE_REASON_NOT_PROVIDED")]
    pub const NOT_PROVIDED: Self = Self(1005);
    /// 1006: there was no Close frame. Never on the wire.
    #[doc(alias = "CLOSE_REASON_ABNORMAL")]
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: the content does not fit its type, such as text that is not UTF-8.
    #[doc(alias = "CLOSE_REASON_INVALID_DATA")]
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: the peer broke a rule of the application.
    #[doc(alias = "CLOSE_REASON_POLICY_VIOLATION")]
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a frame or message over its limit.
    #[doc(alias = "CLOSE_REASON_MESSAGE_TOO_BIG")]
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: a client misses an extension in the server's answer.
    #[doc(alias = "CLOSE_REASON_EXTENSION_REQUIRED")]
    pub const EXTENSION_REQUIRED: Self = Self(1010);
    /// 1011: the server met something that it was not prepared for.
    #[doc(alias = "CLOSE_REASON_INTERNAL_SERVER_ERROR")]
    pub const INTERNAL_SERVER_ERROR: Self = Self(1011);
    /// 1012: the service restarts (IANA's registry).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: overloaded, try again later (IANA's registry).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got a bad answer (IANA's registry).
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: the TLS handshake failed. Never on the wire.
    #[doc(alias = "CLOSE_REASON_TLS_HANDSHAKE_FAILED")]
    pub const TLS_HANDSHAKE_FAILED: Self = Self(1015);

    /// The code of this number, whether or not it may be sent.
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether the code may stand in a Close frame: 1000–1003, 1007–1014 and 3000–4999
    /// (RFC 6455 §7.4.1, §7.4.2 and IANA's registry).
    pub const fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// The reference's description of the code, where it has one.
    #[doc(alias = "CLOSE_DESCRIPTIONS")]
    pub const fn default_description(self) -> Option<&'static str> {
        Some(match self.0 {
            1000 => "Normal connection closure",
            1001 => "Remote peer is going away",
            1002 => "Protocol error",
            1003 => "Unprocessable input",
            1004 => "Reserved",
            1005 => "Reason not provided",
            1006 => "Abnormal closure, no further detail available",
            1007 => "Invalid data received",
            1008 => "Policy violation",
            1009 => "Message too big",
            1010 => "Extension requested by client is required",
            1011 => "Internal Server Error",
            1015 => "TLS Handshake Failed",
            _ => return None,
        })
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A code and reason that cannot be sent; nothing was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// The code never stands in a Close frame.
    #[error("close code {code} is not valid: expected 1000-1003, 1007-1014 or 3000-4999 (RFC 6455 §7.4)")]
    Unsendable {
        /// What was asked for.
        code: CloseCode,
    },
    /// A control frame cannot hold the reason.
    #[error("a close reason of {length} bytes does not fit: at most {MAX_REASON_LEN} (RFC 6455 §5.5)")]
    ReasonTooLong {
        /// Its length in bytes of UTF-8.
        length: usize,
    },
}

/// What a Close frame says: a code and a reason, or nothing at all (RFC 6455 §5.5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    code: CloseCode,
    reason: Cow<'static, str>,
}

impl Close {
    /// A Close frame without a code.
    pub const EMPTY: Self = Self { code: CloseCode::NOT_PROVIDED, reason: Cow::Borrowed("") };

    /// A code with its reason, at most 123 bytes, for a control frame holds 125 (RFC 6455 §5.5); an empty one is left
    /// away on the wire.
    ///
    /// # Errors
    /// [`CloseError`] where the code or the length of the reason may not be sent.
    pub fn new(code: CloseCode, reason: impl Into<Cow<'static, str>>) -> Result<Self, CloseError> {
        let reason = reason.into();
        if !code.may_be_sent() {
            return Err(CloseError::Unsendable { code });
        }
        if reason.len() > MAX_REASON_LEN {
            return Err(CloseError::ReasonTooLong { length: reason.len() });
        }
        Ok(Self { code, reason })
    }

    /// A code with its description by default, as the reference sends it when none is given.
    ///
    /// # Errors
    /// [`CloseError::Unsendable`] where the code may not be sent.
    pub fn with_default_reason(code: CloseCode) -> Result<Self, CloseError> {
        Self::new(code, code.default_description().unwrap_or_default())
    }

    /// What the application is told where the peer is told nothing: any code.
    pub(crate) fn untold(code: CloseCode, reason: String) -> Self {
        Self { code, reason: reason.into() }
    }

    /// Reads a Close frame's payload: nothing, or a code and what may follow it (RFC 6455 §5.5.1).
    ///
    /// # Errors
    /// A payload of one byte or a code that may not be sent: 1002. A reason that is not UTF-8: 1007.
    pub fn read(payload: &[u8]) -> Result<Self, ProtocolError> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return if payload.is_empty() { Ok(Self::EMPTY) } else { Err(ProtocolError::CloseOfOneByte) };
        };
        let code = CloseCode(u16::from_be_bytes(*code));
        if !code.may_be_sent() {
            return Err(ProtocolError::InvalidCloseCode { code });
        }
        // RFC 6455 §8.1
        let reason = std::str::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?;
        Ok(Self { code, reason: Cow::Owned(reason.to_owned()) })
    }

    /// The payload: nothing, or the code and the reason (RFC 6455 §5.5.1).
    pub fn write(&self, output: &mut Vec<u8>) {
        if self.code.may_be_sent() {
            output.extend_from_slice(&self.code.get().to_be_bytes());
            output.extend_from_slice(self.reason.as_bytes());
        }
    }

    /// The code; [`CloseCode::NOT_PROVIDED`] where the frame has none (RFC 6455 §7.1.5).
    pub const fn code(&self) -> CloseCode {
        self.code
    }

    /// The reason, empty where the frame has none.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The reason, or the code's default description where there is none.
    #[doc(alias = "closeDescription")]
    pub fn description(&self) -> &str {
        if self.reason.is_empty() {
            self.code.default_description().unwrap_or_default()
        } else {
            &self.reason
        }
    }

    /// The payload's length in bytes.
    pub fn payload_len(&self) -> usize {
        if self.code.may_be_sent() { 2 + self.reason.len() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c5_5_codes_that_never_go_out_are_refused() {
        // RFC 6455 §7.4.1
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
            let code = CloseCode::new(code);
            assert_eq!(Close::new(code, ""), Err(CloseError::Unsendable { code }));
        }
    }

    #[test]
    fn c5_11_a_reason_over_123_bytes_is_refused() {
        // RFC 6455 §5.5
        assert!(Close::new(CloseCode::NORMAL, "x".repeat(123)).is_ok());
        let refused = Close::new(CloseCode::NORMAL, "é".repeat(62));
        assert_eq!(refused, Err(CloseError::ReasonTooLong { length: 124 }));
    }

    #[test]
    fn c7_2_an_absent_reason_is_described_by_its_code() {
        assert_eq!(Close::read(&[0x03, 0xe8]).unwrap().description(), "Normal connection closure");
        assert_eq!(Close::read(&[0x0b, 0xb8]).unwrap().description(), "");
        assert_eq!(Close::read(&[0x03, 0xe8, b'x']).unwrap().description(), "x");
    }

    #[test]
    fn c7_4_a_close_without_code_counts_as_1005() {
        let close = Close::read(&[]).unwrap();
        assert_eq!((close.code(), close.payload_len()), (CloseCode::NOT_PROVIDED, 0));
    }

    #[test]
    fn c7_5_a_close_of_one_byte_breaks_the_protocol() {
        assert_eq!(Close::read(&[3]), Err(ProtocolError::CloseOfOneByte));
    }

    #[test]
    fn c7_6_codes_that_may_not_come_break_the_protocol() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
            let code = CloseCode::new(code);
            let read = Close::read(&code.get().to_be_bytes());
            assert_eq!(read, Err(ProtocolError::InvalidCloseCode { code }));
        }
    }

    #[test]
    fn c7_7_a_reason_that_is_not_utf8_is_refused_even_as_one_byte() {
        assert_eq!(Close::read(&[0x03, 0xe8, 0xff]), Err(ProtocolError::InvalidUtf8));
    }

    #[test]
    fn c8_1_the_descriptions_of_the_reference() {
        let described = [
            (1000, "Normal connection closure"),
            (1001, "Remote peer is going away"),
            (1002, "Protocol error"),
            (1003, "Unprocessable input"),
            (1004, "Reserved"),
            (1005, "Reason not provided"),
            (1006, "Abnormal closure, no further detail available"),
            (1007, "Invalid data received"),
            (1008, "Policy violation"),
            (1009, "Message too big"),
            (1010, "Extension requested by client is required"),
            (1011, "Internal Server Error"),
            (1015, "TLS Handshake Failed"),
        ];
        for (code, description) in described {
            assert_eq!(CloseCode::new(code).default_description(), Some(description));
        }
        for code in [1012, 1013, 1014, 3000, 4999] {
            assert_eq!(CloseCode::new(code).default_description(), None);
        }
    }
}
