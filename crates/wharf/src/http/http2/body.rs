//! The body of an answer over HTTP/2, as its stream watches it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::super::service::{BoxError, ResponseBody};
use super::streams;

/// A response's body that tells its stream what became of it, and is given in pieces: hyper takes each whole as soon as the
/// client has room for a byte of it, and then nobody waits for the client any more.
pub(super) struct WatchedBody {
    body: ResponseBody,
    /// Came with the last piece, and is the next.
    rest: Bytes,
}

impl WatchedBody {
    pub(super) const fn new(body: ResponseBody) -> Self {
        Self { body, rest: Bytes::new() }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                ended => return Poll::Ready(ended),
            }
        }
        let len = self.rest.len().min(PIECE_SIZE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(len)))))
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = self.poll_piece(cx);
        streams::body_was_asked(polled.is_ready());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}

/// How much of an answer hyper is given at once, in bytes: that much of it may lie here for a client that takes nothing.
const PIECE_SIZE: usize = 16 * 1024;
