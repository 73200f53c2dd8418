//! The example `relay`, as its clients see it.

mod support;

#[path = "../examples/relay.rs"]
#[allow(dead_code, reason = "its main is for a terminal")]
mod relay;

use std::path::PathBuf;

use support::{Client, Frame, binary, close, continuation, handshake_to, text};
use wharf::{HttpServer, Opcode};

/// More than any limit on a message.
const LONG: usize = 4 * 1024 * 1024;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("example_relay")
}

async fn serve() -> HttpServer {
    let http = HttpServer::bind("127.0.0.1:0").await.expect("a port is free");
    let serving = http.clone();
    tokio::spawn(async move { relay::serve(&serving, file()).await });
    http
}

fn content() -> Vec<u8> {
    (0..=255).cycle().take(LONG).collect()
}

async fn open(http: &HttpServer, target: &str) -> Client {
    let mut client = Client::connect(http).await;
    client.write(handshake_to(target, "")).await;
    assert_eq!(client.head().await.status(), 101);
    client
}

/// One message in many fragments.
fn fragments() -> Vec<Frame> {
    let content = content();
    let mut frames: Vec<_> = content.chunks(60_000).map(|chunk| continuation(chunk).more_follows()).collect();
    let last = frames.len() - 1;
    frames[0].opcode = Opcode::Binary;
    frames[last].fin = true;
    frames
}

#[tokio::test]
async fn a_file_comes_as_one_message_of_many_fragments() {
    std::fs::write(file(), content()).expect("a directory for tests");
    let http = serve().await;
    let mut client = open(&http, "/file").await;
    assert!(client.message().await == content().into());
    assert_eq!(client.frame().await, close(1000, "Normal connection closure"));
    std::fs::remove_file(file()).expect("it was there");
}

#[tokio::test]
async fn an_upload_longer_than_every_limit_is_counted() {
    let http = serve().await;
    let mut client = open(&http, "/upload").await;
    client.send(fragments()).await;
    assert_eq!(client.frame().await, text(format!("{LONG} bytes")));
    client.send([text("short")]).await;
    assert_eq!(client.frame().await, text("5 bytes"));
}

#[tokio::test]
async fn two_clients_get_what_the_other_sends() {
    let http = serve().await;
    let mut first = open(&http, "/relay").await;
    let mut second = open(&http, "/relay").await;
    let (message, ()) = tokio::join!(second.message(), first.send(fragments()));
    assert!(message == content().into());
    second.send([text("thank you")]).await;
    assert_eq!(first.message().await, "thank you".into());
    first.send([binary("cut").more_follows()]).await;
    assert_eq!(second.frame().await, binary("cut").more_follows());
    first.send([close(1000, "")]).await;
    assert_eq!(second.frame().await, close(1011, "A message was given up before its end."));
}
