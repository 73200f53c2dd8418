//! Messages of one topic that go to many connections together, framed for those that share frames.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::counters::{Counters, add};
use super::issue::Issue;
use crate::class::{Class, Form};
use crate::proto::connection::{Prepared, PreparedMessage, PreparedMessages};

/// Messages of one topic, one behind the other, for connections of one class.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(super) issues: Box<[Arc<Issue>]>,
    frames: Frames,
    /// Bytes on the wire, or of payload where each connection frames for itself.
    weight: usize,
    pub(super) counters: Arc<Counters>,
}

#[derive(Debug)]
enum Frames {
    One(PreparedMessage),
    Many(PreparedMessages),
    /// Each connection compresses in a context of its own.
    Own,
}

/// What a connection is to send of a delivery.
pub(crate) enum Part<'d> {
    Prepared(&'d PreparedMessage),
    /// Frames that lie one behind the other.
    Frames(&'d PreparedMessages, std::ops::Range<usize>),
    Message(&'d crate::proto::Message),
}

impl Delivery {
    pub(super) fn new(issues: &[Arc<Issue>], class: &Class, counters: &Arc<Counters>) -> Self {
        let frames = match (class.form, issues) {
            (Form::Own, _) => Frames::Own,
            (_, [issue]) => Frames::One(issue.frames(class)),
            (_, issues) => {
                let mut frames = PreparedMessages::default();
                for issue in issues {
                    frames.push(&issue.frames(class));
                }
                Frames::Many(frames)
            }
        };
        let weight = match &frames {
            Frames::One(frames) => frames.wire_len(),
            Frames::Many(frames) => frames.wire_len(0..issues.len()),
            Frames::Own => issues.iter().map(|issue| issue.message.len()).sum(),
        };
        Self { issues: issues.into(), frames, weight, counters: counters.clone() }
    }

    /// How many messages it has.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.issues.len()
    }

    #[inline]
    pub(crate) const fn weight(&self) -> usize {
        self.weight
    }

    /// What one of its messages weighs.
    pub(super) fn weight_of(&self, index: usize) -> usize {
        match &self.frames {
            Frames::One(frames) => frames.wire_len(),
            Frames::Many(frames) => frames.wire_len(index..index + 1),
            Frames::Own => self.issues[index].message.len(),
        }
    }

    /// Its messages, as few parts as they can be sent in.
    #[inline]
    pub(crate) fn parts(&self, mut send: impl FnMut(Part<'_>)) {
        match &self.frames {
            Frames::One(frames) => send(Part::Prepared(frames)),
            Frames::Many(frames) => send(Part::Frames(frames, 0..self.issues.len())),
            Frames::Own => self.issues.iter().for_each(|issue| send(Part::Message(&issue.message))),
        }
    }

    /// Its frames, unless each connection makes its own.
    #[inline]
    pub(crate) const fn prepared(&self) -> Option<Prepared<'_>> {
        match &self.frames {
            Frames::One(frames) => Some(Prepared::One(frames)),
            Frames::Many(frames) => Some(Prepared::Many(frames)),
            Frames::Own => None,
        }
    }

    /// The bytes of its frames, unless each connection makes its own.
    #[inline]
    pub(crate) fn frames(&self) -> Option<&[u8]> {
        self.prepared().map(Prepared::frames)
    }

    /// One of its messages.
    pub(super) fn part(&self, index: usize) -> Part<'_> {
        match &self.frames {
            Frames::One(frames) => Part::Prepared(frames),
            Frames::Many(frames) => Part::Frames(frames, index..index + 1),
            Frames::Own => Part::Message(&self.issues[index].message),
        }
    }

    /// It was handed to a connection that can send no more.
    pub(crate) fn discard(&self) {
        self.discard_some(self.len());
    }

    pub(super) fn discard_some(&self, count: usize) {
        self.counters.delivered.fetch_sub(count as u64, Ordering::Relaxed);
        add(&self.counters.discarded, count);
    }
}

/// A message of a topic, for connections that neither mask nor compress.
#[cfg(test)]
pub(crate) fn delivery(message: impl Into<crate::proto::Message>) -> Arc<Delivery> {
    let publication = super::Publication::new(super::Topic::new("a").unwrap(), message.into());
    let message = publication.message.clone();
    let issue = Arc::new(Issue::new(publication, Arc::default(), message, None));
    let class = Class { config: Arc::default(), form: Form::Plain };
    Arc::new(Delivery::new(&[issue], &class, &Arc::default()))
}
