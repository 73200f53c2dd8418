//! One WebSocket server on a plain and on a secured HTTP server: the same echo under `ws://` and `wss://`. A certificate that is
//! replaced is served from then on, and connections that are open stay open.
//!
//! ```sh
//! cargo run -p wharf --example certificate /tmp          # a certificate for this machine, to try with
//! cargo run -p wharf --example plain_and_tls /tmp/chain.pem /tmp/key.pem
//! cargo run -p wharf --example client ws://127.0.0.1:9001
//! SSL_CERT_FILE=/tmp/root.pem cargo run -p wharf --example client wss://localhost:9443
//! ```
//!
//! A third and a fourth argument are other addresses to listen on.

use std::error::Error;
use std::time::Duration;

use wharf::{Accept, Context, Event, Handler, HttpServer, MessageRef, Server, ServerConfig, ServerTls};

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
        return Err("usage: plain_and_tls CHAIN.pem KEY.pem [ADDRESS [TLS-ADDRESS]]".into());
    };
    let plain = arguments.next().unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let secured = arguments.next().unwrap_or_else(|| "127.0.0.1:9443".to_owned());

    let tls = ServerTls::from_pem_files(chain, key)?;
    tokio::spawn(tls.reload_on_change(Duration::from_secs(10), |outcome| match outcome {
        Ok(()) => println!("a new certificate is served"),
        Err(error) => println!("the certificate stays as it was: {error}"),
    }));
    let http = HttpServer::bind(plain).await?;
    let https = HttpServer::builder().tls(tls).bind(secured).await?;
    let server = Server::new(ServerConfig::default());
    server.mount([&http, &https])?;
    println!("ws://{} wss://{}", http.local_addr(), https.local_addr());

    while let Some(event) = server.next_event().await {
        match event {
            Event::Request(request) => {
                // Fails where the request was decided before, such as by a deadline.
                let _ = request.accept_with(Accept::new(), Echo);
            }
            Event::Close { connection, ending } => {
                println!("{} left: {}", connection.remote_address(), ending.description());
            }
            _ => {}
        }
    }
    Ok(())
}
