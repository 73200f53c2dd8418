//! The header that a proxy sends before anything else, to tell whose connection it is: the PROXY protocol, in version 1, a line
//! of text, and in version 2, binary.
//!
//! `§` is of <https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Whose connection it is, as a proxy says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Proxied {
    /// No header was to be read.
    #[default]
    NoHeader,
    /// A header came that names no client: the proxy connects for itself (LOCAL), or does not know for whom (UNKNOWN, UNSPEC), or
    /// it is none of TCP over IP.
    Untold,
    /// Where the client came to the proxy from.
    Source(SocketAddr),
}

/// Reads the header that a connection begins with, and not a byte more.
///
/// One that is not as it should be, but whose end is known, tells of no client: a proxy that gets an address wrong still speaks
/// for somebody, who is taken for the proxy then. By §2.1 and §2.2 the connection would be dropped.
///
/// Not cancel safe: dropped before it returns, the connection is of no use any more.
///
/// # Errors
/// Of the stream, [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) among them; [`InvalidData`](io::ErrorKind::InvalidData) with a
/// [`ProxyHeaderError`] where nobody can tell what the header is or where it ends.
pub(crate) async fn read_proxy_header<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Proxied> {
    let mut header = [0; LONGEST_LINE];
    // As long as the shortest line, and shorter than the fixed part of version 2.
    stream.read_exact(&mut header[..SHORTEST_LINE]).await?;
    let read = if header.starts_with(b"PROXY ") {
        let len = read_line(stream, &mut header).await?;
        read_text(&header[..len])
    } else if header.starts_with(SIGNATURE) {
        read_binary(stream, &mut header).await?
    } else {
        let came = header[..SHORTEST_LINE].escape_ascii().to_string();
        return Err(ProxyHeaderError::Signature { came }.into());
    };
    Ok(read.unwrap_or(Proxied::Untold))
}

/// What a connection begins with that is no header whose end could be known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProxyHeaderError {
    #[error("expected a PROXY header of version 1 or 2, not \"{came}\"")]
    Signature {
        /// The first bytes.
        came: String,
    },
    #[error("expected a PROXY line of {SHORTEST_LINE} to {LONGEST_LINE} bytes with its CRLF")]
    Line,
    #[error("expected version 2 in a binary PROXY header, not {version}")]
    Version {
        /// What came.
        version: u8,
    },
    #[error("expected LOCAL (0) or PROXY (1) as the command of a PROXY header, not {command}")]
    Command {
        /// What came.
        command: u8,
    },
}

impl From<ProxyHeaderError> for io::Error {
    fn from(error: ProxyHeaderError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Reads the rest of a line of version 1, of which the shortest part is there: how long it is, with its CRLF.
async fn read_line<S: AsyncRead + Unpin>(stream: &mut S, line: &mut [u8; LONGEST_LINE]) -> io::Result<usize> {
    let mut len = SHORTEST_LINE;
    if line[..len - 1].windows(2).any(|pair| pair == b"\r\n") {
        return Err(ProxyHeaderError::Line.into());
    }
    while !line[..len].ends_with(b"\r\n") {
        // So much is missing at least.
        let missing = if line[len - 1] == b'\r' { 1 } else { 2 };
        let more = line.get_mut(len..len + missing).ok_or(ProxyHeaderError::Line)?;
        stream.read_exact(more).await?;
        len += missing;
    }
    Ok(len)
}

/// A line of version 1 (§2.1). `None`: it is not as it should be.
fn read_text(line: &[u8]) -> Option<Proxied> {
    let mut words = str::from_utf8(line).ok()?.strip_suffix("\r\n")?.split(' ').skip(1);
    let source = match words.next()? {
        "UNKNOWN" => return Some(Proxied::Untold),
        "TCP4" => source_of_line::<Ipv4Addr>(words),
        "TCP6" => source_of_line::<Ipv6Addr>(words),
        _ => None,
    };
    source.map(Proxied::Source)
}

/// The source, where source and destination are addresses of this family with ports, and all that there is.
fn source_of_line<'a, A: FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Option<SocketAddr> {
    let source: A = words.next()?.parse().ok()?;
    let _destination: A = words.next()?.parse().ok()?;
    let source_port = port(words.next()?)?;
    let _destination_port = port(words.next()?)?;
    words.next().is_none().then(|| SocketAddr::new(source.into(), source_port))
}

/// A number in decimal, without a sign or leading zeros.
fn port(text: &str) -> Option<u16> {
    let port = text.parse::<u16>().ok()?;
    (port.to_string() == text).then_some(port)
}

/// Reads the rest of a header of version 2, of which as much is there as the shortest line has (§2.2). `None`: it is not as it
/// should be.
async fn read_binary<S: AsyncRead + Unpin>(
    stream: &mut S,
    header: &mut [u8; LONGEST_LINE],
) -> io::Result<Option<Proxied>> {
    let [version, command] = [header[12] >> 4, header[12] & 0xf];
    if version != 2 {
        return Err(ProxyHeaderError::Version { version }.into());
    }
    if command > PROXY {
        return Err(ProxyHeaderError::Command { command }.into());
    }
    let family_and_transport = header[13];
    let len = usize::from(u16::from_be_bytes([header[14], stream.read_u8().await?]));
    let addresses = &mut [0; ADDRESSES_OF_IPV6][..len.min(ADDRESSES_OF_IPV6)];
    stream.read_exact(addresses).await?;
    // What follows the addresses is skipped in parts, for the proxy says how long it is, and that can be 64 KiB.
    let mut rest = len - addresses.len();
    while rest > 0 {
        let part = &mut header[..rest.min(LONGEST_LINE)];
        stream.read_exact(part).await?;
        rest -= part.len();
    }
    Ok(if command == PROXY { proxied(family_and_transport, addresses) } else { Some(Proxied::Untold) })
}

/// Whom these tell of: source and destination address, source and destination port, as far as they came (§2.2).
fn proxied(family_and_transport: u8, addresses: &[u8]) -> Option<Proxied> {
    let source = match family_and_transport {
        TCP_OVER_IPV4 => source_of::<4, ADDRESSES_OF_IPV4>(addresses),
        TCP_OVER_IPV6 => source_of::<16, ADDRESSES_OF_IPV6>(addresses),
        // Unix sockets, datagrams, and what is not said.
        other if other >> 4 <= 3 && other & 0xf <= 2 => return Some(Proxied::Untold),
        _ => None,
    };
    source.map(Proxied::Source)
}

/// The source, of addresses of `LEN` bytes, if all are there.
fn source_of<const LEN: usize, const ALL: usize>(addresses: &[u8]) -> Option<SocketAddr>
where
    IpAddr: From<[u8; LEN]>,
{
    let addresses: &[u8; ALL] = addresses.first_chunk()?;
    let source: [u8; LEN] = *addresses.first_chunk()?;
    let port = u16::from_be_bytes([addresses[2 * LEN], addresses[2 * LEN + 1]]);
    Some(SocketAddr::new(source.into(), port))
}

/// What version 2 begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// `PROXY UNKNOWN\r\n`, in bytes.
const SHORTEST_LINE: usize = 15;

/// Two IPv6 addresses and their ports behind `PROXY UNKNOWN`, in bytes.
const LONGEST_LINE: usize = 107;

/// The command of version 2 that tells addresses. LOCAL, the other one, is 0.
const PROXY: u8 = 1;

const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// Two addresses and their ports in version 2, in bytes.
const ADDRESSES_OF_IPV4: usize = 12;
const ADDRESSES_OF_IPV6: usize = 36;

#[cfg(test)]
mod tests;
