//! Through an HTTP proxy, by CONNECT.

#![expect(clippy::unwrap_used, reason = "what the tests share is part of them")]

#[cfg(feature = "tls")]
#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/raw_server.rs"]
mod raw_server;
mod support;

use raw_server::{Peer, RawServer, Request};
use support::within;
use tokio::net::TcpStream;
use wharf::{Client, ClientConfig, ConnectError, Connection, Proxy, ProxyError, UrlError};

fn at(proxy: &RawServer) -> Proxy {
    Proxy::new(format!("http://127.0.0.1:{}", proxy.port())).unwrap()
}

fn through(proxy: Proxy) -> Client {
    Client::new(ClientConfig::default().proxy(Some(proxy))).unwrap()
}

/// Lets a client through to `port`, and tells what it asked for.
async fn pass(proxy: &RawServer, port: u16) -> Request {
    let (mut peer, connect) = proxy.request().await;
    let mut target = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    peer.write("HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n").await;
    tokio::spawn(async move { tokio::io::copy_bidirectional(&mut peer.stream, &mut target).await });
    connect
}

/// What comes of connecting through a proxy that does `serve` with the client's CONNECT.
async fn served<F: Future>(
    serve: impl FnOnce(Peer<TcpStream>, Request) -> F,
) -> (Result<Connection, ConnectError>, F::Output) {
    let proxy = RawServer::open().await;
    let client = through(at(&proxy));
    let serving = async {
        let (peer, connect) = proxy.request().await;
        serve(peer, connect).await
    };
    within(async { tokio::join!(client.connect("ws://example.com/chat"), serving) }).await
}

#[tokio::test]
async fn k7_1_a_connect_proxy_carries_the_connection() {
    let (server, proxy) = (RawServer::open().await, RawServer::open().await);
    let client = through(at(&proxy));
    let (connection, connect, mut peer) = within(async {
        tokio::join!(client.connect(server.url()), pass(&proxy, server.port()), server.opened())
    })
    .await;
    let connection = connection.unwrap();
    let authority = format!("127.0.0.1:{}", server.port());
    assert_eq!(connect.line(), format!("CONNECT {authority} HTTP/1.1"));
    assert_eq!(connect.fields(), [("Host", authority.as_str())], "no credentials where none were given");
    connection.send("through").await.unwrap();
    assert_eq!(peer.frame().await.payload, b"through");
    assert_eq!(connection.socket_address().unwrap().port(), proxy.port());
}

#[tokio::test]
async fn k7_1_a_connect_proxy_gets_the_credentials_and_the_server_does_not() {
    let (server, proxy) = (RawServer::open().await, RawServer::open().await);
    let client = through(at(&proxy).basic("Aladdin", "open sesame"));
    let serving = async {
        let (mut peer, request) = server.request().await;
        peer.write(request.switching("")).await;
        (peer, request)
    };
    let (connection, connect, (_peer, request)) =
        within(async { tokio::join!(client.connect(server.url()), pass(&proxy, server.port()), serving) })
            .await;
    assert!(connection.unwrap().is_connected());
    // RFC 7617 §2
    assert_eq!(connect.field("Proxy-Authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
    assert_eq!(request.field("Proxy-Authorization"), None);
}

#[tokio::test]
async fn k7_1_a_proxy_that_refuses_is_a_failure_with_its_answer() {
    // RFC 6455 §4.1
    let (result, ()) = served(async |mut peer, _| {
        peer.write(
            "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\
             Content-Length: 4\r\n\r\nwho?",
        )
        .await;
        peer.sees_end().await;
    })
    .await;
    let Err(ConnectError::Proxy(ProxyError::Refused(response))) = result else { panic!("{result:?}") };
    assert_eq!(response.status(), 407);
    assert_eq!(response.headers()["proxy-authenticate"], "Basic realm=\"x\"");
    assert_eq!(response.body(), "who?");
}

#[tokio::test]
async fn k7_1_a_proxy_that_speaks_something_else_says_too_much_or_ends_is_a_failure() {
    let (result, ()) = served(async |mut peer, _| peer.write("SOCKS\r\n").await).await;
    assert!(matches!(result, Err(ConnectError::Proxy(ProxyError::Malformed(_)))), "{result:?}");
    let unasked = "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n";
    let (result, ()) = served(async |mut peer, _| peer.write(unasked).await).await;
    assert!(matches!(result, Err(ConnectError::Proxy(ProxyError::Unasked))), "{result:?}");
    let (result, ()) = served(async |mut peer, _| peer.end().await).await;
    assert!(matches!(result, Err(ConnectError::Proxy(ProxyError::Lost(_)))), "{result:?}");
}

#[tokio::test]
async fn k7_1_a_proxy_that_is_not_there_is_a_failure_that_names_it() {
    let proxy = RawServer::open().await;
    let client = through(at(&proxy));
    drop(proxy);
    let error = within(client.connect("ws://example.com/")).await.unwrap_err();
    let ConnectError::Tcp { host, .. } = error else { panic!("{error:?}") };
    assert_eq!(host, "127.0.0.1", "example.com is never looked up");
}

#[tokio::test(start_paused = true)]
async fn k7_1_a_proxy_that_says_nothing_is_given_up_after_connect_timeout() {
    let proxy = RawServer::open().await;
    let client = through(at(&proxy));
    let (result, _stream) = tokio::join!(client.connect("ws://example.com/"), proxy.listener().accept());
    let error = result.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { waiting_for: "the proxy's answer", .. }), "{error:?}");
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn k7_1_tls_goes_through_the_proxy_to_the_server() {
    use wharf::{HttpServer, Message, Server, ServerConfig};

    let certificates = certificates::Certificates::of_localhost();
    let https = HttpServer::builder().tls(certificates.server()).bind("127.0.0.1:0").await.unwrap();
    let server = Server::new(ServerConfig::default().auto_accept_connections(true));
    server.mount([&https]).unwrap();
    let proxy = RawServer::open().await;
    let config = ClientConfig::default().proxy(Some(at(&proxy))).tls(certificates.client());
    let client = Client::new(config).unwrap();
    let port = https.local_addr().port();
    let url = format!("wss://localhost:{port}/");
    let (connection, connect) =
        within(async { tokio::join!(client.connect(&url), pass(&proxy, port)) }).await;
    let connection = connection.unwrap();
    assert_eq!(connect.line(), format!("CONNECT localhost:{port} HTTP/1.1"));
    server.connections()[0].send("hello").await.unwrap();
    assert_eq!(within(connection.recv()).await, Some(Message::from("hello")));
}

#[test]
fn a_url_that_no_proxy_has_is_an_error() {
    let scheme = |scheme: &str| UrlError::Scheme { scheme: scheme.to_owned(), allowed: "http" };
    for (url, error) in [
        ("127.0.0.1:3128", UrlError::SchemeMissing),
        ("https://proxy.example", scheme("https")),
        ("socks5://proxy.example", scheme("socks5")),
        ("http://proxy.example/path", UrlError::Path),
        ("http://user:password@proxy.example", UrlError::Credentials),
        ("http://proxy.example#x", UrlError::Fragment),
    ] {
        assert_eq!(Proxy::new(url).unwrap_err(), error, "{url}");
    }
    assert!(Proxy::new("http://proxy.example").is_ok());
}

#[test]
fn what_is_secret_does_not_show() {
    let proxy = Proxy::new("http://proxy.example").unwrap().basic("user", "hunter2");
    let config = format!("{:?}", ClientConfig::default().proxy(Some(proxy)));
    assert!(config.contains("proxy.example") && !config.contains("aHVudGVyMg"), "{config}");
    let request = wharf::ConnectRequest::new("ws://example.com/").unwrap().header("Cookie", "hunter2");
    let request = format!("{request:?}");
    assert!(request.contains("Cookie") && !request.contains("hunter2"), "{request}");
}
