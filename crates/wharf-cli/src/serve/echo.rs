//! `/echo`: text for text, binary for binary.

use std::sync::Arc;

use wharf::{Connection, Context, Handler, MessageRef};

use super::live::Traffic;

pub(super) struct Echo {
    traffic: Arc<Traffic>,
}

impl Echo {
    pub(super) const fn new(traffic: Arc<Traffic>) -> Self {
        Self { traffic }
    }
}

impl Handler for Echo {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        self.traffic.received(message.as_bytes().len());
        // Refused only where the connection is closing: then there is nobody to answer.
        if context.send(message).is_ok() {
            self.traffic.sent(message.as_bytes().len());
        }
    }
}

/// Echoes on a connection that was accepted without a handler.
pub(super) async fn echo(connection: Connection, traffic: Arc<Traffic>) {
    while let Some(message) = connection.recv().await {
        let len = message.len();
        traffic.received(len);
        if connection.send(message).await.is_err() {
            return;
        }
        traffic.sent(len);
    }
}
