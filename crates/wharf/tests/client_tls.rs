//! TLS, on both ends.
#![cfg(feature = "tls")]
#![expect(clippy::unwrap_used, reason = "what the tests share is part of them")]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/raw_server.rs"]
mod raw_server;
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use certificates::Certificates;
use raw_server::{Peer, RawServer, plain, plain_close};
use support::{Site, handshake, text, until, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError};
use wharf::{
    Accept, Cause, Client, ClientConfig, ClientTls, CloseCode, ConnectError, Connection, Context, Ending,
    Event, Handler, HttpServer, Message, MessageRef, Opcode, Server, ServerConfig, ServerTls, TlsError,
};

/// A server under `wss://`, mounted alone.
struct SecureSite {
    certificates: Certificates,
    site: Site,
}

impl SecureSite {
    async fn with(config: ServerConfig) -> Self {
        let certificates = Certificates::of_localhost();
        let https = HttpServer::builder().tls(certificates.server()).bind("127.0.0.1:0").await.unwrap();
        let server = Server::new(config);
        server.mount([&https]).unwrap();
        Self { certificates, site: Site::of(https, server) }
    }

    async fn open() -> Self {
        Self::with(ServerConfig::default()).await
    }

    fn address(&self) -> SocketAddr {
        self.site.http.local_addr()
    }

    fn url(&self) -> String {
        format!("wss://localhost:{}/", self.address().port())
    }

    fn client(&self) -> Client {
        with(self.certificates.client())
    }

    /// Both ends of a connection.
    async fn pair(&self) -> (Connection, Connection) {
        let client = self.client();
        let accepting = async { self.site.request().await.accept(Accept::new()).unwrap() };
        let (ours, theirs) = within(async { tokio::join!(client.connect(self.url()), accepting) }).await;
        self.site.connected().await;
        (ours.unwrap(), theirs)
    }

    /// A client that is nothing but TLS, and the server's end.
    async fn bare_pair(&self) -> (TlsStream<TcpStream>, Connection) {
        let mut stream = self.bare().await;
        stream.write_all(handshake("").as_bytes()).await.unwrap();
        let connection = self.site.request().await.accept(Accept::new()).unwrap();
        self.site.connected().await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(stream.read_u8()).await.unwrap());
        }
        (stream, connection)
    }

    async fn bare(&self) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.certificates.root.as_bytes()).unwrap();
        roots.add(root).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tcp = TcpStream::connect(self.address()).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        within(connector.connect(ServerName::try_from("localhost").unwrap(), tcp)).await.unwrap()
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn with(tls: ClientTls) -> Client {
    Client::new(ClientConfig::default().tls(tls)).unwrap()
}

/// Why a client with `tls` does not connect to a server with `certificates`.
async fn disbelief(certificates: &Certificates, tls: ClientTls) -> TlsError {
    let https = HttpServer::builder().tls(certificates.server()).bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://127.0.0.1:{}/", https.local_addr().port());
    match within(with(tls).connect(url)).await {
        Err(ConnectError::Tls(error)) => error,
        other => panic!("not a failure of TLS: {other:?}"),
    }
}

struct Echo;

impl Handler for Echo {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        let _ = context.send(message);
    }
}

#[tokio::test]
async fn s2_3_one_plain_and_one_tls_server_in_one_mount_echo_on_ws_and_wss() {
    // RFC 6455 §10.6
    let certificates = Certificates::of_localhost();
    let http = HttpServer::bind("127.0.0.1:0").await.unwrap();
    let https = HttpServer::builder().tls(certificates.server()).bind("127.0.0.1:0").await.unwrap();
    let server = Server::new(ServerConfig::default());
    server.mount([&http, &https]).unwrap();
    let urls = [
        format!("ws://localhost:{}/", http.local_addr().port()),
        format!("wss://localhost:{}/", https.local_addr().port()),
    ];
    let client = with(certificates.client());
    let talking = async {
        for url in &urls {
            let connection = client.connect(url).await.unwrap();
            for message in [Message::from("one"), Message::Binary(vec![7; 200_000].into())] {
                connection.send(message.clone()).await.unwrap();
                assert_eq!(connection.recv().await, Some(message));
            }
        }
    };
    let serving = async {
        while let Some(event) = server.next_event().await {
            if let Event::Request(request) = event {
                request.accept_with(Accept::new(), Echo).unwrap();
            }
        }
    };
    within(async {
        tokio::select! {
            () = talking => {}
            () = serving => panic!("the server goes on"),
        }
    })
    .await;
    assert_eq!(server.connections().len(), 2, "both in one list");
}

#[tokio::test]
async fn a_certificate_under_another_root_is_not_believed() {
    // RFC 6455 §4.1
    let (certificates, others) = (Certificates::of_localhost(), Certificates::of_localhost());
    let error = disbelief(&certificates, others.client()).await;
    let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    assert!(matches!(&error, TlsError::Rustls(error) if *error == unknown), "{error:?}");
    // The system has other roots, or none.
    let error = disbelief(&certificates, ClientTls::default()).await;
    assert!(matches!(error, TlsError::Rustls(rustls::Error::InvalidCertificate(_)) | TlsError::NoRoots(_)));
}

#[tokio::test]
async fn a_certificate_of_another_name_is_not_believed() {
    let certificates = Certificates::of(&["example.com"]);
    let error = disbelief(&certificates, certificates.client()).await;
    let TlsError::Rustls(rustls::Error::InvalidCertificate(error)) = error else { panic!("{error:?}") };
    assert!(matches!(error, CertificateError::NotValidForNameContext { .. }), "{error:?}");
}

#[tokio::test]
async fn any_certificate_is_believed_where_that_was_asked_for_by_name() {
    let certificates = Certificates::of(&["example.com"]);
    let https = HttpServer::builder().tls(certificates.server()).bind("127.0.0.1:0").await.unwrap();
    let server = Server::new(ServerConfig::default().auto_accept_connections(true));
    server.mount([&https]).unwrap();
    let client = with(ClientTls::danger_accept_invalid_certificates().unwrap());
    let url = format!("wss://127.0.0.1:{}/", https.local_addr().port());
    assert!(within(client.connect(url)).await.unwrap().is_connected());
}

#[tokio::test]
async fn configurations_of_rustls_own_are_taken_as_they_are() {
    let certificates = Certificates::of_localhost();
    let chain = vec![CertificateDer::from_pem_slice(certificates.chain.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(certificates.key.as_bytes()).unwrap();
    let tls13 = &[&rustls::version::TLS13];
    let serving = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(tls13)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let https = HttpServer::builder().tls(Arc::new(serving)).bind("127.0.0.1:0").await.unwrap();
    let server = Server::new(ServerConfig::default().auto_accept_connections(true));
    server.mount([&https]).unwrap();
    let url = format!("wss://127.0.0.1:{}/", https.local_addr().port());

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificates.root.as_bytes()).unwrap()).unwrap();
    let connecting = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        with(Arc::new(config).into())
    };
    assert!(within(connecting(tls13).connect(&url)).await.unwrap().is_connected());
    let error = within(connecting(&[&rustls::version::TLS12]).connect(&url)).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Tls(TlsError::Rustls(rustls::Error::AlertReceived(_)))),
        "{error:?}"
    );
}

#[test]
fn what_cannot_be_used_is_an_error_that_says_why() {
    let (certificates, others) = (Certificates::of_localhost(), Certificates::of_localhost());
    let Certificates { root, chain, key } = &certificates;
    assert!(matches!(ServerTls::from_pem("nothing", key), Err(TlsError::NoCertificate)));
    assert!(matches!(ServerTls::from_pem(chain, "nothing"), Err(TlsError::NoPrivateKey)));
    assert!(matches!(ServerTls::from_pem(chain, chain), Err(TlsError::NoPrivateKey)));
    assert!(matches!(
        ServerTls::from_pem(chain, &others.key),
        Err(TlsError::Rustls(rustls::Error::InconsistentKeys(_)))
    ));
    let broken = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    assert!(matches!(ServerTls::from_pem(broken, key), Err(TlsError::Pem(_))));
    assert!(matches!(ClientTls::with_root_certificates(""), Err(TlsError::NoCertificate)));
    assert!(ClientTls::with_root_certificates(format!("{root}{chain}")).is_ok(), "several, in one file");
}

#[tokio::test]
async fn the_client_names_the_host_and_speaks_only_through_tls() {
    // RFC 6455 §4.1: Server Name Indication, and the handshake within the tunnel.
    let certificates = Certificates::of_localhost();
    let chain = vec![CertificateDer::from_pem_slice(certificates.chain.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(certificates.key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let server = RawServer::open().await;
    let url = format!("wss://localhost:{}/chat", server.port());
    let serving = async {
        let tcp = server.accept().await.stream;
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let stream = within(acceptor.accept(tcp)).await.unwrap();
        assert_eq!(stream.get_ref().1.server_name(), Some("localhost"));
        let mut peer = Peer::new(stream);
        let request = peer.request().await;
        assert_eq!(request.line(), "GET /chat HTTP/1.1");
        assert_eq!(request.field("Host"), Some(format!("localhost:{}", server.port()).as_str()));
        // K5.1, through TLS.
        peer.write([request.switching("").into_bytes(), plain(Opcode::Text, "first")].concat()).await;
        let frame = peer.frame().await;
        peer.write(plain_close(1000, "")).await;
        peer.frame().await;
        peer.end().await;
        peer.sees_end().await;
        frame.payload
    };
    let client = with(certificates.client());
    let talking = async {
        let connection = client.connect(&url).await.unwrap();
        assert_eq!(connection.recv().await, Some(Message::from("first")));
        connection.send("second").await.unwrap();
        connection.closed().await
    };
    let (ending, received) = within(async { tokio::join!(talking, Box::pin(serving)) }).await;
    assert!(ending.is_clean(), "{ending:?}");
    assert_eq!(received, b"second");
}

#[tokio::test]
async fn large_messages_arrive_whole_both_ways() {
    let config = ServerConfig::default()
        .max_received_frame_size(wharf::UNLIMITED)
        .max_received_message_size(wharf::UNLIMITED);
    let site = SecureSite::with(config).await;
    let (ours, theirs) = site.pair().await;
    let payload: Vec<u8> =
        (0..6_000_000u32).map(|number| number.to_le_bytes()[number as usize % 4]).collect();
    let echoing = async {
        let message = theirs.recv().await.unwrap();
        theirs.send(message).await.unwrap();
    };
    let talking = async {
        ours.send(payload.clone()).await.unwrap();
        ours.recv().await
    };
    let ((), received) = within(async { tokio::join!(echoing, talking) }).await;
    assert!(received == Some(Message::Binary(payload.into())), "as it was sent");
    within(ours.drained()).await;
    assert_eq!(ours.buffered_amount(), 0);
}

#[tokio::test]
async fn an_orderly_end_says_close_notify() {
    // RFC 8446 §6.1: an end of TCP alone could be anybody's doing.
    let site = SecureSite::open().await;
    let (mut client, connection) = site.bare_pair().await;
    client.write_all(&support::close(1000, "bye").masked()).await.unwrap();
    let mut rest = Vec::new();
    within(client.read_to_end(&mut rest)).await.expect("close_notify before the end");
    assert_eq!(rest, b"\x88\x05\x03\xe8bye");
    client.shutdown().await.unwrap();
    assert!(within(connection.closed()).await.is_clean());
}

#[tokio::test]
async fn a_peer_that_does_not_read_holds_sends_back_and_is_dropped_after_write_timeout() {
    let config = ServerConfig::default().write_timeout(Duration::from_millis(200)).keepalive(false);
    let site = SecureSite::with(config).await;
    let (_client, connection) = site.bare_pair().await;
    let message = Message::Binary(vec![7; 256 * 1024].into());
    let mut sent = 0;
    while connection.try_send(message.clone()).is_ok() {
        sent += message.len();
        assert!(sent < 64 * 1024 * 1024, "the bound holds");
        tokio::task::yield_now().await;
    }
    assert!(connection.is_output_full());
    assert_eq!(within(connection.closed()).await, Ending::Lost(Cause::OutputStalled));
}

#[tokio::test]
async fn d51_a_drop_behind_queued_output_resets_tcp() {
    let site = SecureSite::open().await;
    let (mut client, connection) = site.bare_pair().await;
    while connection.try_send(vec![7; 256 * 1024]).is_ok() {
        tokio::task::yield_now().await;
    }
    connection.drop_now(CloseCode::POLICY_VIOLATION, None).unwrap();
    within(connection.closed()).await;
    let mut rest = Vec::new();
    let error = within(client.read_to_end(&mut rest)).await.expect_err("no orderly end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
}

#[tokio::test]
async fn a_tls_handshake_that_is_not_made_in_time_is_cut() {
    let certificates = Certificates::of_localhost();
    let timeout = Duration::from_millis(50);
    let https = HttpServer::builder().tls(certificates.server()).handshake_timeout(timeout);
    let https = https.bind("127.0.0.1:0").await.unwrap();
    let mut silent = TcpStream::connect(https.local_addr()).await.unwrap();
    let mut rest = Vec::new();
    within(silent.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn a_closing_server_does_not_wait_for_tls_handshakes() {
    let certificates = Certificates::of_localhost();
    let https = HttpServer::builder().tls(certificates.server()).bind("127.0.0.1:0").await.unwrap();
    let _silent = TcpStream::connect(https.local_addr()).await.unwrap();
    let began = std::time::Instant::now();
    within(https.shut_down()).await;
    assert!(began.elapsed() < Duration::from_secs(9), "less than handshake and shutdown timeout");
}

#[tokio::test]
async fn plain_http_on_a_tls_port_gets_no_answer_and_disturbs_nobody() {
    // RFC 6455 §4.2.2
    let site = SecureSite::open().await;
    let mut plain = TcpStream::connect(site.address()).await.unwrap();
    plain.write_all(handshake("").as_bytes()).await.unwrap();
    let mut rest = Vec::new();
    let _ = within(plain.read_to_end(&mut rest)).await;
    assert!(!rest.starts_with(b"HTTP"), "an alert at most");
    let (ours, theirs) = site.pair().await;
    ours.send("x").await.unwrap();
    assert_eq!(within(theirs.recv()).await, Some(Message::from("x")));
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_a_failure_of_tls() {
    let server = RawServer::open().await;
    let client = with(ClientTls::danger_accept_invalid_certificates().unwrap());
    let url = format!("wss://127.0.0.1:{}/", server.port());
    let serving = async {
        let mut peer = server.accept().await;
        peer.write("HTTP/1.1 400 Bad Request\r\n\r\n").await;
        peer
    };
    let (result, _peer) = within(async { tokio::join!(client.connect(url), serving) }).await;
    assert!(matches!(result, Err(ConnectError::Tls(TlsError::Rustls(_)))), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tls_handshake_that_gets_no_answer_is_given_up_after_connect_timeout() {
    let server = RawServer::open().await;
    let client = with(ClientTls::danger_accept_invalid_certificates().unwrap());
    let url = format!("wss://127.0.0.1:{}/", server.port());
    let (result, _stream) = tokio::join!(client.connect(url), server.listener().accept());
    let error = result.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { waiting_for: "the TLS handshake", .. }), "{error:?}");
}

#[tokio::test]
async fn a_request_that_is_no_upgrade_is_answered_by_the_service() {
    let site = SecureSite::open().await;
    let mut client = site.bare().await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    within(client.read_to_end(&mut answer)).await.expect("close_notify before the end");
    assert!(answer.starts_with(b"HTTP/1.1 404 "), "{}", answer.escape_ascii());
}

#[tokio::test]
async fn frames_behind_the_request_arrive_through_tls() {
    let site = SecureSite::open().await;
    let mut client = site.bare().await;
    let bytes = [handshake("").into_bytes(), text("early").masked()].concat();
    client.write_all(&bytes).await.unwrap();
    let connection = site.site.request().await.accept(Accept::new()).unwrap();
    assert_eq!(within(connection.recv()).await, Some(Message::from("early")));
    drop(client);
    until(|| !connection.is_connected()).await;
    assert_eq!(within(connection.closed()).await.code(), CloseCode::ABNORMAL);
}
