//! What must not be seen.

use std::fmt;
use std::fs;
use std::path::Path;

/// A token or a key, which no log, error or debug output shows.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What is in a file, without the white space around it.
    ///
    /// # Errors
    /// In one line, what is wrong with the file: it is absent, not text, or too short to be a secret.
    pub(super) fn read(path: &Path, least: usize) -> Result<Self, String> {
        let shown = path.display();
        let text = fs::read_to_string(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
        let text = text.trim();
        if text.len() < least {
            return Err(format!("{shown}: a secret has at least {least} bytes, this one has {}", text.len()));
        }
        Ok(Self::new(text))
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
