//! Bearer tokens that the configuration names.

use std::fmt;

use ring::hmac;
use ring::rand::SystemRandom;

use super::options::TokenOptions;
use super::permissions::{Grant, Name, Permissions};
use crate::serve::secret::Secret;

/// All of them, as hashes under a key of this process, so that comparing takes the same time for every token that is wrong.
pub(super) struct Tokens {
    key: hmac::Key,
    tokens: Vec<(hmac::Tag, Grant)>,
}

/// Fewer bytes could be guessed.
const LEAST_TOKEN: usize = 16;

impl Tokens {
    /// Reads the tokens' files.
    ///
    /// # Errors
    /// In one line, what is wrong with which.
    pub(super) fn read(options: &[TokenOptions]) -> Result<Self, String> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| "the system gives no random numbers".to_owned())?;
        let mut tokens = Vec::new();
        for TokenOptions { token_file, name, subscribe, publish, presence } in options {
            let token = Secret::read(token_file, LEAST_TOKEN)?;
            let permissions = Permissions {
                subscribe: subscribe.clone(),
                publish: publish.clone(),
                presence: presence.clone(),
            };
            let name = name.clone().map_or(Name::Nameless, Name::Fixed);
            let tag = hmac::sign(&key, token.reveal().as_bytes());
            tokens.push((tag, Grant { permissions, name, expires: None }));
        }
        Ok(Self { key, tokens })
    }

    /// What the holder of this token may do, if it is one of them.
    pub(super) fn find(&self, token: &Secret) -> Option<Grant> {
        let is_it =
            |tag: &hmac::Tag| hmac::verify(&self.key, token.reveal().as_bytes(), tag.as_ref()).is_ok();
        // All are looked at, so that time does not tell which it was.
        let mut found = None;
        for (tag, grant) in &self.tokens {
            if is_it(tag) {
                found = Some(grant);
            }
        }
        found.cloned()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("count", &self.tokens.len()).finish_non_exhaustive()
    }
}
