//! The request that asks for another protocol, as its owner gets it.

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

use super::limits::DEFAULT_MAX_HEADERS;
use crate::proto::handshake::{self, ExtendedConnect, Fields, HandshakeError, HttpVersion, RequestHead};

/// A request that asks for another protocol, lent to its owner, who takes what it keeps of it.
pub(crate) struct UpgradeRequest<'a> {
    pub(crate) fields: Fields<'a>,
    pub(crate) http: HttpRequest,
}

impl<'a> UpgradeRequest<'a> {
    /// One that hyper has read.
    pub(crate) fn of_parts(parts: &'a Arc<Parts>) -> Self {
        let fields = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        Self { fields, http: HttpRequest::of_parts(Arc::clone(parts)) }
    }
}

/// The request as the types of the `http` crate have it. What came on the short way is made into them for who asks for that:
/// most want to know no more of it than the target and what a handshake tells.
pub(crate) struct HttpRequest {
    uri: Uri,
    /// As it came, unless hyper has read it.
    head: Bytes,
    parts: OnceLock<Arc<Parts>>,
}

impl HttpRequest {
    /// One whose head has been read from these bytes: GET in HTTP/1.1, with at most as many fields as hyper would take.
    pub(super) const fn of_head(head: Bytes, uri: Uri) -> Self {
        Self { uri, head, parts: OnceLock::new() }
    }

    /// One that hyper has read.
    fn of_parts(parts: Arc<Parts>) -> Self {
        Self { uri: parts.uri.clone(), head: Bytes::new(), parts: OnceLock::from(parts) }
    }

    pub(crate) const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Reads a handshake with these fields.
    pub(crate) fn read_handshake(&self, fields: Fields<'_>) -> Result<handshake::Request, HandshakeError> {
        if self.is_http2() {
            let authority = self.uri.authority().map_or("", Authority::as_str);
            let path = self.uri.path_and_query().map_or("", PathAndQuery::as_str);
            return handshake::Request::read_extended_connect(&ExtendedConnect { authority, path, fields });
        }
        let target = self.target();
        handshake::Request::read(&self.head(&target, fields))
    }

    fn is_http2(&self) -> bool {
        self.parts.get().is_some_and(|parts| parts.version == Version::HTTP_2)
    }

    /// The target as sent, without a fragment.
    fn target(&self) -> Cow<'_, str> {
        match self.uri.path_and_query() {
            Some(target) if self.uri.authority().is_none() => target.as_str().into(),
            _ => self.uri.to_string().into(),
        }
    }

    /// The head with this target and these fields.
    fn head<'a>(&'a self, target: &'a str, fields: Fields<'a>) -> RequestHead<'a> {
        let (method, version) = match self.parts.get() {
            Some(parts) => (parts.method.as_str(), parts.version),
            None => ("GET", Version::HTTP_11),
        };
        let version = if version >= Version::HTTP_11 { HttpVersion::Http11 } else { HttpVersion::Http10 };
        RequestHead { method, target, version, fields }
    }

    pub(crate) fn parts(&self) -> &Parts {
        self.parts.get_or_init(|| {
            let (mut parts, ()) = Request::new(()).into_parts();
            parts.method = Method::GET;
            parts.version = Version::HTTP_11;
            parts.uri = self.uri.clone();
            parts.headers = headers(&self.head);
            Arc::new(parts)
        })
    }
}

/// The fields of a head, whose values share its bytes.
fn headers(head: &Bytes) -> HeaderMap {
    let mut slots = [const { MaybeUninit::uninit() }; DEFAULT_MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    // It was parsed before, as far as this.
    let _ = parsed.parse_with_uninit_headers(head, &mut slots);
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value));
        // Both take what the parser takes.
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_the_parser_takes_is_in_the_map() {
        for byte in 0..=u8::MAX {
            for (name, value) in [(vec![b'a', byte, b'a'], vec![b'a']), (vec![b'a'], vec![b'a', byte, b'a'])]
            {
                let head = [b"GET / HTTP/1.1\r\n", &name[..], b": ", &value, b"\r\nx: y\r\n\r\n"].concat();
                let mut slots = [httparse::EMPTY_HEADER; 3];
                let mut parsed = httparse::Request::new(&mut slots);
                if parsed.parse(&head).is_ok() {
                    let len = parsed.headers.len();
                    assert_eq!(headers(&head.clone().into()).len(), len, "{byte}");
                }
            }
        }
    }
}
