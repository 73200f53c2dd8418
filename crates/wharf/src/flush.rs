//! Learning that what was sent has left.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use crate::connection::Connection;

impl Connection {
    /// Waits until all that was sent before has been given to the socket, to the last fragment; what others send
    /// meanwhile is not waited for. Where [`send`](Self::send) returns when a message is queued, the two together
    /// tell when it is out:
    ///
    /// ```no_run
    /// # async fn say(connection: wharf::Connection) -> Result<(), Box<dyn std::error::Error>> {
    /// connection.send("going once").await?;
    /// connection.flush().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It tells of this end only: what the socket has taken may still be lost on its way.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// [`FlushError`] where the connection ended first, or began to close before a message that was queued already.
    pub async fn flush(&self) -> Result<(), FlushError> {
        let (left, has_left) = oneshot::channel();
        let outbox = &self.shared.outbox;
        if outbox.flush(left) {
            self.shared.wake_driver();
        }
        if has_left.await.is_ok() {
            return Ok(());
        }
        // Nobody came to it: then how the connection ended tells.
        if outbox.has_lost_nothing().await { Ok(()) } else { Err(FlushError) }
    }
}

/// Something that was sent never left: the connection ended, or began to close, before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection ended before all that was sent on it had left")]
pub struct FlushError;

/// Those who wait for output to leave, in its order.
#[derive(Debug, Default)]
pub(crate) struct Flushes(VecDeque<Flush>);

#[derive(Debug)]
struct Flush {
    /// Bytes of output that are to leave before.
    ahead: usize,
    left: oneshot::Sender<()>,
}

impl Flushes {
    /// Whoever waits for the output that there is now, so many bytes.
    pub(crate) fn push(&mut self, ahead: usize, left: oneshot::Sender<()>) {
        // Those who gave up waiting are not to pile up.
        while self.0.back().is_some_and(|last| last.left.is_closed()) {
            self.0.pop_back();
        }
        self.0.push_back(Flush { ahead, left });
    }

    /// So many bytes of output have left: those who wait for more.
    pub(crate) fn written(mut self: Box<Self>, len: usize) -> Option<Box<Self>> {
        for flush in &mut self.0 {
            flush.ahead = flush.ahead.saturating_sub(len);
        }
        while self.0.front().is_some_and(|first| first.ahead == 0) {
            if let Some(Flush { left, .. }) = self.0.pop_front() {
                // Whoever gave up waiting need not be told.
                let _ = left.send(());
            }
        }
        (!self.0.is_empty()).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_when_its_own_output_has_left() {
        let mut flushes = Box::new(Flushes::default());
        let [(first, mut first_left), (second, mut second_left)] = [oneshot::channel(), oneshot::channel()];
        flushes.push(10, first);
        flushes.push(15, second);
        let flushes = flushes.written(9).expect("both wait");
        assert!(first_left.try_recv().is_err());
        let flushes = flushes.written(1).expect("one waits");
        assert!(first_left.try_recv().is_ok() && second_left.try_recv().is_err());
        assert!(flushes.written(100).is_none());
        assert!(second_left.try_recv().is_ok());
    }

    #[test]
    fn those_who_gave_up_do_not_pile_up() {
        let mut flushes = Flushes::default();
        for _ in 0..1000 {
            flushes.push(1, oneshot::channel().0);
        }
        assert_eq!(flushes.0.len(), 1);
    }
}
