//! The server's end: which certificates it proves itself with, and how they are replaced while it serves.

mod builder;
mod by_name;
mod reload;
mod sources;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls;

use super::TlsError;
pub use builder::ServerTlsBuilder;
use reload::{Configs, Current, watch};

/// How an [`HttpServer`](crate::HttpServer) proves who it is: what makes it one of `https://` and `wss://`
/// (RFC 6455 §10.6). TLS 1.2 and 1.3.
///
/// It is a cheap clone, and all clones are the same: what [`reload`](Self::reload) reads anew, every server that it was
/// given to shows from then on.
///
/// ```no_run
/// use wharf::{HttpServer, ServerTls};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = ServerTls::from_pem_files("fullchain.pem", "privkey.pem")?;
/// let https = HttpServer::builder().tls(tls).bind("[::]:443").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ServerTls {
    current: Arc<Current>,
}

impl ServerTls {
    /// A certificate, with those that lead from it towards a root behind it, and its private key, all in PEM: what
    /// certbot calls `fullchain.pem` and `privkey.pem`. Short for [`ServerTlsBuilder::certificate`] alone.
    ///
    /// # Errors
    /// [`TlsError`]: no PEM, nothing in it, or a key that is not the certificate's.
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        Self::builder().certificate(chain, key).build()
    }

    /// The same from files, which [`reload`](Self::reload) reads again. Short for [`ServerTlsBuilder::certificate_files`]
    /// alone.
    ///
    /// # Errors
    /// As for [`ServerTlsBuilder::build`].
    pub fn from_pem_files(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        Self::builder().certificate_files(chain, key).build()
    }

    /// Several certificates, certificates of clients: options first, then [`ServerTlsBuilder::build`].
    pub fn builder() -> ServerTlsBuilder {
        ServerTlsBuilder::default()
    }

    /// Reads the files again: certificates, keys, and the roots of clients. Handshakes from now on see what is in them;
    /// connections that are open are not touched, and stay open. TLS sessions from before are not resumed: their clients make a
    /// full handshake, and prove themselves again where they have to.
    ///
    /// All of the files count, or none does: whatever is wrong with any of them, everything stays as it was. A certificate
    /// that has expired is not wrong. What was given as bytes stays as it is, and so does a configuration of rustls' own;
    /// where there is nothing else, nothing happens.
    ///
    /// Reads files on the thread that calls it, which takes a while where the disk is slow.
    ///
    /// # Errors
    /// [`TlsError`]: which file it is and what is wrong with it.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.reload()
    }

    /// Looks at the files every `period`, [reloads](Self::reload) when they have changed, and tells the outcome: `Ok` where the
    /// new ones are served, an error where those before still are. After an error it tries again when the files change
    /// again. Files that [`reload`](Self::reload) has read are not read once more by this.
    ///
    /// It compares what is in the files, so that every way to replace one counts: written anew, renamed over, or a symbolic
    /// link that is pointed elsewhere, as certbot and Kubernetes do. A change is taken up when the files stand still
    /// from one look to the next, one to two periods after it: certificate and key are two files, and between the writing of the one
    /// and of the other they do not belong together.
    ///
    /// The future does the work, and may be spawned. It ends when it is dropped, or within a period after the last
    /// [`ServerTls`] is, those of the servers that listen included; at once where there is no file. Files are read on the
    /// runtime's threads for blocking work. A `period` below 10 ms counts as 10 ms.
    ///
    /// Cancel safe: dropped, nothing is looked at any more. A reload that is under way takes place all the same, and its outcome
    /// is not told.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use wharf::ServerTls;
    ///
    /// # fn run() -> Result<(), wharf::TlsError> {
    /// let tls = ServerTls::from_pem_files("fullchain.pem", "privkey.pem")?;
    /// tokio::spawn(tls.reload_on_change(Duration::from_secs(60), |outcome| match outcome {
    ///     Ok(()) => eprintln!("a new certificate is served"),
    ///     Err(error) => eprintln!("the certificate stays as it is: {error}"),
    /// }));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "it works while it is polled"]
    pub fn reload_on_change<F>(&self, period: Duration, told: F) -> impl Future<Output = ()> + Send + use<F>
    where
        F: FnMut(Result<(), TlsError>) + Send,
    {
        watch(Arc::downgrade(&self.current), period, told)
    }

    /// What a handshake that begins now goes by. Without `http2`, no client is told that HTTP/2 is spoken.
    pub(crate) fn config(&self, http2: bool) -> Arc<rustls::ServerConfig> {
        self.current.config(http2)
    }
}

impl From<rustls::ServerConfig> for ServerTls {
    fn from(config: rustls::ServerConfig) -> Self {
        Arc::new(config).into()
    }
}

/// A configuration of rustls' own, taken as it is: another provider, another way to choose certificates or to verify
/// clients. Where it names protocols (ALPN, RFC 7301), `http/1.1` has to be among them; `h2` is left out by a server that
/// does not speak it.
impl From<Arc<rustls::ServerConfig>> for ServerTls {
    fn from(config: Arc<rustls::ServerConfig>) -> Self {
        Self { current: Arc::new(Current::fixed(Configs::of(config))) }
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> ServerTlsBuilder {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        ServerTls::builder().certificate(made.cert.pem(), made.signing_key.serialize_pem())
    }

    /// What is told of protocols where HTTP/2 is spoken, and where it is not.
    fn protocols(tls: &ServerTls) -> [Vec<String>; 2] {
        [true, false].map(|http2| {
            let protocols = &tls.config(http2).alpn_protocols;
            protocols.iter().map(|protocol| String::from_utf8_lossy(protocol).into_owned()).collect()
        })
    }

    #[test]
    fn http_2_is_told_where_it_is_spoken_and_allowed() {
        // RFC 7301
        let both = ["h2".to_owned(), "http/1.1".to_owned()];
        let one = ["http/1.1".to_owned()];
        assert_eq!(protocols(&builder().build().unwrap()), [&both[..], &one]);
        assert_eq!(protocols(&builder().http2(false).build().unwrap()), [&one, &one]);
    }

    #[test]
    fn a_configuration_of_rustls_own_is_taken_as_it_is_where_http_2_is_spoken() {
        let mut config = rustls::ServerConfig::clone(&builder().build().unwrap().config(true));
        config.alpn_protocols = vec![b"h2".to_vec(), b"x".to_vec()];
        let config = Arc::new(config);
        let tls = ServerTls::from(config.clone());
        assert!(Arc::ptr_eq(&tls.config(true), &config));
        assert_eq!(protocols(&tls), [&["h2".to_owned(), "x".to_owned()][..], &["x".to_owned()]]);
        assert!(tls.reload().is_ok());
        assert!(Arc::ptr_eq(&tls.config(true), &config));
    }

    #[test]
    fn configurations_are_made_when_they_are_read_and_not_for_each_connection() {
        let tls = builder().build().unwrap();
        for http2 in [true, false] {
            assert!(Arc::ptr_eq(&tls.config(http2), &tls.clone().config(http2)));
        }
    }
}
