//! The server's end of TLS: which certificate it shows, how that is replaced while it serves, and who clients are.
#![cfg(feature = "tls")]
#![expect(clippy::unwrap_used, reason = "what the tests share is part of them")]

#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../support/http2.rs"]
mod http2_client;
#[path = "../support/mod.rs"]
mod support;

mod choosing;
mod client_certificates;
mod reloading;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use certificates::{Authority, Identity};
use support::within;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ClientConfig, SupportedProtocolVersion};
use wharf::{
    Accept, Client, ClientTls, Connection, Context, Event, Handler, HttpServer, Message, MessageRef,
};
use wharf::{Server, ServerConfig, ServerTls};

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

const BOTH_VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A client that is nothing but TLS, and asks for this name.
async fn connected(address: SocketAddr, name: &str, config: ClientConfig) -> TlsStream<TcpStream> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let tcp = TcpStream::connect(address).await.unwrap();
    within(TlsConnector::from(Arc::new(config)).connect(name, tcp)).await.unwrap()
}
