//! A real redis-server.

use std::net::SocketAddr;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, FromRedisValue, cmd};
use wharf::hub::Broker;
use wharf_cluster::redis::{Redis, RedisBuilder};

use crate::support::backend::Backend;
use crate::support::process::{Directory, Process, free_address};
use crate::support::within;

pub(crate) struct Server {
    address: SocketAddr,
    directory: Directory,
    arguments: Vec<String>,
    process: Process,
}

impl Server {
    /// A server that forgets all when it ends.
    pub(crate) async fn without_persistence() -> Self {
        Self::with(&["--appendonly", "no"]).await
    }

    pub(crate) async fn with(arguments: &[&str]) -> Self {
        let mut directory = Directory::create();
        let mut arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        loop {
            let address = free_address();
            let process = run(address, &directory, &arguments);
            let mut server = Self { address, directory, arguments, process };
            if server.is_ready().await {
                return server;
            }
            // Somebody else has got the port.
            Self { directory, arguments, .. } = server;
        }
    }

    /// Asks it, as any program does.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        let mut connection = self.connection().await.expect("the server is there");
        within(command.query_async(&mut connection)).await.expect("the server answers")
    }

    pub(crate) async fn flush_scripts(&self) {
        self.ask::<()>(cmd("SCRIPT").arg("FLUSH")).await;
    }

    pub(crate) async fn flush_all(&self) {
        self.ask::<()>(&cmd("FLUSHALL")).await;
    }

    pub(crate) fn client(&self) -> Client {
        Client::open(format!("redis://{}/", self.address)).expect("an address")
    }

    async fn connection(&self) -> redis::RedisResult<MultiplexedConnection> {
        within(self.client().get_multiplexed_async_connection()).await
    }

    /// Waits until it answers: whether it does, or has ended.
    async fn is_ready(&mut self) -> bool {
        let ready = async {
            loop {
                if self.process.has_ended() {
                    return false;
                }
                if let Ok(mut connection) = self.client().get_multiplexed_async_connection().await
                    && cmd("PING").query_async::<()>(&mut connection).await.is_ok()
                {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        within(ready).await
    }
}

impl Backend for Server {
    async fn start() -> Self {
        Self::with(&["--appendonly", "yes", "--appendfsync", "always"]).await
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn kill(&mut self) {
        self.process.kill();
    }

    async fn restart(&mut self) {
        self.process = run(self.address, &self.directory, &self.arguments);
        assert!(self.is_ready().await, "nobody else has got the port");
    }

    fn broker(server: SocketAddr) -> impl Broker {
        broker(server)
    }

    async fn subscriptions(&self, pattern: &str) -> usize {
        let channel = format!("wharf:t:{pattern}");
        if pattern.contains(['*', '>']) {
            // Redis tells how many patterns there are, and not of how many clients.
            return self.ask(cmd("PUBSUB").arg("NUMPAT")).await;
        }
        let (_, count): (String, usize) = self.ask(cmd("PUBSUB").arg("NUMSUB").arg(channel)).await;
        count
    }

    async fn delete_history(&self, topic: &str) {
        let keys = ["state", "log"].map(|what| format!("wharf:{{t:{topic}}}:{what}"));
        self.ask::<()>(cmd("DEL").arg(&keys)).await;
    }

    async fn publish(&self, topic: &str, payload: &[u8]) {
        self.ask::<()>(cmd("PUBLISH").arg(format!("wharf:t:{topic}")).arg(payload)).await;
    }
}

pub(crate) fn broker(server: SocketAddr) -> Redis {
    builder(server).build().expect("the options have a meaning")
}

pub(crate) fn builder(server: SocketAddr) -> RedisBuilder {
    Redis::builder(&format!("redis://{server}"))
        .request_timeout(Duration::from_secs(1))
        .ping_interval(Duration::from_millis(300))
        .max_reconnect_delay(Duration::from_millis(200))
}

fn run(address: SocketAddr, directory: &Directory, arguments: &[String]) -> Process {
    let port = address.port().to_string();
    let directory = directory.path().to_str().expect("a path in characters");
    let own = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir", directory];
    let arguments: Vec<_> = own.into_iter().map(str::to_owned).chain(arguments.iter().cloned()).collect();
    Process::start("redis-server", "redis-server", &arguments)
}
