//! Clients that prove who they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{self, AlertDescription, ClientConfig, HandshakeKind, SupportedProtocolVersion};
use wharf::{
    Accept, ClientCertificate, ConnectError, Event, HttpServer, Server, ServerConfig, ServerTls,
    ServerTlsBuilder, TlsError,
};

use crate::certificates::{Authority, Identity};
use crate::http2_client::Http2;
use crate::support::within;
use crate::{BOTH_VERSIONS, client, config_of, connected, directory_of};

/// A server of a client's certificate, by roots that are in a file.
struct Guarded {
    authority: Authority,
    roots: PathBuf,
    tls: ServerTls,
    http: HttpServer,
    server: Server,
}

impl Guarded {
    async fn with(
        directory: &str,
        guarded: impl FnOnce(ServerTlsBuilder, &Path) -> ServerTlsBuilder,
    ) -> Self {
        let authority = Authority::new();
        let roots = directory_of(directory).join("roots.pem");
        fs::write(&roots, &authority.root).unwrap();
        let identity = authority.of(&["localhost"]);
        let builder = ServerTls::builder().certificate(&identity.chain, &identity.key);
        let tls = guarded(builder, &roots).build().unwrap();
        let http = HttpServer::builder().tls(tls.clone()).bind("127.0.0.1:0").await.unwrap();
        let server = Server::new(ServerConfig::default());
        server.mount([&http]).unwrap();
        Self { authority, roots, tls, http, server }
    }

    /// A client that speaks this version and shows this certificate.
    fn client(
        &self,
        version: &'static SupportedProtocolVersion,
        identity: Option<&Identity>,
    ) -> ClientConfig {
        let config = config_of(&self.authority, &[version]);
        match identity {
            Some(identity) => identity.shown_by(config),
            None => config,
        }
    }

    /// Who the server knows the client to be, or what the client is told instead of an answer.
    async fn knows(&self, config: ClientConfig) -> Result<Option<ClientCertificate>, AlertDescription> {
        let client = client(config);
        let url = format!("wss://localhost:{}/", self.http.local_addr().port());
        let mut connecting = pin!(client.connect(url));
        let deciding = async {
            loop {
                if let Some(Event::Request(request)) = self.server.next_event().await {
                    let known = request.client_certificate().cloned();
                    request.accept(Accept::new()).unwrap();
                    break known;
                }
            }
        };
        within(async {
            tokio::select! {
                known = deciding => {
                    connecting.await.unwrap();
                    Ok(known)
                }
                failed = &mut connecting => Err(alert(failed.unwrap_err())),
            }
        })
        .await
    }
}

/// What the server has told in TLS before it hung up.
fn alert(error: ConnectError) -> AlertDescription {
    let error = match error {
        ConnectError::Tls(TlsError::Rustls(error)) => error,
        ConnectError::Lost(error) => error.downcast().unwrap(),
        error => panic!("not a failure of TLS: {error:?}"),
    };
    match error {
        rustls::Error::AlertReceived(alert) => alert,
        error => panic!("not what the server told: {error:?}"),
    }
}

#[tokio::test]
async fn where_certificates_of_clients_are_required_nobody_else_is_served() {
    // RFC 8446 §4.3.2, §4.4.2.4, RFC 5246 §7.4.6
    let site = Guarded::with("required", |builder, roots| builder.client_certificates_file(roots)).await;
    let ours = site.authority.of(&["a.example"]);
    let others = Authority::new().of(&["a.example"]);
    for version in BOTH_VERSIONS {
        let known = site.knows(site.client(version, Some(&ours))).await.unwrap().unwrap();
        assert_eq!(known.der(), &*ours.der());
        let refusal = site.knows(site.client(version, Some(&others))).await.unwrap_err();
        assert_eq!(refusal, AlertDescription::UnknownCA);
        let refusal = site.knows(site.client(version, None)).await.unwrap_err();
        assert_eq!(refusal, AlertDescription::CertificateRequired);
    }
    assert_eq!(site.server.counters().handshakes, 2);
}

#[tokio::test]
async fn a_client_that_goes_on_sending_after_its_refusal_gets_to_read_why() {
    // In TLS 1.3 the client has ended its handshake when the server refuses it (RFC 8446 §4.4.2.4).
    let site = Guarded::with("reading", |builder, roots| builder.client_certificates_file(roots)).await;
    let mut stream = connected(site.http.local_addr(), "localhost", site.client(&TLS13, None)).await;
    within(stream.get_ref().0.readable()).await.unwrap();
    // Where nobody reads any more, the first is answered with a reset, and the second fails.
    for _ in 0..2 {
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        stream.flush().await.unwrap();
    }
    let error = within(stream.read_u8()).await.unwrap_err();
    assert_eq!(alert(ConnectError::Lost(error)), AlertDescription::CertificateRequired);
}

#[tokio::test]
async fn where_certificates_of_clients_are_optional_only_wrong_ones_are_refused() {
    let site =
        Guarded::with("optional", |builder, roots| builder.optional_client_certificates_file(roots)).await;
    let ours = site.authority.of(&["a.example"]);
    let others = Authority::new().of(&["a.example"]);
    for version in BOTH_VERSIONS {
        let known = site.knows(site.client(version, Some(&ours))).await.unwrap().unwrap();
        assert_eq!(known.der(), &*ours.der());
        assert_eq!(site.knows(site.client(version, None)).await, Ok(None));
        let refusal = site.knows(site.client(version, Some(&others))).await.unwrap_err();
        assert_eq!(refusal, AlertDescription::UnknownCA);
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_asked_for_is_not_told() {
    let site = Guarded::with("unasked", |builder, _| builder).await;
    let ours = site.authority.of(&["a.example"]);
    for version in BOTH_VERSIONS {
        assert_eq!(site.knows(site.client(version, Some(&ours))).await, Ok(None));
    }
}

#[tokio::test]
async fn a_certificate_of_a_client_tells_its_names_and_its_chain() {
    // RFC 5280 §4.2.1.6
    let site = Guarded::with("names", |builder, roots| {
        builder.optional_client_certificates(fs::read(roots).unwrap())
    })
    .await;
    let names = ["a.example".to_owned(), "10.0.0.1".to_owned(), "*.b.example".to_owned()];
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.subject_alt_names.push(rcgen::SanType::URI("spiffe://example.org/billing".try_into().unwrap()));
    params.distinguished_name.push(rcgen::DnType::CommonName, "c.example");
    let mut ours = site.authority.with(&params, &rcgen::PKCS_ECDSA_P256_SHA256);
    let unrelated = Authority::new();
    ours.chain.push_str(&unrelated.root);
    for version in BOTH_VERSIONS {
        let known = site.knows(site.client(version, Some(&ours))).await.unwrap().unwrap();
        assert_eq!(known.dns_names().collect::<Vec<_>>(), ["a.example", "*.b.example"]);
        assert_eq!(known.uri_names().collect::<Vec<_>>(), ["spiffe://example.org/billing"]);
        assert_eq!(known.chain(), [ours.der(), unrelated.root_der()]);
    }
}

#[tokio::test]
async fn each_websocket_on_a_connection_of_http_2_tells_whose_it_is() {
    // RFC 8441
    let site = Guarded::with("http2", |builder, roots| builder.client_certificates_file(roots)).await;
    let ours = site.authority.of(&["a.example"]);
    for version in BOTH_VERSIONS {
        let mut config = site.client(version, Some(&ours));
        config.alpn_protocols = vec![b"h2".to_vec()];
        let mut http2 = Http2::over(connected(site.http.local_addr(), "localhost", config).await).await;
        for _ in 0..2 {
            let _stream = http2.ask("/", "").await;
            let request = loop {
                if let Some(Event::Request(request)) = within(site.server.next_event()).await {
                    break request;
                }
            };
            assert_eq!(request.client_certificate().unwrap().der(), &*ours.der());
        }
    }
}

#[tokio::test]
async fn who_comes_back_is_still_known_until_its_root_is_taken_away() {
    // RFC 5246 §7.3, RFC 8446 §2.2: sessions that are resumed.
    let site = Guarded::with("resumed", |builder, roots| builder.client_certificates_file(roots)).await;
    let ours = site.authority.of(&["a.example"]);
    let clients = BOTH_VERSIONS.map(|version| (version, site.client(version, Some(&ours))));
    for (_, config) in &clients {
        for _ in 0..2 {
            let known = site.knows(config.clone()).await.unwrap().unwrap();
            assert_eq!(known.der(), &*ours.der());
        }
        assert!(resumed(site.http.local_addr(), config.clone()).await);
    }
    fs::write(&site.roots, Authority::new().root).unwrap();
    site.tls.reload().unwrap();
    for (_, config) in clients {
        assert_eq!(site.knows(config).await, Err(AlertDescription::UnknownCA));
    }
}

/// Whether a client that was there before is spared the half of its handshake.
async fn resumed(address: std::net::SocketAddr, config: ClientConfig) -> bool {
    let stream = connected(address, "localhost", config).await;
    stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
}
