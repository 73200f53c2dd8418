//! What topics have for a connection: written or queued where its socket takes what comes, and waiting within bounds where not.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::net::TcpStream;

use super::{COMMANDS, DELIVERY, NOTHING, Outbox, Phase, State};
use crate::hub::{Backlog, Delivery, SlowConsumer, Topic};
use crate::queue::{Command, Queue};

/// What became of messages of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// They are out, or go out at once, when the driver has been woken.
    Now { wake: bool },
    /// They wait, until what is before them has left; or as many as its bounds allow.
    Waits,
    /// The connection closes, because more would wait than may. The driver is to be woken.
    TooSlow,
    /// No message can be sent any more.
    Closed,
}

/// Up to so many bytes are queued for a driver that has not come to them, whatever the bounds: a burst alone does not make a
/// subscriber slow. They are the frames that all subscribers share, and take a connection no memory.
const UNBOUNDED: usize = 256 * 1024;

impl Outbox {
    /// Writes messages of a topic to the socket, if it was lent and nothing is before them, or queues them. Those that `recover`
    /// a client are not bounded.
    ///
    /// A socket is lent only to who runs on the driver's one thread, and not within a turn of it: the outbox knows of all that has
    /// not left. Others may queue while it is written to, since no lock is held during a system call.
    #[inline]
    pub(crate) fn deliver(
        &self,
        delivery: &Arc<Delivery>,
        recovers: bool,
        socket: Option<&Weak<TcpStream>>,
    ) -> Delivered {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Delivered::Closed;
        }
        if state.may_deliver_now() {
            if state.waiting() == 0
                && state.commands.is_empty()
                && let Some(socket) = socket.and_then(Weak::upgrade)
                && let Some(frames) = delivery.frames()
            {
                drop(state);
                let written = socket.try_write(frames);
                let is_out = written.as_ref().is_ok_and(|written| *written == frames.len());
                if !is_out {
                    self.leave_to_driver(delivery, written);
                }
                return Delivered::Now { wake: !is_out };
            }
            if !state.commands.is_empty() {
                return Delivered::Now { wake: self.push(&mut state, Command::Deliver(delivery.clone())) };
            }
            state.queued = delivery.weight();
            state.commands = Queue::Delivery(delivery.clone());
            self.to_take.store(DELIVERY, Ordering::Release);
            return Delivered::Now { wake: true };
        }
        let limits = || Box::new(Backlog::new(self.slow_consumer()));
        let pushed = state.backlog.get_or_insert_with(limits).push(delivery, recovers);
        let Err(close) = pushed else { return Delivered::Waits };
        if let Some(mut backlog) = state.backlog.take() {
            backlog.clear(true);
        }
        self.push(&mut state, Command::Close(close));
        self.enter(Phase::Closing, state);
        Delivered::TooSlow
    }

    /// Queues what is left of messages of which the socket took so much, before all that was queued meanwhile. Why it failed is
    /// told but once by a socket, and so the driver is told of it.
    #[inline(never)]
    pub(super) fn leave_to_driver(&self, delivery: &Arc<Delivery>, written: io::Result<usize>) {
        let first = match written {
            Ok(written) => Command::DeliverRest { delivery: delivery.clone(), written },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Command::Deliver(delivery.clone()),
            Err(error) => Command::SocketFailed(error),
        };
        let mut state = self.lock();
        state.queued += first.weight();
        state.was_full |= state.waiting() >= self.limit();
        state.commands.as_mut().insert(0, first);
        self.to_take.store(COMMANDS, Ordering::Release);
    }

    /// Asks for the socket of the driver: whether that is to be woken.
    pub(crate) fn lend_socket(&self) -> bool {
        let mut state = self.lock();
        state.phase == Phase::Open && self.push(&mut state, Command::LendSocket)
    }

    /// Whether what recovers the client of this topic still waits.
    pub(crate) fn is_recovering(&self, topic: &Topic) -> bool {
        self.lock().backlog.as_ref().is_some_and(|backlog| backlog.is_recovering(topic))
    }

    /// Whether there are messages of a topic to take, and nothing else.
    #[inline]
    pub(crate) fn has_only_delivery(&self) -> bool {
        self.to_take.load(Ordering::Acquire) == DELIVERY
    }

    /// Takes messages of a topic, where nothing else was queued.
    #[inline]
    pub(crate) fn take_delivery(&self) -> Option<Arc<Delivery>> {
        let mut state = self.lock();
        let Queue::Delivery(delivery) = &state.commands else { return None };
        if state.phase != Phase::Open || state.is_within_message() {
            return None;
        }
        let delivery = delivery.clone();
        state.commands = Queue::default();
        self.to_take.store(NOTHING, Ordering::Release);
        state.unsent += state.queued;
        state.queued = 0;
        Some(delivery)
    }

    /// Does `work`, which makes the connection a subscriber, while it cannot begin to close. `None`: it has.
    pub(crate) fn subscribes<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let mut state = self.lock();
        (state.phase == Phase::Open).then(|| {
            state.is_subscriber = true;
            work()
        })
    }

    /// Whether it has ever subscribed to anything.
    pub(crate) fn is_subscriber(&self) -> bool {
        self.lock().is_subscriber
    }

    /// Whether there is something to take.
    #[inline]
    pub(crate) fn has_commands(&self) -> bool {
        self.to_take.load(Ordering::Acquire) != NOTHING
    }

    /// Lets what waits be taken, if its time has come: whether it is.
    pub(super) fn resume_backlog(&self, state: &State) -> bool {
        let resumes = state.may_take_backlog();
        if resumes {
            self.to_take.store(COMMANDS, Ordering::Release);
        }
        resumes
    }

    fn slow_consumer(&self) -> Arc<SlowConsumer> {
        self.options.hub.as_ref().map(|hub| hub.slow_consumer().clone()).unwrap_or_default()
    }
}

impl State {
    /// Whether the socket has taken all so far, and nothing of topics waits.
    #[inline]
    fn may_deliver_now(&self) -> bool {
        !self.is_stalled && self.backlog.is_none() && self.queued < UNBOUNDED && !self.is_within_message()
    }

    fn may_take_backlog(&self) -> bool {
        self.backlog.is_some() && self.unsent == 0 && !self.is_within_message() && self.phase == Phase::Open
    }

    /// Takes some of what waits, if its time has come.
    pub(super) fn take_backlog(&mut self) -> Queue {
        if !self.may_take_backlog() {
            return Queue::default();
        }
        let Some(backlog) = &mut self.backlog else { return Queue::default() };
        let taken = backlog.take();
        if backlog.is_empty() {
            self.backlog = None;
        }
        self.unsent += taken.weight;
        Queue::Commands(vec![Command::DeliverWaited(Box::new(taken))])
    }

    /// Puts all that waits behind what was queued, to be sent before what is queued next: whether anything
    /// does.
    pub(super) fn queue_backlog(&mut self) -> bool {
        let Some(mut backlog) = self.backlog.take() else { return false };
        while !backlog.is_empty() {
            let taken = backlog.take();
            self.queued += taken.weight;
            self.commands.as_mut().push(Command::DeliverWaited(Box::new(taken)));
        }
        true
    }

    /// Nothing that waits will be sent.
    pub(super) fn discard_deliveries(&mut self) {
        match &self.commands {
            Queue::Delivery(delivery) => delivery.discard(),
            Queue::Commands(commands) => commands.iter().for_each(|command| match command {
                Command::Deliver(delivery) | Command::DeliverRest { delivery, .. } => delivery.discard(),
                Command::DeliverWaited(taken) => taken.discard(),
                _ => {}
            }),
            Queue::Burst(_) => {}
        }
        if let Some(mut backlog) = self.backlog.take() {
            backlog.clear(false);
        }
    }
}
