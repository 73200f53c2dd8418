//! Makes a root of its own and a certificate under it for this machine, to try TLS with: `root.pem` for clients, `chain.pem`
//! and `key.pem` for a server.
//!
//! ```sh
//! cargo run -p wharf --example certificate DIRECTORY
//! ```

use std::error::Error;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(std::env::args().nth(1).ok_or("usage: certificate DIRECTORY")?);
    let root_key = KeyPair::generate()?;
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.distinguished_name.push(DnType::CommonName, "root to try wharf with");
    let root_pem = root.self_signed(&root_key)?.pem();

    let key = KeyPair::generate()?;
    let names = ["localhost", "127.0.0.1", "::1"].map(ToOwned::to_owned);
    let mut server = CertificateParams::new(names)?;
    server.distinguished_name.push(DnType::CommonName, "localhost");
    let chain_pem = server.signed_by(&key, &Issuer::new(root, root_key))?.pem();

    std::fs::write(directory.join("root.pem"), root_pem)?;
    std::fs::write(directory.join("chain.pem"), chain_pem)?;
    std::fs::write(directory.join("key.pem"), key.serialize_pem())?;
    Ok(())
}
