//! A nats-server.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wharf::hub::Broker;
use wharf_cluster::nats::{Nats, NatsBuilder};

use super::backend::Backend;
use super::process::{Directory, Process, free_address};
use super::within;

/// A nats-server with JetStream.
pub struct NatsServer {
    address: SocketAddr,
    monitoring: SocketAddr,
    directory: Directory,
    arguments: Vec<String>,
    process: Process,
}

impl NatsServer {
    /// A server that is started with these further arguments.
    pub async fn with(arguments: &[&str]) -> Self {
        let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let directory = Directory::create();
        loop {
            let (address, monitoring) = (free_address(), free_address());
            let mut process = start(address, monitoring, &directory, &arguments);
            if listens(address, &mut process).await {
                return Self { address, monitoring, directory, arguments, process };
            }
        }
    }

    pub fn builder(server: SocketAddr) -> NatsBuilder {
        Nats::builder(&format!("nats://{server}"))
            .max_reconnect_delay(Duration::from_millis(200))
            .ping_interval(Duration::from_millis(500))
            .connect_timeout(Duration::from_secs(2))
    }

    /// A client that knows nothing of hubs.
    pub async fn client(&self) -> async_nats::Client {
        within(async_nats::connect(format!("nats://{}", self.address))).await.expect("it takes connections")
    }

    /// How many clients are connected.
    pub async fn connections(&self) -> u64 {
        self.monitor("/varz").await["connections"].as_u64().expect("a number")
    }

    /// What the server says at this path, over HTTP.
    async fn monitor(&self, path: &str) -> serde_json::Value {
        let mut stream = TcpStream::connect(self.monitoring).await.expect("it listens");
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.monitoring);
        stream.write_all(request.as_bytes()).await.expect("it takes requests");
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer)).await.expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        serde_json::from_str(body).expect("it answers with JSON")
    }
}

impl Backend for NatsServer {
    async fn start() -> Self {
        Self::with(&["-js"]).await
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn kill(&mut self) {
        self.process.kill();
    }

    async fn restart(&mut self) {
        self.kill();
        self.process = start(self.address, self.monitoring, &self.directory, &self.arguments);
        assert!(listens(self.address, &mut self.process).await, "nobody has taken its address");
    }

    fn broker(server: SocketAddr) -> impl Broker {
        Self::builder(server).build().expect("the options are valid")
    }

    async fn subscriptions(&self, pattern: &str) -> usize {
        let subject = format!("wharf.t.{pattern}");
        let known = self.monitor("/subsz?subs=1&limit=10000").await;
        let Some(list) = known["subscriptions_list"].as_array() else { return 0 };
        list.iter().filter(|subscription| subscription["subject"] == subject.as_str()).count()
    }

    async fn delete_history(&self, topic: &str) {
        let jetstream = async_nats::jetstream::new(self.client().await);
        let stream = format!("wharf_h_{}", topic.replace('.', "_"));
        within(jetstream.delete_stream(stream)).await.expect("there is a stream");
    }

    async fn publish(&self, topic: &str, payload: &[u8]) {
        let client = self.client().await;
        within(client.publish(format!("wharf.t.{topic}"), payload.to_vec().into()))
            .await
            .expect("it is sent");
        within(client.flush()).await.expect("it is sent");
    }
}

fn start(
    address: SocketAddr,
    monitoring: SocketAddr,
    directory: &Directory,
    arguments: &[String],
) -> Process {
    let path = directory.path().display().to_string();
    let own = [
        ("-a", address.ip().to_string()),
        ("-p", address.port().to_string()),
        ("-m", monitoring.port().to_string()),
        ("-sd", path),
    ];
    let own = own.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
    Process::start("nats-server", "nats-server", &own.chain(arguments.iter().cloned()).collect::<Vec<_>>())
}

/// Waits until the server takes connections: whether it does, and has not ended.
async fn listens(address: SocketAddr, process: &mut Process) -> bool {
    within(async {
        loop {
            if process.has_ended() {
                return false;
            }
            if greets(address).await {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

/// Whether somebody there begins as a nats-server does.
async fn greets(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    let mut greeting = [0; 5];
    stream.read_exact(&mut greeting).await.is_ok() && greeting == *b"INFO "
}
