//! An axum application behind TLS, over HTTP/1.1 and HTTP/2, its WebSockets with it: a browser opens them on the connection
//! that its page came on. Here the listener is wharf's, the routes are axum's.
//!
//! ```sh
//! cargo run -p wharf --example certificate /tmp          # a certificate for this machine, to try with
//! cargo run -p wharf --features axum --example axum_tls /tmp/chain.pem /tmp/key.pem
//! SSL_CERT_FILE=/tmp/root.pem cargo run -p wharf --example client wss://localhost:9443/echo
//! ```
//!
//! A third argument is another address to listen on.

use std::error::Error;

use axum::Router;
use axum::response::{Html, Response};
use axum::routing::{any, get};
use wharf::axum::WebSocketRequest;
use wharf::{Accept, AcceptError, Context, Handler, HttpServer, MessageRef, Server, ServerConfig, ServerTls};

struct Echo;

impl Handler for Echo {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        // Fails only where the connection is closing: then there is nobody to answer.
        let _ = context.send(message);
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example says where it listens")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(chain), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err("usage: axum_tls CHAIN.pem KEY.pem [ADDRESS]".into());
    };
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9443".to_owned());

    let server = Server::new(ServerConfig::default());
    let app = Router::new().route("/", get(page)).route("/echo", any(echo)).with_state(server.guest()?);
    let tls = ServerTls::from_pem(std::fs::read(chain)?, std::fs::read(key)?)?;
    let https = HttpServer::builder().tls(tls).service(app).bind(address).await?;
    println!("https://{}/", https.local_addr());
    tokio::signal::ctrl_c().await?;
    https.shut_down().await;
    Ok(())
}

async fn page() -> Html<&'static str> {
    Html(
        "<!doctype html><title>echo</title><pre></pre><script>\
         const socket = new WebSocket(`wss://${location.host}/echo`);\
         socket.onopen = () => socket.send('hello');\
         socket.onmessage = ({ data }) => document.querySelector('pre').append(data);\
         </script>",
    )
}

async fn echo(request: WebSocketRequest) -> Result<Response, AcceptError> {
    request.accept_with(Accept::new(), Echo).await
}
