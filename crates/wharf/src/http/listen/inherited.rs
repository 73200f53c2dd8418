//! Sockets that were passed to this process as it was started: the protocol of `sd_listen_fds(3)`.

use std::env::{self, VarError};
use std::io;

use listenfd::ListenFd;
use socket2::SockRef;

use super::Listener;

/// Those for this process. They are taken out of the environment.
pub(super) fn inherited() -> io::Result<Vec<Listener>> {
    check_count(env::var("LISTEN_FDS"))?;
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut passed = ListenFd::from_env();
    named(&names, passed.len()).map(|(index, name)| take(&mut passed, index, name)).collect()
}

/// Of a number that means nothing nobody would hear otherwise, and a huge one would be believed.
fn check_count(listen_fds: Result<String, VarError>) -> io::Result<()> {
    let text = match listen_fds {
        Ok(text) => text,
        Err(VarError::NotPresent) => return Ok(()),
        Err(VarError::NotUnicode(text)) => text.to_string_lossy().into_owned(),
    };
    match text.parse::<usize>() {
        Ok(count) if count <= MOST_SOCKETS => Ok(()),
        _ => Err(invalid(format!("LISTEN_FDS is {text:?}, but must be a number from 0 to {MOST_SOCKETS}"))),
    }
}

/// So many indices, each with the name that stands at its place.
fn named(names: &str, count: usize) -> impl Iterator<Item = (usize, Option<String>)> {
    let names = names.split(':').map(|name| (!name.is_empty()).then(|| name.to_owned()));
    (0..count).zip(names.chain(std::iter::repeat(None)))
}

fn take(passed: &mut ListenFd, index: usize, name: Option<String>) -> io::Result<Listener> {
    // One that is of another kind is left where it is.
    if let Ok(Some(listener)) = passed.take_tcp_listener(index)
        && listens(&SockRef::from(&listener))
    {
        return Ok(Listener { name, ..listener.into() });
    }
    if let Ok(Some(listener)) = passed.take_unix_listener(index)
        && listens(&SockRef::from(&listener))
    {
        return Ok(Listener { name, ..listener.into() });
    }
    let name = name.map(|name| format!(" ({name:?})")).unwrap_or_default();
    let number = index + 1;
    Err(invalid(format!(
        "number {number}{name} of the sockets in LISTEN_FDS is none of TCP or Unix that listens"
    )))
}

/// One that does not would fail whenever a connection is to be taken from it.
#[cfg(any(target_os = "android", target_os = "freebsd", target_os = "linux"))]
fn listens(socket: &SockRef<'_>) -> bool {
    socket.is_listener().unwrap_or(false)
}

#[cfg(not(any(target_os = "android", target_os = "freebsd", target_os = "linux")))]
fn listens(_: &SockRef<'_>) -> bool {
    true
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

/// Far more than anybody passes, far less than a typing error may.
const MOST_SOCKETS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_means_nothing_is_an_error_and_none_at_all_is_not() {
        assert!(check_count(Err(VarError::NotPresent)).is_ok());
        for good in ["0", "1", "1024"] {
            assert!(check_count(Ok(good.to_owned())).is_ok());
        }
        for bad in ["", "one", "-1", "1025", "99999999999999999999"] {
            let error = check_count(Ok(bad.to_owned())).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(
                error.to_string(),
                format!("LISTEN_FDS is {bad:?}, but must be a number from 0 to 1024")
            );
        }
    }

    #[test]
    fn a_name_belongs_to_the_socket_at_its_place_and_there_may_be_fewer() {
        let names = |names, count| named(names, count).map(|(_, name)| name).collect::<Vec<_>>();
        assert_eq!(names("web:local", 2), [Some("web".to_owned()), Some("local".to_owned())]);
        assert_eq!(names("web", 2), [Some("web".to_owned()), None]);
        assert_eq!(names(":local", 2), [None, Some("local".to_owned())]);
        assert_eq!(names("", 1), [None]);
        assert_eq!(names("web:local", 1), [Some("web".to_owned())]);
    }
}
