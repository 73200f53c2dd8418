//! Rooms: a path is a topic, and what one says there goes to all others who are there; who comes back gets what was said.
//!
//! ```sh
//! cargo run -p wharf --example topics
//! cargo run --release -- connect ws://127.0.0.1:9001/rooms/lobby    # twice
//! cargo run --release -- connect ws://127.0.0.1:9001/rooms/*        # hears them all
//! ```
//!
//! An argument is another address to listen on.

use std::error::Error;

use wharf::hub::{
    HistoryOptions, Hub, SlowConsumer, SlowConsumerPolicy, Subscribe, TopicOptions, TopicPattern,
};
use wharf::{
    Accept, Connection, Context, Event, Handler, HttpServer, MessageRef, Rejection, Server, ServerConfig,
};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example says where it listens")]
async fn main() -> Result<(), Box<dyn Error>> {
    let last_messages = HistoryOptions::default().max_messages(20);
    let hub = Hub::builder()
        .topics("rooms.*", TopicOptions::default().history(last_messages))?
        .slow_consumer(SlowConsumer::new(SlowConsumerPolicy::DropOldest))
        .build()?;
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let http = HttpServer::bind(address).await?;
    let server = Server::with_hub(ServerConfig::default(), hub);
    server.mount([&http])?;
    println!("ws://{}/", http.local_addr());

    while let Some(event) = server.next_event().await {
        let Event::Request(request) = event else { continue };
        let Ok(topic) = TopicPattern::new(request.path().trim_matches('/').replace('/', ".")) else {
            let _ = request.reject(Rejection::new(404).reason("The path is not a topic."));
            continue;
        };
        // Its client may have given up.
        if let Ok(connection) = request.accept_with(Accept::new(), Member { topic: topic.clone() }) {
            let _ = enter(&connection, &topic);
        }
    }
    Ok(())
}

/// Subscribes, to what was said before, too, where that is kept.
fn enter(connection: &Connection, topic: &TopicPattern) -> Result<(), Box<dyn Error>> {
    let subscribe = Subscribe::new(topic)?;
    match connection.subscribe_with(subscribe.clone().since_oldest()) {
        Ok(_) => {}
        Err(_) => drop(connection.subscribe_with(subscribe)?),
    }
    Ok(())
}

/// One who is there.
struct Member {
    topic: TopicPattern,
}

impl Handler for Member {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        // Who hears several rooms speaks in none.
        if let Some(topic) = self.topic.topic() {
            let _ = context.connection().publish(topic, message);
        }
    }
}
