//! HTTP/1.1 on TLS.

use std::sync::OnceLock;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wharf::rustls::pki_types::ServerName;
use wharf::{ClientTls, HttpServer};

use crate::certificates::Certificates;
use crate::support::roads::{Peer, Road};
use crate::support::{self, handshake};

type Site = support::SiteOn<Tls>;
type Client = support::ClientOf<TlsStream<TcpStream>>;

/// A reset is told as such, and not as an end in order.
const TELLS_RESETS: bool = true;

#[path = "closing.rs"]
mod closing;
#[path = "control_frames.rs"]
mod control_frames;
#[path = "send_frame.rs"]
mod send_frame;
#[path = "violations.rs"]
mod violations;

/// HTTP/1.1 on TLS.
pub(crate) struct Tls;

/// Made once: each test opens servers enough.
fn certificates() -> &'static Certificates {
    static CERTIFICATES: OnceLock<Certificates> = OnceLock::new();
    CERTIFICATES.get_or_init(|| Certificates::of(&["localhost"]))
}

impl Road for Tls {
    type Peer = TlsStream<TcpStream>;

    const ACCEPTED: u16 = 101;

    async fn listen() -> HttpServer {
        let https = HttpServer::builder().tls(certificates().server());
        https.bind("127.0.0.1:0").await.expect("a port is free")
    }

    async fn ask(http: &HttpServer, lines: &str) -> Client {
        let roots = ClientTls::with_root_certificates(&certificates().root).expect("a root");
        let connector = TlsConnector::from(roots.rustls_config().await.expect("roots are given"));
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = support::Client::connect(http).await.stream;
        let mut client = Client::on(connector.connect(name, stream).await.expect("it is believed"));
        client.write(handshake(lines)).await;
        client
    }
}

impl Peer for TlsStream<TcpStream> {
    fn reset(self) {
        self.into_inner().0.reset();
    }
}
