//! `https://` and `wss://`: the certificates that the program serves with, kept up to date while it does.

mod options;
mod self_signed;

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use wharf::{ServerTls, TlsError};

pub(crate) use options::TlsOptions;
use options::{ClientCertificates, Identity};
pub(super) use options::{OptionName, Source};
use self_signed::SelfSigned;

/// What the options come to, where they ask for TLS.
#[derive(Debug, PartialEq)]
pub(super) struct TlsSettings {
    identity: Identity,
    clients: Option<Clients>,
}

/// Which clients are served.
#[derive(Debug, PartialEq)]
struct Clients {
    roots: PathBuf,
    certificates: ClientCertificates,
}

/// TLS as it is served.
pub(super) struct Tls {
    pub(super) server: ServerTls,
    /// The SHA-256 of a certificate that the program made itself: nothing else vouches for it.
    pub(super) fingerprint: Option<String>,
    /// What tells it to read its files at once, if it has any.
    hangups: Option<Signal>,
}

impl Tls {
    /// Reads the files, or makes a certificate for a server that listens on these addresses.
    ///
    /// # Errors
    /// In one line, what is wrong with which file.
    pub(super) fn open(settings: TlsSettings, listen: impl Iterator<Item = IpAddr>) -> Result<Self, String> {
        let has_files = matches!(settings.identity, Identity::Files(_)) || settings.clients.is_some();
        let mut builder = ServerTls::builder();
        let mut fingerprint = None;
        match settings.identity {
            Identity::Files(files) => {
                for (chain, key) in files {
                    builder = builder.certificate_files(chain, key);
                }
            }
            Identity::SelfSigned => {
                let made = SelfSigned::make(listen)
                    .map_err(|error| format!("cannot make a certificate: {error}"))?;
                builder = builder.certificate(made.certificate, made.key);
                fingerprint = Some(made.fingerprint);
            }
        }
        if let Some(Clients { roots, certificates }) = settings.clients {
            builder = match certificates {
                ClientCertificates::Required => builder.client_certificates_file(roots),
                ClientCertificates::Optional => builder.optional_client_certificates_file(roots),
            };
        }
        let server = builder.build().map_err(|error| error.to_string())?;
        let hangups = if has_files { Some(signal(SignalKind::hangup())) } else { None };
        let hangups = hangups.transpose().map_err(|error| format!("cannot listen to signals: {error}"))?;
        Ok(Self { server, fingerprint, hangups })
    }

    /// Reads the files again when they change and when it is told to, and says what became of it.
    pub(super) async fn keep_current(self) {
        let Self { server, hangups: Some(mut hangups), .. } = self else { return };
        let told = async {
            while hangups.recv().await.is_some() {
                let server = server.clone();
                match spawn_blocking(move || server.reload()).await {
                    Ok(outcome) => say(outcome),
                    // The runtime ends.
                    Err(_) => return,
                }
            }
        };
        tokio::join!(server.reload_on_change(PERIOD, say), told);
    }
}

fn say(outcome: Result<(), TlsError>) {
    let _ = match outcome {
        Ok(()) => writeln!(io::stderr(), "wharf: the certificates were read again"),
        Err(error) => writeln!(io::stderr(), "wharf: the certificates stay as they were: {error}"),
    };
}

/// How often the files are looked at: some kilobytes, and a certificate is replaced days before its end.
const PERIOD: Duration = Duration::from_secs(2);
