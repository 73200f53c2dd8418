//! Who a client is, where it proved that in TLS.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::CertificateDer;

use super::{dns_names, uri_names};

/// The certificate that a client proved itself with: it has the key, and the certificate leads to one of the roots that
/// [`ServerTlsBuilder::client_certificates`](crate::ServerTlsBuilder::client_certificates) was given. Told by
/// [`Request::client_certificate`](crate::Request::client_certificate).
///
/// A root vouches for all the certificates that it made: who among them may do what is to be decided by the names. These
/// are text that the root signed, and may hold any character. Names in the certificate's subject (`CN=`) are not among them
/// (RFC 9525 §2); whoever needs more of a certificate reads its [DER](Self::der).
///
/// A cheap clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// Never empty.
    chain: Arc<[CertificateDer<'static>]>,
}

impl ClientCertificate {
    /// `chain` as rustls has verified it.
    pub(crate) fn of(chain: &[CertificateDer<'static>]) -> Option<Self> {
        if chain.is_empty() { None } else { Some(Self { chain: chain.into() }) }
    }

    /// The certificate in DER (RFC 5280 §4.1).
    pub fn der(&self) -> &[u8] {
        &self.chain[0]
    }

    /// All that the client sent: the certificate, and those that it sent to lead from there to a root. Only the first is
    /// known to be good: others may be anything.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The DNS names that it is made out to, in its order; one may begin with `*.`.
    pub fn dns_names(&self) -> impl Iterator<Item = &str> {
        dns_names(&self.chain[0]).into_iter().flatten()
    }

    /// The URIs that it is made out to, in its order: identities of services, such as `spiffe://example.org/billing`
    /// (SPIFFE X.509-SVID §2).
    ///
    /// ```
    /// # fn is_billing(request: &wharf::Request) -> bool {
    /// let certificate = request.client_certificate();
    /// certificate.is_some_and(|it| it.uri_names().any(|name| name == "spiffe://example.org/billing"))
    /// # }
    /// ```
    pub fn uri_names(&self) -> impl Iterator<Item = &str> {
        uri_names(&self.chain[0]).into_iter().flatten()
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("dns_names", &self.dns_names().collect::<Vec<_>>())
            .field("uri_names", &self.uri_names().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
