//! wharf as one of the servers that are compared: one thread that serves, its defaults, but for limits that let the messages through.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use wharf::hub::{Hub, SlowConsumer};
use wharf::{
    Accept, Compression, Connection, Context, Event, Handler, HttpServer, MessageRef, Request, Server,
    ServerConfig, ServerTls,
};

use crate::topics::{self, Policy};

/// What `wharf-bench serve` can be told.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    way: Way,
    /// Compress messages, without takeover.
    #[arg(long)]
    deflate: bool,
    /// How hard to compress, 1 to 9 [default: wharf's].
    #[arg(long)]
    level: Option<u8>,
    /// Serve wss:// with this certificate and key, in PEM.
    #[arg(long, num_args = 2, value_names = ["CERTIFICATE", "KEY"])]
    tls: Option<Vec<PathBuf>>,
    /// How many threads of wharf's own serve [default: none; the program's one does].
    #[arg(long)]
    workers: Option<usize>,
    /// What becomes of what subscribers do not take, who may wait for 10 minutes [default: wharf's].
    #[arg(long)]
    policy: Option<Policy>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    /// Echo by a handler.
    Handler,
    /// Echo by `recv` and `send` in an ordinary task.
    Task,
    /// Each message goes to all connections.
    Broadcast,
    /// Each message goes to all that have subscribed, but to the one that sent it.
    Publish,
}

/// The longest message, in bytes.
const LONGEST: usize = 16 << 20;

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn serve(options: &Serve) -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = HttpServer::builder();
    if let Some([certificate, key]) = options.tls.as_deref() {
        builder = builder.tls(ServerTls::from_pem(std::fs::read(certificate)?, std::fs::read(key)?)?);
    }
    if let Some(workers) = options.workers {
        builder = builder.workers(workers);
    }
    let http = builder.bind("127.0.0.1:0").await?;
    let mut config =
        ServerConfig::default().max_received_frame_size(LONGEST).max_received_message_size(LONGEST);
    if options.deflate {
        let compression = Compression::default().threshold(0);
        config = config.compression(match options.level {
            Some(level) => compression.level(level),
            None => compression,
        });
    }
    let mut hub = Hub::builder().max_subscriptions(usize::MAX);
    if let Some(policy) = options.policy {
        config = config.write_timeout(Duration::from_mins(10));
        hub = hub.slow_consumer(SlowConsumer::new(policy.of_hub()));
    }
    let server = Server::with_hub(config, hub.build()?);
    server.mount([&http])?;
    announce(&http);
    while let Some(event) = server.next_event().await {
        if let Event::Request(request) = event {
            answer(request, options.way, &server);
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "where it listens is what it says")]
fn announce(http: &HttpServer) {
    println!("{}", http.local_addr());
}

fn answer(request: Request, way: Way, server: &Server) {
    // Each fails only where the client has gone.
    match way {
        Way::Handler => {
            let _ = request.accept_with(Accept::new(), Echo);
        }
        Way::Task => {
            if let Ok(connection) = request.accept(Accept::new()) {
                tokio::spawn(echo(connection));
            }
        }
        Way::Publish => topics::answer(request, server),
        Way::Broadcast => {
            let _ = request.accept_with(Accept::new(), Broadcast(server.clone()));
        }
    }
}

struct Echo;

impl Handler for Echo {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        let _ = context.send(message);
    }
}

async fn echo(connection: Connection) {
    while let Some(message) = connection.recv().await {
        if connection.send(message).await.is_err() {
            return;
        }
    }
}

struct Broadcast(Server);

impl Handler for Broadcast {
    fn message(&mut self, _: &mut Context<'_>, message: MessageRef<'_>) {
        self.0.broadcast(message);
    }
}
