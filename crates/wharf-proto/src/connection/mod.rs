//! One WebSocket connection after its opening handshake, as a state machine over bytes.
//!
//! [`Connection`] does no I/O and has no clock. Its methods come in four families:
//! 1. what is: [`is_open`](Connection::is_open), [`ending`](Connection::ending),
//!    [`next_deadline`](Connection::next_deadline);
//! 2. what happened outside: [`receive`](Connection::receive), [`lost`](Connection::lost),
//!    [`output_written`](Connection::output_written), [`reading_paused`](Connection::reading_paused),
//!    [`deadline_passed`](Connection::deadline_passed);
//! 3. what the application wants: [`send`](Connection::send), [`ping`](Connection::ping),
//!    [`close`](Connection::close) and the rest of `send.rs`;
//! 4. what follows of it goes into `output`, which the caller owns and writes when its batch ends.
//!
//! ```
//! use std::{sync::Arc, time::Instant};
//! use wharf_proto::connection::{Config, Connection, Event, Input};
//!
//! let now = Instant::now();
//! let mut connection = Connection::server(Arc::new(Config::default()), now);
//! // The masked "Hello" of RFC 6455 §5.7, as a driver would read it from a socket.
//! let mut read = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
//! let (mut input, mut scratch, mut output) = (Input::new(&mut read), Vec::new(), Vec::new());
//! while let Some(event) = connection.receive(&mut input, &mut scratch, &mut output, now) {
//!     if let Event::Message(message) = event {
//!         connection.send(message.as_ref(), &mut output)?;
//!     }
//! }
//! assert_eq!(output, b"\x81\x05Hello");
//! # Ok::<(), wharf_proto::CommandError>(())
//! ```

mod compression;
mod config;
mod deadline;
mod fragments;
mod input;
mod long;
mod receive;
mod send;
mod state;
mod whole;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

pub use config::{Config, Keepalive};
pub use deadline::Deadline;
pub use fragments::{FrameSequence, RawFrame};
pub use input::Input;
pub use receive::{Event, Frame};
pub use send::{FramedMessages, Prepared, PreparedMessage, PreparedMessages};
pub use state::{Cause, Ending, Side, Teardown};

use crate::deflate::Direction;
use crate::deflate::contexts::Contexts;
use crate::frame::MAX_CONTROL_PAYLOAD;
use crate::mask::MaskingKey;
use receive::Reading;
use state::State;

/// A connection's protocol, from the end of its opening handshake to the end of TCP.
///
/// It keeps nothing of what it has read but the tail of an unfinished frame and the message that this frame is
/// part of, and gives both back when they end.
pub struct Connection {
    config: Arc<Config>,
    aside: Option<Box<Aside>>,
    keepalive: deadline::Keepalive,
    /// Since when the keepalive waits for what it waits for.
    keepalive_since: Instant,
    is_paused: bool,
    /// How messages that are sent are compressed, where the opening handshake agreed on it.
    compression: Option<Direction>,
}

/// What a server's connection does not have while it is open and nothing is unfinished: made when there is some of it, and
/// given back with the last.
#[derive(Default)]
struct Aside {
    state: State,
    reading: Reading,
    /// The payload of the latest ping that is not answered yet.
    owed_pong: Option<Box<ControlPayload>>,
    /// What of compression has to be kept from message to message: nothing, where neither side takes its context over.
    contexts: Option<Box<Contexts>>,
    /// What was sent, in frames composed by hand.
    sent: FrameSequence,
    /// When output that could not be written at once last moved.
    output_waiting_since: Option<Instant>,
    /// On a client, where its masking keys come from; a server does not mask (RFC 6455 §5.1).
    masking_keys: Option<MaskingKeys>,
}

impl Aside {
    /// Whether the next frame may be a message that is taken without a look at what came before it.
    fn is_at_a_message(&self) -> bool {
        matches!(self.state, State::Open) && self.reading.is_at_a_message() && self.owed_pong.is_none()
    }

    fn is_empty(&self) -> bool {
        self.is_at_a_message()
            && self.contexts.is_none()
            && !self.sent.is_within_message()
            && self.output_waiting_since.is_none()
            && self.masking_keys.is_none()
    }
}

struct MaskingKeys(Box<dyn FnMut() -> MaskingKey + Send>);

/// What a control frame holds, behind a thin pointer, because few connections owe a pong.
struct ControlPayload {
    bytes: [u8; MAX_CONTROL_PAYLOAD],
    len: u8,
}

impl ControlPayload {
    fn new(payload: &[u8]) -> Self {
        let mut bytes = [0; MAX_CONTROL_PAYLOAD];
        let len = payload.len().min(bytes.len());
        bytes[..len].copy_from_slice(&payload[..len]);
        Self { bytes, len: len.to_le_bytes()[0] }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

const _: () = assert!(size_of::<Connection>() <= 40, "an idle connection is to stay small");

impl Connection {
    /// The server's end of a connection. It masks nothing (RFC 6455 §5.1).
    pub fn server(config: Arc<Config>, now: Instant) -> Self {
        let keepalive = match config.keepalive {
            Some(_) => deadline::Keepalive::Listening,
            None => deadline::Keepalive::Off,
        };
        Self { config, aside: None, keepalive, keepalive_since: now, is_paused: false, compression: None }
    }

    /// The client's end of a connection. `masking_keys` gives a fresh key for each frame, from a strong source of
    /// randomness (RFC 6455 §5.3).
    pub fn client(
        config: Arc<Config>,
        masking_keys: impl FnMut() -> MaskingKey + Send + 'static,
        now: Instant,
    ) -> Self {
        let masking_keys = Some(MaskingKeys(Box::new(masking_keys)));
        Self {
            aside: Some(Box::new(Aside { masking_keys, ..Aside::default() })),
            ..Self::server(config, now)
        }
    }

    /// The transport ended or failed. Ends the connection, unless it has ended before (RFC 6455 §7.2.1); where we have
    /// said Close, what we said stands.
    pub fn lost(&mut self, cause: Cause, now: Instant) {
        let linger = now + self.config.close_timeout;
        self.aside().state.lost(cause, linger);
    }

    /// Whether neither side has begun to close: frames can be sent.
    #[inline]
    pub fn is_open(&self) -> bool {
        matches!(self.state(), State::Open)
    }

    /// How the connection ended, once it has. From then on nothing is received or sent; the driver writes what
    /// is left in its output and ends TCP as [`Ending::teardown`] says, by the last deadline.
    pub fn ending(&self) -> Option<&Ending> {
        match self.state() {
            State::Ended { ending, .. } => Some(ending),
            State::Open | State::SendingClose { .. } | State::AwaitingClose { .. } => None,
        }
    }

    /// Whether TCP is the peer's to end first: on a client, once both sides have said Close (RFC 6455 §7.1.1). A
    /// driver waits for that until the last deadline, before it ends its own half.
    pub fn is_tcp_the_peers_to_end(&self) -> bool {
        !self.is_server() && matches!(self.state(), State::Ended { ending: Ending::Clean { .. }, .. })
    }

    /// What the connection was made with.
    pub const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// To change what few connections have.
    fn aside(&mut self) -> &mut Aside {
        self.aside.get_or_insert_default()
    }

    /// Gives back what is not needed any more.
    #[inline]
    fn tidy(&mut self) {
        if self.aside.as_ref().is_some_and(|aside| aside.is_empty()) {
            self.aside = None;
        }
    }

    #[inline]
    fn state(&self) -> &State {
        self.aside.as_ref().map_or(&State::Open, |aside| &aside.state)
    }

    #[inline]
    fn is_server(&self) -> bool {
        self.aside.as_ref().is_none_or(|aside| aside.masking_keys.is_none())
    }

    #[inline]
    fn owes_pong(&self) -> bool {
        self.aside.as_ref().is_some_and(|aside| aside.owed_pong.is_some())
    }

    #[inline]
    fn output_waiting_since(&self) -> Option<Instant> {
        self.aside.as_ref()?.output_waiting_since
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("state", self.state())
            .field("keepalive", &self.keepalive)
            .field("output_waiting_since", &self.output_waiting_since())
            .finish_non_exhaustive()
    }
}
