//! The messages of topics with a history, put in the order of their offsets before they are delivered.

use std::collections::HashMap;

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
    /// The last that was delivered, or that there was when the first subscriber was told where the topic stands. Before,
    /// nothing is known to be missing.
    last: Option<Position>,
    /// Where the topic stood then: what is not behind it is not delivered as it comes.
    began: Option<Position>,
    gap: Option<Gap>,
}

/// Something is missing, and being read.
#[derive(Debug, Default)]
struct Gap {
    /// What came meanwhile.
    behind: Vec<Arrived>,
    /// More may have been lost since the reading began.
    is_read_again: bool,
    /// It was noticed by the first of these, which what is read has to reach.
    is_noticed: bool,
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
    /// What is behind this offset is to be read once more.
    pub(super) read_again: Option<u64>,
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
        if let Some(gap) = &mut sequence.gap {
            gap.behind.push(arrived);
            return Next::Nothing;
        }
        let last = match sequence.last {
            Some(last) if last.epoch == position.epoch => last.offset,
            // Another history: all of it is new.
            Some(_) => 0,
            None => position.offset.saturating_sub(1),
        };
        if position.offset <= last {
            return Next::Nothing;
        }
        if position.offset > last + 1 {
            sequence.gap = Some(Gap { behind: vec![arrived], is_read_again: false, is_noticed: true });
            return Next::Read { after: last };
        }
        sequence.last = Some(position);
        Next::Deliver(Box::new(arrived))
    }

    /// The broker was away: what is to be read, behind which offset.
    pub(super) fn begin_to_fill(&mut self) -> Vec<(Topic, u64)> {
        let mut to_read = Vec::new();
        for (topic, sequence) in &mut self.by_topic {
            if let Some(gap) = &mut sequence.gap {
                gap.is_read_again = true;
            } else if let Some(last) = sequence.last {
                sequence.gap = Some(Gap::default());
                to_read.push((topic.clone(), last.offset));
            }
        }
        to_read
    }

    /// What was missing has been read: what is to be delivered, and what to be looked at again. Nothing, where nobody wants
    /// it any more.
    pub(super) fn fill(&mut self, topic: &Topic, read: HistoryRead) -> Option<Filled> {
        let sequence = self.by_topic.get_mut(topic)?;
        let Gap { mut behind, is_read_again, is_noticed } = sequence.gap.take()?;
        let delivered = sequence.last.filter(|last| last.epoch == read.epoch).map_or(0, |last| last.offset);
        let mut missed = read.first.saturating_sub(delivered.saturating_add(1));
        let is_new =
            |read: &Arrived| read.publication.position.is_some_and(|position| position.offset > delivered);
        let HistoryRead { epoch, last, messages, .. } = read;
        let mut offset = last.max(delivered);
        // What is of another history is over, or is noticed again.
        behind.retain(|arrived| arrived.publication.position.is_some_and(|position| position.epoch == epoch));
        let first = behind.first().and_then(|arrived| arrived.publication.position);
        if let Some(first) = first.filter(|first| is_noticed && first.offset > offset.saturating_add(1)) {
            // The history does not have what lies before it, and never will.
            missed += first.offset - 1 - offset;
            offset = first.offset - 1;
        }
        sequence.last = Some(Position { epoch, offset });
        let messages = messages.into_iter().filter(is_new).collect();
        if is_read_again {
            sequence.gap = Some(Gap { behind, ..Gap::default() });
            return Some(Filled { messages, missed, arrived: Vec::new(), read_again: Some(offset) });
        }
        Some(Filled { messages, missed, arrived: behind, read_again: None })
    }

    /// Whether what was read is of another history than what was delivered: then all of it is missing.
    pub(super) fn is_another(&self, topic: &Topic, read: &HistoryRead) -> bool {
        let last = self.by_topic.get(topic).and_then(|sequence| sequence.last);
        last.is_some_and(|last| last.epoch != read.epoch)
    }

    /// What was missing could not be read. It is read when more comes, or the broker is there again; at once, behind the offset
    /// that is returned, if it was since.
    pub(super) fn not_filled(&mut self, topic: &Topic) -> Option<u64> {
        let sequence = self.by_topic.get_mut(topic)?;
        // All that waited is in the history, too.
        let Gap { is_read_again, .. } = sequence.gap.take()?;
        let last = sequence.last.filter(|_| is_read_again)?;
        sequence.gap = Some(Gap::default());
        Some(last.offset)
    }

    /// A subscriber has been told all up to this position: whether what is behind it is delivered as it comes, or was while
    /// the subscriber waited. If not it is to be told anew.
    ///
    /// `is_brought`: what is on its way is for others, too, by a pattern that matches the topic.
    pub(super) fn begins(&mut self, topic: &Topic, read: Position, is_brought: bool) -> bool {
        let Some(sequence) = self.by_topic.get_mut(topic) else { return true };
        if sequence.last.is_none() && sequence.gap.is_none() && !is_brought {
            (sequence.last, sequence.began) = (Some(read), Some(read));
        }
        sequence.began.is_none_or(|began| began.epoch != read.epoch || began.offset <= read.offset)
    }

    /// Whether a subscriber for whom all was read up to this position may get some of it again, as it comes.
    pub(super) fn is_behind(&self, topic: &Topic, read: Position) -> bool {
        let last = self.by_topic.get(topic).and_then(|sequence| sequence.last);
        last.is_none_or(|last| last.epoch != read.epoch || last.offset < read.offset)
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
    fn what_may_have_been_lost_while_it_was_read_is_read_again() {
        let mut sequences = wanted();
        assert!(is_delivered(&sequences.arrived(message(EPOCH, 1))));
        assert_eq!(sequences.begin_to_fill(), [(topic(), 1)]);
        assert!(sequences.begin_to_fill().is_empty(), "it is being read");
        let filled = sequences.fill(&topic(), read(EPOCH, 2..=3)).unwrap();
        assert_eq!((offsets(&filled.messages), filled.read_again), (vec![2, 3], Some(3)));
        assert!(matches!(sequences.arrived(message(EPOCH, 5)), Next::Nothing));
        assert!(sequences.begin_to_fill().is_empty());
        assert_eq!(sequences.not_filled(&topic()), Some(3));
        let filled = sequences.fill(&topic(), read(EPOCH, 4..=5)).unwrap();
        assert_eq!((offsets(&filled.messages), filled.read_again), (vec![4, 5], None));
        assert_eq!(sequences.begin_to_fill(), [(topic(), 5)]);
        assert_eq!(sequences.not_filled(&topic()), None);
        assert_eq!(sequences.begin_to_fill(), [(topic(), 5)]);
    }

    #[test]
    fn what_is_published_after_a_subscriber_was_told_where_the_topic_stands_can_be_missing() {
        let mut sequences = wanted();
        assert!(sequences.begin_to_fill().is_empty(), "nobody has been told anything");
        assert!(sequences.begins(&topic(), Position { epoch: EPOCH, offset: 5 }, false));
        assert_eq!(sequences.begin_to_fill(), [(topic(), 5)]);
        let filled = sequences.fill(&topic(), read(EPOCH, 6..=7)).unwrap();
        assert_eq!((offsets(&filled.messages), filled.missed), (vec![6, 7], 0));
        assert!(matches!(sequences.arrived(message(EPOCH, 5)), Next::Nothing), "it was told");
    }

    #[test]
    fn a_subscriber_who_was_told_less_than_the_first_is_told_anew() {
        let mut sequences = wanted();
        let mut begins = |offset| sequences.begins(&topic(), Position { epoch: EPOCH, offset }, false);
        assert!(begins(5));
        assert!(!begins(4), "5 is not delivered as it comes");
        assert!(begins(6));
        assert!(is_delivered(&sequences.arrived(message(EPOCH, 6))));
        assert!(
            sequences.begins(&topic(), Position { epoch: EPOCH, offset: 5 }, false),
            "6 was delivered while it waited"
        );
    }

    #[test]
    fn another_history_is_new_from_its_beginning() {
        let mut sequences = wanted();
        assert!(is_delivered(&sequences.arrived(message(EPOCH, 5))));
        assert!(!sequences.is_another(&topic(), &read(EPOCH, 1..=5)));
        assert!(sequences.is_another(&topic(), &read(EPOCH + 1, 1..=2)));
        assert!(matches!(sequences.arrived(message(EPOCH + 1, 2)), Next::Read { after: 0 }));
        let filled = sequences.fill(&topic(), read(EPOCH + 1, 1..=2)).unwrap();
        assert_eq!((offsets(&filled.messages), filled.missed), (vec![1, 2], 0));
    }

    #[test]
    fn what_the_history_does_not_have_is_not_read_for_again_and_again() {
        let mut sequences = wanted();
        assert!(matches!(sequences.arrived(message(EPOCH, 1)), Next::Deliver(_)));
        assert!(matches!(sequences.arrived(message(EPOCH, 5)), Next::Read { after: 1 }));
        // It says that there are no more than 3.
        let mut filled = sequences.fill(&topic(), read(EPOCH, 2..=3)).unwrap();
        assert_eq!((offsets(&filled.messages), filled.missed), (vec![2, 3], 1));
        assert!(matches!(sequences.arrived(filled.arrived.remove(0)), Next::Deliver(_)));

        // Another history: what came of the first is over.
        assert!(matches!(sequences.arrived(message(EPOCH, 8)), Next::Read { after: 5 }));
        let filled = sequences.fill(&topic(), read(EPOCH + 1, 1..=2)).unwrap();
        assert_eq!((offsets(&filled.messages), filled.arrived.len()), (vec![1, 2], 0));
        assert!(matches!(sequences.arrived(message(EPOCH + 1, 3)), Next::Deliver(_)));
    }

    #[test]
    fn what_is_on_its_way_to_those_who_have_a_pattern_is_not_taken_for_delivered() {
        let mut sequences = wanted();
        assert!(sequences.begins(&topic(), Position { epoch: EPOCH, offset: 10 }, true));
        assert!(matches!(sequences.arrived(message(EPOCH, 9)), Next::Deliver(_)));
        assert!(matches!(sequences.arrived(message(EPOCH, 10)), Next::Deliver(_)));
    }
}
