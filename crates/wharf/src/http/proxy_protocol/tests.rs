use proptest::prelude::*;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Builder;
use tokio::task::yield_now;

use super::*;

/// What follows the header, be it HTTP or TLS.
const BEHIND: &[u8] = b"\x16\x03\x01 behind\r\n";

/// Reads the header of a connection on which all of this comes in two parts, and then its end; and what is left on it.
fn read_in_parts(bytes: &[u8], at: usize) -> (io::Result<Proxied>, Vec<u8>) {
    Builder::new_current_thread().build().unwrap().block_on(async {
        let (mut proxy, mut stream) = tokio::io::duplex(1 << 17);
        let (first, second) = bytes.split_at(at);
        let write = async {
            proxy.write_all(first).await.unwrap();
            // The reader takes what is there, and waits for more.
            yield_now().await;
            proxy.write_all(second).await.unwrap();
            drop(proxy);
        };
        let read = async {
            let header = read_proxy_header(&mut stream).await;
            let mut left = Vec::new();
            stream.read_to_end(&mut left).await.unwrap();
            (header, left)
        };
        tokio::join!(write, read).1
    })
}

/// Whom a header tells of, which nothing behind it belongs to, wherever its bytes are split.
#[track_caller]
fn told(header: &[u8]) -> Proxied {
    let bytes = [header, BEHIND].concat();
    let (whole, _) = read_in_parts(&bytes, bytes.len());
    let whole = whole.unwrap();
    for at in 0..=header.len() {
        let (told, left) = read_in_parts(&bytes, at);
        assert_eq!((told.unwrap(), left.as_slice()), (whole, BEHIND), "split at {at}");
    }
    whole
}

#[track_caller]
fn error(bytes: &[u8]) -> ProxyHeaderError {
    let errors: Vec<_> = (0..=bytes.len())
        .map(|at| {
            let error = read_in_parts(bytes, at).0.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
            error.into_inner().unwrap().downcast_ref::<ProxyHeaderError>().unwrap().clone()
        })
        .collect();
    assert!(errors.windows(2).all(|pair| pair[0] == pair[1]));
    errors[0].clone()
}

fn binary(command: u8, family_and_transport: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[0x20 | command, family_and_transport], &len, rest].concat()
}

const LOCAL: u8 = 0;

const IPV4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb];

fn ipv6() -> Vec<u8> {
    let [source, destination]: [Ipv6Addr; 2] =
        ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap());
    [&source.octets()[..], &destination.octets(), &[0xdc, 0x04, 0x01, 0xbb]].concat()
}

fn client(text: &str) -> Proxied {
    Proxied::Source(text.parse().unwrap())
}

#[test]
fn a_line_of_version_1_tells_the_client() {
    // §2.1
    assert_eq!(told(b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"), client("192.168.0.1:56324"));
    assert_eq!(told(b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), client("0.0.0.0:0"));
    assert_eq!(told(b"PROXY TCP6 2001:DB8::1 ::1 65535 1\r\n"), client("[2001:db8::1]:65535"));
    let longest = format!("PROXY TCP6 {0} {0} 65535 65535\r\n", ["ffff"; 8].join(":"));
    assert_eq!(told(longest.as_bytes()), client("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"));
}

#[test]
fn a_line_that_does_not_know_the_client_tells_none_whatever_else_it_says() {
    // §2.1
    let longest = format!("PROXY UNKNOWN {0} {0} 65535 65535\r\n", ["ffff"; 8].join(":"));
    assert_eq!(longest.len(), LONGEST_LINE);
    for line in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN \r\n", "PROXY UNKNOWN x\ry\nz \r\r\n", &longest] {
        assert_eq!(told(line.as_bytes()), Proxied::Untold, "{line:?}");
    }
}

#[test]
fn a_line_that_is_not_as_it_should_be_tells_nobody_and_ends_where_it_ends() {
    for line in [
        "PROXY UNKNOWNx\r\n",
        "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "PROXY TCP4 192.0.2.1\r\n",
        "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 proxy.example 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP4 192.0.2.1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP6 [::1] [::1] 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\u{e9}\r\n",
        "PROXY TCP4\t192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY          \r\n",
    ] {
        assert_eq!(told(line.as_bytes()), Proxied::Untold, "{line:?}");
    }
    assert_eq!(told(b"PROXY TCP4 \xff\xfe\x00\x01 192.0.2.2 1 2\r\n"), Proxied::Untold);
}

#[test]
fn a_line_without_an_end_is_an_error() {
    let line = format!("PROXY UNKNOWN {}", "x".repeat(200));
    assert_eq!(error(line.as_bytes()), ProxyHeaderError::Line);
    // A line may end with its 107th byte and no later.
    for (len, is_line) in [(LONGEST_LINE, true), (LONGEST_LINE + 1, false), (LONGEST_LINE + 2, false)] {
        let line = format!("PROXY UNKNOWN {}\r\n", "x".repeat(len - 16));
        assert_eq!(read_in_parts(line.as_bytes(), 0).0.is_ok(), is_line, "{len}");
    }
    for short in ["PROXY \r\nGET / HTTP/1.1\r\n", "PROXY TCP4 \r\n  \r\n", "PROXY UNKNOW\r\n\r\n"] {
        assert_eq!(error(short.as_bytes()), ProxyHeaderError::Line, "{short:?}");
    }
    let no_end = format!("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n{}", "GET / HTTP/1.1\n".repeat(10));
    assert_eq!(error(no_end.as_bytes()), ProxyHeaderError::Line, "a LF alone ends no line");
}

#[test]
fn a_header_of_version_2_tells_the_client() {
    // §2.2
    assert_eq!(told(&binary(PROXY, TCP_OVER_IPV4, &IPV4)), client("192.0.2.1:56324"));
    assert_eq!(told(&binary(PROXY, TCP_OVER_IPV6, &ipv6())), client("[2001:db8::1]:56324"));
}

#[test]
fn what_follows_the_addresses_is_skipped_however_long_it_is() {
    // §2.2
    for len in [1, 23, 24, 25, 300] {
        let rest = vec![7; len];
        let ipv4 = binary(PROXY, TCP_OVER_IPV4, &[&IPV4[..], &rest].concat());
        assert_eq!(told(&ipv4), client("192.0.2.1:56324"), "{len}");
        let ipv6 = binary(PROXY, TCP_OVER_IPV6, &[ipv6(), rest].concat());
        assert_eq!(told(&ipv6), client("[2001:db8::1]:56324"), "{len}");
    }
    let longest = [&IPV4[..], &vec![7; usize::from(u16::MAX) - IPV4.len()]].concat();
    let bytes = [&binary(PROXY, TCP_OVER_IPV4, &longest), BEHIND].concat();
    let (told, left) = read_in_parts(&bytes, 1000);
    assert_eq!((told.unwrap(), left.as_slice()), (client("192.0.2.1:56324"), BEHIND));
}

#[test]
fn a_header_of_version_2_without_a_client_over_tcp_tells_none() {
    // §2.2
    for (family_and_transport, rest) in [
        (0x00, &[][..]),
        (0x00, &[1; 50]),
        (0x10, &IPV4),
        (0x12, &IPV4),
        (0x22, &ipv6()),
        (0x31, &[b'/'; 216]),
        (0x32, &[b'/'; 216]),
    ] {
        assert_eq!(
            told(&binary(PROXY, family_and_transport, rest)),
            Proxied::Untold,
            "{family_and_transport:#04x}"
        );
    }
    for (family_and_transport, rest) in [(0x00, &[][..]), (TCP_OVER_IPV4, &IPV4), (0xff, &[1; 3])] {
        assert_eq!(
            told(&binary(LOCAL, family_and_transport, rest)),
            Proxied::Untold,
            "{family_and_transport:#04x}"
        );
    }
}

#[test]
fn a_header_of_version_2_that_is_not_as_it_should_be_tells_nobody_and_ends_where_it_ends() {
    for (family_and_transport, rest) in [
        (TCP_OVER_IPV4, &IPV4[..11]),
        (TCP_OVER_IPV4, &[]),
        (TCP_OVER_IPV6, &ipv6()[..35]),
        (TCP_OVER_IPV6, &IPV4),
        (0x41, &IPV4),
        (0x13, &IPV4),
        (0xff, &[0; 40]),
    ] {
        assert_eq!(
            told(&binary(PROXY, family_and_transport, rest)),
            Proxied::Untold,
            "{family_and_transport:#04x}"
        );
    }
}

#[test]
fn another_version_or_command_of_a_binary_header_is_an_error() {
    // §2.2
    for version in (0..16).filter(|&version| version != 2) {
        let mut header = binary(PROXY, TCP_OVER_IPV4, &IPV4);
        header[12] = version << 4 | PROXY;
        assert_eq!(error(&header), ProxyHeaderError::Version { version });
    }
    for command in 2..16 {
        assert_eq!(error(&binary(command, 0, &[])), ProxyHeaderError::Command { command });
    }
}

#[test]
fn what_is_no_header_is_an_error_that_shows_the_first_bytes() {
    let came = |bytes: &[u8]| error(bytes).to_string();
    let expected = r#"expected a PROXY header of version 1 or 2, not "GET / HTTP/1.1\r""#;
    assert_eq!(came(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), expected);
    for bytes in
        [&b"proxy UNKNOWN\r\n"[..], b"PROXY\tUNKNOWN\r\n", b"\r\n\r\n\0\r\nQUIT\r\x21\x11\0", &[0xff; 20]]
    {
        assert!(matches!(error(bytes), ProxyHeaderError::Signature { .. }));
    }
}

#[test]
fn an_end_within_the_header_is_an_error() {
    for header in [
        &b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"[..],
        &binary(PROXY, TCP_OVER_IPV6, &[ipv6(), vec![7; 200]].concat()),
    ] {
        for len in 0..header.len() {
            let (told, _) = read_in_parts(&header[..len], len / 2);
            assert_eq!(told.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{len}");
        }
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_a_header_or_an_error(
        start in prop::sample::select(vec![&b""[..], b"PROXY ", b"PROXY TCP4 ", b"PROXY TCP6 ::", SIGNATURE]),
        rest in prop::collection::vec(any::<u8>(), 0..200),
        at in 0..200usize,
    ) {
        let bytes = [start, &rest].concat();
        let at = at.min(bytes.len());
        let (whole, whole_left) = read_in_parts(&bytes, 0);
        let (parts, left) = read_in_parts(&bytes, at);
        prop_assert!(bytes.ends_with(&left));
        prop_assert_eq!(whole.map_err(|error| error.to_string()), parts.map_err(|error| error.to_string()));
        prop_assert_eq!(whole_left, left);
    }

    #[test]
    fn what_a_proxy_says_is_read_and_nothing_behind_it(
        client: SocketAddr,
        other: Ipv6Addr,
        more in prop::collection::vec(any::<u8>(), 0..100),
        behind in prop::collection::vec(any::<u8>(), 0..40),
        at in 0..300usize,
    ) {
        let client = SocketAddr::new(client.ip(), client.port());
        let (line, binary) = match client.ip() {
            IpAddr::V4(ip) => (
                format!("PROXY TCP4 {ip} 192.0.2.2 {} 443\r\n", client.port()),
                binary(PROXY, TCP_OVER_IPV4, &[&ip.octets()[..], &[0; 4], &client.port().to_be_bytes(), &[0; 2], &more].concat()),
            ),
            IpAddr::V6(ip) => (
                format!("PROXY TCP6 {ip} {other} {} 443\r\n", client.port()),
                binary(
                    PROXY,
                    TCP_OVER_IPV6,
                    &[&ip.octets()[..], &other.octets(), &client.port().to_be_bytes(), &[0; 2], &more].concat(),
                ),
            ),
        };
        for header in [line.as_bytes(), &binary] {
            let bytes = [header, &behind].concat();
            let (told, left) = read_in_parts(&bytes, at.min(bytes.len()));
            prop_assert_eq!(told.unwrap(), Proxied::Source(client));
            prop_assert_eq!(left, &behind[..]);
        }
    }
}
