//! Bare async-nats: one client publishes, another has subscribed.

use std::error::Error;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use futures_util::StreamExt;
use tokio::runtime::{Builder, Runtime};

use crate::TOPIC;
use crate::round::Arrival;

pub(crate) struct Bare {
    publisher: async_nats::Client,
    received: Receiver<Arrival>,
    /// Of the publisher, and of the subscriber.
    runtimes: [Runtime; 2],
}

impl Bare {
    pub(crate) fn connect(url: &str) -> Result<Self, Box<dyn Error>> {
        let runtimes = [one_thread()?, one_thread()?];
        let publisher = runtimes[0].block_on(async_nats::connect(url))?;
        let (arrivals, received) = channel();
        runtimes[1].block_on(async {
            let client = async_nats::connect(url).await?;
            let mut subscriber = client.subscribe(TOPIC).await?;
            client.flush().await?;
            tokio::spawn(async move {
                // As long as the subscription is to last.
                let _client = client;
                while let Some(message) = subscriber.next().await {
                    let _ = arrivals.send(Arrival { payload: message.payload.to_vec(), at: Instant::now() });
                }
            });
            Ok::<(), Box<dyn Error>>(())
        })?;
        Ok(Self { publisher, received, runtimes })
    }

    pub(crate) fn publish(&self, message: Vec<u8>) -> Result<(), Box<dyn Error>> {
        Ok(self.runtimes[0].block_on(self.publisher.publish(TOPIC, message.into()))?)
    }

    pub(crate) const fn received(&self) -> &Receiver<Arrival> {
        &self.received
    }
}

/// A runtime whose thread works also while nobody waits on it.
pub(crate) fn one_thread() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build()
}
