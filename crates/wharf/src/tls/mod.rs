//! TLS, by rustls: `wss://` on both ends (RFC 6455 §10.6).
//!
//! The provider of the cryptography is passed explicitly, always: where a program has several compiled in, rustls would
//! not know which, and panic. It is ring, because it builds in a third of the time that aws-lc takes; whoever wants
//! another brings a configuration of rustls' own.

mod client;
mod client_certificate;
mod error;
mod server;
mod stream;

use std::io;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{self, CertificateError, OtherError};
use webpki::EndEntityCert;

pub use client::ClientTls;
pub(crate) use client::Connector;
pub use client_certificate::ClientCertificate;
pub use error::TlsError;
pub use server::{ServerTls, ServerTlsBuilder};
pub(crate) use stream::TlsStream;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificates in a PEM file; other things may stand between them.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(pem);
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(TlsError::Pem)?;
    if certificates.is_empty() { Err(TlsError::NoCertificate) } else { Ok(certificates) }
}

/// The DNS names that a certificate is made out to, wildcards among them: its alternative names, and never its subject (RFC 9525 §2).
fn dns_names<'a>(
    certificate: &'a CertificateDer<'_>,
) -> Result<impl Iterator<Item = &'a str>, rustls::Error> {
    Ok(parsed(certificate)?.valid_dns_names())
}

/// The URIs that a certificate is made out to.
fn uri_names<'a>(
    certificate: &'a CertificateDer<'_>,
) -> Result<impl Iterator<Item = &'a str>, rustls::Error> {
    Ok(parsed(certificate)?.valid_uri_names())
}

fn parsed<'a>(certificate: &'a CertificateDer<'_>) -> Result<EndEntityCert<'a>, rustls::Error> {
    EndEntityCert::try_from(certificate).map_err(|error| {
        // As rustls has it for those of servers.
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
    })
}

/// What rustls said, where a handshake failed for more than the stream under it.
fn rustls_error(error: &io::Error) -> Option<rustls::Error> {
    error.get_ref()?.downcast_ref::<rustls::Error>().cloned()
}

/// The names of HTTP/1.1 and HTTP/2 where client and server agree on one in TLS (RFC 7301 §6, RFC 9113 §3.1).
const HTTP_1: &[u8] = b"http/1.1";
const HTTP_2: &[u8] = b"h2";
