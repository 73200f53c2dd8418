//! What waits to be sent on a connection: bounded, and shared by every handle on it.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::burst::Burst;
use crate::error::{ControlError, TrySendError};
use crate::hub::{Backlog, Home};
use crate::options::Options;
use crate::proto::connection::{Config, FrameSequence, FramedMessages};
use crate::proto::message::MessageRef;
use crate::proto::{Close, CloseCode, Message};
use crate::queue::{Command, PLACE, Queue};

/// Below so many bytes of payload, a message is framed by whoever sends it, where nothing more than a header is to be put
/// before it: it is in the cache, and its memory is free for the next one before the driver comes to it. The driver copies
/// the frames once more, which a longer message would pay for.
const SHORT: u16 = 512;

/// What is to be queued, as far as it has to wait for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A message: not within another.
    Message,
    /// A frame of data that `send_frame` sends: not within a message that is not made of such frames.
    Frame,
    /// A control frame, a raw frame, or a writer's next part of its own message.
    Any,
}

/// The message of which some fragments are queued or sent, and some are still to come.
#[derive(Debug)]
enum Unfinished {
    /// One that `send_frame` sends, or none.
    Frames(FrameSequence),
    /// One of a `MessageWriter`, which knows that it is its own.
    Writers,
    /// One of the connection's handler, which sends past the outbox.
    Handlers,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// What there is to be taken. Changed only under the lock.
    to_take: AtomicU8,
    /// Made by the first who waits, because few connections have anybody who does.
    waiting: OnceLock<Box<Waiting>>,
    /// Messages of fewer bytes are framed when they are queued.
    framed_below: u16,
    /// Where what topics have for it comes from. Here, because there are bytes to spare.
    home: Home,
    options: Arc<Options>,
}

/// What there is to be taken: nothing; anything; or messages of a topic, and nothing else.
const NOTHING: u8 = 0;
const COMMANDS: u8 = 1;
const DELIVERY: u8 = 2;

/// Those who wait. Whatever they wait for is changed under the lock, and looked at under it after this was made: whoever
/// changes it and finds nothing here has nobody to tell.
#[derive(Debug, Default)]
struct Waiting {
    /// Told whenever room was made, the connection can send no more, or has ended.
    room: Notify,
    /// Told when the driver is gone.
    gone: Notify,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, in bytes that the struct has to spare")]
pub(crate) struct State {
    commands: Queue,
    /// The weight of `commands`, but for a burst's that more may be added to.
    queued: usize,
    /// Bytes that the driver has taken and not yet written to the socket.
    unsent: usize,
    /// `commands` are a burst that more may be added to, for all connections at once.
    is_in_burst: bool,
    /// What waits of topics, because the socket takes no more. Boxed, because few connections have any.
    backlog: Option<Box<Backlog>>,
    /// It has subscribed to something, and its hub is to be told when it ends.
    is_subscriber: bool,
    /// The socket did not take all that it was given.
    is_stalled: bool,
    /// It was full since it was last empty.
    was_full: bool,
    /// Something that was queued did not leave, and never will.
    has_lost: bool,
    /// The driver is gone: nothing will be taken any more.
    is_gone: bool,
    phase: Phase,
    unfinished: Unfinished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// Either side has said Close: no message may follow, but the connection can still be given up, also while its TCP
    /// connection lingers.
    Closing,
    /// It was given up, or is gone.
    GivenUp,
}

impl Outbox {
    /// `frames_plainly`: a message is a header and its bytes as they are, neither masked nor compressed.
    pub(crate) fn new(options: Arc<Options>, frames_plainly: bool, home: Home) -> Self {
        let state = State {
            commands: Queue::default(),
            queued: 0,
            unsent: 0,
            is_in_burst: false,
            backlog: None,
            is_subscriber: false,
            is_stalled: false,
            was_full: false,
            has_lost: false,
            is_gone: false,
            phase: Phase::Open,
            unfinished: Unfinished::Frames(FrameSequence::default()),
        };
        let to_take = AtomicU8::new(NOTHING);
        let framed_below = if frames_plainly { framed_below(&options.core) } else { 0 };
        Self { state: Mutex::new(state), to_take, waiting: OnceLock::new(), framed_below, home, options }
    }

    /// Queues a message: whether the driver is to be woken.
    ///
    /// One message may pass the limit, so that a message larger than it can be sent at all.
    #[inline]
    pub(crate) fn try_send(
        &self,
        message: Message,
        command: impl Fn(Message) -> Command,
    ) -> Result<bool, TrySendError> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(TrySendError::Closed(message));
        }
        if !state.admits(Turn::Message, self.limit()) {
            return Err(TrySendError::Full(message));
        }
        if self.is_framed_ahead(message.as_ref()) {
            return Ok(self.push_framed(&mut state, message.as_ref()));
        }
        Ok(self.push(&mut state, command(message)))
    }

    /// Queues a message that is short, if there is room, as nearly always: whether the driver is to be woken. `None` leaves
    /// it to [`try_send`](Self::try_send), which takes the message.
    #[inline]
    pub(crate) fn try_send_short(&self, message: MessageRef<'_>) -> Option<bool> {
        if !self.is_framed_ahead(message) {
            return None;
        }
        let mut state = self.lock();
        (state.phase == Phase::Open && state.admits(Turn::Message, self.limit()))
            .then(|| self.push_framed(&mut state, message))
    }

    /// Queues the first message of a burst, if there is room, and the others that will be added to it.
    #[inline]
    pub(crate) fn try_send_burst(&self, burst: &Arc<Burst>, message: MessageRef<'_>) -> Option<InBurst> {
        let mut state = self.lock();
        if state.phase != Phase::Open || !state.admits(Turn::Message, self.limit()) {
            return None;
        }
        let room = self.limit().saturating_sub(state.waiting() + message.as_bytes().len() + PLACE);
        if room == 0 || !state.commands.is_empty() {
            return Some(InBurst { wake: self.push_framed(&mut state, message), room: 0 });
        }
        state.commands = Queue::Burst(burst.clone());
        state.is_in_burst = true;
        self.to_take.store(COMMANDS, Ordering::Release);
        Some(InBurst { wake: true, room })
    }

    /// Queues a message that goes to many, if there is room: whether the driver is to be woken, or `None`.
    pub(crate) fn try_send_to_many(&self, command: Command) -> Option<bool> {
        let mut state = self.lock();
        (state.phase == Phase::Open && state.admits(Turn::Message, self.limit()))
            .then(|| self.push(&mut state, command))
    }

    /// Queues a control frame: whether the driver is to be woken.
    pub(crate) fn control(&self, command: Command) -> Result<bool, ControlError> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(ControlError::Closed);
        }
        if !state.admits(Turn::Any, self.limit()) {
            return Err(ControlError::Full);
        }
        Ok(self.push(&mut state, command))
    }

    /// Queues our Close, after which nothing more can be sent: whether the driver is to be woken. A second one is not
    /// queued.
    pub(crate) fn close(&self, close: Close) -> bool {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return false;
        }
        // Nobody was woken for what waits.
        let had_backlog = state.queue_backlog();
        let wake = self.push(&mut state, Command::Close(close)) || had_backlog;
        self.enter(Phase::Closing, state);
        wake
    }

    /// Queues the connection's drop, unless it is gone: whether the driver is to be woken.
    pub(crate) fn drop_connection(
        &self,
        code: CloseCode,
        description: Option<String>,
        tell_peer: bool,
    ) -> bool {
        let mut state = self.lock();
        if state.phase == Phase::GivenUp {
            return false;
        }
        let wake = self.push(&mut state, Command::Drop { code, description, tell_peer });
        self.enter(Phase::GivenUp, state);
        wake
    }

    /// Sees to it that `left` is told when all that waits now has left, and dropped where it cannot: whether the
    /// driver is to be woken.
    pub(crate) fn flush(&self, left: oneshot::Sender<()>) -> bool {
        let mut state = self.lock();
        if state.is_gone || state.has_lost {
            return false;
        }
        if state.waiting() == 0 {
            // Fails only where nobody waits any more.
            let _ = left.send(());
            return false;
        }
        // Those who gave up waiting are not to pile up.
        let gave_up = |last: &mut Command| matches!(last, Command::Flush(left) if left.is_closed());
        let commands = state.commands.as_mut();
        while commands.pop_if(gave_up).is_some() {}
        self.push(&mut state, Command::Flush(left))
    }

    /// Waits for the end, or the first loss: whether all that was queued has left.
    pub(crate) async fn has_lost_nothing(&self) -> bool {
        self.until(|state| state.is_gone || state.has_lost).await;
        !self.lock().has_lost
    }

    /// Something that the driver took will not leave.
    pub(crate) fn lose(&self) {
        self.lock().has_lost = true;
        self.announce();
    }

    /// Waits until something can be queued, or never can again.
    pub(crate) async fn has_room(&self, turn: Turn) {
        self.until(|state| state.phase != Phase::Open || state.admits(turn, self.limit())).await;
    }

    /// Waits until nothing waits to be sent, or what waits never will be.
    pub(crate) async fn is_empty(&self) {
        self.until(|state| state.phase == Phase::GivenUp || state.has_left()).await;
    }

    /// Takes what was queued, in order. Within a message of the handler's own, messages stay.
    #[inline]
    pub(crate) fn take(&self) -> Queue {
        if self.has_commands() { self.take_some() } else { Queue::default() }
    }

    fn take_some(&self) -> Queue {
        let mut state = self.lock();
        self.to_take.store(NOTHING, Ordering::Release);
        let mut taken = std::mem::take(&mut state.commands);
        if state.phase == Phase::Open && matches!(state.unfinished, Unfinished::Handlers) {
            let mut passing = Queue::default();
            for command in taken.as_mut().drain(..) {
                // Whoever waits for a message to leave waits behind it.
                let stays = matches!(command, Command::Flush(_)) && !state.commands.is_empty();
                if stays || !command.is_control() {
                    state.commands.as_mut().push(command);
                } else {
                    state.unsent += command.weight();
                    state.queued -= command.weight();
                    passing.as_mut().push(command);
                }
            }
            return passing;
        }
        state.unsent += state.queued;
        state.queued = 0;
        if taken.is_empty() {
            return state.take_backlog();
        }
        self.resume_backlog(&state);
        taken
    }

    /// The driver has `unsent` bytes left that the socket did not take: whether nothing waits now, for the first time
    /// since it was full.
    pub(crate) fn set_unsent(&self, unsent: usize) -> bool {
        let mut state = self.lock();
        let before = state.waiting();
        state.unsent = unsent;
        state.is_stalled = unsent > 0;
        let after = state.waiting();
        let has_drained = after == 0 && std::mem::take(&mut state.was_full);
        self.resume_backlog(&state);
        drop(state);
        if after < before || after == 0 {
            self.announce();
        }
        has_drained
    }

    /// No message can be sent any more.
    pub(crate) fn closing(&self) {
        let state = self.lock();
        if state.phase == Phase::Open {
            self.enter(Phase::Closing, state);
        }
    }

    /// No message can be sent any more, and none received.
    pub(crate) fn ended(&self) {
        self.closing();
        self.announce();
    }

    /// Nothing is left that could be sent to, or given up.
    pub(crate) fn gone(&self) {
        let mut state = self.lock();
        state.has_lost |= state.unsent > 0 || state.commands.as_mut().iter().any(Command::is_frame);
        state.is_gone = true;
        state.discard_deliveries();
        state.commands = Queue::default();
        state.queued = 0;
        state.unsent = 0;
        self.enter(Phase::GivenUp, state);
        if let Some(waiting) = self.waiting.get() {
            waiting.gone.notify_waiters();
        }
    }

    /// Waits until the driver is gone.
    pub(crate) async fn has_gone(&self) {
        self.until_told(|waiting| &waiting.gone, |state| state.is_gone).await;
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.lock().is_gone
    }

    pub(crate) fn is_open(&self) -> bool {
        self.lock().phase == Phase::Open
    }

    pub(crate) fn buffered_amount(&self) -> usize {
        self.lock().waiting()
    }

    /// Bytes of weight at which it counts as full.
    pub(crate) fn limit(&self) -> usize {
        self.options.config.max_buffered_amount
    }

    /// Where the connection's subscriptions live.
    pub(crate) const fn home(&self) -> Home {
        self.home
    }

    pub(crate) const fn options(&self) -> &Arc<Options> {
        &self.options
    }

    /// Whether this message is framed by whoever sends it.
    #[inline]
    pub(crate) fn is_framed_ahead(&self, message: MessageRef<'_>) -> bool {
        message.as_bytes().len() < self.framed_below()
    }

    /// Messages of fewer bytes are framed by whoever sends them.
    #[inline]
    pub(crate) fn framed_below(&self) -> usize {
        self.framed_below.into()
    }

    /// Queues a short message with those before it.
    #[inline]
    fn push_framed(&self, state: &mut State, message: MessageRef<'_>) -> bool {
        let added = message.as_bytes().len() + PLACE;
        let Some(Command::SendFramed { messages, weight }) = state.commands.as_mut().last_mut() else {
            let mut messages = FramedMessages::default();
            messages.push(message);
            return self.push(state, Command::SendFramed { messages, weight: added });
        };
        messages.push(message);
        *weight += added;
        state.queued += added;
        state.was_full |= state.waiting() >= self.limit();
        // The driver was woken for the first of them.
        false
    }

    /// The first command wakes the driver, which takes all that follow with it, unless it leaves some behind.
    #[inline]
    fn push(&self, state: &mut State, command: Command) -> bool {
        state.queued += command.weight();
        state.was_full |= state.waiting() >= self.limit();
        let commands = state.commands.as_mut();
        if commands.capacity() == 0 {
            // To let it grow from nothing takes 40 instructions more, which a message by itself would pay for.
            *commands = Vec::with_capacity(4);
        }
        commands.push(command);
        self.to_take.store(COMMANDS, Ordering::Release);
        commands.len() == 1 || matches!(state.unfinished, Unfinished::Handlers)
    }

    fn enter(&self, phase: Phase, mut state: MutexGuard<'_, State>) {
        state.phase = phase;
        if !state.commands.is_empty() {
            // Also what waited for the end of a message.
            self.to_take.store(COMMANDS, Ordering::Release);
        }
        if let Some(mut backlog) = state.backlog.take() {
            backlog.clear(false);
        }
        drop(state);
        self.announce();
    }

    /// Tells those who wait for the end of a message that was not finished.
    fn message_may_have_ended(&self, was_unfinished: bool, state: MutexGuard<'_, State>) {
        let has_ended = was_unfinished && !state.is_within_message();
        drop(state);
        if has_ended {
            self.announce();
        }
    }

    fn announce(&self) {
        if let Some(waiting) = self.waiting.get() {
            waiting.room.notify_waiters();
        }
    }

    pub(crate) async fn until(&self, is_met: impl Fn(&State) -> bool) {
        self.until_told(|waiting| &waiting.room, is_met).await;
    }

    async fn until_told(&self, by: impl Fn(&Waiting) -> &Notify, is_met: impl Fn(&State) -> bool) {
        if is_met(&self.lock()) {
            return;
        }
        loop {
            // Created before the look, so that a change between look and wait is not missed.
            let changed = by(self.waiting.get_or_init(Box::default)).notified();
            if is_met(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// With the weight of all that is queued, for whoever looks at it, and may change it.
    #[inline]
    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_in_burst {
            state.end_burst();
        }
        state
    }
}

impl State {
    /// Nothing more is added to the burst, here or elsewhere, and it counts.
    fn end_burst(&mut self) {
        self.is_in_burst = false;
        self.queued = self.commands.weight();
    }

    /// Whether nothing waits to be sent.
    const fn has_left(&self) -> bool {
        self.waiting() == 0 && self.backlog.is_none()
    }

    const fn waiting(&self) -> usize {
        self.queued + self.unsent
    }

    const fn is_within_message(&self) -> bool {
        match &self.unfinished {
            Unfinished::Frames(sequence) => sequence.is_within_message(),
            Unfinished::Writers | Unfinished::Handlers => true,
        }
    }

    const fn admits(&self, turn: Turn, limit: usize) -> bool {
        self.waiting() < limit
            && match turn {
                Turn::Message => !self.is_within_message(),
                Turn::Frame => matches!(self.unfinished, Unfinished::Frames(_)),
                Turn::Any => true,
            }
    }
}

/// How a burst was queued.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InBurst {
    /// The driver is to be woken.
    pub(crate) wake: bool,
    /// How much weight it takes to make the outbox full. 0: its first message was queued by itself.
    pub(crate) room: usize,
}

fn framed_below(config: &Config) -> u16 {
    let one_frame = config.fragmentation_threshold.map_or(usize::MAX, NonZeroUsize::get);
    u16::try_from(one_frame).unwrap_or(u16::MAX).saturating_add(1).min(SHORT)
}

mod deliveries;
mod frames;

pub(crate) use deliveries::Delivered;
pub(crate) use frames::{PartError, turn_of, turn_of_part};

#[cfg(test)]
mod tests;
