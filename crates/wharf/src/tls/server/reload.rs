//! What new handshakes go by, replaced while they go on.

use std::hash::RandomState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_rustls::rustls;

use super::sources::{Contents, Sources};
use crate::tls::{HTTP_2, TlsError};

/// The configuration of the day. One for all that clone it.
pub(super) struct Current {
    /// Read for each handshake, written by a reload: nobody holds it for longer than it takes to copy a pointer.
    configs: RwLock<Configs>,
    /// Where it came from; `None` where it came as it is.
    origin: Option<Origin>,
}

struct Origin {
    sources: Sources,
    hasher: RandomState,
    /// The fingerprint of the contents that were last tried, whether or not they could be used. Held while they are read and
    /// tried: of two who reload at the same time, the one who is first is not to win with what it read before.
    tried: Mutex<u64>,
}

/// One configuration, as those who speak HTTP/2 have it and as those who do not. Apart from what they tell of that they are
/// the same, sessions that can be resumed included.
#[derive(Clone)]
pub(super) struct Configs {
    http_2: Arc<rustls::ServerConfig>,
    http_1: Arc<rustls::ServerConfig>,
}

impl Configs {
    pub(super) fn of(config: Arc<rustls::ServerConfig>) -> Self {
        let is_http_2 = |protocol: &Vec<u8>| protocol == HTTP_2;
        if !config.alpn_protocols.iter().any(is_http_2) {
            return Self { http_1: config.clone(), http_2: config };
        }
        let mut http_1 = rustls::ServerConfig::clone(&config);
        http_1.alpn_protocols.retain(|protocol| !is_http_2(protocol));
        Self { http_1: Arc::new(http_1), http_2: config }
    }
}

impl Current {
    pub(super) const fn fixed(configs: Configs) -> Self {
        Self { configs: RwLock::new(configs), origin: None }
    }

    pub(super) fn read(sources: Sources) -> Result<Self, TlsError> {
        let hasher = RandomState::new();
        let contents = sources.read();
        let tried = Mutex::new(contents.fingerprint(&hasher));
        let configs = RwLock::new(Configs::of(Arc::new(contents.config()?)));
        Ok(Self { configs, origin: Some(Origin { sources, hasher, tried }) })
    }

    pub(super) fn config(&self, http2: bool) -> Arc<rustls::ServerConfig> {
        let configs = self.configs.read().unwrap_or_else(PoisonError::into_inner);
        if http2 { configs.http_2.clone() } else { configs.http_1.clone() }
    }

    pub(super) fn reload(&self) -> Result<(), TlsError> {
        let Some(origin) = self.files() else { return Ok(()) };
        let mut tried = origin.tried();
        let contents = origin.sources.read();
        *tried = contents.fingerprint(&origin.hasher);
        self.take(contents)
    }

    /// Looks at the files once, of which the fingerprint was `seen` the last time: the fingerprint now, and what became of a
    /// reload if there was one.
    fn look(&self, seen: Option<u64>) -> (Option<u64>, Option<Result<(), TlsError>>) {
        let Some(origin) = self.files() else { return (None, None) };
        let mut tried = origin.tried();
        let contents = origin.sources.read();
        let now = contents.fingerprint(&origin.hasher);
        // Read twice the same: a pair of which one half is written, or a file that is half written, is on its way to be
        // something else. Times and lengths of files would tell less: both can be the same after a change, and a link
        // that is pointed elsewhere has neither.
        if now == *tried || Some(now) != seen {
            return (Some(now), None);
        }
        *tried = now;
        (Some(now), Some(self.take(contents)))
    }

    fn take(&self, contents: Contents<'_>) -> Result<(), TlsError> {
        // All anew, sessions that could be resumed among it: they were begun under what may no longer be believed.
        let configs = Configs::of(Arc::new(contents.config()?));
        *self.configs.write().unwrap_or_else(PoisonError::into_inner) = configs;
        Ok(())
    }

    fn files(&self) -> Option<&Origin> {
        self.origin.as_ref().filter(|origin| origin.sources.has_files())
    }
}

impl Origin {
    fn tried(&self) -> MutexGuard<'_, u64> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at the files again and again, as long as anybody else holds what they are for.
pub(super) async fn watch(
    current: Weak<Current>,
    period: Duration,
    mut told: impl FnMut(Result<(), TlsError>) + Send,
) {
    let period = period.max(SHORTEST_PERIOD);
    let mut seen = None;
    while current.upgrade().is_some_and(|current| current.files().is_some()) {
        sleep(period).await;
        let Some(current) = current.upgrade() else { return };
        // Fails where the runtime ends.
        let Ok((now, outcome)) = spawn_blocking(move || current.look(seen)).await else { return };
        seen = now;
        outcome.into_iter().for_each(&mut told);
    }
}

/// Less would keep a thread busy with nothing else.
const SHORTEST_PERIOD: Duration = Duration::from_millis(10);
