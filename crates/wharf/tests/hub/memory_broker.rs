//! A broker for nodes of one process, whose ways can be cut.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::mpsc;
use wharf::hub::{
    Acknowledgement, Arrived, BoxFuture, Broker, BrokerError, BrokerHealth, HistoryRead, HistoryRequest,
    Incoming, Interest, Outgoing, Position, Publication, PublicationId, Topic, TopicPattern,
};

/// What all nodes are connected to.
#[derive(Clone, Default)]
pub(crate) struct Bus(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    nodes: Vec<Node>,
    histories: HashMap<Topic, History>,
}

struct Node {
    incoming: Option<Incoming>,
    arrivals: mpsc::UnboundedSender<Arrived>,
    patterns: Vec<TopicPattern>,
    is_cut: bool,
    /// Acknowledgements are lost on their way.
    loses_acknowledgements: bool,
    /// What it was asked, in order.
    asked: Vec<String>,
}

struct History {
    epoch: u64,
    kept: Vec<Arrived>,
    /// How many were thrown away.
    thrown_away: usize,
}

/// The way of one node to the bus.
pub(crate) struct MemoryBroker {
    bus: Bus,
    node: usize,
    arrived: Mutex<Option<mpsc::UnboundedReceiver<Arrived>>>,
}

impl Bus {
    /// A node that is connected, unless it is `cut` from the beginning: its number, and its way.
    pub(crate) fn node(&self, is_cut: bool) -> (usize, MemoryBroker) {
        let (arrivals, arrived) = mpsc::unbounded_channel();
        let mut state = self.lock();
        let node = state.nodes.len();
        state.nodes.push(Node {
            incoming: None,
            arrivals,
            patterns: Vec::new(),
            is_cut,
            loses_acknowledgements: false,
            asked: Vec::new(),
        });
        drop(state);
        (node, MemoryBroker { bus: self.clone(), node, arrived: Mutex::new(Some(arrived)) })
    }

    pub(crate) fn cut(&self, node: usize) {
        let mut state = self.lock();
        let node = &mut state.nodes[node];
        node.is_cut = true;
        node.tell_health();
    }

    pub(crate) fn heal(&self, node: usize) {
        let mut state = self.lock();
        let node = &mut state.nodes[node];
        node.is_cut = false;
        node.loses_acknowledgements = false;
        node.tell_health();
    }

    /// A node is there again, and is not told what arrives of it.
    pub(crate) fn heal_but_lose_acknowledgements(&self, node: usize) {
        let mut state = self.lock();
        let node = &mut state.nodes[node];
        (node.is_cut, node.loses_acknowledgements) = (false, true);
        node.tell_health();
    }

    /// What a node publishes arrives, and it is not told.
    pub(crate) fn lose_acknowledgements(&self, node: usize) {
        self.lock().nodes[node].loses_acknowledgements = true;
    }

    /// What a node was asked, in order.
    pub(crate) fn asked(&self, node: usize) -> Vec<String> {
        self.lock().nodes[node].asked.clone()
    }

    /// Forgets all but so many messages of each topic.
    pub(crate) fn trim(&self, kept: usize) {
        for history in self.lock().histories.values_mut() {
            let excess = history.kept.len().saturating_sub(kept);
            history.kept.drain(..excess);
            history.thrown_away += excess;
        }
    }

    /// Forgets everything.
    pub(crate) fn lose_histories(&self) {
        self.lock().histories.clear();
    }

    /// Publishes what no hub has.
    pub(crate) fn publish(&self, topic: &str, text: &str) {
        let publication = Publication::new(Topic::new(topic).expect("it is allowed"), text);
        self.lock().deliver(&publication, None);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("it is allowed")
    }
}

impl State {
    /// Brings a message to every node that wants it, once for each pattern.
    fn deliver(&self, publication: &Publication, id: Option<PublicationId>) {
        for node in self.nodes.iter().filter(|node| !node.is_cut) {
            for pattern in node.patterns.iter().filter(|pattern| pattern.matches(&publication.topic)) {
                let _ = node.arrivals.send(Arrived::new(publication.clone(), id, Some(pattern.clone())));
            }
        }
    }

    fn publish(&mut self, outgoing: &Outgoing) -> Option<Position> {
        let Outgoing { publication, id, history, .. } = outgoing;
        if history.is_none() {
            self.deliver(publication, Some(*id));
            return None;
        }
        let epochs = self.histories.len() as u64 + 1;
        let new = || History { epoch: epochs, kept: Vec::new(), thrown_away: 0 };
        let history = self.histories.entry(publication.topic.clone()).or_insert_with(new);
        if let Some(known) = history.kept.iter().find(|known| known.id == Some(*id)) {
            return known.publication.position;
        }
        let offset = (history.thrown_away + history.kept.len()) as u64 + 1;
        let position = Some(Position { epoch: history.epoch, offset });
        let mut publication = publication.clone();
        publication.position = position;
        history.kept.push(Arrived::new(publication.clone(), Some(*id), None));
        self.deliver(&publication, Some(*id));
        position
    }
}

impl Node {
    fn tell_health(&self) {
        if let Some(incoming) = &self.incoming {
            incoming.health(if self.is_cut {
                BrokerHealth::Away { reason: "it was cut".into() }
            } else {
                BrokerHealth::Connected
            });
        }
    }
}

fn away() -> BrokerError {
    BrokerError::Away("it was cut".into())
}

impl MemoryBroker {
    fn ask<T>(&self, what: String, work: impl FnOnce(&mut State) -> T) -> Result<T, BrokerError> {
        let mut state = self.bus.lock();
        let node = &mut state.nodes[self.node];
        if node.is_cut {
            return Err(away());
        }
        node.asked.push(what);
        Ok(work(&mut state))
    }
}

impl Broker for MemoryBroker {
    fn start(&self, incoming: Incoming) {
        let mut arrived = self.arrived.lock().expect("it is allowed").take().expect("it is started once");
        let mut state = self.bus.lock();
        let node = &mut state.nodes[self.node];
        node.incoming = Some(incoming.clone());
        node.tell_health();
        drop(state);
        tokio::spawn(async move {
            while let Some(arrived) = arrived.recv().await {
                incoming.arrived(arrived).await;
            }
        });
    }

    fn publish<'a>(&'a self, outgoing: &'a Outgoing) -> BoxFuture<'a, Result<Acknowledgement, BrokerError>> {
        let what = format!("publish {}", outgoing.publication.topic);
        let published = self.ask(what, |state| state.publish(outgoing));
        let is_lost = self.bus.lock().nodes[self.node].loses_acknowledgements;
        Box::pin(async move {
            let position = published?;
            let acknowledgement: Acknowledgement =
                Box::pin(async move { if is_lost { Err(away()) } else { Ok(position) } });
            Ok(acknowledgement)
        })
    }

    fn subscribe<'a>(&'a self, interest: &'a Interest) -> BoxFuture<'a, Result<(), BrokerError>> {
        let pattern = interest.pattern.clone();
        let node = self.node;
        let result =
            self.ask(format!("subscribe {pattern}"), |state| state.nodes[node].patterns.push(pattern));
        Box::pin(async { result })
    }

    fn unsubscribe<'a>(&'a self, pattern: &'a TopicPattern) -> BoxFuture<'a, Result<(), BrokerError>> {
        let node = self.node;
        let result = self.ask(format!("unsubscribe {pattern}"), |state| {
            state.nodes[node].patterns.retain(|own| own != pattern);
        });
        Box::pin(async { result })
    }

    fn history<'a>(&'a self, request: &'a HistoryRequest) -> BoxFuture<'a, Result<HistoryRead, BrokerError>> {
        let HistoryRequest { topic, after, .. } = request;
        let read = self.ask(format!("history {topic}"), |state| {
            let Some(history) = state.histories.get(topic) else {
                return HistoryRead::new(0, 1, 0, Vec::new());
            };
            let first = history.thrown_away as u64 + 1;
            let last = first + history.kept.len() as u64 - 1;
            let is_asked_for = |kept: &&Arrived| {
                let offset = kept.publication.position.map_or(0, |position| position.offset);
                after.is_some_and(|after| offset > after)
            };
            HistoryRead::new(
                history.epoch,
                first,
                last,
                history.kept.iter().filter(is_asked_for).cloned().collect(),
            )
        });
        Box::pin(async { read })
    }
}
