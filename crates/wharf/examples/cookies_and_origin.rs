//! Pages of one origin alone may connect, and each client is known again by a cookie.
//!
//! A browser sends the cookies of a site with every WebSocket to it, whichever page opens that, so that whoever goes by
//! cookies lists the origins that may connect (RFC 6455 §10.2).
//!
//! ```sh
//! cargo run -p wharf --example cookies_and_origin
//! cargo run --release -- connect --origin http://127.0.0.1:9001 -H 'Cookie: visits=41' ws://127.0.0.1:9001/
//! cargo run --release -- connect --origin https://elsewhere.example ws://127.0.0.1:9001/    # refused
//! ```
//!
//! An argument is another address to listen on.

use std::error::Error;
use std::time::Duration;

use wharf::{Accept, Event, HttpServer, Request, Server, ServerConfig, SetCookie};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example says where it listens")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let http = HttpServer::bind(address).await?;
    let own_origin = format!("http://{}", http.local_addr());
    // A client that is no browser may say what it likes: this keeps pages out, not people.
    let server = Server::new(ServerConfig::default().allowed_origins([own_origin.parse()?]));
    server.mount([&http])?;
    println!("ws://{}/", http.local_addr());

    while let Some(event) = server.next_event().await {
        if let Event::Request(request) = event {
            accept(request, &own_origin);
        }
    }
    Ok(())
}

fn accept(request: Request, own_origin: &str) {
    let before: u32 = request.cookies().get("visits").and_then(|visits| visits.parse().ok()).unwrap_or(0);
    let visits = before.saturating_add(1);
    let cookie = SetCookie::new("visits", visits.to_string())
        .path("/")
        .max_age(Duration::from_secs(30 * 24 * 60 * 60))
        .http_only(true);
    // Fails only where the request was decided before.
    let Ok(connection) = request.accept(Accept::new().origin(own_origin).cookie(cookie)) else { return };
    tokio::spawn(async move {
        // A client that is gone needs no greeting.
        let _ = connection.send(format!("visit number {visits}")).await;
    });
}
