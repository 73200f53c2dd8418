//! The end of a connection: what is left to send, and the end of TCP (RFC 6455 §7.1.1).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::ReadBuf;

use super::{Driver, Receiver, Transport};
use crate::connection::Connection;
use crate::proto::connection::{self, Cause, Ending};
use crate::shared::{Owner, Shared};

/// How far the end of a connection has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Teardown {
    /// Frames come and go, or their end was not noticed yet.
    #[default]
    NotBegun,
    /// What waits is being sent, then our half of TCP ends.
    Sending,
    /// Our half has ended; the peer is to end its own.
    Lingering,
}

impl<S: Transport> Driver<S> {
    /// Ends TCP after the protocol's end, as far as can be done now: after both sides have said Close, our half at once
    /// (RFC 6455 §5.5.1), and after a broken rule (RFC 6455 §7.1.7).
    pub(super) fn end(&mut self, cx: &mut Context<'_>, read_buffer: &mut [u8], now: Instant) -> Poll<()> {
        let Some(ending) = self.core.ending().cloned() else { return Poll::Pending };
        if self.teardown == Teardown::NotBegun {
            self.teardown = Teardown::Sending;
            self.connection.shared.ended(&ending);
        }
        let is_late = self.is_given_up || self.core.next_deadline().is_none_or(|(until, _)| until <= now);
        let is_prompt = ending.teardown() == connection::Teardown::Prompt;
        if self.teardown == Teardown::Sending {
            if !self.output.is_empty() {
                if !is_late && !is_prompt {
                    return Poll::Pending;
                }
                // A stream cut within a frame must not look like one that was ended in order.
                self.lose_output();
                self.stream.reset_on_drop();
                return self.gone(&ending);
            }
            if self.core.is_tcp_the_peers_to_end()
                && !is_late
                && self.discard_input(cx, read_buffer).is_pending()
            {
                return Poll::Pending;
            }
            match Pin::new(&mut self.stream).poll_shutdown(cx) {
                Poll::Pending if !is_late => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Pending | Poll::Ready(Err(_)) => return self.gone(&ending),
            }
            self.teardown = Teardown::Lingering;
        }
        // What the peer has sent meanwhile is read, because a socket closed with unread input is reset, and that
        // can destroy our last frames on their way.
        let has_peer_ended = self.discard_input(cx, read_buffer).is_ready();
        if has_peer_ended
            || !self.stream.lingers()
            || is_late
            || is_prompt
            || ending == Ending::Lost(Cause::PeerEnded)
        {
            return self.gone(&ending);
        }
        Poll::Pending
    }

    /// Reads and throws away: ready when the peer has ended its half.
    fn discard_input(&mut self, cx: &mut Context<'_>, read_buffer: &mut [u8]) -> Poll<()> {
        for _ in 0..super::READS_A_TURN {
            let mut read = ReadBuf::new(read_buffer);
            match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn gone(&mut self, ending: &Ending) -> Poll<()> {
        self.tell(ending);
        Poll::Ready(())
    }

    /// Tells everybody, once.
    fn tell(&mut self, ending: &Ending) {
        if let Some(owner) = self.owner.take() {
            tell(&self.connection, owner.as_ref(), &mut self.receiver, ending);
        }
    }
}

/// A connection that never came to be: TCP was gone before the opening handshake was answered.
pub(crate) fn never_opened(shared: &Arc<Shared>, owner: &dyn Owner, mut receiver: Receiver) {
    let ending = Ending::Lost(Cause::BeforeHandshake);
    shared.ended(&ending);
    tell(&Connection::new(shared.clone()), owner, &mut receiver, &ending);
}

/// Tells the server that the connection is gone, then those who wait for it, then its handler: last, because it is code
/// of the user's, which may panic.
pub(super) fn tell(connection: &Connection, owner: &dyn Owner, receiver: &mut Receiver, ending: &Ending) {
    owner.connection_gone(&connection.shared, ending);
    connection.shared.gone();
    receiver.close(connection, ending);
}
