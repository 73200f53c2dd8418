//! Handlers by path and subprotocol, one of which comes and goes while the server serves.
//!
//! ```sh
//! cargo run -p wharf --example router
//! cargo run --release -- connect ws://127.0.0.1:9001/hello/Ada
//! cargo run --release -- connect --protocol upper ws://127.0.0.1:9001/shout
//! ```
//!
//! `/open` and `/close` mount and unmount `/secret`. An argument is another address to listen on.

use std::error::Error;

use wharf::{Accept, HttpServer, Message, Router, RouterRequest, Server, ServerConfig};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example says where it listens")]
async fn main() -> Result<(), Box<dyn Error>> {
    let router = Router::new();
    router.mount("/hello/{name}", "*", |request: RouterRequest| async move {
        let greeting = format!("Hello, {}!", request.parameter("name").unwrap_or_default());
        say(request, &greeting).await;
    })?;
    router.mount("/shout", "upper", |request| shout(request, str::to_uppercase))?;
    router.mount("/shout", "lower", |request| shout(request, str::to_lowercase))?;

    let to_open = router.clone();
    router.mount("/open", "*", move |request| {
        // It may be open already.
        let _ = to_open.mount("/secret", "*", |request| say(request, "Well hidden."));
        say(request, "/secret is open")
    })?;
    let to_close = router.clone();
    router.mount("/close", "*", move |request| {
        // It may be closed already.
        let _ = to_close.unmount("/secret", "*");
        say(request, "/secret is closed")
    })?;

    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let http = HttpServer::bind(address).await?;
    let server = Server::new(ServerConfig::default());
    server.mount([&http])?;
    router.attach(server)?;
    println!("ws://{}/", http.local_addr());
    std::future::pending().await
}

/// Accepts, says one thing and closes.
async fn say(request: RouterRequest, text: &str) {
    let Ok(connection) = request.accept(Accept::new()) else { return };
    if connection.send(text).await.is_ok() {
        let _ = connection.close(wharf::CloseCode::NORMAL, None);
    }
}

/// Sends each text back in another case.
async fn shout(request: RouterRequest, change: fn(&str) -> String) {
    let Ok(connection) = request.accept(Accept::new()) else { return };
    while let Some(Message::Text(text)) = connection.recv().await {
        if connection.send(change(&text)).await.is_err() {
            break;
        }
    }
}
