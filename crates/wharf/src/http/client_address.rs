//! Who a request comes from: the socket's peer, and what proxies say of whom they speak for.

use std::net::{IpAddr, SocketAddr};

use crate::config::ServerConfig;

/// Where a request comes from.
///
/// The texts hold visible characters of ASCII only, however they came, and can go into a log or a header as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientAddress {
    /// The client's address, as far as it can be told.
    pub(crate) remote_address: String,
    /// The client's address, then each proxy's, the socket's peer last.
    pub(crate) remote_addresses: Vec<String>,
}

/// Reads the addresses of a request that came from `peer`, with these values of `X-Forwarded-For`.
///
/// Where proxies are named, only a named one is believed, and of what it says only the last address that is not
/// a named proxy's own: a proxy appends the address that it sees, what stands before was sent by the client.
/// Where none is named, the first address is taken, as the reference does.
pub(crate) fn resolve<'a>(
    peer: Option<SocketAddr>,
    forwarded_for: impl IntoIterator<Item = &'a [u8]>,
    config: &ServerConfig,
) -> ClientAddress {
    let is_proxy = |address: IpAddr| config.trusted_proxies.iter().any(|network| network.contains(address));
    let names_proxies = !config.trusted_proxies.is_empty();

    let mut remote_addresses = Vec::new();
    if !config.ignore_x_forwarded_for && (!names_proxies || peer.is_none_or(|peer| is_proxy(peer.ip()))) {
        let values = forwarded_for.into_iter();
        remote_addresses.extend(values.flat_map(|value| value.split(|&b| b == b',')).filter_map(entry));
        // The last are the ones that a proxy vouches for, so the bound leaves out the first.
        let excess = remote_addresses.len().saturating_sub(MAX_ENTRIES);
        remote_addresses.drain(..excess);
    }
    remote_addresses.push(address_text(peer));

    let vouched_for = remote_addresses.iter().rfind(|text| !address_in(text).is_some_and(is_proxy));
    let remote_address = match vouched_for {
        Some(address) if names_proxies => address,
        _ => &remote_addresses[0],
    };
    ClientAddress { remote_address: remote_address.clone(), remote_addresses }
}

/// The IP address of a socket's peer, as it is written: of IPv4 as such, however it came.
pub(crate) fn address_text(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(|| "unknown".to_owned(), |peer| peer.ip().to_canonical().to_string())
}

fn entry(bytes: &[u8]) -> Option<String> {
    let text: String = bytes
        .iter()
        .filter(|byte| byte.is_ascii_graphic())
        .take(MAX_ENTRY_LEN)
        .copied()
        .map(char::from)
        .collect();
    (!text.is_empty()).then_some(text)
}

/// Some proxies write the port as well, and brackets around IPv6.
fn address_in(text: &str) -> Option<IpAddr> {
    let unbracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip())).or_else(unbracketed)
}

/// Where proxies write whom they speak for.
pub(crate) const X_FORWARDED_FOR: &str = "X-Forwarded-For";

/// More proxies than a request can sensibly pass.
const MAX_ENTRIES: usize = 32;

/// An IPv6 address with brackets, zone and port stays below this, in bytes.
const MAX_ENTRY_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "10.0.0.9";

    fn resolved(peer: &str, values: &[&[u8]], config: &ServerConfig) -> ClientAddress {
        resolve(Some(SocketAddr::new(peer.parse().unwrap(), 4711)), values.iter().copied(), config)
    }

    fn trusting(networks: &[&str]) -> ServerConfig {
        ServerConfig::default().trusted_proxies(networks.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[track_caller]
    fn assert_addresses(addresses: &ClientAddress, remote_address: &str, remote_addresses: &[&str]) {
        assert_eq!(
            (addresses.remote_address.as_str(), addresses.remote_addresses.as_slice()),
            (remote_address, remote_addresses.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice())
        );
    }

    #[test]
    fn r6_1_the_header_names_the_client_and_the_proxies_and_the_peer_comes_last() {
        let addresses = resolved(PEER, &[b"1.1.1.1, 2.2.2.2"], &ServerConfig::default());
        assert_addresses(&addresses, "1.1.1.1", &["1.1.1.1", "2.2.2.2", PEER]);
    }

    #[test]
    fn r6_1_several_fields_are_one_list_and_blanks_do_not_count() {
        let addresses = resolved(PEER, &[b"1.1.1.1 ,\t2.2.2.2", b" 3.3.3.3"], &ServerConfig::default());
        assert_addresses(&addresses, "1.1.1.1", &["1.1.1.1", "2.2.2.2", "3.3.3.3", PEER]);
    }

    #[test]
    fn r6_2_an_absent_or_empty_header_leaves_the_peer() {
        for values in [&[][..], &[&b""[..]], &[b" , ,", b""]] {
            assert_addresses(&resolved(PEER, values, &ServerConfig::default()), PEER, &[PEER]);
        }
    }

    #[test]
    fn r6_an_ipv4_peer_on_an_ipv6_socket_is_written_as_ipv4() {
        let addresses = resolved("::ffff:10.0.0.9", &[], &ServerConfig::default());
        assert_addresses(&addresses, PEER, &[PEER]);
    }

    #[test]
    fn r6_hostile_bytes_never_come_out() {
        let value = b"1.1.1.1\xff\xfe \t2, \xc3\xa9\x80, <b>";
        let addresses = resolved(PEER, &[value], &ServerConfig::default());
        assert_addresses(&addresses, "1.1.1.12", &["1.1.1.12", "<b>", PEER]);
    }

    #[test]
    fn r6_number_and_length_of_the_entries_are_bounded_and_the_last_ones_stay() {
        let many = (0..1000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        let addresses = resolved(PEER, &[many.as_bytes()], &ServerConfig::default());
        assert_eq!(addresses.remote_addresses.len(), 33);
        assert_eq!(addresses.remote_addresses[31..], ["999", PEER]);

        let long = resolved(PEER, &["x".repeat(1000).as_bytes()], &ServerConfig::default());
        assert_eq!(long.remote_address.len(), 64);
    }

    #[test]
    fn o15_disabled_an_ignored_header_leaves_the_peer() {
        let ignoring = ServerConfig::default().ignore_x_forwarded_for(true);
        assert_addresses(&resolved(PEER, &[b"1.1.1.1"], &ignoring), PEER, &[PEER]);
        let both = trusting(&["10.0.0.0/8"]).ignore_x_forwarded_for(true);
        assert_addresses(&resolved(PEER, &[b"1.1.1.1"], &both), PEER, &[PEER]);
    }

    #[test]
    fn o18_effect_the_header_counts_from_a_named_proxy_only() {
        let config = trusting(&["10.0.0.0/8", "::1"]);
        for (peer, expected) in [("10.0.0.9", "1.1.1.1"), ("::1", "1.1.1.1"), ("11.0.0.9", "11.0.0.9")] {
            assert_eq!(resolved(peer, &[b"1.1.1.1"], &config).remote_address, expected);
        }
    }

    #[test]
    fn o18_effect_what_the_client_wrote_itself_is_not_believed() {
        let config = trusting(&["10.0.0.0/8"]);
        let addresses = resolved(PEER, &[b"6.6.6.6, 1.1.1.1, 10.2.2.2"], &config);
        assert_addresses(&addresses, "1.1.1.1", &["6.6.6.6", "1.1.1.1", "10.2.2.2", PEER]);

        let padded = "6.6.6.6, ".repeat(1000) + "1.1.1.1";
        assert_eq!(resolved(PEER, &[padded.as_bytes()], &config).remote_address, "1.1.1.1");
    }

    #[test]
    fn o18_effect_a_proxy_is_known_by_its_address_with_port_and_brackets_too() {
        let config = trusting(&["10.0.0.0/8", "::1"]);
        let value = b"1.1.1.1:99, unknown, 10.2.2.2:80, [::1]:80, [::1]";
        assert_eq!(resolved(PEER, &[value], &config).remote_address, "unknown");
        assert_eq!(resolved(PEER, &[b"10.1.1.1, 10.2.2.2"], &config).remote_address, "10.1.1.1");
    }
}
