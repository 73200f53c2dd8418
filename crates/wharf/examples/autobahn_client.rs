//! The client that the Autobahn|Testsuite tests: asks its fuzzing server for the number of cases, echoes in each, and lets
//! it write its reports. `conformance/autobahn/run-client` runs it.
//!
//! ```sh
//! cargo run -p wharf --example autobahn_client ws://127.0.0.1:9001
//! ```

use std::error::Error;

use wharf::{Client, ClientConfig, Context, Handler, Message, MessageRef};

/// How the reports call us.
const AGENT: &str = "wharf";

/// The largest message of any case: 9.1.6 and its like send 16 MiB.
const LIMIT: usize = 16 * 1024 * 1024;

struct Echo;

impl Handler for Echo {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        let _ = context.send(message);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = std::env::args().nth(1).ok_or("usage: autobahn_client URL")?;
    let server = server.trim_end_matches('/');
    let config = ClientConfig::default().max_received_frame_size(LIMIT).max_received_message_size(LIMIT);
    let client = Client::new(config)?;

    let count = client.connect(format!("{server}/getCaseCount")).await?;
    let cases: u32 = match count.recv().await {
        Some(Message::Text(count)) => count.parse()?,
        other => {
            return Err(format!("the server should say how many cases there are, and said {other:?}").into());
        }
    };
    for case in 1..=cases {
        let url = format!("{server}/runCase?case={case}&agent={AGENT}");
        // How a case ends is in its report.
        client.connect_with(url, Echo).await?.closed().await;
    }
    client.connect(format!("{server}/updateReports?agent={AGENT}")).await?.closed().await;
    Ok(())
}
