//! `Sec-WebSocket-Key` and `Sec-WebSocket-Accept` (RFC 6455 §4.2.1 item 5, §4.2.2 item 5.4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The value of `Sec-WebSocket-Accept` that answers `key` (RFC 6455 §4.2.2 item 5.4).
///
/// The key is hashed as it was sent, never decoded, so this works on any text.
pub fn accept_key(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Whether a value of `Sec-WebSocket-Key` decodes to 16 bytes of base64 (RFC 6455 §4.2.1 item 5): 22 of its characters, and
/// two of padding.
///
/// The four bits that the last character has to spare may be anything: RFC 4648 §3.5 leaves that to the
/// decoder, and clients with keys of their own making have them set.
pub fn is_key(value: &[u8]) -> bool {
    let is_base64 = |&byte: &u8| byte.is_ascii_alphanumeric() | matches!(byte, b'+' | b'/');
    value.len() == KEY_LENGTH
        && value
            .strip_suffix(b"==")
            .is_some_and(|digits| digits.iter().fold(true, |all, byte| all & is_base64(byte)))
}

/// The value of `Sec-WebSocket-Key` that carries `nonce` (RFC 6455 §4.1 item 7).
pub(super) fn encode_nonce(nonce: &[u8; NONCE_LENGTH]) -> String {
    STANDARD.encode(nonce)
}

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const NONCE_LENGTH: usize = 16;
const KEY_LENGTH: usize = 24;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn r2_10_the_key_of_the_rfc_gives_its_accept_value() {
        // RFC 6455 §1.3, §4.2.2 item 5.4
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn r2_3_only_sixteen_bytes_of_base64_are_a_key() {
        // RFC 6455 §4.2.1 item 5
        for key in [
            "dGhlIHNhbXBsZSBub25jZQ==",
            "AAAAAAAAAAAAAAAAAAAAAA==",
            "++++////++++////++++/w==",
            "abcdefghijklmnopqrstuv==",
        ] {
            assert!(is_key(key.as_bytes()), "{key}");
        }
        for key in [
            "",
            "abc",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ===",
            " dGhlIHNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25jZTE=",
            "dGhlIHNhbXBsZSBub25jZTEy",
            "-_-_-_-_-_-_-_-_-_-_-w==",
            "dGhlIHNhbXBsZS*ub25jZQ==",
            "dGhlIHNhbXBsZSBub25j====",
        ] {
            assert!(!is_key(key.as_bytes()), "{key}");
        }
    }

    proptest! {
        #[test]
        fn every_nonce_makes_a_key(nonce: [u8; 16]) {
            // RFC 6455 §4.1
            prop_assert!(is_key(encode_nonce(&nonce).as_bytes()));
        }

        #[test]
        fn no_bytes_panic_the_key_check(value in proptest::collection::vec(any::<u8>(), 0..30)) {
            prop_assert!(!is_key(&value) || value.len() == KEY_LENGTH);
        }
    }
}
