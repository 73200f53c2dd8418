//! An HTTP/1.1 response, read from a stream before it is one of WebSocket frames (RFC 9112 §6).

use std::io;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

use crate::proto::handshake::{HeadError, HeadLimits, HttpVersion, ResponseHead, parse_response};

/// Reads responses off a stream, and keeps what comes behind them.
pub(super) struct Reader<'s, S> {
    stream: &'s mut S,
    unread: Vec<u8>,
}

/// There is no response.
#[derive(Debug)]
pub(super) enum ResponseError {
    Lost(io::Error),
    Malformed(HeadError),
}

impl<'s, S: AsyncRead + Unpin> Reader<'s, S> {
    pub(super) const fn new(stream: &'s mut S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// The head of the next response that is final, or 101: interim ones are passed over (RFC 9110 §15.2).
    pub(super) async fn head(&mut self) -> Result<http::Response<()>, ResponseError> {
        loop {
            let parsed = parse_response(&self.unread, &HeadLimits::default());
            if let Some((head, length)) = parsed.map_err(ResponseError::Malformed)? {
                let response = response(&head).map_err(ResponseError::Malformed)?;
                self.unread.drain(..length);
                let status = response.status();
                if status == StatusCode::SWITCHING_PROTOCOLS || !status.is_informational() {
                    return Ok(response);
                }
            } else if self.read().await.map_err(ResponseError::Lost)? == 0 {
                return Err(ResponseError::Lost(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// The response with its body: as much of it as came before the limit, the deadline or the end of the stream.
    pub(super) async fn body(
        &mut self,
        head: http::Response<()>,
        limit: usize,
        deadline: Instant,
    ) -> http::Response<Bytes> {
        let mut body = Vec::new();
        let reading = self.read_body(Framing::of(&head), limit, &mut body);
        // However it ended, the head and what came of the body are worth more than why the rest did not.
        let _ = timeout_at(deadline, reading).await;
        head.map(|()| body.into())
    }

    /// What came behind the head.
    pub(super) fn into_unread(self) -> Vec<u8> {
        self.unread
    }

    async fn read_body(&mut self, framing: Framing, limit: usize, body: &mut Vec<u8>) -> io::Result<()> {
        match framing {
            Framing::Length(length) => {
                self.take(length, limit, body).await?;
            }
            Framing::ToEnd => {
                self.take(u64::MAX, limit, body).await?;
            }
            Framing::Chunked => {
                while body.len() < limit {
                    let size = self.chunk_size().await?;
                    if size == 0 || !self.take(size, limit, body).await? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Moves `length` bytes into the body, or as many as there is room for: whether all came.
    async fn take(&mut self, mut length: u64, limit: usize, body: &mut Vec<u8>) -> io::Result<bool> {
        while length > 0 {
            let room = limit - body.len();
            let wanted = usize::try_from(length).unwrap_or(usize::MAX).min(room);
            if wanted == 0 || self.unread.is_empty() && self.read().await? == 0 {
                return Ok(false);
            }
            let taken = wanted.min(self.unread.len());
            body.extend(self.unread.drain(..taken));
            length -= taken as u64;
        }
        Ok(true)
    }

    /// The line before a chunk, and the end of the line that the chunk before left (RFC 9112 §7.1).
    async fn chunk_size(&mut self) -> io::Result<u64> {
        loop {
            let line_end = if self.unread.starts_with(b"\r\n") { 2 } else { 0 };
            match httparse::parse_chunk_size(&self.unread[line_end..]) {
                Ok(httparse::Status::Complete((length, size))) => {
                    self.unread.drain(..line_end + length);
                    return Ok(size);
                }
                Ok(httparse::Status::Partial) if self.unread.len() <= LONGEST_CHUNK_LINE => {
                    if self.read().await? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Ok(httparse::Status::Partial) | Err(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Reads once: how many bytes.
    async fn read(&mut self) -> io::Result<usize> {
        self.unread.reserve(READ_SIZE);
        self.stream.read_buf(&mut self.unread).await
    }
}

/// Where a body ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    ToEnd,
}

impl Framing {
    fn of(head: &http::Response<()>) -> Self {
        let headers = head.headers();
        if matches!(head.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Self::Length(0);
        }
        if let Some(encoding) = headers.get_all(header::TRANSFER_ENCODING).iter().next_back() {
            let is_chunked = encoding.as_bytes().to_ascii_lowercase().trim_ascii().ends_with(b"chunked");
            return if is_chunked { Self::Chunked } else { Self::ToEnd };
        }
        let length =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        length.map_or(Self::ToEnd, Self::Length)
    }
}

fn response(head: &ResponseHead<'_>) -> Result<http::Response<()>, HeadError> {
    let mut response = http::Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status).map_err(|_| HeadError::StatusLine)?;
    *response.version_mut() = match head.version {
        HttpVersion::Http10 => http::Version::HTTP_10,
        HttpVersion::Http11 => http::Version::HTTP_11,
    };
    *response.headers_mut() = headers(head)?;
    Ok(response)
}

fn headers(head: &ResponseHead<'_>) -> Result<HeaderMap, HeadError> {
    let mut headers = HeaderMap::new();
    for (name, value) in head.fields.iter() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeadError::FieldName)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| HeadError::FieldValue)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// What one read has room for, in bytes.
const READ_SIZE: usize = 4096;

/// A chunk's size with extensions that nobody uses, in bytes.
const LONGEST_CHUNK_LINE: usize = 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn read(mut bytes: &[u8], limit: usize) -> (http::Response<Bytes>, Vec<u8>) {
        let mut reader = Reader::new(&mut bytes);
        let head = reader.head().await.unwrap();
        let response = reader.body(head, limit, Instant::now() + Duration::from_secs(10)).await;
        (response, reader.into_unread())
    }

    #[tokio::test]
    async fn a_body_ends_where_its_framing_says() {
        // RFC 9112 §6.3, §7.1
        for (head, body, unread) in [
            ("HTTP/1.1 401 No\r\nContent-Length: 3\r\n\r\n", "abcdef", "def"),
            (
                "HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n",
                "2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\nnext",
                "\r\nnext",
            ),
            ("HTTP/1.0 401 No\r\n\r\n", "abc", ""),
            ("HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 401 No\r\n\r\n", "abc", ""),
            (
                "HTTP/1.1 401 No\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 1\r\n\r\n",
                "3\r\nabc\r\n0\r\n\r\n",
                "\r\n",
            ),
        ] {
            let (response, rest) = read(format!("{head}{body}").as_bytes(), 100).await;
            assert_eq!(response.status(), 401);
            assert_eq!(response.body(), "abc", "{head}");
            assert_eq!(rest, unread.as_bytes(), "{head}");
        }
        assert_eq!(read(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\nabc", 9).await.0.body(), "");
    }

    #[tokio::test]
    async fn a_body_is_cut_at_the_limit_however_it_is_framed() {
        for response in [
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef",
            "HTTP/1.1 200 OK\r\n\r\nabcdef",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n4\r\ncdef\r\n0\r\n\r\n",
        ] {
            assert_eq!(read(response.as_bytes(), 3).await.0.body(), "abc", "{response}");
            assert_eq!(read(response.as_bytes(), 0).await.0.body(), "", "{response}");
        }
    }

    #[tokio::test]
    async fn a_broken_body_leaves_what_came_of_it() {
        for (body, expected) in [("2\r\nab", "ab"), ("2\r\nab\r\nzz\r\n", "ab"), ("2\r\nabc", "ab"), ("", "")]
        {
            let response = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
            assert_eq!(read(response.as_bytes(), 9).await.0.body(), expected, "{body}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;{}", "x".repeat(5000));
        assert_eq!(read(endless.as_bytes(), 9).await.0.body(), "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_given_up_at_the_deadline() {
        let (mut ours, mut theirs) = tokio::io::duplex(1024);
        let response = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc";
        tokio::io::AsyncWriteExt::write_all(&mut theirs, response).await.unwrap();
        let mut reader = Reader::new(&mut ours);
        let head = reader.head().await.unwrap();
        let response = reader.body(head, 100, Instant::now() + Duration::from_secs(10)).await;
        assert_eq!(response.body(), "abc");
    }

    #[tokio::test]
    async fn an_end_before_the_head_is_a_loss_and_other_protocols_are_malformed() {
        let mut cut: &[u8] = b"HTTP/1.1 101 Swi";
        assert!(matches!(Reader::new(&mut cut).head().await, Err(ResponseError::Lost(_))));
        let endless = vec![b'a'; 20_000];
        for mut other in [b"SSH-2.0-x\r\n".as_slice(), b"HTTP/1.1 099 x\r\n\r\n", endless.as_slice()] {
            assert!(matches!(Reader::new(&mut other).head().await, Err(ResponseError::Malformed(_))));
        }
    }
}
