//! `wharf serve`: the endpoints, the page to try them with, and a graceful end.

mod broker;
mod chat;
mod echo;
mod hub;
mod listen;
mod live;
mod page;
mod secret;
mod settings;
mod site;
mod tls;
mod whoami;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use wharf::{Accept, CloseCode, Event, HttpServer, Rejection, Request, Server};

use crate::args::Serve;
pub(crate) use broker::BrokerUrl;
use chat::Chat;
use echo::Echo;
use hub::{Access, HubEndpoint, InJson, Publishing};
pub(crate) use listen::{Listen, Permissions};
use live::Live;
use settings::Settings;
use site::Site;
use tls::Tls;
pub(crate) use tls::TlsOptions;
use whoami::Whoami;

/// Serves until the program is told to stop.
///
/// # Errors
/// In one line, what kept it from serving.
pub(crate) async fn run(args: Serve) -> Result<(), String> {
    let Settings {
        listening,
        http2,
        shutdown_timeout,
        workers,
        tls,
        hub: hub_options,
        broker,
        server: config,
    } = Settings::read(&args)?;
    let mut signals = StopSignals::new().map_err(|error| format!("cannot listen to signals: {error}"))?;
    let tls = tls.map(|settings| Tls::open(settings, listening.ips())).transpose()?;
    let is_local = listening.is_local() && config.trusted_proxies.is_empty();
    let access = Arc::new(Access::read(&hub_options, is_local, &config.allowed_origins)?);
    let mut hub = hub_options.builder()?.presentation(InJson);
    if let Some(broker) = &broker {
        hub = broker.connect(hub)?;
    }
    let server = Server::with_hub(config.clone(), hub.build().map_err(|error| hub::in_words(&error))?);
    let mut http = HttpServer::builder();
    if let Some(workers) = workers {
        http = http.workers(workers.get());
    }
    if let Some(tls) = &tls {
        http = http.tls(tls.server.clone());
    }
    let http = http
        .service(Site { publishing: Publishing::new(server.hub().clone(), access.clone(), &config) })
        .http2(http2)
        .handshake_timeout(config.handshake_timeout)
        .close_timeout(config.close_timeout)
        .write_timeout(config.write_timeout)
        // What is left of the time is for the connections that come of it.
        .shutdown_timeout(shutdown_timeout / 2)
        .wait_for_mount(true)
        .listen(listening.listeners()?)
        .await
        .map_err(|error| listen::failure(&error))?;
    server.mount([&http]).map_err(|error| error.to_string())?;
    let is_open_here = access.is_open_here();
    let endpoints = Endpoints::new(&server, access);
    let counting = tokio::spawn(endpoints.live.clone().count_every_second());
    let scheme = if tls.is_some() { "https" } else { "http" };
    for address in http.local_addresses() {
        // The line may go into a pipe whose reader left; that is no reason not to serve.
        let _ = writeln!(io::stdout(), "wharf: serving {}", listen::shown(scheme, address));
    }
    if let Some(fingerprint) = tls.as_ref().and_then(|tls| tls.fingerprint.as_deref()) {
        let _ = writeln!(io::stdout(), "wharf: its certificate has the SHA-256 fingerprint {fingerprint}");
    }
    if is_open_here {
        let line =
            "wharf: its hub is open to everybody on this machine, until a configuration file has a table hub";
        let _ = writeln!(io::stdout(), "{line}");
    }
    let watching = broker.map(|broker| tokio::spawn(broker.tell_of_health(server.hub().clone())));
    let keeping = tls.map(|tls| tokio::spawn(tls.keep_current()));

    let serving = tokio::spawn(serve(server.clone(), endpoints));
    signals.next().await;
    tokio::select! {
        () = stop(&http, &server, shutdown_timeout) => {}
        // Told twice: whoever asks does not want to wait.
        () = signals.next() => return Err("stopped before all connections had closed".to_owned()),
    }
    counting.abort();
    for task in [keeping, watching].into_iter().flatten() {
        task.abort();
    }
    serving.await.map_err(|error| format!("the server failed: {error}"))
}

/// Ends both servers, so that a proxy that has others to turn to need not refuse anybody.
///
/// First nobody new is taken: whoever comes now finds the port closed, and that is what a proxy tries again elsewhere. A
/// handshake that has begun is answered by the server while it is still there, since a refusal would go to the client.
async fn stop(http: &HttpServer, server: &Server, timeout: Duration) {
    let began = Instant::now();
    http.close();
    // Not kept waiting for whoever lets HTTP wait.
    for connection in server.connections() {
        // Refused only for a code that cannot be sent.
        let _ = connection.close(CloseCode::GOING_AWAY, None);
    }
    http.shut_down().await;
    server.shut_down(CloseCode::GOING_AWAY, timeout.saturating_sub(began.elapsed())).await;
}

/// What a path leads to.
#[derive(Clone)]
struct Endpoints {
    live: Arc<Live>,
    chat: Arc<Chat>,
    hub: Arc<HubEndpoint>,
}

impl Endpoints {
    fn new(server: &Server, access: Arc<Access>) -> Self {
        let hub = Arc::new(HubEndpoint::new(server.hub().clone(), access));
        Self { live: Arc::new(Live::new(server.clone())), chat: Arc::default(), hub }
    }

    fn open(&self, request: Request) {
        let traffic = self.live.traffic().clone();
        if request.path() == "/hub" {
            return self.hub.open(request, traffic);
        }
        // The other endpoints speak whatever is asked for; a client that asks and gets no answer fails (RFC 6455 §4.1).
        let accept = match request.protocols().first() {
            Some(protocol) => Accept::new().protocol(protocol),
            None => Accept::new(),
        };
        // A request can be decided already only because the server is shutting down.
        match request.path() {
            "/echo" => drop(request.accept_with(accept, Echo::new(traffic))),
            "/chat" => drop(request.accept_with(accept, self.chat.clone().member(traffic))),
            "/live" => drop(request.accept_with(accept, self.live.clone().watcher())),
            "/whoami" => {
                let whoami = Whoami::new(&request, traffic);
                drop(request.accept_with(accept, whoami));
            }
            _ => {
                let reason = "No such endpoint: there are /echo, /chat, /hub, /live and /whoami.";
                drop(request.reject(Rejection::new(404).reason(reason)));
            }
        }
    }
}

async fn serve(server: Server, endpoints: Endpoints) {
    let accepts_all = server.config().auto_accept_connections;
    while let Some(event) = server.next_event().await {
        match event {
            Event::Request(request) => endpoints.open(request),
            Event::Connect(connection) => {
                endpoints.live.traffic().accepted();
                if accepts_all {
                    tokio::spawn(echo::echo(connection, endpoints.live.traffic().clone()));
                }
            }
            _ => {}
        }
    }
}

/// What tells the program to stop: Ctrl-C, or a service manager.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
