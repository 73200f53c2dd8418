//! Tells other nodes who has subscribed here, and hears who has there.

use tokio::time::Instant;

use super::Task;
use crate::hub::broker::Arrived;
use crate::hub::link::presence::{self, HEARTBEAT, Heard, Said};
use crate::hub::{Inner, Publication, Topic, TopicPattern};

impl Task {
    /// Asks other nodes who has subscribed there, and says who has here.
    pub(super) async fn meet(&mut self) {
        let Some(hub) = self.hub.upgrade() else { return };
        if !hub.rules.keep_presence() {
            return;
        }
        let Ok(topic) = TopicPattern::new(presence::TOPIC) else { return };
        if self.heartbeat.is_none() && self.subscribe(&topic).await.is_err() {
            return;
        }
        self.heartbeat = Some(Instant::now() + HEARTBEAT);
        self.say(&Said::Ask { node: 0 });
        self.say_all(&hub);
    }

    pub(super) fn beat(&mut self) {
        let Some(hub) = self.hub.upgrade() else { return };
        let now = Instant::now();
        self.heartbeat = Some(now + HEARTBEAT);
        let (changes, _) = hub.presences.here();
        self.say(&Said::Here { changes });
        for node in self.others.forget_silent(now) {
            hub.tell_presences(hub.presences.replace(node, None));
        }
    }

    fn say_all(&mut self, hub: &Inner) {
        let (changes, entries) = hub.presences.here();
        for part in Said::all(changes, entries) {
            self.say(&part);
        }
    }

    /// Says something to all other nodes, if they can be reached: who could not be will ask.
    pub(super) fn say(&mut self, said: &Said) {
        if self.is_connected
            && !self.queue.is_busy()
            && let Ok(topic) = Topic::new(presence::TOPIC)
        {
            self.queue.push_said(Publication::new(topic, said.to_bytes()));
        }
    }

    /// Another node has said something.
    pub(super) fn heard(&mut self, arrived: &Arrived) {
        let Some((hub, id)) = self.hub.upgrade().zip(arrived.id) else { return };
        let Some(said) = Said::read(arrived.publication.message.as_bytes()) else { return };
        if id.node == self.node || !self.arrivals.is_first(arrived) {
            return;
        }
        match self.others.hear(self.node, id.node, said, Instant::now()) {
            Heard::Nothing => {}
            Heard::Apply(change) => {
                let event = hub.presences.changed_elsewhere(id.node, &change);
                hub.tell_presences(event);
            }
            Heard::Replace(entries) => {
                hub.tell_presences(hub.presences.replace(id.node, Some(&entries)));
            }
            Heard::Ask => self.say(&Said::Ask { node: id.node }),
            Heard::Answer => self.say_all(&hub),
        }
    }
}
