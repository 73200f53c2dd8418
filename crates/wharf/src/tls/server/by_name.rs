//! The certificate for the name that a client asks for (RFC 6066 §3).

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, SignatureScheme};

use crate::tls::dns_names;

/// Certificates by the names in them, in the order in which they were given.
pub(super) struct ByName {
    certificates: Vec<Named>,
}

struct Named {
    names: Vec<Box<str>>,
    certified: Arc<CertifiedKey>,
}

impl ByName {
    /// # Errors
    /// One of the certificates cannot be read.
    pub(super) fn new(certificates: Vec<CertifiedKey>) -> Result<Self, rustls::Error> {
        let named = |certified: CertifiedKey| {
            let names = dns_names(certified.end_entity_cert()?)?.map(Box::from).collect();
            Ok(Named { names, certified: Arc::new(certified) })
        };
        Ok(Self { certificates: certificates.into_iter().map(named).collect::<Result<_, rustls::Error>>()? })
    }

    fn fitting(&self, name: &str, schemes: &[SignatureScheme]) -> Option<&Named> {
        let exactly = |own: &str| own.eq_ignore_ascii_case(name);
        // A wildcard stands for one label, the first (RFC 9525 §6.3).
        let parent = name.split_once('.').map(|(_, parent)| parent);
        let by_wildcard = |own: &str| match (own.strip_prefix("*."), parent) {
            (Some(own), Some(parent)) => own.eq_ignore_ascii_case(parent),
            _ => false,
        };
        let called = |is_it: &dyn Fn(&str) -> bool| {
            let mut those = self.certificates.iter().filter(|named| named.names.iter().any(|own| is_it(own)));
            those.find(|named| named.is_understood(schemes))
        };
        called(&exactly).or_else(|| called(&by_wildcard))
    }
}

impl Named {
    /// Whether a client that knows these schemes can verify it: a server may have one of each kind for the same name.
    fn is_understood(&self, schemes: &[SignatureScheme]) -> bool {
        self.certified.key.choose_scheme(schemes).is_some()
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let named = hello.server_name().and_then(|name| self.fitting(name, schemes));
        let named = named.or_else(|| self.certificates.iter().find(|named| named.is_understood(schemes)));
        named.map(|named| named.certified.clone())
    }
}

impl fmt::Debug for ByName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.certificates.iter().map(|named| &named.names)).finish()
    }
}
