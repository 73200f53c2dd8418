//! One thread's connections, and the loop that drives them.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Interest, Poll, Token};
use wharf_proto::Close;
use wharf_proto::connection::Config;

use crate::compressed::{CompressedCheck, Compression};
use crate::connection::{Connection, Progressed, Shared};
use crate::error::{Failure, LoadError};
use crate::messages::{Messages, framer};
use crate::opening::Opening;
use crate::outcome::{Outcome, Progress};
use crate::pace::{Budget, Schedule, nanos};
use crate::run::{Pace, Run};
use crate::stream::Stream;
use crate::target::Target;
use crate::{Plan, Shape, Until};

pub(crate) struct Worker {
    target: Target,
    plan: Plan,
    poll: Poll,
    /// `None` where one was lost, or is not yet there.
    connections: Vec<Option<Connection>>,
    shared: Shared,
    /// What its times count from.
    clock: Instant,
    close_frame: Vec<u8>,
}

/// How much one read can bring, in bytes.
const READ_SIZE: usize = 256 * 1024;
/// How many connections of a thread are being opened at once.
const OPENING_AT_ONCE: usize = 128;
/// Shorter than this the system cannot wait exactly.
const SHORTEST_WAIT: Duration = Duration::from_millis(2);

impl Worker {
    pub(crate) fn new(target: Target, plan: &Plan, connections: usize) -> Result<Self, LoadError> {
        let plan = Plan { connections, ..plan.clone() };
        let connection_failed = |failure| LoadError::Connection { failure, open: 0, wanted: connections };
        let (messages, compression) = if plan.compression {
            let compression = Compression::new();
            let messages = Messages::new(&plan, &mut compression.framer().map_err(connection_failed)?);
            let check = CompressedCheck::new(&messages).map_err(connection_failed)?;
            (messages, Some((compression, check)))
        } else {
            (Messages::new(&plan, &mut uncompressed_framer()), None)
        };
        let buffer = vec![0; READ_SIZE].into_boxed_slice();
        let shared = Shared { messages, compression, pongs: uncompressed_framer(), buffer };
        let mut close_frame = Vec::new();
        uncompressed_framer().close(&Close::EMPTY, &mut close_frame, Instant::now());
        Ok(Self {
            target,
            plan,
            poll: Poll::new()?,
            connections: (0..connections).map(|_| None).collect(),
            shared,
            clock: Instant::now(),
            close_frame,
        })
    }

    pub(crate) const fn connections(&self) -> usize {
        self.connections.len()
    }

    pub(crate) const fn set_shape(&mut self, shape: Shape) {
        self.plan.shape = shape;
    }

    fn now(&self) -> u64 {
        nanos(self.clock.elapsed())
    }

    /// Opens all connections.
    pub(crate) fn open(&mut self) -> Result<(), LoadError> {
        if matches!(self.plan.shape, Shape::Connect) {
            return Ok(());
        }
        let wanted = self.connections.len();
        let deadline = self.now() + nanos(self.plan.timeout);
        let mut events = Events::with_capacity(1024);
        let (mut begun, mut open) = (0, 0);
        while open < wanted {
            while begun < wanted && begun - open < OPENING_AT_ONCE {
                self.connect(begun)?;
                begun += 1;
            }
            if self.now() >= deadline {
                return Err(LoadError::Timeout {
                    what: "connections are not open",
                    missing: (wanted - open) as u64,
                    wanted: wanted as u64,
                    limit: self.plan.timeout,
                });
            }
            self.wait(&mut events, deadline)?;
            for event in &events {
                let progressed = self.drive(event.token().0, Ready::of(event));
                let (progressed, _) =
                    progressed.map_err(|failure| LoadError::Connection { failure, open, wanted })?;
                open += usize::from(progressed.has_opened);
            }
        }
        Ok(())
    }

    fn connect(&mut self, at: usize) -> Result<(), LoadError> {
        let mut request = Vec::new();
        let opening = Opening::begin(&self.target.protocol, self.plan.compression, &mut request)?;
        let mut stream = Stream::connect(&self.target)?;
        let interests = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(stream.tcp(), Token(at), interests)?;
        self.connections[at] = Some(Connection::new(stream, opening, request));
        Ok(())
    }

    /// Waits for events, at most until `until`.
    fn wait(&mut self, events: &mut Events, until: u64) -> io::Result<()> {
        let wait = Duration::from_nanos(until.saturating_sub(self.now()));
        // Waiting is in milliseconds: close to the time it is not waited for but looked at.
        let wait = if wait < SHORTEST_WAIT { Duration::ZERO } else { wait.saturating_sub(SHORTEST_WAIT / 2) };
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    /// Does what a connection can do now; how many bytes were sent beside.
    fn drive(&mut self, at: usize, ready: Ready) -> Result<(Progressed, u64), Failure> {
        let mut progressed = Progressed::default();
        let Some(connection) = self.connections.get_mut(at).and_then(Option::as_mut) else {
            return Ok((progressed, 0));
        };
        if ready.is_writable {
            connection.writable(&mut progressed)?;
        }
        // A TLS handshake writes what it has to while it reads.
        if ready.is_readable {
            connection.readable(ready.has_ended, &mut self.shared, &mut progressed)?;
        }
        let sent = connection.write(&self.shared)?;
        Ok((progressed, sent))
    }

    pub(crate) fn run(&mut self, until: Until, progress: &Progress) -> Result<Outcome, LoadError> {
        let started = self.now();
        let mut run = Run {
            budget: Budget::new(until, started),
            pace: self.pace(started),
            outcome: Outcome::new(),
            outstanding: 0,
        };
        self.begin(&mut run, started)?;
        let mut events = Events::with_capacity(1024);
        let mut last_came = started;
        let mut deadline = u64::MAX;
        loop {
            let now = self.now();
            self.send_due(&mut run, now);
            self.send_bursts_due(&mut run, now);
            if run.budget.is_spent(now) {
                if run.is_done() || self.connections.iter().all(Option::is_none) {
                    break;
                }
                deadline = deadline.min(now.saturating_add(nanos(self.plan.timeout)));
                if now >= deadline {
                    break;
                }
            } else if run.outstanding == 0 && self.connections.iter().all(Option::is_none) {
                break;
            }
            self.wait(&mut events, run.next_look(now).min(deadline))?;
            let now = self.now();
            let before = run.outcome.messages;
            for event in &events {
                self.handle(event.token().0, Ready::of(event), &mut run, now)?;
            }
            let came = run.outcome.messages - before;
            if came > 0 {
                last_came = now;
                progress.add(came);
            }
        }
        run.outcome.missing = run.outstanding;
        run.outcome.elapsed = Duration::from_nanos(last_came - started);
        Ok(run.outcome)
    }

    fn pace(&self, now: u64) -> Pace {
        match self.plan.shape {
            Shape::Echo { rate: None, .. } => Pace::Echo,
            Shape::Echo { rate: Some(rate), in_flight } => {
                let open = self.connections.iter().enumerate().filter(|(_, connection)| connection.is_some());
                let open: Vec<_> = open.map(|(at, _)| at).collect();
                let free = (0..in_flight.get()).flat_map(|_| open.iter().copied()).collect();
                Pace::Even { schedule: Schedule::new(rate, now), overdue: VecDeque::new(), free }
            }
            Shape::Broadcast { .. } | Shape::Publish { rate: None, .. } => Pace::Bursts,
            Shape::Publish { rate: Some(rate), burst } => {
                Pace::EvenBursts(Schedule::new(rate / f64::from(burst.get()), now))
            }
            Shape::Connect => Pace::Connect(vec![0; self.connections.len()]),
        }
    }

    /// Sends what goes first.
    fn begin(&mut self, run: &mut Run, now: u64) -> Result<(), LoadError> {
        match self.plan.shape {
            Shape::Echo { rate: None, in_flight } => {
                for at in 0..self.connections.len() {
                    self.send(at, in_flight.get(), run, now);
                }
            }
            Shape::Echo { rate: Some(_), .. } | Shape::Publish { rate: Some(_), .. } => {}
            Shape::Broadcast { .. } | Shape::Publish { rate: None, .. } => self.send_burst(run, now),
            Shape::Connect => {
                for at in 0..self.connections.len() {
                    self.begin_round(at, run, now)?;
                }
            }
        }
        Ok(())
    }

    fn handle(&mut self, at: usize, ready: Ready, run: &mut Run, now: u64) -> Result<(), LoadError> {
        match self.drive(at, ready) {
            Ok((progressed, sent)) => {
                run.outcome.bytes_sent += sent;
                self.progressed(at, &progressed, run, now)
            }
            Err(failure) => {
                self.lose(at, failure, run);
                if matches!(run.pace, Pace::Bursts) && run.outstanding == 0 {
                    self.send_burst(run, now);
                }
                Ok(())
            }
        }
    }

    fn progressed(
        &mut self,
        at: usize,
        progressed: &Progressed,
        run: &mut Run,
        now: u64,
    ) -> Result<(), LoadError> {
        run.outcome.bytes_received += progressed.bytes_received;
        if progressed.messages > 0
            && let Some(connection) = &mut self.connections[at]
        {
            if let Some(more @ 1..) = progressed.messages.checked_sub(connection.on_the_way()) {
                self.lose(at, Failure::TooMany(more), run);
                return Ok(());
            }
            let counts = !matches!(run.pace, Pace::Connect(_));
            let outcome = &mut run.outcome;
            connection.came_back(progressed.messages, |since, count| {
                if counts {
                    outcome.record(now.saturating_sub(since), count);
                }
            });
        }
        match &mut run.pace {
            Pace::Echo => {
                run.outstanding -= u64::from(progressed.messages);
                self.send(at, progressed.messages, run, now);
            }
            Pace::Even { free, .. } => {
                run.outstanding -= u64::from(progressed.messages);
                free.extend((0..progressed.messages).map(|_| at));
            }
            Pace::Bursts => {
                run.outstanding -= u64::from(progressed.messages);
                if run.outstanding == 0 {
                    self.send_burst(run, now);
                }
            }
            Pace::EvenBursts(_) => run.outstanding -= u64::from(progressed.messages),
            Pace::Connect(began) => {
                if progressed.has_opened
                    && let Some(connection) = &mut self.connections[at]
                {
                    connection.send(NonZeroU32::MIN, now);
                    self.write(at, run);
                } else if progressed.messages > 0
                    && let Some(connection) = &mut self.connections[at]
                {
                    connection.close(&self.close_frame);
                    self.write(at, run);
                } else if progressed.has_closed {
                    run.outcome.record(now.saturating_sub(began[at]), 1);
                    run.outstanding -= 1;
                    self.connections[at] = None;
                    self.begin_round(at, run, now)?;
                }
            }
        }
        Ok(())
    }

    /// Sends as many messages as the budget has, up to `count`.
    fn send(&mut self, at: usize, count: u32, run: &mut Run, now: u64) {
        let Some(connection) = &mut self.connections[at] else { return };
        let Some(count) = NonZeroU32::new(run.budget.take(count, now)) else { return };
        connection.send(count, now);
        run.outstanding += u64::from(count.get());
        self.write(at, run);
    }

    /// Sends what is due by an even pace.
    fn send_due(&mut self, run: &mut Run, now: u64) {
        let Run { budget, pace: Pace::Even { schedule, overdue, free }, outstanding, .. } = run else {
            return;
        };
        while !budget.is_spent(schedule.next()) {
            let Some(at) = schedule.due(now) else { break };
            budget.take(1, at);
            overdue.push_back(at);
        }
        let mut to_write = Vec::new();
        while let (Some(since), Some(&at)) = (overdue.front(), free.front()) {
            if let Some(connection) = &mut self.connections[at] {
                connection.send(NonZeroU32::MIN, *since);
                *outstanding += 1;
                overdue.pop_front();
                if to_write.last() != Some(&at) {
                    to_write.push(at);
                }
            }
            free.pop_front();
        }
        for at in to_write {
            self.write(at, run);
        }
    }

    /// Sends the bursts that are due by an even pace.
    fn send_bursts_due(&mut self, run: &mut Run, now: u64) {
        while let Run { budget, pace: Pace::EvenBursts(schedule), .. } = run
            && !budget.is_spent(schedule.next())
            && let Some(at) = schedule.due(now)
        {
            self.send_burst(run, at);
        }
    }

    /// Sends a burst, which counts as on its way to all that are to get it since `since`.
    fn send_burst(&mut self, run: &mut Run, since: u64) {
        let burst = self.plan.shape.in_flight();
        let Some(burst) = NonZeroU32::new(run.budget.take(burst, since)) else { return };
        let spared = usize::from(matches!(self.plan.shape, Shape::Publish { .. }));
        for connection in self.connections.iter_mut().skip(spared).flatten() {
            connection.expect(burst, since);
            run.outstanding += u64::from(burst.get());
        }
        if let Some(first) = &mut self.connections[0] {
            first.send_unexpected(burst);
        }
        self.write(0, run);
    }

    fn begin_round(&mut self, at: usize, run: &mut Run, now: u64) -> Result<(), LoadError> {
        if run.budget.take(1, now) == 0 {
            return Ok(());
        }
        if let Pace::Connect(began) = &mut run.pace {
            began[at] = now;
        }
        self.connect(at)?;
        run.outstanding += 1;
        Ok(())
    }

    fn write(&mut self, at: usize, run: &mut Run) {
        let Some(connection) = &mut self.connections[at] else { return };
        match connection.write(&self.shared) {
            Ok(sent) => run.outcome.bytes_sent += sent,
            Err(failure) => self.lose(at, failure, run),
        }
    }

    fn lose(&mut self, at: usize, failure: Failure, run: &mut Run) {
        let Some(connection) = self.connections[at].take() else { return };
        run.outstanding -= match run.pace {
            Pace::Connect(_) => 1,
            _ => u64::from(connection.on_the_way()),
        };
        if matches!(run.pace, Pace::Bursts | Pace::EvenBursts(_)) && !self.has_both_ends() {
            run.budget.end();
        }
        run.outcome.lost(failure);
    }

    /// Whether there is one that sends to all, and one that receives.
    fn has_both_ends(&self) -> bool {
        self.connections[0].is_some() && self.connections[1..].iter().any(Option::is_some)
    }
}

/// What the system says of a socket.
#[derive(Clone, Copy)]
struct Ready {
    is_readable: bool,
    is_writable: bool,
    has_ended: bool,
}

impl Ready {
    fn of(event: &Event) -> Self {
        Self {
            is_readable: event.is_readable() || event.is_error(),
            is_writable: event.is_writable(),
            has_ended: event.is_read_closed(),
        }
    }
}

fn uncompressed_framer() -> wharf_proto::Connection {
    framer(Config { fragmentation_threshold: None, ..Config::default() })
}
