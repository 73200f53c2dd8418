//! TLS, by rustls: `wss://` on both ends (RFC 6455 §10.6).
//!
//! The provider of the cryptography is passed explicitly, always: where a program has several compiled in, rustls would
//! not know which, and panic. It is ring, because it builds in a third of the time that aws-lc takes; whoever wants
//! another brings a configuration of rustls' own.

mod client;
mod server;
mod stream;

use std::io;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::{self};

pub use client::ClientTls;
pub(crate) use client::Connector;
pub use server::ServerTls;
pub(crate) use stream::TlsStream;

/// Certificates, keys or roots that cannot be used, or a TLS handshake that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// What should be PEM (RFC 7468) is none.
    #[error("this is no PEM: {0}")]
    Pem(#[source] pem::Error),
    /// There is no certificate where one is needed.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// There is no private key where one is needed.
    #[error("there is no private key in it")]
    NoPrivateKey,
    /// The system has no root certificates that could be read. Debian's are in the package ca-certificates.
    #[error("the system has no root certificates: {0}")]
    NoRoots(String),
    /// No certificate can be made out to the host's name.
    #[error("{host} is not a name that a certificate can have")]
    ServerName {
        /// The name.
        host: String,
    },
    /// rustls refuses a certificate or a key, or the peer: [`rustls::Error::InvalidCertificate`] says why a server is not
    /// believed.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificates in a PEM file; other things may stand between them.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(pem);
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(TlsError::Pem)?;
    if certificates.is_empty() { Err(TlsError::NoCertificate) } else { Ok(certificates) }
}

/// What rustls said, where a handshake failed for more than the stream under it.
fn rustls_error(error: &io::Error) -> Option<rustls::Error> {
    error.get_ref()?.downcast_ref::<rustls::Error>().cloned()
}

/// HTTP/1.1 is what the opening handshake is made in (RFC 7301).
const ALPN: &[u8] = b"http/1.1";
