//! Certificates that are replaced while they are served.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_rustls::rustls::pki_types::CertificateDer;
use wharf::{ServerTls, TlsError};

use crate::certificates::{Authority, Identity};
use crate::support::within;
use crate::{Files, Site, client, directory_of, echoes, server_of};

#[tokio::test]
async fn a_certificate_is_replaced_under_a_thousand_connections_and_none_of_them_drops() {
    const COUNT: usize = 1000;
    allow_files(2 * COUNT as u64 + 200);
    let authority = Authority::new();
    let (before, after) = (authority.of(&["localhost"]), authority.of(&["localhost"]));
    let files = Files::with("thousand", &before);
    let tls = files.server();
    let site = Site::open(tls.clone()).await;
    let client = client(authority.client());
    let mut connections = Vec::new();
    while connections.len() < COUNT {
        let mut opening = JoinSet::new();
        for _ in 0..50 {
            let (client, url) = (client.clone(), site.url());
            opening.spawn(async move { within(client.connect(url)).await.unwrap() });
        }
        connections.extend(opening.join_all().await);
    }
    assert_eq!(site.server.connection_count(), COUNT);
    assert!(site.shown_to(Some("localhost")).await == before.der());

    files.replace(&after);
    tls.reload().unwrap();
    assert!(site.shown_to(Some("localhost")).await == after.der());
    for connection in &connections {
        echoes(connection, "still here").await;
    }
    assert_eq!(site.server.connection_count(), COUNT);
    let connection = within(client.connect(site.url())).await.unwrap();
    echoes(&connection, "the next").await;
}

/// Lets this process have as many files open as the test needs: both ends of each connection, more than shells often allow.
fn allow_files(count: u64) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert!(hard >= count, "the test needs {count} open files, and may have {hard}: `ulimit -Hn` says so");
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(count), hard).unwrap();
}

#[tokio::test]
async fn a_broken_certificate_keeps_the_one_before_and_says_why() {
    let authority = Authority::new();
    let (before, after) = (authority.of(&["localhost"]), authority.of(&["localhost"]));
    let files = Files::with("broken", &before);
    let clone = files.server();
    let site = Site::open(clone.clone()).await;
    fs::write(&files.key, &after.key).unwrap();
    let error = clone.reload().unwrap_err();
    let TlsError::KeyMismatch { chain, key } = &error else { panic!("{error:?}") };
    assert_eq!((chain, key), (&files.chain, &files.key));
    assert!(site.shown_to(None).await == before.der());

    fs::remove_file(&files.chain).unwrap();
    assert!(matches!(clone.reload(), Err(TlsError::Read { path, .. }) if path == files.chain));
    assert!(site.shown_to(None).await == before.der());

    files.replace(&after);
    clone.reload().unwrap();
    assert!(site.shown_to(None).await == after.der());
}

#[tokio::test]
async fn a_certificate_that_has_expired_can_be_reloaded() {
    let authority = Authority::new();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let expired = authority.with(&params, &rcgen::PKCS_ECDSA_P256_SHA256);
    let files = Files::with("expired", &authority.of(&["localhost"]));
    let tls = files.server();
    let site = Site::open(tls.clone()).await;
    files.replace(&expired);
    tls.reload().unwrap();
    assert!(site.shown_to(None).await == expired.der());
}

#[tokio::test]
async fn what_was_given_as_bytes_stays_as_it_is() {
    let identity = Authority::new().of(&["localhost"]);
    let tls = server_of(&[&identity]);
    let site = Site::open(tls.clone()).await;
    tls.reload().unwrap();
    assert!(site.shown_to(None).await == identity.der());
}

/// How long the files are left alone in these tests.
const PERIOD: Duration = Duration::from_secs(10);

/// Files that are watched, in time that stands still while anything is done.
struct Watched {
    files: Files,
    tls: ServerTls,
    told: mpsc::UnboundedReceiver<Result<(), TlsError>>,
}

impl Watched {
    /// Files in a directory of this name, and what they are to be replaced with. From now on it is always half a period after
    /// a look.
    async fn with(directory: &str) -> (Self, Identity) {
        let authority = Authority::new();
        let files = Files::with(directory, &authority.of(&["localhost"]));
        (Self::of(files).await, authority.of(&["localhost"]))
    }

    async fn of(files: Files) -> Self {
        let tls = files.server();
        let (tell, told) = mpsc::unbounded_channel();
        tokio::spawn(tls.reload_on_change(PERIOD, move |outcome| tell.send(outcome).unwrap()));
        sleep(PERIOD * 3 / 2).await;
        Self { files, tls, told }
    }

    /// What is told of the next so many looks.
    async fn looks(&mut self, count: u32) -> Vec<Result<(), TlsError>> {
        sleep(PERIOD * count).await;
        std::iter::from_fn(|| self.told.try_recv().ok()).collect()
    }

    /// The certificate that is served. Time goes on, for sockets are in it.
    async fn served(self) -> CertificateDer<'static> {
        tokio::time::resume();
        Site::open(self.tls).await.shown_to(None).await
    }
}

#[tokio::test(start_paused = true)]
async fn files_that_change_are_reloaded_and_that_is_told_once() {
    let (mut watched, after) = Watched::with("changing").await;
    assert!(watched.looks(5).await.is_empty());
    watched.files.replace(&after);
    assert!(watched.looks(1).await.is_empty(), "they may be half written");
    assert!(matches!(watched.looks(1).await[..], [Ok(())]));
    assert!(watched.looks(5).await.is_empty());
    assert!(watched.served().await == after.der());
}

#[tokio::test(start_paused = true)]
async fn a_pair_of_which_one_half_is_written_later_is_no_failure() {
    let (mut watched, after) = Watched::with("half").await;
    fs::write(&watched.files.chain, &after.chain).unwrap();
    assert!(watched.looks(1).await.is_empty());
    fs::write(&watched.files.key, &after.key).unwrap();
    assert!(watched.looks(1).await.is_empty());
    assert!(matches!(watched.looks(1).await[..], [Ok(())]));
    assert!(watched.served().await == after.der());
}

#[tokio::test(start_paused = true)]
async fn files_that_change_to_what_is_broken_are_told_once_and_tried_again_when_they_change_again() {
    let (mut watched, after) = Watched::with("broken_change").await;
    fs::remove_file(&watched.files.key).unwrap();
    let told = watched.looks(2).await;
    assert!(
        matches!(&told[..], [Err(TlsError::Read { path, .. })] if *path == watched.files.key),
        "{told:?}"
    );
    fs::write(&watched.files.key, "nothing").unwrap();
    let told = watched.looks(2).await;
    let [Err(error @ TlsError::File { path, source })] = &told[..] else { panic!("{told:?}") };
    assert!(matches!(**source, TlsError::NoPrivateKey), "{error}");
    assert_eq!(*path, watched.files.key);
    assert!(watched.looks(5).await.is_empty());
    watched.files.replace(&after);
    assert!(matches!(watched.looks(2).await[..], [Ok(())]));
    assert!(watched.served().await == after.der());
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_link_that_is_pointed_elsewhere_is_a_change() {
    use std::os::unix::fs::symlink;

    // As Kubernetes has it: links to files behind a link to the directory of the day.
    let authority = Authority::new();
    let (before, after) = (authority.of(&["localhost"]), authority.of(&["localhost"]));
    let directory = directory_of("link");
    for (day, identity) in [("monday", &before), ("tuesday", &after)] {
        fs::create_dir(directory.join(day)).unwrap();
        fs::write(directory.join(day).join("chain.pem"), &identity.chain).unwrap();
        fs::write(directory.join(day).join("key.pem"), &identity.key).unwrap();
    }
    symlink("monday", directory.join("today")).unwrap();
    let files = Files { chain: directory.join("chain.pem"), key: directory.join("key.pem") };
    symlink("today/chain.pem", &files.chain).unwrap();
    symlink("today/key.pem", &files.key).unwrap();
    let mut watched = Watched::of(files).await;

    symlink("tuesday", directory.join("next")).unwrap();
    fs::rename(directory.join("next"), directory.join("today")).unwrap();
    assert!(matches!(watched.looks(2).await[..], [Ok(())]));
    assert!(watched.served().await == after.der());
}

#[tokio::test(start_paused = true)]
async fn what_a_reload_by_hand_has_read_is_not_told_as_a_change() {
    let (mut watched, after) = Watched::with("by_hand").await;
    watched.files.replace(&after);
    watched.tls.reload().unwrap();
    assert!(watched.looks(5).await.is_empty());
    fs::write(&watched.files.key, "nothing").unwrap();
    watched.tls.reload().unwrap_err();
    assert!(watched.looks(5).await.is_empty());
    assert!(watched.served().await == after.der());
}

#[tokio::test(start_paused = true)]
async fn the_watching_ends_with_the_last_who_holds_what_it_is_for() {
    let identity = Authority::new().of(&["localhost"]);
    let files = Files::with("ending", &identity);
    let tls = files.server();
    let clone = tls.clone();
    let mut watching = tokio::spawn(tls.reload_on_change(PERIOD, |outcome| outcome.unwrap()));
    drop(tls);
    assert!(tokio::time::timeout(PERIOD * 10, &mut watching).await.is_err(), "a clone is there");
    let dropped = Instant::now();
    drop(clone);
    watching.await.unwrap();
    assert!(dropped.elapsed() <= PERIOD, "{:?}", dropped.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_watched_where_there_is_no_file() {
    let tls = server_of(&[&Authority::new().of(&["localhost"])]);
    let started = Instant::now();
    tls.reload_on_change(PERIOD, |outcome| outcome.unwrap()).await;
    assert_eq!(started.elapsed(), Duration::ZERO);
}
