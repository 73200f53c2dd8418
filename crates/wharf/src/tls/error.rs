//! What TLS can fail on.

use std::io;
use std::path::PathBuf;

use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem;

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
    /// A server was given no certificate to prove itself with.
    #[error("a server needs a certificate, and was given none")]
    NoServerCertificate,
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What is in a file cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not: any of the errors that tell no file.
        source: Box<Self>,
    },
    /// The private key in one file is not that of the first certificate in the other.
    #[error("the private key in {} is not that of the certificate in {}", key.display(), chain.display())]
    KeyMismatch {
        /// The file with the certificate.
        chain: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
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
