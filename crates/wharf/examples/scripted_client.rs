//! A client that does what standard input tells it, echoes what it receives, and says what happens: so that tests in other
//! languages can hold their servers against it (`conformance/clients/servers.test.js`).
//!
//! ```sh
//! cargo run -p wharf --example scripted_client URL [--protocol NAME]... [--origin ORIGIN] [--header NAME VALUE]... [--root PEM]
//!     [--compression SERVER_TAKEOVER CLIENT_TAKEOVER SERVER_BITS CLIENT_BITS]
//! ```
//!
//! | it reads | and |
//! |---|---|
//! | `text WORDS` | sends a text |
//! | `binary LENGTH` | sends as many bytes, in fragments of 16 KiB |
//! | `ping WORDS` | pings |
//! | `close CODE [REASON]` | closes, without a reason with the code's own |
//!
//! It says `open PROTOCOL`, `pong WORDS`, `closed CODE REASON` and, where there is no connection, `status CODE LOCATION` or
//! `failed WHY`.

use std::error::Error;
use std::io::BufRead;

use wharf::{
    Client, ClientConfig, ClientTls, CloseCode, Compression, ConnectError, ConnectRequest, Connection,
    Context, Ending, Handler, MessageRef,
};

/// Sends everything back.
struct Echo;

impl Handler for Echo {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        let _ = context.send(message);
    }

    fn pong(&mut self, _: &mut Context<'_>, payload: &[u8]) {
        say(&format!("pong {}", String::from_utf8_lossy(payload)));
    }

    fn close(&mut self, _: &Connection, ending: &Ending) {
        say(&format!("closed {} {}", ending.code().get(), ending.description()));
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut value = || arguments.next().ok_or("the arguments are incomplete");
    let mut request = ConnectRequest::new(value()?)?;
    let mut config = ClientConfig::default();
    while let Ok(option) = value() {
        match option.as_str() {
            "--protocol" => request = request.protocol(value()?),
            "--origin" => request = request.origin(value()?),
            "--header" => request = request.header(value()?, value()?),
            "--root" => config = config.tls(ClientTls::with_root_certificates(std::fs::read(value()?)?)?),
            "--compression" => config = config.compression(compression(&mut value)?),
            _ => return Err(format!("there is no option {option}").into()),
        }
    }
    let connection = match Client::new(config)?.connect_with(request, Echo).await {
        Ok(connection) => connection,
        Err(ConnectError::HttpResponse(response)) => {
            let location = response.headers().get("location").map(|location| location.to_str());
            say(&format!(
                "status {} {}",
                response.status().as_u16(),
                location.transpose()?.unwrap_or_default()
            ));
            return Ok(());
        }
        Err(error) => {
            say(&format!("failed {error}"));
            return Ok(());
        }
    };
    say(&format!("open {}", connection.protocol().unwrap_or_default()));
    let told = connection.clone();
    let runtime = tokio::runtime::Handle::current();
    // Not waited for: a read of standard input cannot be given up.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            runtime.block_on(obey(&told, &line)).unwrap_or_else(|error| say(&format!("refused {error}")));
        }
    });
    connection.closed().await;
    Ok(())
}

/// Takeover of the server and of the client, then the window bits of both.
fn compression(
    value: &mut impl FnMut() -> Result<String, &'static str>,
) -> Result<Compression, Box<dyn Error>> {
    Ok(Compression::default()
        .threshold(0)
        .server_context_takeover(value()?.parse()?)
        .client_context_takeover(value()?.parse()?)
        .server_max_window_bits(value()?.parse()?)
        .client_max_window_bits(value()?.parse()?))
}

async fn obey(connection: &Connection, line: &str) -> Result<(), Box<dyn Error>> {
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    match command {
        "text" => connection.send(rest).await?,
        "binary" => connection.send(vec![0xa5; rest.parse()?]).await?,
        "ping" => connection.ping(rest.to_owned())?,
        "close" => {
            let (code, reason) = match rest.split_once(' ') {
                Some((code, reason)) => (code, Some(reason)),
                None => (rest, None),
            };
            connection.close(CloseCode::new(code.parse()?), reason)?;
        }
        _ => return Err(format!("there is no command {command}").into()),
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what it is for")]
fn say(what: &str) {
    println!("{what}");
}
