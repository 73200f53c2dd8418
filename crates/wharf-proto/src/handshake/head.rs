//! The head of an HTTP/1.1 message: bytes to fields (RFC 9112 §2 to §5).

use httparse::{EMPTY_HEADER, Header, Status};

use super::error::{FieldRepeated, HeadError};
use super::headers::{elements, trim};

/// Reads the head of a request.
///
/// `Ok(None)` means that `bytes` is a good beginning and more has to come. Otherwise the head and its length
/// in bytes: what follows belongs to the WebSocket connection (RFC 6455 §4.1 lets a client send frames as
/// soon as it has the answer, and some send them sooner).
///
/// # Errors
/// [`HeadError`] at the first byte that no HTTP/1.1 request can have, or where a limit is passed.
pub fn parse_request<'a>(
    bytes: &'a [u8],
    limits: &HeadLimits,
) -> Result<Option<(RequestHead<'a>, usize)>, HeadError> {
    let (window, mut slots) = prepare(bytes, limits);
    let mut request = httparse::Request::new(&mut slots);
    let status = request.parse(window).map_err(|error| head_error(error, HeadError::RequestLine, limits))?;
    let Status::Complete(length) = status else { return incomplete(bytes, limits) };
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(HeadError::RequestLine);
    };
    let head = RequestHead {
        method,
        target,
        version: HttpVersion::from_minor(version),
        fields: fields(request.headers),
    };
    Ok(Some((head, length)))
}

/// Reads the head of a response. `Ok(None)` and the length are those of [`parse_request`].
///
/// # Errors
/// [`HeadError`] at the first byte that no HTTP/1.1 response can have, or where a limit is passed.
pub fn parse_response<'a>(
    bytes: &'a [u8],
    limits: &HeadLimits,
) -> Result<Option<(ResponseHead<'a>, usize)>, HeadError> {
    let (window, mut slots) = prepare(bytes, limits);
    let mut response = httparse::Response::new(&mut slots);
    let status = response.parse(window).map_err(|error| head_error(error, HeadError::StatusLine, limits))?;
    let Status::Complete(length) = status else { return incomplete(bytes, limits) };
    let (Some(status), Some(version)) = (response.code, response.version) else {
        return Err(HeadError::StatusLine);
    };
    let head = ResponseHead {
        version: HttpVersion::from_minor(version),
        status,
        reason: response.reason.unwrap_or_default(),
        fields: fields(response.headers),
    };
    Ok(Some((head, length)))
}

/// What the head of one message may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes from the first of the start line to the last of the empty line; by default 16 KiB.
    pub size: usize,
    /// Header fields; by default 100.
    pub fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { size: 16 * 1024, fields: 100 }
    }
}

/// The head of a request, lent out of the bytes it was read from, or made from the parts of an HTTP library.
#[derive(Debug, Clone)]
pub struct RequestHead<'a> {
    /// The method as sent; methods are case-sensitive (RFC 9110 §9.1).
    pub method: &'a str,
    /// The request target as sent, undecoded.
    pub target: &'a str,
    /// The version of the start line.
    pub version: HttpVersion,
    /// The header fields in the order in which they came.
    pub fields: Fields<'a>,
}

/// The head of a response, lent out of the bytes it was read from, or made from the parts of an HTTP library.
#[derive(Debug, Clone)]
pub struct ResponseHead<'a> {
    /// The version of the start line.
    pub version: HttpVersion,
    /// The status code, 0 to 999.
    pub status: u16,
    /// The reason phrase, often empty.
    pub reason: &'a str,
    /// The header fields in the order in which they came.
    pub fields: Fields<'a>,
}

/// The versions of HTTP that have a start line to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HttpVersion {
    /// HTTP/1.0, which knows no upgrade (RFC 9110 §7.8).
    Http10,
    /// HTTP/1.1.
    Http11,
}

impl HttpVersion {
    fn from_minor(minor: u8) -> Self {
        if minor == 0 { Self::Http10 } else { Self::Http11 }
    }
}

impl std::fmt::Display for HttpVersion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        })
    }
}

/// Header fields in the order in which they came: borrowed names and values, found by name in any case.
///
/// Made by collecting pairs of name and value:
///
/// ```
/// use wharf_proto::handshake::Fields;
///
/// let fields: Fields<'_> = [("Connection", b"keep-alive, Upgrade".as_slice())].into_iter().collect();
/// assert!(fields.contains_token("connection", "upgrade"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Fields<'a> {
    lines: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Fields<'a> {
    /// The value of the first field of this name, without the blanks around it.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.get_all(name).next()
    }

    /// The values of all fields of this name, in order, without the blanks around them.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let lines = self.lines.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name));
        lines.map(|(_, value)| trim(value))
    }

    /// The value of a field that may come only once, without the blanks around it. An empty one counts as
    /// absent.
    ///
    /// # Errors
    /// [`FieldRepeated`] where there are two, even if they are equal: a proxy may have looked at the other
    /// one.
    pub fn get_single(&self, name: &'static str) -> Result<Option<&'a [u8]>, FieldRepeated> {
        let mut values = self.get_all(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(FieldRepeated { name }),
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    /// Whether `token` is, in any case, an element of the comma list that all fields of this name make
    /// together (RFC 9110 §5.3).
    pub fn contains_token(&self, name: &str, token: &str) -> bool {
        self.get_all(name).flat_map(elements).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// All fields, in order, values without the blanks around them.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.lines.iter().map(|&(name, value)| (name, trim(value)))
    }
}

impl<'a> FromIterator<(&'a str, &'a [u8])> for Fields<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a [u8])>>(fields: I) -> Self {
        Self { lines: fields.into_iter().collect() }
    }
}

/// As many bytes as may count, and a slot for each field that can be in them: memory follows the bytes that
/// came, not the limit.
fn prepare<'a>(bytes: &'a [u8], limits: &HeadLimits) -> (&'a [u8], Vec<Header<'a>>) {
    let window = &bytes[..bytes.len().min(limits.size)];
    let lines = window.split(|&byte| byte == b'\n').count();
    (window, vec![EMPTY_HEADER; lines.min(limits.fields)])
}

fn incomplete<T>(bytes: &[u8], limits: &HeadLimits) -> Result<Option<T>, HeadError> {
    if bytes.len() < limits.size { Ok(None) } else { Err(HeadError::TooLarge { limit: limits.size }) }
}

fn fields<'a>(headers: &[Header<'a>]) -> Fields<'a> {
    headers.iter().map(|header| (header.name, header.value)).collect()
}

/// `start_line` is what a bad token means: the parser has one error for all parts of the first line.
fn head_error(error: httparse::Error, start_line: HeadError, limits: &HeadLimits) -> HeadError {
    match error {
        httparse::Error::HeaderName => HeadError::FieldName,
        httparse::Error::HeaderValue => HeadError::FieldValue,
        httparse::Error::NewLine => HeadError::LineEnd,
        httparse::Error::Status => HeadError::StatusLine,
        httparse::Error::Token => start_line,
        httparse::Error::TooManyHeaders => HeadError::TooManyFields { limit: limits.fields },
        httparse::Error::Version => HeadError::HttpVersion,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUEST: &[u8] = b"GET /a?b HTTP/1.1\r\nHost: x\r\nX-A:  one \r\nx-a: two\r\n\r\n";

    fn request(bytes: &[u8], limits: HeadLimits) -> Result<Option<usize>, HeadError> {
        parse_request(bytes, &limits).map(|found| found.map(|(_, length)| length))
    }

    #[test]
    fn a_request_head_gives_its_parts_in_order_and_its_length() {
        let bytes = [REQUEST, b"\x81\x80frame"].concat();
        let (head, length) = parse_request(&bytes, &HeadLimits::default()).unwrap().unwrap();
        assert_eq!((head.method, head.target, head.version), ("GET", "/a?b", HttpVersion::Http11));
        let fields: Vec<_> = head.fields.iter().collect();
        assert_eq!(
            fields,
            [("Host", b"x".as_slice()), ("X-A", b"one".as_slice()), ("x-a", b"two".as_slice())]
        );
        assert_eq!(length, REQUEST.len());
    }

    #[test]
    fn a_response_head_gives_its_status_and_reason() {
        let bytes = b"HTTP/1.0 404 Not Found\r\nA: b\r\n\r\n";
        let (head, length) = parse_response(bytes, &HeadLimits::default()).unwrap().unwrap();
        assert_eq!((head.version, head.status, head.reason), (HttpVersion::Http10, 404, "Not Found"));
        assert_eq!(head.fields.get("a"), Some(b"b".as_slice()));
        assert_eq!(length, bytes.len());
    }

    #[test]
    fn every_beginning_of_a_head_is_incomplete_and_none_is_an_error() {
        for end in 0..REQUEST.len() {
            assert_eq!(request(&REQUEST[..end], HeadLimits::default()), Ok(None), "{end} bytes");
        }
        let response = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
        for end in 0..response.len() {
            assert!(
                parse_response(&response[..end], &HeadLimits::default()).unwrap().is_none(),
                "{end} bytes"
            );
        }
    }

    #[test]
    fn a_head_of_the_limit_passes_and_one_byte_more_does_not() {
        let size = REQUEST.len();
        assert_eq!(request(REQUEST, HeadLimits { size, ..HeadLimits::default() }), Ok(Some(size)));
        let limits = HeadLimits { size: size - 1, ..HeadLimits::default() };
        assert_eq!(request(REQUEST, limits), Err(HeadError::TooLarge { limit: size - 1 }));
    }

    #[test]
    fn an_endless_head_fails_as_soon_as_the_limit_is_reached() {
        let bytes = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'a'; 100]].concat();
        let limits = HeadLimits { size: bytes.len(), fields: 100 };
        assert_eq!(request(&bytes[..bytes.len() - 1], limits), Ok(None));
        assert_eq!(request(&bytes, limits), Err(HeadError::TooLarge { limit: bytes.len() }));
    }

    #[test]
    fn as_many_fields_as_the_limit_pass_and_one_more_does_not() {
        let limits = |fields| HeadLimits { fields, ..HeadLimits::default() };
        assert_eq!(request(REQUEST, limits(3)), Ok(Some(REQUEST.len())));
        assert_eq!(request(REQUEST, limits(2)), Err(HeadError::TooManyFields { limit: 2 }));
        assert_eq!(request(REQUEST, limits(0)), Err(HeadError::TooManyFields { limit: 0 }));
    }

    #[test]
    fn lines_that_end_in_a_bare_line_feed_are_read() {
        let bytes = b"\n\nGET / HTTP/1.1\nHost: x\nA: b\n\n";
        let (head, length) = parse_request(bytes, &HeadLimits::default()).unwrap().unwrap();
        assert_eq!(head.fields.iter().count(), 2);
        assert_eq!(length, bytes.len());
    }

    #[test]
    fn what_is_not_http_fails_before_the_head_is_complete() {
        let limits = HeadLimits::default();
        assert_eq!(request(b"\x16\x03\x01\x02\x00", limits), Err(HeadError::RequestLine));
        assert_eq!(request(b"PRI * HTTP/2.0\r\n", limits), Err(HeadError::HttpVersion));
        assert_eq!(request(b"GET / HTTP/1.1\r\nA b: c", limits), Err(HeadError::FieldName));
        assert_eq!(request(b"GET / HTTP/1.1\r\nA: b\0", limits), Err(HeadError::FieldValue));
        assert_eq!(
            request(b"GET / HTTP/1.1\r\nA: b\r\n folded: c\r\n\r\n", limits),
            Err(HeadError::FieldName)
        );
        assert_eq!(parse_response(b"HTTP/1.1 1x1", &limits).unwrap_err(), HeadError::StatusLine);
    }

    #[test]
    fn a_token_is_found_in_any_case_in_any_line_and_only_whole() {
        let fields: Fields<'_> =
            [("Connection", b"keep-alive ,\tX-Up".as_slice()), ("connection", b",UPGRADE,".as_slice())]
                .into_iter()
                .collect();
        assert!(fields.contains_token("CONNECTION", "upgrade"));
        assert!(fields.contains_token("connection", "Keep-Alive"));
        assert!(!fields.contains_token("connection", "up"));
        assert!(!fields.contains_token("connection", ""));
        assert!(!fields.contains_token("upgrade", "upgrade"));
    }

    #[test]
    fn a_field_that_may_come_once_is_absent_when_empty_and_an_error_when_repeated() {
        let fields: Fields<'_> =
            [("A", b" 1 ".as_slice()), ("B", b" "), ("C", b"1"), ("c", b"1")].into_iter().collect();
        assert_eq!(fields.get_single("a"), Ok(Some(b"1".as_slice())));
        assert_eq!(fields.get_single("b"), Ok(None));
        assert_eq!(fields.get_single("c"), Err(FieldRepeated { name: "c" }));
        assert_eq!(fields.get_single("d"), Ok(None));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_the_head_parsers(bytes: Vec<u8>, size in 0..200_usize, fields in 0..9_usize) {
            let limits = HeadLimits { size, fields };
            for start in ["", "GET / HTTP/1.1\r\n", "HTTP/1.1 101 x\r\n", "GET / HTTP/1.1\r\nA: "] {
                let bytes = [start.as_bytes(), &bytes].concat();
                if let Ok(Some((head, length))) = parse_request(&bytes, &limits) {
                    prop_assert!(length <= size.min(bytes.len()));
                    prop_assert!(head.fields.iter().count() <= fields);
                }
                if let Ok(Some((head, length))) = parse_response(&bytes, &limits) {
                    prop_assert!(length <= size.min(bytes.len()));
                    prop_assert!(head.fields.iter().count() <= fields);
                }
            }
        }
    }
}
