//! Who has subscribed, topic by topic.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Member, Presence, PresenceChange, Topic};

/// Who has subscribed to the topics that keep it. Locked by those who come and go, and by those who ask; never by what is
/// published.
#[derive(Debug, Default)]
pub(super) struct Presences {
    by_topic: Mutex<HashMap<Topic, Present>>,
}

#[derive(Debug, Default)]
struct Present {
    members: BTreeMap<Arc<str>, usize>,
    connections: usize,
}

impl Presences {
    /// A connection has come or gone: whether its member has, too.
    pub(super) fn change(&self, topic: &Topic, member: Option<&Arc<str>>, change: PresenceChange) -> bool {
        let mut by_topic = self.by_topic.lock().unwrap_or_else(PoisonError::into_inner);
        match change {
            PresenceChange::Joined => {
                let present = by_topic.entry(topic.clone()).or_default();
                present.connections += 1;
                let Some(member) = member else { return false };
                let connections = present.members.entry(member.clone()).or_default();
                *connections += 1;
                *connections == 1
            }
            PresenceChange::Left => {
                let Some(present) = by_topic.get_mut(topic) else { return false };
                present.connections -= 1;
                let has_left = member.is_some_and(|member| present.leave(member));
                if present.connections == 0 {
                    by_topic.remove(topic);
                }
                has_left
            }
        }
    }

    pub(super) fn of(&self, topic: &Topic) -> Presence {
        let by_topic = self.by_topic.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Present { members, connections }) = by_topic.get(topic) else { return Presence::default() };
        let member = |(name, connections): (&Arc<str>, &usize)| Member {
            name: name.clone(),
            connections: *connections,
        };
        Presence { members: members.iter().map(member).collect(), connections: *connections }
    }
}

impl Present {
    /// One connection of this name has gone: whether it was the last.
    fn leave(&mut self, member: &str) -> bool {
        let Some(connections) = self.members.get_mut(member) else { return false };
        *connections -= 1;
        let was_last = *connections == 0;
        if was_last {
            self.members.remove(member);
        }
        was_last
    }
}
