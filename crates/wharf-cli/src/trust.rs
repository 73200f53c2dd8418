//! Which servers to believe on `wss://`, from the command line.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use wharf::ClientTls;

/// Whom to believe; by default those whom the system believes.
#[derive(Args, Debug, Default)]
pub(crate) struct Trust {
    /// Believe servers whose certificate leads to one in this file, in PEM, and no others.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Believe every server, whatever its certificate: for tests.
    #[arg(short = 'k', long, conflicts_with = "ca")]
    insecure: bool,
}

impl Trust {
    /// What that means to a client.
    ///
    /// # Errors
    /// In one sentence, why the file means nothing.
    pub(crate) fn client_tls(&self) -> Result<ClientTls, String> {
        if self.insecure {
            return ClientTls::danger_accept_invalid_certificates().map_err(|error| error.to_string());
        }
        let Some(path) = &self.ca else { return Ok(ClientTls::default()) };
        let shown = path.display();
        let pem = fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
        ClientTls::with_root_certificates(pem).map_err(|error| format!("--ca {shown}: {error}"))
    }
}
