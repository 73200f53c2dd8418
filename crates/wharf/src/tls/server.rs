//! The server's end: certificates and keys.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};

use super::{ALPN, TlsError, certificates, provider};

/// How an [`HttpServer`](crate::HttpServer) proves who it is: what makes it one of `https://` and `wss://`
/// (RFC 6455 §10.6).
///
/// ```no_run
/// use wharf::{HttpServer, ServerTls};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = ServerTls::from_pem(std::fs::read("fullchain.pem")?, std::fs::read("privkey.pem")?)?;
/// let https = HttpServer::builder().tls(tls).bind("[::]:443").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<rustls::ServerConfig>,
}

impl ServerTls {
    /// A certificate, with those that lead from it towards a root behind it, and its private key, all in PEM: what
    /// certbot calls `fullchain.pem` and `privkey.pem`. TLS 1.2 and 1.3, no certificates of clients.
    ///
    /// # Errors
    /// [`TlsError`]: no PEM, nothing in it, or a key that is not the certificate's.
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let chain = certificates(chain.as_ref())?;
        let key = PrivateKeyDer::from_pem_slice(key.as_ref()).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::NoPrivateKey,
            error => TlsError::Pem(error),
        })?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config.into())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.config.clone().into()
    }
}

impl From<rustls::ServerConfig> for ServerTls {
    fn from(config: rustls::ServerConfig) -> Self {
        Arc::new(config).into()
    }
}

/// A configuration of rustls' own, taken as it is: certificates by name, certificates of clients, another provider. Where
/// it names protocols (ALPN), `http/1.1` has to be the only one.
impl From<Arc<rustls::ServerConfig>> for ServerTls {
    fn from(config: Arc<rustls::ServerConfig>) -> Self {
        Self { config }
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}
