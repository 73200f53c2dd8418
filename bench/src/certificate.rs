//! A certificate for servers on this machine, and a client that believes it.

use std::fs;
use std::sync::{Arc, OnceLock};

use wharf_load::rustls::crypto::ring;
use wharf_load::rustls::{ClientConfig, RootCertStore};

use crate::servers::Certificate;

/// What TLS takes on both ends.
#[derive(Clone)]
pub(crate) struct Trust {
    pub(crate) server: Arc<Certificate>,
    pub(crate) client: Arc<ClientConfig>,
}

/// Made once.
pub(crate) fn made() -> Result<Trust, String> {
    static MADE: OnceLock<Result<Trust, String>> = OnceLock::new();
    MADE.get_or_init(|| make().map_err(|error| error.to_string())).clone()
}

fn make() -> Result<Trust, Box<dyn std::error::Error>> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    let directory = std::env::temp_dir().join(format!("wharf-bench-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let (certificate, key) = (directory.join("certificate.pem"), directory.join("key.pem"));
    fs::write(&certificate, made.cert.pem())?;
    fs::write(&key, made.signing_key.serialize_pem())?;
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Trust { server: Arc::new(Certificate { certificate, key }), client: Arc::new(client) })
}
