//! Certificates that are made for the test, and thrown away after it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this module")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SignatureAlgorithm};
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use wharf::{ClientTls, ServerTls};

/// A root that makes certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, in PEM.
    pub root: String,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Identity {
    pub chain: String,
    pub key: String,
}

static NUMBER: AtomicU32 = AtomicU32::new(1);

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("there is randomness");
        let mut params = CertificateParams::default();
        // Each its own: by the name it is told which root a certificate belongs to.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("root {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).expect("a root").pem();
        Self { issuer: Issuer::new(params, key), root }
    }

    /// A certificate of these names.
    pub fn of(&self, names: &[&str]) -> Identity {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        self.with(&CertificateParams::new(names).expect("names"), &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    /// A certificate of these parameters, whose key is of this kind.
    pub fn with(&self, params: &CertificateParams, kind: &'static SignatureAlgorithm) -> Identity {
        let key = KeyPair::generate_for(kind).expect("there is randomness");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity { chain: certificate.pem(), key: key.serialize_pem() }
    }

    pub fn root_der(&self) -> CertificateDer<'static> {
        der(&self.root)
    }

    /// A client that believes the root.
    pub fn client(&self) -> ClientTls {
        ClientTls::with_root_certificates(&self.root).expect("a root")
    }
}

impl Identity {
    /// The certificate as it is shown.
    pub fn der(&self) -> CertificateDer<'static> {
        der(&self.chain)
    }

    /// A client that shows it, where it is asked.
    pub fn shown_by(&self, mut client: rustls::ClientConfig) -> rustls::ClientConfig {
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes()).map(|it| it.expect("it is PEM"));
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("it is PEM");
        let certified = CertifiedKey::from_der(chain.collect(), key, client.crypto_provider());
        let certified = certified.expect("they belong together");
        client.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        client
    }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("it is PEM")
}

/// A root, and a server's certificate under it.
pub struct Certificates {
    pub root: String,
    pub chain: String,
    pub key: String,
}

impl Certificates {
    /// For a server of these names.
    pub fn of(names: &[&str]) -> Self {
        let authority = Authority::new();
        let Identity { chain, key } = authority.of(names);
        Self { root: authority.root, chain, key }
    }

    /// For a server on this machine.
    pub fn of_localhost() -> Self {
        Self::of(&["localhost", "127.0.0.1"])
    }

    pub fn server(&self) -> ServerTls {
        ServerTls::from_pem(&self.chain, &self.key).expect("they belong together")
    }

    /// A client that believes the root.
    pub fn client(&self) -> ClientTls {
        ClientTls::with_root_certificates(&self.root).expect("a root")
    }
}
