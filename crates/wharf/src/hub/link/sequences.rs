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
    /// The last that was delivered.
    last: Option<Position>,
    /// Where the history stood for the first who subscribed: before anything was delivered, what lies behind it is missing.
    begun: Option<Position>,
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
            // What lies before it has been read by those who are to have it.
            None => {
                sequence.begun_in(position.epoch).unwrap_or(u64::MAX).min(position.offset.saturating_sub(1))
            }
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
            if let (Some(last), None) = (sequence.last.or(sequence.begun), &sequence.behind_gap) {
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
        let last = sequence.last.or(sequence.begun);
        let delivered = last.filter(|last| last.epoch == read.epoch).map_or(0, |last| last.offset);
        let missed = read.first.saturating_sub(delivered + 1);
        let is_new =
            |read: &Arrived| read.publication.position.is_some_and(|position| position.offset > delivered);
        let HistoryRead { epoch, last, messages, .. } = read;
        sequence.last = Some(Position { epoch, offset: last.max(delivered) });
        Some(Filled { messages: messages.into_iter().filter(is_new).collect(), missed, arrived })
    }

    /// What was missing could not be read. It is read when more comes, or the broker is there again.
    pub(super) fn not_filled(&mut self, topic: &Topic) {
        if let Some(sequence) = self.by_topic.get_mut(topic) {
            // All that waited is in the history, too.
            mem::take(&mut sequence.behind_gap);
        }
    }

    /// A subscriber has read all up to this position. If it is the first, what it is to get begins there.
    pub(super) fn begin(&mut self, topic: &Topic, read: Position) {
        if let Some(sequence) = self.by_topic.get_mut(topic) {
            sequence.begun.get_or_insert(read);
        }
    }

    /// Whether nothing of this history was delivered, though something of another was.
    pub(super) fn is_new(&self, topic: &Topic, epoch: u64) -> bool {
        let sequence = self.by_topic.get(topic);
        let last = sequence.and_then(|sequence| sequence.last.or(sequence.begun));
        last.is_some_and(|last| last.epoch != epoch)
    }

    /// Whether a subscriber for whom all was read up to this position may get some of it again, as it comes.
    pub(super) fn is_behind(&self, topic: &Topic, read: Position) -> bool {
        let last = self.by_topic.get(topic).and_then(|sequence| sequence.last);
        last.is_none_or(|last| last.epoch != read.epoch || last.offset < read.offset)
    }
}

impl Sequence {
    /// The offset in this history behind which something is missing, while nothing was delivered.
    fn begun_in(&self, epoch: u64) -> Option<u64> {
        self.begun.filter(|begun| begun.epoch == epoch).map(|begun| begun.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: u64 = 7;

    fn topic() -> Topic {
        Topic::new("a").unwrap()
    }

    fn message(epoch: u64, offset: u64) -> Arrived {
        let mut publication = Publication::new(topic(), offset.to_string());
        publication.position = Some(Position { epoch, offset });
        Arrived::new(publication, None, None)
    }

    fn read(epoch: u64, offsets: std::ops::RangeInclusive<u64>) -> HistoryRead {
        let (first, last) = (*offsets.start(), *offsets.end());
        HistoryRead::new(epoch, first, last, offsets.map(|offset| message(epoch, offset)).collect())
    }

    fn offsets(messages: &[Arrived]) -> Vec<u64> {
        messages.iter().filter_map(|arrived| arrived.publication.position).map(|at| at.offset).collect()
    }

    fn wanted() -> Sequences {
        let mut sequences = Sequences::default();
        sequences.add(&topic());
        sequences
    }

    fn is_delivered(next: &Next) -> bool {
        matches!(next, Next::Deliver(_))
    }

    #[test]
    fn what_is_missing_is_read_and_what_comes_meanwhile_waits() {
        let mut sequences = wanted();
        assert!(is_delivered(&sequences.arrived(message(EPOCH, 3))), "nobody knows of what was before");
        assert!(is_delivered(&sequences.arrived(message(EPOCH, 4))));
        assert!(matches!(sequences.arrived(message(EPOCH, 4)), Next::Nothing), "it was there before");
        assert!(matches!(sequences.arrived(message(EPOCH, 7)), Next::Read { after: 4 }));
        assert!(matches!(sequences.arrived(message(EPOCH, 8)), Next::Nothing));
        let filled = sequences.fill(&topic(), read(EPOCH, 5..=7)).unwrap();
        assert_eq!((offsets(&filled.messages), filled.missed), (vec![5, 6, 7], 0));
        assert_eq!(offsets(&filled.arrived), [7, 8]);
        assert!(matches!(sequences.arrived(message(EPOCH, 7)), Next::Nothing));
        assert!(is_delivered(&sequences.arrived(message(EPOCH, 8))));
    }

    #[test]
    fn what_is_kept_no_longer_is_counted() {
        let mut sequences = wanted();
        assert!(is_delivered(&sequences.arrived(message(EPOCH, 1))));
        assert_eq!(sequences.begin_to_fill(), [(topic(), 1)]);
        assert!(sequences.begin_to_fill().is_empty(), "it is being read");
        let filled = sequences.fill(&topic(), read(EPOCH, 5..=7)).unwrap();
        assert_eq!((offsets(&filled.messages), filled.missed), (vec![5, 6, 7], 3));
    }

    #[test]
    fn what_a_subscriber_has_not_got_yet_can_be_missing_too() {
        let mut sequences = wanted();
        assert!(sequences.begin_to_fill().is_empty(), "nobody knows where it stood");
        sequences.begin(&topic(), Position { epoch: EPOCH, offset: 2 });
        sequences.begin(&topic(), Position { epoch: EPOCH, offset: 9 });
        assert!(matches!(sequences.arrived(message(EPOCH, 5)), Next::Read { after: 2 }));
        let filled = sequences.fill(&topic(), read(EPOCH, 1..=5)).unwrap();
        assert_eq!((offsets(&filled.messages), filled.missed), (vec![3, 4, 5], 0));

        let mut sequences = wanted();
        sequences.begin(&topic(), Position { epoch: EPOCH, offset: 2 });
        assert_eq!(sequences.begin_to_fill(), [(topic(), 2)]);
    }

    #[test]
    fn what_was_read_before_it_came_goes_to_those_who_have_not_read_it() {
        let mut sequences = wanted();
        sequences.begin(&topic(), Position { epoch: EPOCH, offset: 2 });
        assert!(is_delivered(&sequences.arrived(message(EPOCH, 1))));
        assert!(is_delivered(&sequences.arrived(message(EPOCH, 2))));
        assert!(is_delivered(&sequences.arrived(message(EPOCH, 3))));
    }

    #[test]
    fn another_history_is_new_from_its_beginning() {
        let mut sequences = wanted();
        assert!(is_delivered(&sequences.arrived(message(EPOCH, 5))));
        assert!(!sequences.is_new(&topic(), EPOCH));
        assert!(sequences.is_new(&topic(), EPOCH + 1));
        assert!(matches!(sequences.arrived(message(EPOCH + 1, 2)), Next::Read { after: 0 }));
        let filled = sequences.fill(&topic(), read(EPOCH + 1, 1..=2)).unwrap();
        assert_eq!((offsets(&filled.messages), filled.missed), (vec![1, 2], 0));
    }
}
