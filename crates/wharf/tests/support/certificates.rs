//! Certificates that are made for the test, and thrown away after it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this module")]

use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use wharf::{ClientTls, ServerTls};

/// A root, and a server's certificate under it.
pub struct Certificates {
    pub root: String,
    pub chain: String,
    pub key: String,
}

static NUMBER: AtomicU32 = AtomicU32::new(1);

impl Certificates {
    /// For a server of these names.
    pub fn of(names: &[&str]) -> Self {
        let root_key = KeyPair::generate().expect("there is randomness");
        let mut root = CertificateParams::default();
        // Each its own: by the name it is told which root a certificate belongs to.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        root.distinguished_name.push(DnType::CommonName, format!("root {number}"));
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_certificate = root.self_signed(&root_key).expect("a root");
        let key = KeyPair::generate().expect("there is randomness");
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(&key, &Issuer::new(root, root_key)).expect("a certificate");
        Self { root: root_certificate.pem(), chain: certificate.pem(), key: key.serialize_pem() }
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
