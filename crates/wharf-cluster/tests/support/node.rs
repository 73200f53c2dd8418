//! A node of a cluster: a hub and a server, on a runtime of their own, and WebSocket clients of it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use wharf::hub::{
    Broker, BrokerHealth, HistoryOptions, Hub, HubBuilder, Position, Presentation, Publication, SlowConsumer,
    Subscribe, SubscribeError, Subscribed, Topic, TopicOptions,
};
use wharf::{Accept, Client, ClientConfig, Connection, Event, HttpServer, Message, Server, ServerConfig};

use super::within;

/// A node, which ends as if its process were killed when this is dropped.
pub struct Node {
    pub hub: Hub,
    address: SocketAddr,
    /// The server's ends of connections, as they open.
    opened: mpsc::UnboundedReceiver<Connection>,
    runtime: Option<Runtime>,
}

impl Node {
    /// A node whose topics below `kept` have a history of 10,000 messages, and those below `few` one of 10.
    pub async fn start(broker: impl Broker) -> Self {
        Self::with(broker, |builder| builder).await
    }

    pub async fn with(
        broker: impl Broker,
        change: impl FnOnce(HubBuilder) -> HubBuilder + Send + 'static,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("there is room for a thread");
        let begun = runtime.spawn(async move {
            let builder =
                Hub::builder().broker(broker).presentation(Shown).linger(LINGER).slow_consumer(patient());
            let hub = change(with_histories(builder)).build().expect("the options are valid");
            let http = HttpServer::bind("127.0.0.1:0").await.expect("a port is free");
            let server = Server::with_hub(ServerConfig::default(), hub.clone());
            server.mount([&http]).expect("the options are valid");
            let address = http.local_addr();
            let (open, opened) = mpsc::unbounded_channel();
            tokio::spawn(accept_all(http, server, open));
            (hub, address, opened)
        });
        let (hub, address, opened) = within(begun).await.expect("the node starts");
        Self { hub, address, opened, runtime: Some(runtime) }
    }

    /// A client that has opened a connection.
    pub async fn client(&mut self) -> Subscriber {
        let client = Client::new(ClientConfig::default()).expect("the options are valid");
        let url = format!("ws://{}/", self.address);
        let client = within(client.connect(url.as_str())).await.expect("the node takes connections");
        let server = within(self.opened.recv()).await.expect("the node goes on");
        Subscriber { client, server }
    }

    /// A client that has subscribed.
    pub async fn subscriber(&mut self, pattern: &str) -> Subscriber {
        let subscriber = self.client().await;
        subscriber.subscribe(pattern).await;
        subscriber
    }

    /// Publishes, and waits until it is acknowledged.
    pub async fn publish(&self, topic: &str, message: impl Into<Message>) -> Option<Position> {
        let publishing = self.hub.publish(topic, message).expect("it is published here");
        within(publishing).await.expect("the broker takes it").position
    }

    pub async fn connected(&self) {
        while self.hub.health() != BrokerHealth::Connected {
            within(self.hub.health_changed(&self.hub.health())).await;
        }
    }

    /// Waits until the broker is away: why.
    pub async fn away(&self) -> String {
        loop {
            if let BrokerHealth::Away { reason } = self.hub.health() {
                return reason.to_string();
            }
            within(self.hub.health_changed(&BrokerHealth::Connected)).await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// For how long topics are still brought that nobody wants.
pub const LINGER: Duration = Duration::from_millis(300);

/// A test looks at what came when all has.
fn patient() -> SlowConsumer {
    SlowConsumer::default().max_messages(100_000).max_bytes(100_000_000)
}

fn with_histories(builder: HubBuilder) -> HubBuilder {
    let history = |history| TopicOptions::default().history(history);
    let kept = HistoryOptions::default().max_messages(10_000);
    let few = HistoryOptions::default().max_messages(10);
    let short = HistoryOptions::default().max_age(Duration::from_millis(500));
    let topics = [("kept.>", kept), ("few.>", few), ("short.>", short)];
    topics.into_iter().fold(builder, |builder, (pattern, options)| {
        builder.topics(pattern, history(options)).expect("a pattern")
    })
}

async fn accept_all(_http: HttpServer, server: Server, open: mpsc::UnboundedSender<Connection>) {
    while let Some(event) = server.next_event().await {
        match event {
            Event::Request(request) => {
                // A client that is gone by now.
                let _ = request.accept(Accept::new());
            }
            Event::Connect(connection) => {
                let _ = open.send(connection);
            }
            _ => {}
        }
    }
}

/// A client of a node, both ends.
pub struct Subscriber {
    pub client: Connection,
    pub server: Connection,
}

impl Subscriber {
    pub async fn subscribe(&self, pattern: &str) -> Subscribed {
        within(self.server.subscribe(pattern).expect("the connection is open")).await.expect("it is taken")
    }

    pub async fn recover(&self, topic: &str, since: Position) -> Result<Subscribed, SubscribeError> {
        let subscribe = Subscribe::new(topic).expect("a topic").since(since);
        within(self.server.subscribe_with(subscribe)?).await
    }

    /// The next message, as it came.
    pub async fn message(&self) -> Message {
        within(self.client.recv()).await.expect("the connection is open")
    }

    /// The next message, which is one that was published as text.
    pub async fn next(&self) -> Got {
        match self.message().await {
            Message::Text(text) => Got::read(&text),
            other @ Message::Binary(_) => panic!("not a text: {other:?}"),
        }
    }

    /// The texts of the next messages.
    pub async fn texts(&self, count: usize) -> Vec<String> {
        let mut texts = Vec::with_capacity(count);
        for _ in 0..count {
            texts.push(self.next().await.text);
        }
        texts
    }

    /// Checks that nothing has come before what the node itself publishes now to it alone.
    pub async fn has_nothing_more(&self) {
        self.server.send("the end").await.expect("the connection is open");
        assert_eq!(self.message().await, Message::from("the end"));
    }
}

/// What a subscriber gets of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    pub topic: String,
    pub position: Option<Position>,
    pub key: Option<String>,
    pub text: String,
}

impl Got {
    fn read(shown: &str) -> Self {
        let mut parts = shown.splitn(4, '|');
        let mut part = || parts.next().unwrap_or_else(|| panic!("not shown so: {shown}"));
        let some = |part: &str| (!part.is_empty()).then(|| part.to_owned());
        let (topic, position, key, text) = (part(), part(), part(), part());
        let position = some(position).map(|position| position.parse().expect("a position"));
        Self { topic: topic.to_owned(), position, key: some(key), text: text.to_owned() }
    }
}

/// Shows what is known of texts, and passes bytes on as they are.
struct Shown;

impl Presentation for Shown {
    fn message(&self, publication: &Publication) -> Message {
        let Publication { topic, message, key, position, .. } = publication;
        let Message::Text(text) = message else { return message.clone() };
        let position = position.map(|position| position.to_string()).unwrap_or_default();
        format!("{topic}|{position}|{}|{text}", key.as_deref().unwrap_or_default()).into()
    }

    fn missed(&self, topic: &Topic, count: u64) -> Option<Message> {
        Some(format!("{topic}|||missed {count}").into())
    }

    fn placed(&self, topic: &Topic, position: Position) -> Option<Message> {
        Some(format!("{topic}|{position}||placed").into())
    }
}
