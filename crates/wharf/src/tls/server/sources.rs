//! Where certificates come from, and what is made of them.

use std::borrow::Cow;
use std::fs;
use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, InconsistentKeys, RootCertStore};

use super::by_name::ByName;
use crate::tls::{HTTP_1, HTTP_2, TlsError, certificates, provider};

/// What a server's TLS is made from.
#[derive(Clone)]
pub(super) struct Sources {
    pub(super) certificates: Vec<Certificate<Source>>,
    pub(super) clients: Option<Clients<Source>>,
    pub(super) http2: bool,
}

/// A certificate with its key: where they are, or what is there.
#[derive(Clone)]
pub(super) struct Certificate<T> {
    pub(super) chain: T,
    pub(super) key: T,
}

/// Who may come.
#[derive(Clone)]
pub(super) struct Clients<T> {
    pub(super) roots: T,
    /// Whether a client without a certificate is served, too.
    pub(super) may_be_unknown: bool,
}

/// Where PEM is.
#[derive(Clone)]
pub(super) enum Source {
    Pem(Box<[u8]>),
    File(PathBuf),
}

/// What was in all the sources at one time.
pub(super) struct Contents<'a> {
    certificates: Vec<Certificate<Content<'a>>>,
    clients: Option<Clients<Content<'a>>>,
    http2: bool,
}

struct Content<'a> {
    source: &'a Source,
    pem: io::Result<Cow<'a, [u8]>>,
}

impl Sources {
    /// Whether there is anything that can change.
    pub(super) fn has_files(&self) -> bool {
        let mut certificates = self.certificates.iter().flat_map(|it| [&it.chain, &it.key]);
        let is_file = |source: &Source| source.path().is_some();
        certificates.any(is_file) || self.clients.as_ref().is_some_and(|clients| is_file(&clients.roots))
    }

    pub(super) fn read(&self) -> Contents<'_> {
        let certificates = self.certificates.iter();
        Contents {
            certificates: certificates
                .map(|it| Certificate { chain: it.chain.read(), key: it.key.read() })
                .collect(),
            clients: self.clients.as_ref().map(|clients| Clients {
                roots: clients.roots.read(),
                may_be_unknown: clients.may_be_unknown,
            }),
            http2: self.http2,
        }
    }
}

impl Source {
    pub(super) fn pem(pem: impl AsRef<[u8]>) -> Self {
        Self::Pem(pem.as_ref().into())
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::Pem(_) => None,
            Self::File(path) => Some(path),
        }
    }

    fn read(&self) -> Content<'_> {
        let pem = match self {
            Self::Pem(pem) => Ok(Cow::Borrowed(&**pem)),
            Self::File(path) => fs::read(path).map(Cow::Owned),
        };
        Content { source: self, pem }
    }

    /// The error, with the file that it is about.
    fn blame(&self, error: TlsError) -> TlsError {
        match self.path() {
            Some(path) => TlsError::File { path: path.to_owned(), source: Box::new(error) },
            None => error,
        }
    }
}

impl Contents<'_> {
    /// A number that is another one whenever anything in here is, but for once in 2^64. Keys themselves are not kept for
    /// the sake of comparing them.
    pub(super) fn fingerprint(&self, hasher: &impl BuildHasher) -> u64 {
        let roots = self.clients.iter().map(|clients| &clients.roots);
        let all = self.certificates.iter().flat_map(|it| [&it.chain, &it.key]).chain(roots);
        hasher.hash_one(all.map(|content| content.pem.as_ref().map_err(io::Error::kind)).collect::<Vec<_>>())
    }

    /// # Errors
    /// What cannot be used, and in which file it is.
    pub(super) fn config(self) -> Result<rustls::ServerConfig, TlsError> {
        if self.certificates.is_empty() {
            return Err(TlsError::NoServerCertificate);
        }
        let certified =
            self.certificates.into_iter().map(Certificate::certified).collect::<Result<_, _>>()?;
        let verifier = match self.clients {
            Some(clients) => clients.verifier()?,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(ByName::new(certified)?));
        let protocols = if self.http2 { &[HTTP_2, HTTP_1][..] } else { &[HTTP_1] };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(config)
    }
}

impl Certificate<Content<'_>> {
    fn certified(self) -> Result<CertifiedKey, TlsError> {
        let (chain_source, key_source) = (self.chain.source, self.key.source);
        let chain = self.chain.parsed(certificates)?;
        let key = self.key.parsed(|pem| {
            let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
                pem::Error::NoItemsFound => TlsError::NoPrivateKey,
                error => TlsError::Pem(error),
            })?;
            Ok(provider().key_provider.load_private_key(key)?)
        })?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            // Some keys do not tell.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
            Err(error) => Err(match (&error, chain_source.path(), key_source.path()) {
                (rustls::Error::InconsistentKeys(_), Some(chain), Some(key)) => {
                    TlsError::KeyMismatch { chain: chain.to_owned(), key: key.to_owned() }
                }
                _ => chain_source.blame(error.into()),
            }),
        }
    }
}

impl Clients<Content<'_>> {
    fn verifier(self) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let roots = self.roots.parsed(|pem| {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(pem)? {
                roots.add(certificate)?;
            }
            Ok(roots)
        })?;
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let builder = if self.may_be_unknown { builder.allow_unauthenticated() } else { builder };
        builder.build().map_err(|error| match error {
            VerifierBuilderError::NoRootAnchors => TlsError::NoCertificate,
            error => rustls::Error::General(error.to_string()).into(),
        })
    }
}

impl Content<'_> {
    fn parsed<T>(self, parse: impl FnOnce(&[u8]) -> Result<T, TlsError>) -> Result<T, TlsError> {
        match (self.pem, self.source) {
            (Ok(pem), source) => parse(&pem).map_err(|error| source.blame(error)),
            (Err(error), Source::File(path)) => Err(TlsError::Read { path: path.clone(), source: error }),
            (Err(_), Source::Pem(_)) => Err(TlsError::NoCertificate),
        }
    }
}
