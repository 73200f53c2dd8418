//! What tells a session to end: Ctrl-C, a service manager, a terminal that goes away.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use wharf::CloseCode;

#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Takes the signals over from the system, which would end the program.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for any of them: the code to close with.
    ///
    /// Cancel safe.
    pub(super) async fn stop(&mut self) -> CloseCode {
        tokio::select! {
            _ = self.interrupt.recv() => CloseCode::NORMAL,
            _ = self.terminate.recv() => CloseCode::GOING_AWAY,
            _ = self.hang_up.recv() => CloseCode::GOING_AWAY,
        }
    }
}
