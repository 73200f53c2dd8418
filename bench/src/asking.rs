//! Asks a server of topics how it fares, from beside the load.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use wharf::{Client, ClientConfig, CloseCode, Connection, Message};

use crate::topics::{QUESTIONS_PATH, Question};

/// Connections that ask, and what it takes to wait for their answers.
pub(crate) struct Asking {
    // Before the runtime, which they live on.
    connections: Vec<Connection>,
    runtime: Runtime,
    client: Client,
    address: SocketAddr,
}

/// How long an answer may take.
const LONGEST_WAIT: Duration = Duration::from_mins(2);

impl Asking {
    /// With one connection.
    pub(crate) fn new(address: SocketAddr) -> Result<Self, String> {
        // With a thread of its own, which answers pings while nobody asks.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let client = Client::new(ClientConfig::default()).map_err(|error| error.to_string())?;
        let runtime = runtime.map_err(|error| error.to_string())?;
        let mut asking = Self { connections: Vec::new(), runtime, client, address };
        asking.connect(1)?;
        Ok(asking)
    }

    /// Opens as many connections more.
    pub(crate) fn connect(&mut self, connections: usize) -> Result<(), String> {
        let Self { connections: all, runtime, client, address } = self;
        let url = format!("ws://{address}{QUESTIONS_PATH}");
        for _ in 0..connections {
            let connected = runtime.block_on(client.connect(url.as_str()));
            all.push(connected.map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    /// Ends all but the first: the answers come without them.
    pub(crate) fn disconnect(&mut self) {
        for connection in self.connections.drain(1..) {
            // Fails only for a code that cannot be sent.
            let _ = connection.drop_now(CloseCode::NORMAL, None);
        }
    }

    /// Asks by one of the connections.
    pub(crate) fn ask_by(&self, connection: usize, question: &Question) -> Result<Vec<u64>, String> {
        let connection = &self.connections[connection];
        let answer = async {
            connection.send(question.text()).await.map_err(|error| error.to_string())?;
            match tokio::time::timeout(LONGEST_WAIT, connection.recv()).await {
                Ok(Some(Message::Text(text))) => Ok(text),
                _ => Err(format!("the server did not answer {question:?}")),
            }
        };
        let text = self.runtime.block_on(answer)?;
        let numbers: Vec<u64> = text.split(' ').filter_map(|number| number.parse().ok()).collect();
        if numbers.is_empty() {
            Err(format!("the server could not do it: {question:?}"))
        } else {
            Ok(numbers)
        }
    }

    pub(crate) fn ask(&self, question: &Question) -> Result<Vec<u64>, String> {
        self.ask_by(0, question)
    }

    /// Waits until the server has so many connections beside the first of these: how long that took.
    pub(crate) fn until_connected(&self, connections: u64) -> Result<Duration, String> {
        let began = Instant::now();
        while self.ask(&Question::Connections)? != [1 + connections] {
            if began.elapsed() > LONGEST_WAIT {
                return Err(format!("the server has not come to {connections} connections"));
            }
        }
        Ok(began.elapsed())
    }
}
