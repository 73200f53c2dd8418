//! What a topic keeps, for those who come back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::issue::Issue;
use super::subscribe::Since;
use super::{Arrived, HistoryOptions, Position, Topic};

/// What was read of a topic's history.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistoryRead {
    /// Which history it is.
    pub epoch: u64,
    /// The offset of the first message that is kept; one more than `last` where none is.
    pub first: u64,
    /// The offset of the last message that there was. 0: none was yet.
    pub last: u64,
    /// Those that were asked for and are kept, in order, each with its position.
    pub messages: Vec<Arrived>,
}

impl HistoryRead {
    /// What was read.
    pub const fn new(epoch: u64, first: u64, last: u64, messages: Vec<Arrived>) -> Self {
        Self { epoch, first, last, messages }
    }

    /// What there is of a topic on which nothing was ever published, where that makes no history yet: its epoch is 0.
    pub const fn empty() -> Self {
        Self::new(0, 1, 0, Vec::new())
    }

    /// Where the history stands.
    pub const fn position(&self) -> Position {
        Position { epoch: self.epoch, offset: self.last }
    }

    /// Whether all messages behind this one are kept.
    pub fn reaches_back_to(&self, position: Position) -> bool {
        reaches_back_to(position, self.epoch, self.first, self.last)
    }
}

fn reaches_back_to(position: Position, epoch: u64, first: u64, last: u64) -> bool {
    let is_before_all = position == Position { epoch: 0, offset: 0 };
    (position.epoch == epoch || is_before_all)
        && position.offset <= last
        && position.offset.saturating_add(1) >= first
}

/// The histories that are kept in this process.
#[derive(Debug, Default)]
pub(super) struct Logs {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    by_topic: HashMap<Topic, Arc<Log>>,
    /// That of histories that are begun now: another one whenever a history is forgotten.
    epoch: u64,
    /// When each is to be looked at, for messages that are kept no longer: in the order in which they were begun, or looked at.
    looks: VecDeque<(Instant, Topic)>,
}

/// The messages of one topic.
#[derive(Debug)]
pub(super) struct Log {
    options: HistoryOptions,
    state: Mutex<LogState>,
}

#[derive(Debug)]
pub(super) struct LogState {
    epoch: u64,
    /// How many messages there were.
    last: u64,
    /// Those that are kept, the oldest first, and when each came.
    kept: VecDeque<(Instant, Arc<Issue>)>,
    /// It has been forgotten: another has taken its place.
    is_over: bool,
}

/// How many histories are looked at for each message that is published on one.
const LOOKS: usize = 2;

impl Logs {
    /// Does `work` with what a topic's history is, while nobody else has it. Looking at it begins none.
    pub(super) fn read<T>(
        &self,
        topic: &Topic,
        options: HistoryOptions,
        work: impl FnOnce(&LogState) -> T,
    ) -> T {
        loop {
            let mut state = self.lock();
            state.forget_some(Instant::now());
            let Some(log) = state.by_topic.get(topic).cloned() else {
                return work(&LogState::new(state.epoch));
            };
            drop(state);
            let mut log = log.lock();
            if !log.is_over {
                log.trim(options, Instant::now());
                return work(&log);
            }
        }
    }

    /// Does `work` with a topic's history, while nobody else has it.
    pub(super) fn with<T>(
        &self,
        topic: &Topic,
        options: HistoryOptions,
        work: impl FnOnce(&mut LogState) -> T,
    ) -> T {
        loop {
            let log = self.find(topic, options);
            let mut state = log.lock();
            if !state.is_over {
                state.trim(options, Instant::now());
                return work(&mut state);
            }
        }
    }

    fn find(&self, topic: &Topic, options: HistoryOptions) -> Arc<Log> {
        let now = Instant::now();
        let mut state = self.lock();
        state.forget_some(now);
        if let Some(log) = state.by_topic.get(topic) {
            return log.clone();
        }
        let log = Arc::new(Log { options, state: Mutex::new(LogState::new(state.epoch)) });
        state.by_topic.insert(topic.clone(), log.clone());
        state.looks.push_back((now + options.max_age, topic.clone()));
        log
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for State {
    fn default() -> Self {
        Self { by_topic: HashMap::new(), epoch: rand::random(), looks: VecDeque::new() }
    }
}

impl State {
    /// Forgets histories of which nothing is kept any more, so that topics which nobody uses again take no memory.
    fn forget_some(&mut self, now: Instant) {
        for _ in 0..LOOKS {
            if self.looks.front().is_none_or(|(at, _)| *at > now) {
                return;
            }
            let Some((_, topic)) = self.looks.pop_front() else { return };
            let Some(log) = self.by_topic.get(&topic) else { continue };
            if log.ends_unless_kept(now) {
                self.by_topic.remove(&topic);
                self.epoch = rand::random();
            } else {
                let again = now + log.options.max_age;
                self.looks.push_back((again, topic));
            }
        }
    }
}

impl Log {
    /// Whether nothing is kept any more: then nothing ever will be.
    fn ends_unless_kept(&self, now: Instant) -> bool {
        // Whoever has it locked is using it.
        let Ok(mut state) = self.state.try_lock() else { return false };
        state.trim(self.options, now);
        state.is_over = state.kept.is_empty();
        state.is_over
    }

    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogState {
    const fn new(epoch: u64) -> Self {
        Self { epoch, last: 0, kept: VecDeque::new(), is_over: false }
    }

    /// Where it stands.
    pub(super) const fn position(&self) -> Position {
        Position { epoch: self.epoch, offset: self.last }
    }

    /// The position of the next message.
    pub(super) const fn next(&self) -> Position {
        Position { epoch: self.epoch, offset: self.last + 1 }
    }

    /// Keeps a message that got the [`next`](Self::next) position.
    pub(super) fn push(&mut self, issue: Arc<Issue>, options: HistoryOptions) {
        self.last += 1;
        self.kept.push_back((Instant::now(), issue));
        self.trim(options, Instant::now());
    }

    /// The messages from there on; `None` where some are kept no longer.
    pub(super) fn since(&self, since: Since) -> Option<Vec<Arc<Issue>>> {
        let Since::Position(position) = since else {
            return Some(self.kept.iter().map(|(_, issue)| issue.clone()).collect());
        };
        let first = self.last + 1 - self.kept.len() as u64;
        if !reaches_back_to(position, self.epoch, first, self.last) {
            return None;
        }
        // No more than are kept.
        let missed = usize::try_from(self.last - position.offset).unwrap_or(usize::MAX);
        let skipped = self.kept.len().saturating_sub(missed);
        Some(self.kept.iter().skip(skipped).map(|(_, issue)| issue.clone()).collect())
    }

    fn trim(&mut self, options: HistoryOptions, now: Instant) {
        let excess = self.kept.len().saturating_sub(options.max_messages);
        self.kept.drain(..excess);
        let is_old = |came: Instant| now.saturating_duration_since(came) > options.max_age;
        while self.kept.front().is_some_and(|(came, _)| is_old(*came)) {
            self.kept.pop_front();
        }
        if self.kept.is_empty() {
            self.kept = VecDeque::new();
        }
    }
}
