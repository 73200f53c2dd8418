//! Networks that an address can be in: `10.0.0.0/8`, `2001:db8::/32`, `::1`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of IP addresses that share their first bits, written as in `10.0.0.0/8` (RFC 4632 §3.1, RFC 4291 §2.3).
///
/// An address alone is the network that holds nothing else. An IPv4 address that came over an IPv6 socket
/// (`::ffff:10.1.2.3`) is in the IPv4 network that it belongs to.
///
/// ```
/// use wharf::IpNetwork;
///
/// let network: IpNetwork = "10.0.0.0/8".parse()?;
/// assert!(network.contains([10, 1, 2, 3].into()));
/// assert!(!network.contains([11, 0, 0, 1].into()));
/// # Ok::<(), wharf::NetworkError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpNetwork {
    address: IpAddr,
    prefix_length: u8,
}

impl IpNetwork {
    /// The network of all addresses whose first `prefix_length` bits are those of `address`.
    ///
    /// # Errors
    /// The prefix is longer than the address, or the address has bits set beyond it: `10.1.2.3/8` may stand for
    /// one host or for sixteen million, and a list of whom to trust is no place for a guess.
    pub fn new(address: IpAddr, prefix_length: u8) -> Result<Self, NetworkError> {
        let width = width(address);
        if prefix_length > width {
            return Err(NetworkError::PrefixTooLong { prefix_length, limit: width });
        }
        let first = first_address(address, prefix_length);
        if first != address {
            return Err(NetworkError::HostBits { address, prefix_length, network: first });
        }
        match address.to_canonical() {
            IpAddr::V4(mapped) if address.is_ipv6() && prefix_length >= 96 => {
                Ok(Self { address: mapped.into(), prefix_length: prefix_length - 96 })
            }
            _ => Ok(Self { address, prefix_length }),
        }
    }

    /// Whether `address` is in this network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && first_address(address, self.prefix_length) == self.address
    }
}

impl From<IpAddr> for IpNetwork {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix_length: width(address) }
    }
}

impl FromStr for IpNetwork {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let unreadable = || NetworkError::Unreadable { text: text.to_owned() };
        let Some((address, prefix_length)) = text.split_once('/') else {
            return text.parse::<IpAddr>().map(Self::from).map_err(|_| unreadable());
        };
        let address = address.parse().map_err(|_| unreadable())?;
        // `u8::from_str` takes a sign, a network does not.
        if !prefix_length.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(unreadable());
        }
        Self::new(address, prefix_length.parse().map_err(|_| unreadable())?)
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_length)
    }
}

/// Why a text or a pair of numbers is not an [`IpNetwork`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Neither an address nor an address and a prefix length.
    #[error("{text:?} is not a network like 10.0.0.0/8 or an address like ::1")]
    Unreadable {
        /// What came.
        text: String,
    },
    /// More bits than an address has.
    #[error("a prefix of {prefix_length} bits is longer than the address, which has {limit}")]
    PrefixTooLong {
        /// What came, in bits.
        prefix_length: u8,
        /// What an address of this family allows, in bits.
        limit: u8,
    },
    /// The address has bits set that the prefix leaves out.
    #[error(
        "{address}/{prefix_length} is an address within a network; the network is {network}/{prefix_length}"
    )]
    HostBits {
        /// The address that came.
        address: IpAddr,
        /// The prefix length that came, in bits.
        prefix_length: u8,
        /// The first address of the network that the prefix describes.
        network: IpAddr,
    },
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn first_address(address: IpAddr, prefix_length: u8) -> IpAddr {
    let prefix_length = u32::from(prefix_length);
    match address {
        IpAddr::V4(v4) => {
            let host_bits = u32::MAX.checked_shr(prefix_length).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & !host_bits).into())
        }
        IpAddr::V6(v6) => {
            let host_bits = u128::MAX.checked_shr(prefix_length).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & !host_bits).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> IpNetwork {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_holds_exactly_the_addresses_that_share_its_prefix() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0"]),
            ("192.168.4.0/22", ["192.168.4.0", "192.168.7.255"], ["192.168.3.255", "192.168.8.0"]),
            ("2001:db8::/33", ["2001:db8::", "2001:db8:7fff::1"], ["2001:db8:8000::", "2001:db7::"]),
            ("::1", ["::1", "0:0:0:0:0:0:0:1"], ["::2", "::"]),
            ("127.0.0.1", ["127.0.0.1", "::ffff:127.0.0.1"], ["127.0.0.2", "::1"]),
        ] {
            for each in inside {
                assert!(network(text).contains(address(each)), "{each} is in {text}");
            }
            for each in outside {
                assert!(!network(text).contains(address(each)), "{each} is not in {text}");
            }
        }
    }

    #[test]
    fn a_prefix_of_no_bits_holds_its_whole_family_and_nothing_of_the_other() {
        assert!(network("0.0.0.0/0").contains(address("255.255.255.255")));
        assert!(!network("0.0.0.0/0").contains(address("::1")));
        assert!(network("::/0").contains(address("ffff::")));
        assert!(!network("::/0").contains(address("1.2.3.4")));
    }

    #[test]
    fn an_ipv4_network_written_as_ipv6_is_the_ipv4_network() {
        assert_eq!(network("::ffff:10.0.0.0/104"), network("10.0.0.0/8"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1/32"));
    }

    #[test]
    fn o18_bad_what_is_not_a_network_is_an_error_that_says_so() {
        for text in
            ["", "/", "10.0.0.0/", "/8", "10.0.0/8", "10.0.0.0/+8", "10.0.0.0/ 8", " ::1", "proxy", "1::/999"]
        {
            assert_eq!(
                text.parse::<IpNetwork>(),
                Err(NetworkError::Unreadable { text: text.to_owned() }),
                "{text:?}"
            );
        }
        assert_eq!(
            "10.0.0.0/33".parse::<IpNetwork>(),
            Err(NetworkError::PrefixTooLong { prefix_length: 33, limit: 32 })
        );
        assert_eq!(
            "10.1.2.3/8".parse::<IpNetwork>().unwrap_err().to_string(),
            "10.1.2.3/8 is an address within a network; the network is 10.0.0.0/8"
        );
    }

    #[test]
    fn a_network_reads_back_what_it_prints() {
        for text in ["10.0.0.0/8", "2001:db8::/33", "::1/128", "0.0.0.0/0"] {
            assert_eq!(network(text).to_string(), text);
        }
    }
}
