//! WebSockets among the routes of an axum application, which keeps its listener, router, middleware and state: an echo at
//! `/echo`, decided by its handler, and how many are connected at `/`. On Ctrl-C both are shut down, in order.
//!
//! ```sh
//! cargo run -p wharf --features axum --example axum
//! cargo run --release -- connect ws://127.0.0.1:9001/echo
//! ```
//!
//! An argument is another address to listen on.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::response::Response;
use axum::routing::{any, get};
use wharf::axum::WebSocketRequest;
use wharf::{Accept, AcceptError, CloseCode, Guest, Server, ServerConfig};

/// The application's state, of which the guest is a part.
#[derive(Clone)]
struct App {
    server: Server,
    guest: Guest,
}

impl FromRef<App> for Guest {
    fn from_ref(app: &App) -> Self {
        app.guest.clone()
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example says where it listens")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("ws://{}/echo", listener.local_addr()?);

    let server = Server::new(ServerConfig::default());
    let app = App { server: server.clone(), guest: server.guest()? };
    // Over HTTP/2 a WebSocket comes by CONNECT, and therefore `any`.
    let router = Router::new().route("/", get(count)).route("/echo", any(echo)).with_state(app);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();

    // Told at the same time, for each would wait for the other: axum for what came over HTTP/2, and whoever still comes for
    // an answer.
    let (stop, mut stopped) = tokio::sync::watch::channel(());
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
        let _ = stopped.changed().await;
    });
    let closing = async {
        let _ = tokio::signal::ctrl_c().await;
        stop.send_replace(());
        server.shut_down(CloseCode::GOING_AWAY, Duration::from_secs(10)).await;
    };
    let (ended, ()) = tokio::join!(serving, closing);
    Ok(ended?)
}

async fn count(State(app): State<App>) -> String {
    format!("{} connected\n", app.server.connection_count())
}

async fn echo(request: WebSocketRequest) -> Result<Response, AcceptError> {
    let accepted = request.accept(Accept::new(), |connection| async move {
        while let Some(message) = connection.recv().await {
            if connection.send(message).await.is_err() {
                break;
            }
        }
    });
    accepted.await
}
