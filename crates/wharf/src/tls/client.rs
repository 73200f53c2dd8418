//! The client's end: whom it believes.

use std::fmt;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::stream::TlsStream;
use super::{HTTP_1, TlsError, certificates, provider, rustls_error};
use crate::client::ConnectError;

/// Which servers a [`Client`](crate::Client) believes to be who they say, on `wss://` (RFC 6455 §10.6). By default those
/// whom the system believes: its root certificates are read once, when they are first needed, or those in the file that
/// the environment variable `SSL_CERT_FILE` names.
#[derive(Clone, Default)]
pub struct ClientTls {
    /// `None`: the system's roots.
    config: Option<Arc<rustls::ClientConfig>>,
}

impl ClientTls {
    /// Believes servers whose certificate leads to one of these roots, given in PEM, and no others.
    ///
    /// # Errors
    /// [`TlsError`]: no PEM, no certificate in it, or one that cannot be a root.
    pub fn with_root_certificates(pem: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem.as_ref())? {
            roots.add(certificate)?;
        }
        Ok(trusting(roots)?.into())
    }

    /// Believes every server, whatever its certificate: whoever is on the way can read and change all that is said. For
    /// tests and for looking at a server that is known to be set up wrongly.
    ///
    /// # Errors
    /// [`TlsError`], which no setup of this crate gives.
    pub fn danger_accept_invalid_certificates() -> Result<Self, TlsError> {
        let provider = provider();
        let verifier = Arc::new(BelieveAnything(provider.clone()));
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = vec![HTTP_1.to_vec()];
        Ok(config.into())
    }

    /// The configuration of rustls' own that it stands for: for code that makes connections by other means than
    /// [`Client`](crate::Client), and is to believe the same servers. The system's roots are read anew at each call.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// [`TlsError::NoRoots`].
    pub async fn rustls_config(&self) -> Result<Arc<rustls::ClientConfig>, TlsError> {
        match &self.config {
            Some(config) => Ok(config.clone()),
            None => load_system_roots().await,
        }
    }
}

impl From<rustls::ClientConfig> for ClientTls {
    fn from(config: rustls::ClientConfig) -> Self {
        Arc::new(config).into()
    }
}

/// A configuration of rustls' own, taken as it is: a certificate of the client's, another provider.
impl From<Arc<rustls::ClientConfig>> for ClientTls {
    fn from(config: Arc<rustls::ClientConfig>) -> Self {
        Self { config: Some(config) }
    }
}

/// The same configuration, not an equal one.
impl PartialEq for ClientTls {
    fn eq(&self, other: &Self) -> bool {
        match (&self.config, &other.config) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots = if self.config.is_some() { "given" } else { "system" };
        f.debug_struct("ClientTls").field("roots", &roots).finish_non_exhaustive()
    }
}

/// Makes a client's TLS connections.
pub(crate) struct Connector {
    tls: ClientTls,
    system: OnceCell<Arc<rustls::ClientConfig>>,
}

impl Connector {
    pub(crate) const fn new(tls: ClientTls) -> Self {
        Self { tls, system: OnceCell::const_new() }
    }

    /// Makes the TLS handshake on `stream`, naming the host in it (RFC 6455 §4.1, RFC 6066 §3).
    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, ConnectError> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| TlsError::ServerName { host: host.to_owned() })?;
        let config = match &self.tls.config {
            Some(config) => config,
            None => self.system.get_or_try_init(|| self.tls.rustls_config()).await?,
        };
        match TlsConnector::from(config.clone()).connect(name, stream).await {
            Ok(stream) => Ok(TlsStream::new(stream.into())),
            Err(error) => Err(match rustls_error(&error) {
                Some(error) => TlsError::Rustls(error).into(),
                None => ConnectError::Lost(error),
            }),
        }
    }
}

/// Reads files, some hundred kilobytes of them, and therefore not on the runtime's own threads.
async fn load_system_roots() -> Result<Arc<rustls::ClientConfig>, TlsError> {
    let loading = tokio::task::spawn_blocking(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // A store of years holds some that nobody can read any more.
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let reasons: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
            return Err(TlsError::NoRoots(reasons.join(", ")));
        }
        Ok(Arc::new(trusting(roots)?))
    });
    loading.await.unwrap_or_else(|error| Err(TlsError::NoRoots(error.to_string())))
}

fn trusting(roots: RootCertStore) -> Result<rustls::ClientConfig, rustls::Error> {
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP_1.to_vec()];
    Ok(config)
}

/// Asks only that the server has the key of the certificate that it shows.
#[derive(Debug)]
struct BelieveAnything(Arc<CryptoProvider>);

impl ServerCertVerifier for BelieveAnything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
