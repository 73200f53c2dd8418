//! Asks the server to send something back, which it does when it has taken all that was sent to it before.

use async_nats::{Client, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{mpsc, oneshot};

/// Knows what the server has taken. NATS acknowledges no message, and `flush` of async-nats waits for the socket alone.
#[derive(Clone, Debug)]
pub(super) struct Echo(mpsc::UnboundedSender<oneshot::Sender<()>>);

/// The most that one answer of the server is for.
const MOST: usize = 4096;

impl Echo {
    /// Sends to a subject that nobody else uses.
    pub(super) async fn start(client: Client, subject: String) -> Result<Self, async_nats::SubscribeError> {
        let subscriber = client.subscribe(subject.clone()).await?;
        let (ask, asked) = mpsc::unbounded_channel();
        tokio::spawn(answer(client, subject.into(), subscriber, asked));
        Ok(Self(ask))
    }

    /// Resolves when the server has taken all that was handed to the client before this is called; with an error, when the
    /// connection is over.
    pub(super) fn ask(&self) -> oneshot::Receiver<()> {
        let (answer, answered) = oneshot::channel();
        // Where it fails, so does the answer.
        let _ = self.0.send(answer);
        answered
    }
}

async fn answer(
    client: Client,
    subject: async_nats::Subject,
    mut subscriber: Subscriber,
    mut asked: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
) {
    let mut waiting = Vec::new();
    while asked.recv_many(&mut waiting, MOST).await > 0 {
        if client.publish(subject.clone(), Bytes::new()).await.is_err() {
            return;
        }
        if subscriber.next().await.is_none() {
            return;
        }
        for answer in waiting.drain(..) {
            // Fails only where nobody waits for it.
            let _ = answer.send(());
        }
    }
}
