//! The messages of topics with a history, put in the order of their offsets before they are delivered.

use std::collections::HashMap;
use std::mem;

use crate::hub::broker::Arrived;
use crate::hub::history::HistoryRead;
use crate::hub::{Position, Publication, Topic};

/// How far each topic with a history that this node wants has been delivered.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    by_topic: HashMap<Topic, Sequence>,
}

#[derive(Debug, Default)]
struct Sequence {
    /// The last that was delivered. Before the first, nothing is known to be missing.
    last: Option<Position>,
    /// What is missing before these is being read.
    behind_gap: Option<Vec<Arrived>>,
}

/// What is to be done with a message that came.
#[derive(Debug)]
pub(super) enum Next {
    Deliver(Box<Arrived>),
    /// Nothing: it was delivered before, or waits for what is missing.
    Nothing,
    /// What is behind this offset is to be read.
    Read {
        after: u64,
    },
}

/// What a reading has brought.
#[derive(Debug)]
pub(super) struct Filled {
    /// To be delivered, in order.
    pub(super) messages: Vec<Arrived>,
    /// How many were missing and are kept no longer.
    pub(super) missed: u64,
    /// What came meanwhile, to be looked at again.
    pub(super) arrived: Vec<Arrived>,
}

impl Sequences {
    /// Somebody wants this topic.
    pub(super) fn add(&mut self, topic: &Topic) {
        self.by_topic.entry(topic.clone()).or_default();
    }

    /// Nobody wants this topic any more.
    pub(super) fn remove(&mut self, topic: &str) {
        self.by_topic.remove(topic);
    }

    /// Whether messages of this topic are put in order.
    pub(super) fn has(&self, topic: &Topic) -> bool {
        self.by_topic.contains_key(topic)
    }

    /// Takes in a message that came: what is to be done with it.
    pub(super) fn arrived(&mut self, arrived: Arrived) -> Next {
        let Arrived { publication: Publication { topic, position, .. }, .. } = &arrived;
        let Some((sequence, position)) = self.by_topic.get_mut(topic).zip(*position) else {
            return Next::Deliver(Box::new(arrived));
        };
        if let Some(behind_gap) = &mut sequence.behind_gap {
            behind_gap.push(arrived);
            return Next::Nothing;
        }
        let last = match sequence.last {
            Some(last) if last.epoch == position.epoch => last.offset,
            // Another history: all of it is new.
            Some(_) => 0,
            None => position.offset - 1,
        };
        if position.offset <= last {
            return Next::Nothing;
        }
        if position.offset > last + 1 {
            sequence.behind_gap = Some(vec![arrived]);
            return Next::Read { after: last };
        }
        sequence.last = Some(position);
        Next::Deliver(Box::new(arrived))
    }

    /// The broker was away: what is to be read, behind which offset.
    pub(super) fn begin_to_fill(&mut self) -> Vec<(Topic, u64)> {
        let mut to_read = Vec::new();
        for (topic, sequence) in &mut self.by_topic {
            if let (Some(last), None) = (sequence.last, &sequence.behind_gap) {
                sequence.behind_gap = Some(Vec::new());
                to_read.push((topic.clone(), last.offset));
            }
        }
        to_read
    }

    /// What was missing has been read: what is to be delivered, and what to be looked at again. Nothing, where nobody wants
    /// it any more.
    pub(super) fn fill(&mut self, topic: &Topic, read: HistoryRead) -> Option<Filled> {
        let sequence = self.by_topic.get_mut(topic)?;
        let arrived = sequence.behind_gap.take()?;
        let delivered = sequence.last.filter(|last| last.epoch == read.epoch).map_or(0, |last| last.offset);
        let missed = read.first.saturating_sub(delivered + 1);
        let is_new =
            |read: &Arrived| read.publication.position.is_some_and(|position| position.offset > delivered);
        let HistoryRead { epoch, last, messages, .. } = read;
        sequence.last = Some(Position { epoch, offset: last.max(delivered) });
        Some(Filled { messages: messages.into_iter().filter(is_new).collect(), missed, arrived })
    }

    /// Whether what was read is of another history than what was delivered: then all of it is missing.
    pub(super) fn is_another(&self, topic: &Topic, read: &HistoryRead) -> bool {
        let last = self.by_topic.get(topic).and_then(|sequence| sequence.last);
        last.is_some_and(|last| last.epoch != read.epoch)
    }

    /// What was missing could not be read. It is read when more comes, or the broker is there again.
    pub(super) fn not_filled(&mut self, topic: &Topic) {
        if let Some(sequence) = self.by_topic.get_mut(topic) {
            // All that waited is in the history, too.
            mem::take(&mut sequence.behind_gap);
        }
    }

    /// Whether a subscriber for whom all was read up to this position may get some of it again, as it comes.
    pub(super) fn is_behind(&self, topic: &Topic, read: Position) -> bool {
        let last = self.by_topic.get(topic).and_then(|sequence| sequence.last);
        last.is_none_or(|last| last.epoch != read.epoch || last.offset < read.offset)
    }
}
