//! The options of a server's TLS.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::ServerTls;
use super::reload::Current;
use super::sources::{Certificate, Clients, Source, Sources};
use crate::tls::TlsError;

/// The options of a [`ServerTls`].
///
/// ```no_run
/// use wharf::ServerTls;
///
/// # fn run() -> Result<(), wharf::TlsError> {
/// let tls = ServerTls::builder()
///     .certificate_files("example.com/fullchain.pem", "example.com/privkey.pem")
///     .certificate_files("example.org/fullchain.pem", "example.org/privkey.pem")
///     .optional_client_certificates_file("clients.pem")
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "it is a ServerTls once it is built"]
pub struct ServerTlsBuilder {
    sources: Sources,
}

impl Default for ServerTlsBuilder {
    fn default() -> Self {
        Self { sources: Sources { certificates: Vec::new(), clients: None, http2: true } }
    }
}

impl ServerTlsBuilder {
    /// A certificate, with those that lead from it towards a root behind it, and its private key, in PEM. May be called
    /// several times, with [`certificate_files`](Self::certificate_files) as well; one is needed.
    ///
    /// Of several, the name that a client asks for (Server Name Indication, RFC 6066 §3) decides: the one with exactly that name among
    /// its own (`subjectAltName`), or else with a wildcard in place of its first label (RFC 9525 §6.3). Among those
    /// that fit, the first whose kind of key the client can verify. The first of all answers where no name was sent or none
    /// fits: clients that name it will not believe it, and a client that names nobody has to be shown something.
    pub fn certificate(mut self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.sources.certificates.push(Certificate { chain: Source::pem(chain), key: Source::pem(key) });
        self
    }

    /// The same from files, which are read by [`build`](Self::build), and again by [`ServerTls::reload`].
    pub fn certificate_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let (chain, key) = (Source::File(chain.into()), Source::File(key.into()));
        self.sources.certificates.push(Certificate { chain, key });
        self
    }

    /// Asks clients for a certificate, and serves only those whose certificate leads to one of these roots, given in PEM (mutual
    /// TLS, RFC 8446 §4.3.2). Default: no client is asked.
    ///
    /// All others, and those without one, fail in the TLS handshake, in TLS 1.3 when they first read. Who the client is,
    /// [`Request::client_certificate`](crate::Request::client_certificate) tells. Of this method and its three siblings, the last that was called counts.
    pub fn client_certificates(self, roots: impl AsRef<[u8]>) -> Self {
        self.clients(Source::pem(roots), false)
    }

    /// The same, with roots from a file, which is read by [`build`](Self::build), and again by [`ServerTls::reload`].
    pub fn client_certificates_file(self, roots: impl Into<PathBuf>) -> Self {
        self.clients(Source::File(roots.into()), false)
    }

    /// Asks clients for a certificate, and serves those without one as well: what they may do is up to the application.
    ///
    /// A certificate that does not lead to one of these roots, given in PEM, still fails in the TLS handshake.
    pub fn optional_client_certificates(self, roots: impl AsRef<[u8]>) -> Self {
        self.clients(Source::pem(roots), true)
    }

    /// The same, with roots from a file, which is read by [`build`](Self::build), and again by [`ServerTls::reload`].
    pub fn optional_client_certificates_file(self, roots: impl Into<PathBuf>) -> Self {
        self.clients(Source::File(roots.into()), true)
    }

    /// Whether clients that can speak HTTP/2 are told that it is spoken here (`h2` in ALPN, RFC 7301, RFC 9113 §3.2). Default true;
    /// otherwise they are told `http/1.1` alone.
    ///
    /// A server that does not speak it ([`HttpServerBuilder::http2`](crate::HttpServerBuilder::http2)) never says so.
    pub const fn http2(mut self, allowed: bool) -> Self {
        self.sources.http2 = allowed;
        self
    }

    /// Reads the files, on the thread that calls it, and checks all.
    ///
    /// # Errors
    /// [`TlsError`]: no certificate was given, a file cannot be read, has no PEM or nothing in it that is looked for, or a
    /// key is not its certificate's. It names the file. A certificate that has expired is no error.
    pub fn build(self) -> Result<ServerTls, TlsError> {
        Ok(ServerTls { current: Arc::new(Current::read(self.sources)?) })
    }

    fn clients(mut self, roots: Source, may_be_unknown: bool) -> Self {
        self.sources.clients = Some(Clients { roots, may_be_unknown });
        self
    }
}

/// Without keys.
impl fmt::Debug for ServerTlsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sources { certificates, clients, http2 } = &self.sources;
        f.debug_struct("ServerTlsBuilder")
            .field("certificates", &certificates.len())
            .field("asks_clients", &clients.is_some())
            .field("http2", http2)
            .finish_non_exhaustive()
    }
}
