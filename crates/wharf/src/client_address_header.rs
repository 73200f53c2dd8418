//! The header in which proxies write whom they speak for.

use std::fmt;
use std::str::FromStr;

/// The header in which proxies write whom they speak for: the option
/// [`client_address_header`](crate::ServerConfig::client_address_header).
///
/// As a text, in any case, it is the header's name.
///
/// ```
/// use wharf::ClientAddressHeader;
///
/// let header: ClientAddressHeader = "forwarded".parse()?;
/// assert_eq!(header, ClientAddressHeader::Forwarded);
/// # Ok::<(), wharf::ClientAddressHeaderError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientAddressHeader {
    /// `X-Forwarded-For: 192.0.2.1, 10.0.0.1`, which no standard describes and nearly every proxy writes.
    #[default]
    XForwardedFor,
    /// `Forwarded: for=192.0.2.1;proto=https, for="[2001:db8::1]:4711"` (RFC 7239). Of it `for` is read alone.
    Forwarded,
}

impl ClientAddressHeader {
    /// The header's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "X-Forwarded-For",
            Self::Forwarded => "Forwarded",
        }
    }
}

impl FromStr for ClientAddressHeader {
    type Err = ClientAddressHeaderError;

    fn from_str(text: &str) -> Result<Self, ClientAddressHeaderError> {
        let mut known = [Self::XForwardedFor, Self::Forwarded].into_iter();
        let header = known.find(|header| header.name().eq_ignore_ascii_case(text));
        header.ok_or_else(|| ClientAddressHeaderError { text: text.to_owned() })
    }
}

impl fmt::Display for ClientAddressHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that is not a [`ClientAddressHeader`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not X-Forwarded-For or Forwarded")]
#[non_exhaustive]
pub struct ClientAddressHeaderError {
    /// What came.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_known_by_its_name_in_any_case_and_by_nothing_else() {
        for header in [ClientAddressHeader::XForwardedFor, ClientAddressHeader::Forwarded] {
            for text in [header.to_string(), header.name().to_ascii_lowercase()] {
                assert_eq!(text.parse(), Ok(header));
            }
        }
        for text in ["", "Forwarded-For", " Forwarded", "XForwardedFor", "X-Real-IP"] {
            let error = text.parse::<ClientAddressHeader>().unwrap_err();
            assert_eq!(error.to_string(), format!("{text:?} is not X-Forwarded-For or Forwarded"));
        }
    }
}
