//! Who a broker is to the server.

use std::path::PathBuf;

use async_nats::{Auth, AuthError, ServerAddr};
use nkeys::KeyPair;
use percent_encoding::percent_decode_str;

/// What the server is told.
#[derive(Clone)]
pub(super) enum Credentials {
    None,
    Password { user: String, password: String },
    Token(String),
    File(PathBuf),
}

/// A line that begins with so many dashes is not content of a credentials file.
const FRAME: &str = "---";

impl Credentials {
    /// What the server is told, which wants this nonce signed by those who have a key.
    pub(super) fn answer(&self, server: &ServerAddr, nonce: &[u8]) -> Result<Auth, AuthError> {
        let mut auth = Auth::new();
        match self {
            Self::None => {
                let decoded = |text: Option<&str>| {
                    text.map(|text| percent_decode_str(text).decode_utf8_lossy().into_owned())
                };
                (auth.username, auth.password) = (decoded(server.username()), decoded(server.password()));
            }
            Self::Password { user, password } => {
                (auth.username, auth.password) = (Some(user.clone()), Some(password.clone()));
            }
            Self::Token(token) => auth.token = Some(token.clone()),
            Self::File(path) => {
                // A small file, read once a connection.
                let file = std::fs::read_to_string(path)
                    .map_err(|error| AuthError::new(format!("{} cannot be read: {error}", path.display())))?;
                let (jwt, seed) = read_file(&file).ok_or_else(|| {
                    AuthError::new(format!("{} has no JWT and seed of a key", path.display()))
                })?;
                let key = KeyPair::from_seed(seed).map_err(AuthError::new)?;
                auth.jwt = Some(jwt.to_owned());
                auth.signature = Some(key.sign(nonce).map_err(AuthError::new)?);
            }
        }
        Ok(auth)
    }
}

/// The JWT and the seed of a credentials file: what lies between its first two pairs of lines of dashes.
fn read_file(file: &str) -> Option<(&str, &str)> {
    let mut contents =
        file.lines().map(str::trim).zip(file.lines().skip(1).map(str::trim)).filter_map(|(before, line)| {
            let is_content = before.starts_with(FRAME)
                && before.contains("BEGIN")
                && !line.is_empty()
                && !line.starts_with(FRAME);
            is_content.then_some(line)
        });
    Some((contents.next()?, contents.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "-----BEGIN NATS USER JWT-----\neyJ0.a-b_c\n------END NATS USER JWT------\n\n\
        ************************* IMPORTANT *************************\nNKEY Seed printed below.\n\n\
        -----BEGIN USER NKEY SEED-----\r\nSUAI\r\n------END USER NKEY SEED------\n";

    #[test]
    fn a_credentials_file_has_a_jwt_and_a_seed() {
        assert_eq!(read_file(FILE), Some(("eyJ0.a-b_c", "SUAI")));
        assert_eq!(read_file("-----BEGIN NATS USER JWT-----\na\n------END NATS USER JWT------\n"), None);
        assert_eq!(read_file(""), None);
    }

    #[test]
    fn a_url_may_have_a_password_and_options_go_before_it() {
        let server: ServerAddr = "nats://us%40er:p%2Bw@a".parse().unwrap();
        let auth = Credentials::None.answer(&server, b"").unwrap();
        assert_eq!((auth.username.as_deref(), auth.password.as_deref()), (Some("us@er"), Some("p+w")));
        let token = Credentials::Token("t".to_owned()).answer(&server, b"").unwrap();
        assert_eq!((token.username, token.token.as_deref()), (None, Some("t")));
    }
}
