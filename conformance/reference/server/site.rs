//! A server on its HTTP servers, and what it is told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use wharf::{CloseCode, Connection, Event, HttpServer, Request, Server};

use crate::Failure;
use crate::order::{Act, Action, Options, Program, Start, accept, rejection};
use crate::plain::Plain;
use crate::recorder::{Recorder, code, description};
use crate::report::report;
use crate::voice::{Voice, tell_message};

/// Longer than a probe takes: what it closes ends by its own timeouts.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one probe runs against.
pub(crate) struct Site {
    http: Vec<HttpServer>,
    /// None where nobody is to decide requests.
    server: Mutex<Option<Server>>,
    /// Events come again after a shutdown.
    mounted: Notify,
    pub(crate) program: Program,
    /// In order of arrival; none once it was decided.
    requests: Mutex<Vec<Option<Request>>>,
    /// In order of acceptance.
    connections: Mutex<Vec<Connection>>,
}

impl Site {
    pub(crate) async fn open(start: Start) -> Result<Arc<Self>, Failure> {
        let mut http = Vec::new();
        for _ in 0..start.http_servers {
            http.push(HttpServer::builder().service(Plain).bind("127.0.0.1:0").await?);
        }
        let server = Server::new(start.options.config()?);
        if start.mounted
            && let Err(error) = server.mount(&http)
        {
            report("server", "failed", &[("action", "mount".into()), ("error", error.to_string().into())]);
        }
        let ports: Vec<_> = http.iter().map(|http| http.local_addr().port()).collect();
        let site = Arc::new(Self {
            http,
            server: Mutex::new(start.handled.then(|| server.clone())),
            mounted: Notify::new(),
            program: start.program,
            requests: Mutex::default(),
            connections: Mutex::default(),
        });
        if start.handled {
            tokio::spawn(site.clone().tell_events(server));
        }
        report("control", "listening", &[("ports", ports.into())]);
        Ok(site)
    }

    pub(crate) async fn act(self: &Arc<Self>, act: Act) {
        // What the sockets have brought is told first.
        tokio::task::yield_now().await;
        for action in &act.actions {
            if let Some(number) = act.request {
                self.decide(number, action);
            } else if let Some(number) = act.connection {
                let connection = lock(&self.connections)[number].clone();
                Voice::Handle(&connection).perform(&stream(number), action, None);
            } else {
                self.command(action);
            }
            // What was begun has begun when the next thing is done.
            tokio::task::yield_now().await;
        }
        report("control", "done", &[]);
    }

    pub(crate) async fn stop(&self) {
        let server = lock(&self.server).take();
        if let Some(server) = server {
            server.shut_down(CloseCode::NORMAL, Duration::ZERO).await;
            // What that does to the connections is told before it returns.
            tokio::task::yield_now().await;
        }
        lock(&self.requests).clear();
        for http in &self.http {
            http.close();
        }
    }

    async fn tell_events(self: Arc<Self>, server: Server) {
        loop {
            while let Some(event) = server.next_event().await {
                self.tell(event);
            }
            self.mounted.notified().await;
        }
    }

    fn tell(self: &Arc<Self>, event: Event) {
        match event {
            Event::Request(request) => {
                report("server", "request", &[]);
                let number = lock(&self.requests).len();
                lock(&self.requests).push(Some(request));
                for action in &self.program.request {
                    self.decide(number, action);
                }
            }
            Event::Connect(connection) => {
                let number = self.number_of(&connection);
                let number = number.unwrap_or_else(|| self.accepted_by_itself(connection));
                report("server", "connect", &[("connection", number.into())]);
            }
            Event::Close { connection, ending } => {
                let number = self.number_of(&connection);
                report(
                    "server",
                    "close",
                    &[("connection", number.into()), code(&ending), description(&ending)],
                );
            }
            Event::UpgradeError(_) => report("server", "upgradeError", &[]),
            _ => report("server", "unknown event", &[]),
        }
    }

    fn number_of(&self, connection: &Connection) -> Option<usize> {
        lock(&self.connections).iter().position(|known| known == connection)
    }

    /// A connection that was not asked about has no handler: its messages are taken one by one.
    fn accepted_by_itself(self: &Arc<Self>, connection: Connection) -> usize {
        let number = lock(&self.connections).len();
        lock(&self.connections).push(connection.clone());
        let site = self.clone();
        tokio::spawn(async move {
            let stream = stream(number);
            let mut voice = Voice::Handle(&connection);
            voice.perform_all(&stream, &site.program.connect, None);
            while let Some(received) = connection.recv().await {
                tell_message(&stream, received.as_ref());
                voice.perform_all(&stream, &site.program.message, Some(received.as_ref()));
            }
            let ending = connection.closed().await;
            report(&stream, "close", &[code(&ending), description(&ending)]);
        });
        number
    }

    fn decide(self: &Arc<Self>, number: usize, action: &Action) {
        if let Action::Describe = action {
            if let Some(request) = &lock(&self.requests)[number] {
                describe(request);
            }
            return;
        }
        let Some(request) = lock(&self.requests)[number].take() else {
            // The request is gone with its decision.
            return report("server", "impossible", &[]);
        };
        match action {
            Action::Accept { protocol, origin, cookies } => {
                self.accept(request, protocol.clone(), origin.clone(), cookies);
            }
            Action::Reject { status, reason, headers } => {
                if request.reject(rejection(*status, reason.clone(), headers.clone())).is_err() {
                    report("server", "failed", &[("action", "reject".into())]);
                }
            }
            _ => report("server", "failed", &[("action", "what no request can do".into())]),
        }
    }

    fn accept(
        self: &Arc<Self>,
        request: Request,
        protocol: Option<String>,
        origin: Option<String>,
        cookies: &[crate::order::Cookie],
    ) {
        let Ok(answer) = accept(protocol, origin, cookies) else {
            // The request is dropped, which rejects it.
            return report("server", "impossible", &[]);
        };
        let number = lock(&self.connections).len();
        let recorder = Recorder { site: self.clone(), stream: stream(number) };
        match request.accept_with(answer, recorder) {
            Ok(connection) => {
                lock(&self.connections).push(connection);
                self.also("server", "accepted", &[]);
            }
            Err(_) => report("server", "failed", &[("action", "accept".into())]),
        }
    }

    fn command(self: &Arc<Self>, action: &Action) {
        let Some(server) = lock(&self.server).clone() else {
            return report("server", "failed", &[("action", "there is no server".into())]);
        };
        match action {
            Action::Broadcast(payload) => {
                server.broadcast(payload.message());
            }
            Action::List => {
                let numbers: Vec<_> =
                    server.connections().iter().map(|connection| self.number_of(connection)).collect();
                let pending = server.pending_request_count();
                report("server", "list", &[("connections", numbers.into()), ("pending", pending.into())]);
            }
            Action::Mount { on, options } => self.mount(&server, on, options),
            Action::Unmount => server.unmount(),
            Action::CloseAll => {
                tokio::spawn(async move { server.close_all_connections(CloseCode::NORMAL, PATIENCE).await });
            }
            Action::ShutDown => {
                tokio::spawn(async move { server.shut_down(CloseCode::NORMAL, PATIENCE).await });
            }
            _ => report("server", "failed", &[("action", "what no server can do".into())]),
        }
    }

    fn mount(&self, server: &Server, on: &[usize], options: &Options) {
        let mounted = options.config().map_err(|error| error.to_string()).and_then(|config| {
            let http = on.iter().map(|&number| &self.http[number]);
            server.mount_with(config, http).map_err(|error| error.to_string())
        });
        match mounted {
            Ok(()) => self.mounted.notify_one(),
            Err(error) => {
                report("server", "failed", &[("action", "mount".into()), ("error", error.into())]);
            }
        }
    }

    /// Tells what only some probes ask for.
    pub(crate) fn also(&self, stream: &str, event: &str, data: &[(&str, Value)]) {
        if self.program.also.iter().any(|also| also == event) {
            report(stream, event, data);
        }
    }
}

fn describe(request: &Request) {
    let extensions: Vec<_> = request
        .requested_extensions()
        .iter()
        .map(|extension| json!({ "name": extension.name, "params": extension.params }))
        .collect();
    let cookies: Vec<_> = request.cookies().iter().collect();
    // The package groups the values of a name where it stands first.
    let mut pairs: Vec<(_, Vec<_>)> = Vec::new();
    for (name, value) in request.query_pairs() {
        match pairs.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => pairs.push((name, vec![value])),
        }
    }
    for (field, value) in [
        ("resource", json!(request.resource())),
        ("path", json!(request.path())),
        ("query", json!(request.query().unwrap_or_default())),
        ("queryPairs", json!(pairs)),
        ("host", json!(request.host())),
        ("version", json!(request.websocket_version().number())),
        ("origin", json!(request.origin())),
        ("requestedProtocols", json!(request.requested_protocols())),
        ("extensions", json!(extensions)),
        ("cookies", json!(cookies)),
        ("remoteAddress", json!(request.remote_address())),
        ("remoteAddresses", json!(request.remote_addresses())),
    ] {
        report("request", field, &[("value", value)]);
    }
}

fn stream(number: usize) -> String {
    format!("connection {number}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
