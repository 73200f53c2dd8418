//! Who has subscribed, topic by topic and node by node.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Member, Presence, PresenceChange, PresenceEvent, Topic};

/// Who has subscribed to the topics that keep it. Locked by those who come and go, and by those who ask; never by what is
/// published.
#[derive(Debug, Default)]
pub(super) struct Presences {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    here: Node,
    /// How many changes there were here.
    changes: u64,
    elsewhere: HashMap<u64, Node>,
}

/// Who has subscribed at one node.
#[derive(Debug, Default)]
struct Node {
    by_topic: HashMap<Topic, Present>,
}

#[derive(Debug, Default)]
struct Present {
    members: BTreeMap<Arc<str>, usize>,
    connections: usize,
}

/// A connection has come or gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) topic: Topic,
    /// Of this name, if it has one.
    pub(super) member: Option<Arc<str>>,
    pub(super) kind: PresenceChange,
}

/// So many connections have subscribed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) topic: Topic,
    /// Of this name; of none, those that gave none.
    pub(super) member: Option<Arc<str>>,
    pub(super) connections: usize,
}

impl Presences {
    /// A connection of this node has come or gone: what there is to be told of it. `pass_on` passes it on to other nodes, with
    /// its number, in order.
    pub(super) fn changed_here(&self, change: &Change, pass_on: impl FnOnce(u64)) -> Option<PresenceEvent> {
        let mut state = self.lock();
        state.here.apply(change);
        state.changes += 1;
        pass_on(state.changes);
        state.event_of(change)
    }

    /// A connection of another node has.
    pub(super) fn changed_elsewhere(&self, node: u64, change: &Change) -> Option<PresenceEvent> {
        let mut state = self.lock();
        state.elsewhere.entry(node).or_default().apply(change);
        state.event_of(change)
    }

    /// Those of another node are these now, or it is gone: what there is to be told of it.
    pub(super) fn replace(&self, node: u64, entries: Option<&[Entry]>) -> Vec<PresenceEvent> {
        let mut state = self.lock();
        let was = state.elsewhere.remove(&node).unwrap_or_default();
        let is = Node::of(entries.unwrap_or_default());
        let mut events = Vec::new();
        for (one, other, change) in [(&is, &was, PresenceChange::Joined), (&was, &is, PresenceChange::Left)] {
            for (topic, member) in one.members() {
                if other.count(topic, member) == 0 && state.count(topic, member) == 0 {
                    events.push(PresenceEvent { topic: topic.clone(), member: member.clone(), change });
                }
            }
        }
        if entries.is_some() {
            state.elsewhere.insert(node, is);
        }
        events
    }

    /// Who is here, and how many changes have led to it.
    pub(super) fn here(&self) -> (u64, Vec<Entry>) {
        let state = self.lock();
        (state.changes, state.here.entries())
    }

    pub(super) fn of(&self, topic: &Topic) -> Presence {
        let state = self.lock();
        let mut all = Present::default();
        for present in state.nodes().filter_map(|node| node.by_topic.get(topic)) {
            all.connections += present.connections;
            for (member, connections) in &present.members {
                *all.members.entry(member.clone()).or_default() += connections;
            }
        }
        let member = |(name, connections)| Member { name, connections };
        Presence { members: all.members.into_iter().map(member).collect(), connections: all.connections }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.elsewhere.values().chain([&self.here])
    }

    /// How many connections of this name have subscribed, on all nodes.
    fn count(&self, topic: &Topic, member: &str) -> usize {
        self.nodes().map(|node| node.count(topic, member)).sum()
    }

    /// What there is to be told of a change that was made.
    fn event_of(&self, Change { topic, member, kind }: &Change) -> Option<PresenceEvent> {
        let member = member.as_ref()?;
        let told = match kind {
            PresenceChange::Joined => 1,
            PresenceChange::Left => 0,
        };
        let event = || PresenceEvent { topic: topic.clone(), member: member.clone(), change: *kind };
        (self.count(topic, member) == told).then(event)
    }
}

impl Node {
    fn of(entries: &[Entry]) -> Self {
        let mut node = Self::default();
        for Entry { topic, member, connections } in entries {
            let present = node.by_topic.entry(topic.clone()).or_default();
            present.connections += connections;
            if let Some(member) = member {
                *present.members.entry(member.clone()).or_default() += connections;
            }
        }
        node
    }

    fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (topic, Present { members, connections }) in &self.by_topic {
            let entry = |member, connections| Entry { topic: topic.clone(), member, connections };
            let named: usize = members.values().sum();
            entries.extend(members.iter().map(|(member, count)| entry(Some(member.clone()), *count)));
            if *connections > named {
                entries.push(entry(None, connections - named));
            }
        }
        entries
    }

    fn members(&self) -> impl Iterator<Item = (&Topic, &Arc<str>)> {
        self.by_topic
            .iter()
            .flat_map(|(topic, present)| present.members.keys().map(move |member| (topic, member)))
    }

    fn count(&self, topic: &Topic, member: &str) -> usize {
        self.by_topic.get(topic).and_then(|present| present.members.get(member)).copied().unwrap_or_default()
    }

    fn apply(&mut self, Change { topic, member, kind }: &Change) {
        match kind {
            PresenceChange::Joined => {
                let present = self.by_topic.entry(topic.clone()).or_default();
                present.connections += 1;
                if let Some(member) = member {
                    *present.members.entry(member.clone()).or_default() += 1;
                }
            }
            PresenceChange::Left => {
                let Some(present) = self.by_topic.get_mut(topic) else { return };
                present.connections = present.connections.saturating_sub(1);
                if let Some(member) = member
                    && let Some(connections) = present.members.get_mut(member)
                {
                    *connections = connections.saturating_sub(1);
                    if *connections == 0 {
                        present.members.remove(member);
                    }
                }
                if present.connections == 0 {
                    self.by_topic.remove(topic);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(member: &str, kind: PresenceChange) -> Change {
        Change { topic: Topic::new("a").unwrap(), member: Some(member.into()), kind }
    }

    fn entry(member: &str) -> Entry {
        Entry { topic: Topic::new("a").unwrap(), member: Some(member.into()), connections: 1 }
    }

    fn told(events: impl IntoIterator<Item = PresenceEvent>) -> Vec<(String, PresenceChange)> {
        let mut told: Vec<_> =
            events.into_iter().map(|event| (event.member.to_string(), event.change)).collect();
        told.sort_by(|one, other| one.0.cmp(&other.0));
        told
    }

    #[test]
    fn who_is_on_several_nodes_joins_with_the_first_and_leaves_with_the_last() {
        use PresenceChange::{Joined, Left};
        let presences = Presences::default();
        let here = |member, kind| told(presences.changed_here(&change(member, kind), |_| {}));
        let there = |member, kind| told(presences.changed_elsewhere(1, &change(member, kind)));
        assert_eq!(here("ann", Joined), [("ann".to_owned(), Joined)]);
        assert_eq!(there("ann", Joined), []);
        assert_eq!(here("ann", Left), []);
        assert_eq!(there("bob", Joined), [("bob".to_owned(), Joined)]);
        assert_eq!(presences.of(&Topic::new("a").unwrap()).connections, 2);
        let events = presences.replace(1, Some(&[entry("bob"), entry("carl")]));
        assert_eq!(told(events), [("ann".to_owned(), Left), ("carl".to_owned(), Joined)]);
        here("bob", Joined);
        assert_eq!(told(presences.replace(1, None)), [("carl".to_owned(), Left)]);
        assert_eq!(presences.of(&Topic::new("a").unwrap()).connections, 1);
    }

    #[test]
    fn changes_are_passed_on_with_their_numbers_and_lead_to_what_is_here() {
        let presences = Presences::default();
        let mut numbers = Vec::new();
        for kind in [PresenceChange::Joined, PresenceChange::Joined, PresenceChange::Left] {
            presences.changed_here(&change("ann", kind), |number| numbers.push(number));
        }
        assert_eq!(numbers, [1, 2, 3]);
        assert_eq!(presences.here(), (3, vec![entry("ann")]));
    }
}
