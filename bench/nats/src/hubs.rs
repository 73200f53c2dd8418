//! Two hubs: what is published at one goes through NATS to a WebSocket of the other.

use std::error::Error;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use tokio::runtime::Runtime;
use wharf::hub::{BrokerHealth, Hub};
use wharf::{Accept, Client, ClientConfig, Event, HttpServer, Message, Request, Server, ServerConfig};
use wharf_cluster::nats::Nats;

use crate::TOPIC;
use crate::bare::one_thread;
use crate::round::Arrival;

pub(crate) struct Hubs {
    publisher: Hub,
    received: Receiver<Arrival>,
    /// Of both nodes, and of the client.
    _runtimes: [Runtime; 3],
}

impl Hubs {
    pub(crate) fn connect(url: &str) -> Result<Self, Box<dyn Error>> {
        let runtimes = [one_thread()?, one_thread()?, one_thread()?];
        let publisher = runtimes[0].block_on(hub(url))?;
        let address = runtimes[1].block_on(async {
            let http = HttpServer::builder().bind("127.0.0.1:0").await?;
            let server = Server::with_hub(ServerConfig::default(), hub(url).await?);
            server.mount([&http])?;
            let address = http.local_addr();
            tokio::spawn(async move {
                // As long as it is to serve.
                let _http = http;
                while let Some(event) = server.next_event().await {
                    if let Event::Request(request) = event {
                        tokio::spawn(subscribe(request));
                    }
                }
            });
            Ok::<_, Box<dyn Error>>(address)
        })?;
        let (arrivals, received) = channel();
        runtimes[2].block_on(async {
            let client = Client::new(ClientConfig::default())?;
            let connection = client.connect(format!("ws://{address}/").as_str()).await?;
            // That it has been subscribed.
            connection.recv().await.ok_or("the connection ended")?;
            tokio::spawn(async move {
                while let Some(message) = connection.recv().await {
                    let payload = match message {
                        Message::Binary(bytes) => bytes.to_vec(),
                        Message::Text(text) => text.as_bytes().to_vec(),
                    };
                    let _ = arrivals.send(Arrival { payload, at: Instant::now() });
                }
            });
            Ok::<(), Box<dyn Error>>(())
        })?;
        Ok(Self { publisher, received, _runtimes: runtimes })
    }

    pub(crate) fn publish(&self, message: Vec<u8>) -> Result<(), Box<dyn Error>> {
        // Not awaited: nobody waits for the broker's answer.
        drop(self.publisher.publish(TOPIC, message)?);
        Ok(())
    }

    pub(crate) const fn received(&self) -> &Receiver<Arrival> {
        &self.received
    }
}

/// A hub that has reached its broker.
async fn hub(url: &str) -> Result<Hub, Box<dyn Error>> {
    let hub = Hub::builder().broker(Nats::new(url)?).build()?;
    let mut health = hub.health();
    while health != BrokerHealth::Connected {
        health = hub.health_changed(&health).await;
    }
    Ok(hub)
}

/// Accepts, subscribes, and says so.
async fn subscribe(request: Request) {
    let Ok(connection) = request.accept(Accept::new()) else { return };
    let Ok(subscribing) = connection.subscribe(TOPIC) else { return };
    if subscribing.await.is_ok() && connection.send("subscribed").await.is_ok() {
        // Until the client goes.
        while connection.recv().await.is_some() {}
    }
}
