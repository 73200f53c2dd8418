//! What can be said about TLS, in flags and in a file, and what it comes to.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde::de::{self, MapAccess};

use super::{Clients, TlsSettings};
use crate::options::flag;

/// Everything about TLS that flags or a file say.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsOptions {
    /// Serve https:// and wss:// with the certificate in this PEM file; may be given several times, and the name that a client
    /// asks for chooses. Read again when it changes, and at the signal HUP.
    #[arg(long = "tls-cert", value_name = "FILE")]
    cert: Option<Vec<PathBuf>>,

    /// PEM file with the private key of the certificate; of several, in the same order.
    #[arg(long = "tls-key", value_name = "FILE")]
    key: Option<Vec<PathBuf>>,

    /// Serve https:// and wss:// with a certificate for this machine that is made now and that nobody vouches for: for tests.
    #[arg(long = "tls-self-signed", num_args = 0, default_missing_value = "true")]
    self_signed: Option<bool>,

    /// Serve only clients that show a certificate which leads to one in this PEM file.
    #[arg(long = "tls-client-ca", value_name = "FILE")]
    client_ca: Option<PathBuf>,

    /// Whether that certificate is required, or clients without one are served as well [default: required].
    #[arg(long = "tls-client-certificates", value_name = "WHETHER")]
    client_certificates: Option<ClientCertificates>,
}

/// Whether a client has to show a certificate.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum ClientCertificates {
    Required,
    Optional,
}

/// What the server proves itself with.
#[derive(Debug, PartialEq)]
pub(super) enum Identity {
    /// Certificates and their keys.
    Files(Vec<(PathBuf, PathBuf)>),
    SelfSigned,
}

/// An option by its name in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) enum OptionName {
    Cert,
    Key,
    SelfSigned,
    ClientCa,
    ClientCertificates,
}

/// Where something was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) enum Source {
    Flags,
    File,
}

/// Options that mean nothing together.
#[derive(Debug)]
pub(in crate::serve) struct Contradiction {
    pub(in crate::serve) source: Source,
    /// The one that is wrong without the others, or with them.
    pub(in crate::serve) option: OptionName,
    pub(in crate::serve) message: String,
}

impl OptionName {
    const ALL: [Self; 5] =
        [Self::Cert, Self::Key, Self::SelfSigned, Self::ClientCa, Self::ClientCertificates];

    pub(in crate::serve) fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|option| option.text() == text)
    }

    pub(in crate::serve) const fn text(self) -> &'static str {
        match self {
            Self::Cert => "tls_cert",
            Self::Key => "tls_key",
            Self::SelfSigned => "tls_self_signed",
            Self::ClientCa => "tls_client_ca",
            Self::ClientCertificates => "tls_client_certificates",
        }
    }
}

impl Source {
    /// An option as it is written here.
    fn spell(self, option: OptionName) -> String {
        match self {
            Self::Flags => flag(option.text()),
            Self::File => option.text().to_owned(),
        }
    }
}

impl TlsOptions {
    /// What flags come to over `said`, which a file says. A certificate that a flag gives, or has made, takes the place of
    /// all that are in the file.
    pub(in crate::serve) fn over(&self, said: &Self) -> Result<Option<TlsSettings>, Contradiction> {
        let identity = match self.identity(Source::Flags)? {
            Some(identity) => Some(identity),
            None => said.identity(Source::File)?,
        };
        let roots = first(self.client_ca.as_ref(), said.client_ca.as_ref());
        let certificates = first(self.client_certificates.as_ref(), said.client_certificates.as_ref());
        let needs = |source: Source, option, needed: &str| Contradiction {
            source,
            option,
            message: format!("{} needs {needed}", source.spell(option)),
        };
        let clients = match (roots, certificates) {
            (Some((source, roots)), certificates) => {
                let certificates = certificates.map_or(ClientCertificates::Required, |(_, said)| *said);
                Some((source, Clients { roots: roots.clone(), certificates }))
            }
            (None, Some((source, _))) => {
                let needed = source.spell(OptionName::ClientCa);
                return Err(needs(source, OptionName::ClientCertificates, &needed));
            }
            (None, None) => None,
        };
        match (identity, clients) {
            (Some(identity), clients) => {
                Ok(Some(TlsSettings { identity, clients: clients.map(|(_, clients)| clients) }))
            }
            (None, Some((source, _))) => {
                let [cert, self_signed] =
                    [OptionName::Cert, OptionName::SelfSigned].map(|option| source.spell(option));
                let needed = format!("a certificate for the server: {cert} or {self_signed}");
                Err(needs(source, OptionName::ClientCa, &needed))
            }
            (None, None) => Ok(None),
        }
    }

    /// What the server is to prove itself with, by what is said here.
    fn identity(&self, source: Source) -> Result<Option<Identity>, Contradiction> {
        let [certs, keys] = [&self.cert, &self.key].map(|files| files.as_deref().unwrap_or_default());
        let [cert, key, self_signed] =
            [OptionName::Cert, OptionName::Key, OptionName::SelfSigned].map(|option| source.spell(option));
        let contradiction = |option, message| Err(Contradiction { source, option, message });
        match (certs.len(), keys.len()) {
            (0, 0) => Ok(self.self_signed.unwrap_or_default().then_some(Identity::SelfSigned)),
            (_, 0) => contradiction(OptionName::Cert, format!("{cert} needs {key}")),
            (0, _) => contradiction(OptionName::Key, format!("{key} needs {cert}")),
            _ if self.self_signed == Some(true) => {
                contradiction(OptionName::SelfSigned, format!("{self_signed} goes without {cert}"))
            }
            (certs, keys) if certs != keys => {
                let message =
                    format!("{cert} names {certs} files and {key} {keys}, but each certificate has one key");
                contradiction(OptionName::Key, message)
            }
            _ => {
                let pairs = certs.iter().cloned().zip(keys.iter().cloned());
                Ok(Some(Identity::Files(pairs.collect())))
            }
        }
    }

    /// Takes the next value of a file, which is one for `option`.
    pub(in crate::serve) fn read<'de, A: MapAccess<'de>>(
        &mut self,
        option: OptionName,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let is_repeated = match option {
            OptionName::Cert => put(&mut self.cert, map.next_value::<Files>()?.into()),
            OptionName::Key => put(&mut self.key, map.next_value::<Files>()?.into()),
            OptionName::SelfSigned => put(&mut self.self_signed, map.next_value()?),
            OptionName::ClientCa => put(&mut self.client_ca, map.next_value()?),
            OptionName::ClientCertificates => put(&mut self.client_certificates, map.next_value()?),
        };
        if is_repeated { Err(de::Error::duplicate_field(option.text())) } else { Ok(()) }
    }
}

/// What flags say, or else what the file says.
fn first<T>(flag: Option<T>, said: Option<T>) -> Option<(Source, T)> {
    let flag = flag.map(|flag| (Source::Flags, flag));
    flag.or_else(|| said.map(|said| (Source::File, said)))
}

/// Whether there was one already.
fn put<T>(slot: &mut Option<T>, value: T) -> bool {
    slot.replace(value).is_some()
}

/// A file, or several.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected the name of a file, or a list of them")]
enum Files {
    One(PathBuf),
    Several(Vec<PathBuf>),
}

impl From<Files> for Vec<PathBuf> {
    fn from(files: Files) -> Self {
        match files {
            Files::One(file) => vec![file],
            Files::Several(files) => files,
        }
    }
}
