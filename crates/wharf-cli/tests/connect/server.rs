//! A server that does with each request what a test says.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use tokio::sync::oneshot;
use wharf::{Event, HttpServer, HttpServerBuilder, Request, ServerConfig, ServerTls};

/// Serves, in a thread of its own, until it is dropped.
pub(crate) struct Server {
    scheme: &'static str,
    authority: String,
    certificate: String,
    requests: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(Request) -> F + Send + 'static,
    ) -> Self {
        Self::start_on("ws", String::new(), HttpServer::builder(), serve)
    }

    /// With TLS, and a certificate that it signed itself.
    pub(crate) fn start_tls<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(Request) -> F + Send + 'static,
    ) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let certificate = made.cert.pem();
        let tls = ServerTls::from_pem(&certificate, made.signing_key.serialize_pem()).unwrap();
        Self::start_on("wss", certificate, HttpServer::builder().tls(tls), serve)
    }

    fn start_on<F: Future<Output = ()> + Send + 'static>(
        scheme: &'static str,
        certificate: String,
        http: HttpServerBuilder,
        serve: impl Fn(Request) -> F + Send + 'static,
    ) -> Self {
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = requests.clone();
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let http = http.bind("127.0.0.1:0").await.unwrap();
                let config = ServerConfig::default().max_received_frame_size(1 << 20);
                let server = wharf::Server::new(config);
                server.mount([&http]).unwrap();
                ready.send(http.local_addr().to_string()).unwrap();
                let serving = async {
                    while let Some(event) = server.next_event().await {
                        if let Event::Request(request) = event {
                            seen.lock().unwrap().push(head(&request));
                            tokio::spawn(serve(request));
                        }
                    }
                };
                tokio::select! {
                    () = serving => {}
                    _ = stopped => {}
                }
            });
        });
        let authority = started.recv().unwrap();
        Self { scheme, authority, certificate, requests, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.authority)
    }

    /// What it proves itself with, in PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The headers of each request so far, a line each.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed, and must not become one during another.
            let _ = thread.join();
        }
    }
}

fn head(request: &Request) -> String {
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()))
    };
    request.http_request().headers.iter().map(line).collect()
}
