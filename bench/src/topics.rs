//! wharf as a server of topics: subscribers, and those who ask it how it fares.

use clap::ValueEnum;
use wharf::hub::{Hub, HubCounters, PublishError, SlowConsumer, SlowConsumerPolicy, SubscribeError};
use wharf::{Accept, Connection, Context, Handler, Message, MessageRef, Request, Server};

/// What is published on goes to all but the connection that sent it.
const TOPIC: &str = "t";
/// What only those have subscribed to who do not read.
const STALLED_TOPIC: &str = "stalled";

/// Where those connect to who never read.
pub(crate) const STALLED_PATH: &str = "/stalled";
/// Where [questions](Question) are answered.
pub(crate) const QUESTIONS_PATH: &str = "/questions";

/// What becomes of what subscribers do not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Policy {
    DropOldest,
    DropNewest,
    Conflate,
    Close,
}

impl Policy {
    pub(crate) fn of_hub(self) -> SlowConsumerPolicy {
        match self {
            Self::DropOldest => SlowConsumerPolicy::DropOldest,
            Self::DropNewest => SlowConsumerPolicy::DropNewest,
            Self::Conflate => SlowConsumerPolicy::Conflate,
            Self::Close => SlowConsumer::default().policy,
        }
    }
}

/// What a server is asked, one text for each, and answers with numbers between blanks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// The counters, in the order of their fields.
    Counters,
    /// How many connections there are. Those that are not among them have no subscriptions any more.
    Connections,
    /// Subscribes the connection that asks to so many topics of this name: how many.
    Subscribe { name: String, topics: usize },
    /// Publishes to those who do not read until so many messages were dropped for them, or replaced: how many were published.
    FillUntilDropped(u64),
    /// Publishes to those who do not read until so many messages wait for them: how many were published.
    FillUntilWaiting(u64),
}

/// What goes to those who do not read, in bytes.
const FILLING: usize = 1024;
/// Of so many subscriptions the last is waited for, so that not all of them are on their way at once.
const SUBSCRIBED_TOGETHER: usize = 128;

/// Decides on a request by its path. It fails only where the client has gone.
pub(crate) fn answer(request: Request, server: &Server) {
    let topics: &[&str] = match request.path() {
        QUESTIONS_PATH => {
            if let Ok(connection) = request.accept(Accept::new()) {
                tokio::spawn(answer_questions(connection, server.clone()));
            }
            return;
        }
        STALLED_PATH => &[TOPIC, STALLED_TOPIC],
        _ => &[TOPIC],
    };
    let _ = request.accept_with(Accept::new(), Subscriber(topics));
}

/// Subscribed to these.
struct Subscriber(&'static [&'static str]);

impl Handler for Subscriber {
    fn connect(&mut self, context: &mut Context<'_>) {
        for topic in self.0 {
            // Fails only where the connection closes already.
            let _ = context.connection().subscribe(*topic);
        }
    }

    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        // Where it fails, messages are missing, which the load tells.
        let _ = context.connection().publish(TOPIC, message);
    }
}

async fn answer_questions(connection: Connection, server: Server) {
    while let Some(message) = connection.recv().await {
        let question = match &message {
            Message::Text(text) => Question::read(text),
            Message::Binary(_) => None,
        };
        let numbers = match question {
            Some(question) => question.answer(&connection, &server).await,
            None => Vec::new(),
        };
        let words: Vec<String> = numbers.iter().map(u64::to_string).collect();
        if connection.send(words.join(" ")).await.is_err() {
            return;
        }
    }
}

impl Question {
    fn read(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        Some(match words[..] {
            ["counters"] => Self::Counters,
            ["connections"] => Self::Connections,
            ["subscribe", name, topics] => {
                Self::Subscribe { name: name.to_owned(), topics: topics.parse().ok()? }
            }
            ["fill-until-dropped", messages] => Self::FillUntilDropped(messages.parse().ok()?),
            ["fill-until-waiting", messages] => Self::FillUntilWaiting(messages.parse().ok()?),
            _ => return None,
        })
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Self::Counters => "counters".to_owned(),
            Self::Connections => "connections".to_owned(),
            Self::Subscribe { name, topics } => format!("subscribe {name} {topics}"),
            Self::FillUntilDropped(messages) => format!("fill-until-dropped {messages}"),
            Self::FillUntilWaiting(messages) => format!("fill-until-waiting {messages}"),
        }
    }

    async fn answer(&self, connection: &Connection, server: &Server) -> Vec<u64> {
        let hub = server.hub();
        match self {
            Self::Counters => numbers_of(&hub.counters()).to_vec(),
            Self::Connections => {
                let count = server.connection_count();
                // Answered by all workers, behind the end of each connection's subscriptions.
                if let Ok(pattern) = TOPIC.try_into() {
                    hub.subscriber_count(&pattern).await;
                }
                vec![count as u64]
            }
            Self::Subscribe { name, topics } => match subscribe(connection, name, *topics).await {
                Ok(()) => vec![*topics as u64],
                Err(_) => Vec::new(),
            },
            Self::FillUntilDropped(messages) => vec![fill(hub, |now| dropped(now) >= *messages).await],
            Self::FillUntilWaiting(messages) => vec![fill(hub, |now| waiting(now) >= *messages).await],
        }
    }
}

async fn subscribe(connection: &Connection, name: &str, topics: usize) -> Result<(), SubscribeError> {
    let mut on_their_way = 0;
    for topic in 0..topics {
        let subscribing = connection.subscribe(format!("{name}.{topic}"))?;
        on_their_way += 1;
        if on_their_way == SUBSCRIBED_TOGETHER || topic + 1 == topics {
            subscribing.await?;
            on_their_way = 0;
        }
    }
    Ok(())
}

/// Publishes to those who do not read, until that is enough: how many messages.
async fn fill(hub: &Hub, is_enough: impl Fn(&HubCounters) -> bool) -> u64 {
    let mut published = 0;
    while !is_enough(&hub.counters()) {
        match hub.publish(STALLED_TOPIC, vec![0; FILLING]) {
            Ok(_) => published += 1,
            Err(PublishError::Busy { .. }) => {}
            Err(_) => break,
        }
        // To those who deliver it, and to the connections that write it.
        tokio::task::yield_now().await;
    }
    published
}

const fn numbers_of(counters: &HubCounters) -> [u64; 8] {
    [
        counters.to_deliver,
        counters.delivered,
        counters.dropped_oldest,
        counters.dropped_newest,
        counters.conflated,
        counters.dropped_by_close,
        counters.discarded,
        counters.connections_closed,
    ]
}

const fn dropped(counters: &HubCounters) -> u64 {
    counters.dropped_oldest + counters.dropped_newest + counters.conflated
}

const fn waiting(counters: &HubCounters) -> u64 {
    let HubCounters { to_deliver, delivered, dropped_by_close, discarded, .. } = *counters;
    to_deliver.saturating_sub(delivered + dropped(counters) + dropped_by_close + discarded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_as_it_was_asked() {
        for question in [
            Question::Counters,
            Question::Connections,
            Question::Subscribe { name: "own.3".to_owned(), topics: 10_000 },
            Question::FillUntilDropped(1600),
            Question::FillUntilWaiting(800),
        ] {
            assert_eq!(Question::read(&question.text()), Some(question));
        }
        assert_eq!(Question::read("why"), None);
    }
}
