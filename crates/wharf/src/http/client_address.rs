//! Who a request comes from: the socket's peer, and what proxies say of whom they speak for.

use std::net::{IpAddr, SocketAddr};

use super::forwarded::{Node, UNKNOWN, nodes_from_the_last, texts};
use super::proxy_protocol::Proxied;
use super::upgrade::Arrival;
use crate::client_address_header::ClientAddressHeader;
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

/// Reads the addresses of a request that arrived so, with these values of the
/// [`client_address_header`](ServerConfig::client_address_header).
pub(crate) fn resolve<'a>(
    arrival: &Arrival,
    values: impl IntoIterator<Item = &'a [u8]>,
    config: &ServerConfig,
) -> ClientAddress {
    let header = config.client_address_header;
    let names_proxies = !config.trusted_proxies.is_empty();
    let counts = match header {
        ClientAddressHeader::XForwardedFor => !config.ignore_x_forwarded_for,
        ClientAddressHeader::Forwarded => names_proxies,
    };
    let values = values.into_iter().filter(|_| counts);
    if !names_proxies {
        return as_anybody_says(arrival, values);
    }
    let is_proxy = |address: IpAddr| config.trusted_proxies.iter().any(|network| network.contains(address));
    as_proxies_say(arrival, || nodes_from_the_last(values, header), is_proxy)
}

/// The first of all addresses is the client's, as the reference has it, whoever wrote it.
fn as_anybody_says<'a>(arrival: &Arrival, values: impl Iterator<Item = &'a [u8]>) -> ClientAddress {
    let mut remote_addresses = match arrival.proxied {
        Proxied::NoHeader => texts(values),
        // Whoever has a listener read PROXY headers says with it who is believed, and that is not the client.
        Proxied::Untold => Vec::new(),
        Proxied::Source(source) => vec![address_text(Some(source))],
    };
    remote_addresses.push(address_text(arrival.peer));
    ClientAddress { remote_address: remote_addresses[0].clone(), remote_addresses }
}

/// From the socket's peer on, each is believed on whom it speaks for, as long as it is a proxy. The last that is told so is the
/// client: what else a header says, the client has written.
fn as_proxies_say(
    arrival: &Arrival,
    nodes_from_the_last: impl FnOnce() -> Vec<Node>,
    is_proxy: impl Fn(IpAddr) -> bool,
) -> ClientAddress {
    let mut addresses = vec![address_text(arrival.peer)];
    // One without an address is on a Unix socket, where only those come who may open it.
    let mut is_believed = arrival.peer.is_none_or(|peer| is_proxy(peer.ip()));
    match arrival.proxied {
        Proxied::Source(source) if is_believed => {
            addresses.push(address_text(Some(source)));
            is_believed = is_proxy(source.ip());
        }
        // What follows the header is not the peer's own, and nobody knows whose.
        Proxied::Untold => is_believed = false,
        Proxied::Source(_) | Proxied::NoHeader => {}
    }
    let mut client = addresses.len() - 1;
    let nodes = if is_believed { nodes_from_the_last() } else { Vec::new() };
    for node in nodes {
        if is_believed {
            client += usize::from(!matches!(node, Node::Unreadable(_)));
            is_believed = matches!(node, Node::Address(address) if is_proxy(address));
        }
        addresses.push(node.into_text());
    }
    let remote_address = addresses[client].clone();
    addresses.reverse();
    ClientAddress { remote_address, remote_addresses: addresses }
}

/// The IP address of a socket's peer, as it is written: of IPv4 as such, however it came.
pub(crate) fn address_text(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(|| UNKNOWN.to_owned(), |peer| peer.ip().to_canonical().to_string())
}

#[cfg(test)]
mod tests;
