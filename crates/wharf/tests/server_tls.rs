//! The server's end of TLS: which certificate it shows, and how that is replaced while it serves.
#![cfg(feature = "tls")]
#![expect(clippy::unwrap_used, reason = "what the tests share is part of them")]

#[path = "support/certificates.rs"]
mod certificates;
mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use certificates::{Authority, Identity};
use support::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    self, AlertDescription, ClientConfig, HandshakeKind, SignatureScheme, SupportedProtocolVersion,
};
use wharf::{
    Accept, Client, ClientCertificate, ClientTls, ConnectError, Connection, Context, Event, Handler,
    HttpServer, Message, MessageRef, Server, ServerConfig, ServerTls, ServerTlsBuilder, TlsError,
};

/// An echo under `wss://`.
struct Site {
    http: HttpServer,
    server: Server,
}

struct Echo;

impl Handler for Echo {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        let _ = context.send(message);
    }
}

impl Site {
    async fn open(tls: ServerTls) -> Self {
        let http = HttpServer::builder().tls(tls).bind("127.0.0.1:0").await.unwrap();
        let server = Server::new(ServerConfig::default());
        server.mount([&http]).unwrap();
        let serving = server.clone();
        tokio::spawn(async move {
            while let Some(event) = serving.next_event().await {
                if let Event::Request(request) = event {
                    request.accept_with(Accept::new(), Echo).unwrap();
                }
            }
        });
        Self { http, server }
    }

    fn address(&self) -> SocketAddr {
        self.http.local_addr()
    }

    fn url(&self) -> String {
        format!("wss://localhost:{}/", self.address().port())
    }

    /// The certificate that a client is shown that asks for this name.
    async fn shown_to(&self, name: Option<&str>) -> CertificateDer<'static> {
        let tls = ClientTls::danger_accept_invalid_certificates().unwrap();
        let mut config = Arc::unwrap_or_clone(tls.rustls_config().await.unwrap());
        config.enable_sni = name.is_some();
        shown(self.address(), name.unwrap_or("localhost"), config).await
    }
}

async fn shown(address: SocketAddr, name: &str, config: ClientConfig) -> CertificateDer<'static> {
    let stream = connected(address, name, config).await;
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

/// A client that believes the authority, and speaks these versions only.
fn config_of(authority: &Authority, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    config_with(provider(), authority, versions)
}

fn config_with(
    provider: CryptoProvider,
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.root_der()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn client(config: impl Into<ClientTls>) -> Client {
    Client::new(wharf::ClientConfig::default().tls(config)).unwrap()
}

async fn echoes(connection: &Connection, text: &str) {
    connection.send(text).await.unwrap();
    assert_eq!(within(connection.recv()).await, Some(Message::from(text)));
}

fn server_of(identities: &[&Identity]) -> ServerTls {
    let builder =
        identities.iter().fold(ServerTls::builder(), |builder, it| builder.certificate(&it.chain, &it.key));
    builder.build().unwrap()
}

/// A certificate and its key in files of a directory of their own.
struct Files {
    chain: PathBuf,
    key: PathBuf,
}

impl Files {
    fn with(directory: &str, identity: &Identity) -> Self {
        let directory = directory_of(directory);
        let files = Self { chain: directory.join("chain.pem"), key: directory.join("key.pem") };
        files.replace(identity);
        files
    }

    fn replace(&self, identity: &Identity) {
        fs::write(&self.chain, &identity.chain).unwrap();
        fs::write(&self.key, &identity.key).unwrap();
    }

    fn server(&self) -> ServerTls {
        ServerTls::from_pem_files(&self.chain, &self.key).unwrap()
    }
}

/// An empty directory of this name.
fn directory_of(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("server_tls").join(name);
    // Fails where there is none from the last time.
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

#[tokio::test]
async fn the_name_that_a_client_asks_for_chooses_the_certificate() {
    // RFC 6066 §3, RFC 9525 §6.3
    let authority = Authority::new();
    let first = authority.of(&["one.example", "uno.example"]);
    let wildcard = authority.of(&["*.two.example"]);
    let exact = authority.of(&["exact.two.example"]);
    let site = Site::open(server_of(&[&first, &wildcard, &exact])).await;
    for (name, expected) in [
        (Some("one.example"), &first),
        (Some("uno.example"), &first),
        (Some("a.two.example"), &wildcard),
        (Some("A.Two.EXAMPLE"), &wildcard),
        (Some("exact.two.example"), &exact),
        // A wildcard stands for one label, no more and no less.
        (Some("a.b.two.example"), &first),
        (Some("two.example"), &first),
        (Some("three.example"), &first),
        (None, &first),
    ] {
        assert!(site.shown_to(name).await == expected.der(), "{name:?}");
    }
}

#[tokio::test]
async fn of_two_certificates_for_a_name_the_one_is_shown_that_the_client_can_verify() {
    let authority = Authority::new();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let modern = authority.with(&params, &rcgen::PKCS_ED25519);
    let common = authority.with(&params, &rcgen::PKCS_ECDSA_P256_SHA256);
    let site = Site::open(server_of(&[&modern, &common])).await;
    for version in BOTH_VERSIONS {
        let config = config_of(&authority, &[version]);
        assert!(shown(site.address(), "localhost", config).await == modern.der());

        let mut provider = provider();
        let known = &mut provider.signature_verification_algorithms;
        let others = known.mapping.iter().filter(|(scheme, _)| *scheme != SignatureScheme::ED25519);
        known.mapping = Box::leak(others.copied().collect());
        let config = config_with(provider, &authority, &[version]);
        assert!(shown(site.address(), "localhost", config).await == common.der());
    }
}

#[tokio::test]
async fn tls_1_2_and_tls_1_3_echo() {
    let authority = Authority::new();
    let site = Site::open(server_of(&[&authority.of(&["localhost"])])).await;
    for version in BOTH_VERSIONS {
        let client = client(config_of(&authority, &[version]));
        let connection = within(client.connect(site.url())).await.unwrap();
        echoes(&connection, "hello").await;
    }
}

#[test]
fn what_cannot_be_used_is_told_with_its_file() {
    let authority = Authority::new();
    let (ours, others) = (authority.of(&["localhost"]), authority.of(&["localhost"]));
    let files = Files::with("unusable", &ours);
    let broken = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let refusal = |chain: &str, key: &str| {
        files.replace(&Identity { chain: chain.to_owned(), key: key.to_owned() });
        ServerTls::from_pem_files(&files.chain, &files.key).unwrap_err()
    };
    let (chain, key) = (files.chain.display(), files.key.display());
    for (error, expected) in [
        (refusal("nothing", &ours.key), format!("{chain}: there is no certificate in it")),
        (refusal(&ours.chain, "nothing"), format!("{key}: there is no private key in it")),
        (refusal(broken, &ours.key), format!("{chain}: this is no PEM: ")),
        (refusal(no_certificate, &ours.key), format!("{chain}: invalid peer certificate: ")),
        (refusal(&ours.chain, no_key), format!("{key}: unexpected error: failed to parse private key")),
        (
            refusal(&ours.chain, &others.key),
            format!("the private key in {key} is not that of the certificate in {chain}"),
        ),
    ] {
        let message = error.to_string();
        assert!(message.starts_with(&expected), "{message:?} and not {expected:?}");
        assert!(!message.contains('\n'), "{message:?}");
    }
    fs::remove_file(&files.key).unwrap();
    let error = ServerTls::from_pem_files(&files.chain, &files.key).unwrap_err();
    assert!(matches!(&error, TlsError::Read { path, .. } if *path == files.key), "{error:?}");
    assert!(error.to_string().starts_with(&format!("cannot read {key}: ")), "{error}");

    assert!(matches!(ServerTls::builder().build(), Err(TlsError::NoServerCertificate)));
    let builder = ServerTls::builder().certificate(&ours.chain, &ours.key).client_certificates("nothing");
    assert!(matches!(builder.build(), Err(TlsError::NoCertificate)));
}

#[tokio::test]
async fn a_certificate_is_replaced_under_a_thousand_connections_and_none_of_them_drops() {
    const COUNT: usize = 1000;
    let authority = Authority::new();
    let (before, after) = (authority.of(&["localhost"]), authority.of(&["localhost"]));
    let files = Files::with("thousand", &before);
    let tls = files.server();
    let site = Site::open(tls.clone()).await;
    let client = client(authority.client());
    let mut connections = Vec::new();
    while connections.len() < COUNT {
        let mut opening = JoinSet::new();
        for _ in 0..50 {
            let (client, url) = (client.clone(), site.url());
            opening.spawn(async move { within(client.connect(url)).await.unwrap() });
        }
        connections.extend(opening.join_all().await);
    }
    assert_eq!(site.server.connection_count(), COUNT);
    assert!(site.shown_to(Some("localhost")).await == before.der());

    files.replace(&after);
    tls.reload().unwrap();
    assert!(site.shown_to(Some("localhost")).await == after.der());
    for connection in &connections {
        echoes(connection, "still here").await;
    }
    assert_eq!(site.server.connection_count(), COUNT);
    let connection = within(client.connect(site.url())).await.unwrap();
    echoes(&connection, "the next").await;
}

#[tokio::test]
async fn a_broken_certificate_keeps_the_one_before_and_says_why() {
    let authority = Authority::new();
    let (before, after) = (authority.of(&["localhost"]), authority.of(&["localhost"]));
    let files = Files::with("broken", &before);
    let clone = files.server();
    let site = Site::open(clone.clone()).await;
    fs::write(&files.key, &after.key).unwrap();
    let error = clone.reload().unwrap_err();
    let TlsError::KeyMismatch { chain, key } = &error else { panic!("{error:?}") };
    assert_eq!((chain, key), (&files.chain, &files.key));
    assert!(site.shown_to(None).await == before.der());

    fs::remove_file(&files.chain).unwrap();
    assert!(matches!(clone.reload(), Err(TlsError::Read { path, .. }) if path == files.chain));
    assert!(site.shown_to(None).await == before.der());

    files.replace(&after);
    clone.reload().unwrap();
    assert!(site.shown_to(None).await == after.der());
}

#[tokio::test]
async fn a_certificate_that_has_expired_can_be_reloaded() {
    let authority = Authority::new();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let expired = authority.with(&params, &rcgen::PKCS_ECDSA_P256_SHA256);
    let files = Files::with("expired", &authority.of(&["localhost"]));
    let tls = files.server();
    let site = Site::open(tls.clone()).await;
    files.replace(&expired);
    tls.reload().unwrap();
    assert!(site.shown_to(None).await == expired.der());
}

#[tokio::test]
async fn what_was_given_as_bytes_stays_as_it_is() {
    let identity = Authority::new().of(&["localhost"]);
    let tls = server_of(&[&identity]);
    let site = Site::open(tls.clone()).await;
    tls.reload().unwrap();
    assert!(site.shown_to(None).await == identity.der());
}

/// How long the files are left alone in these tests.
const PERIOD: Duration = Duration::from_secs(10);

/// Files that are watched, in time that stands still while anything is done.
struct Watched {
    files: Files,
    tls: ServerTls,
    told: mpsc::UnboundedReceiver<Result<(), TlsError>>,
}

impl Watched {
    /// Files in a directory of this name, and what they are to be replaced with. From now on it is always half a period after
    /// a look.
    async fn with(directory: &str) -> (Self, Identity) {
        let authority = Authority::new();
        let files = Files::with(directory, &authority.of(&["localhost"]));
        (Self::of(files).await, authority.of(&["localhost"]))
    }

    async fn of(files: Files) -> Self {
        let tls = files.server();
        let (tell, told) = mpsc::unbounded_channel();
        tokio::spawn(tls.reload_on_change(PERIOD, move |outcome| tell.send(outcome).unwrap()));
        sleep(PERIOD * 3 / 2).await;
        Self { files, tls, told }
    }

    /// What is told of the next so many looks.
    async fn looks(&mut self, count: u32) -> Vec<Result<(), TlsError>> {
        sleep(PERIOD * count).await;
        std::iter::from_fn(|| self.told.try_recv().ok()).collect()
    }

    /// The certificate that is served. Time goes on, for sockets are in it.
    async fn served(self) -> CertificateDer<'static> {
        tokio::time::resume();
        Site::open(self.tls).await.shown_to(None).await
    }
}

#[tokio::test(start_paused = true)]
async fn files_that_change_are_reloaded_and_that_is_told_once() {
    let (mut watched, after) = Watched::with("changing").await;
    assert!(watched.looks(5).await.is_empty());
    watched.files.replace(&after);
    assert!(watched.looks(1).await.is_empty(), "they may be half written");
    assert!(matches!(watched.looks(1).await[..], [Ok(())]));
    assert!(watched.looks(5).await.is_empty());
    assert!(watched.served().await == after.der());
}

#[tokio::test(start_paused = true)]
async fn a_pair_of_which_one_half_is_written_later_is_no_failure() {
    let (mut watched, after) = Watched::with("half").await;
    fs::write(&watched.files.chain, &after.chain).unwrap();
    assert!(watched.looks(1).await.is_empty());
    fs::write(&watched.files.key, &after.key).unwrap();
    assert!(watched.looks(1).await.is_empty());
    assert!(matches!(watched.looks(1).await[..], [Ok(())]));
    assert!(watched.served().await == after.der());
}

#[tokio::test(start_paused = true)]
async fn files_that_change_to_what_is_broken_are_told_once_and_tried_again_when_they_change_again() {
    let (mut watched, after) = Watched::with("broken_change").await;
    fs::remove_file(&watched.files.key).unwrap();
    let told = watched.looks(2).await;
    assert!(
        matches!(&told[..], [Err(TlsError::Read { path, .. })] if *path == watched.files.key),
        "{told:?}"
    );
    fs::write(&watched.files.key, "nothing").unwrap();
    let told = watched.looks(2).await;
    let [Err(error @ TlsError::File { path, source })] = &told[..] else { panic!("{told:?}") };
    assert!(matches!(**source, TlsError::NoPrivateKey), "{error}");
    assert_eq!(*path, watched.files.key);
    assert!(watched.looks(5).await.is_empty());
    watched.files.replace(&after);
    assert!(matches!(watched.looks(2).await[..], [Ok(())]));
    assert!(watched.served().await == after.der());
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_link_that_is_pointed_elsewhere_is_a_change() {
    use std::os::unix::fs::symlink;

    // As Kubernetes has it: links to files behind a link to the directory of the day.
    let authority = Authority::new();
    let (before, after) = (authority.of(&["localhost"]), authority.of(&["localhost"]));
    let directory = directory_of("link");
    for (day, identity) in [("monday", &before), ("tuesday", &after)] {
        fs::create_dir(directory.join(day)).unwrap();
        fs::write(directory.join(day).join("chain.pem"), &identity.chain).unwrap();
        fs::write(directory.join(day).join("key.pem"), &identity.key).unwrap();
    }
    symlink("monday", directory.join("today")).unwrap();
    let files = Files { chain: directory.join("chain.pem"), key: directory.join("key.pem") };
    symlink("today/chain.pem", &files.chain).unwrap();
    symlink("today/key.pem", &files.key).unwrap();
    let mut watched = Watched::of(files).await;

    symlink("tuesday", directory.join("next")).unwrap();
    fs::rename(directory.join("next"), directory.join("today")).unwrap();
    assert!(matches!(watched.looks(2).await[..], [Ok(())]));
    assert!(watched.served().await == after.der());
}

#[tokio::test(start_paused = true)]
async fn what_a_reload_by_hand_has_read_is_not_told_as_a_change() {
    let (mut watched, after) = Watched::with("by_hand").await;
    watched.files.replace(&after);
    watched.tls.reload().unwrap();
    assert!(watched.looks(5).await.is_empty());
    fs::write(&watched.files.key, "nothing").unwrap();
    watched.tls.reload().unwrap_err();
    assert!(watched.looks(5).await.is_empty());
    assert!(watched.served().await == after.der());
}

#[tokio::test(start_paused = true)]
async fn the_watching_ends_with_the_last_who_holds_what_it_is_for() {
    let identity = Authority::new().of(&["localhost"]);
    let files = Files::with("ending", &identity);
    let tls = files.server();
    let clone = tls.clone();
    let mut watching = tokio::spawn(tls.reload_on_change(PERIOD, |outcome| outcome.unwrap()));
    drop(tls);
    assert!(tokio::time::timeout(PERIOD * 10, &mut watching).await.is_err(), "a clone is there");
    let dropped = Instant::now();
    drop(clone);
    watching.await.unwrap();
    assert!(dropped.elapsed() <= PERIOD, "{:?}", dropped.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_watched_where_there_is_no_file() {
    let tls = server_of(&[&Authority::new().of(&["localhost"])]);
    let started = Instant::now();
    tls.reload_on_change(PERIOD, |outcome| outcome.unwrap()).await;
    assert_eq!(started.elapsed(), Duration::ZERO);
}

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

const BOTH_VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

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
async fn resumed(address: SocketAddr, config: ClientConfig) -> bool {
    let stream = connected(address, "localhost", config).await;
    stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
}

/// A client that is nothing but TLS, and asks for this name.
async fn connected(address: SocketAddr, name: &str, config: ClientConfig) -> TlsStream<TcpStream> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let tcp = TcpStream::connect(address).await.unwrap();
    within(TlsConnector::from(Arc::new(config)).connect(name, tcp)).await.unwrap()
}
