//! What was typed, kept from one session to the next in a file that only its owner can read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{env, process};

/// Lines that are kept.
pub(super) const MOST_LINES: usize = 1000;
/// Longest line that is kept, in bytes.
const LONGEST_LINE: usize = 16 << 10;

/// The file, one line an entry; newlines within an entry are written as `\n`.
#[derive(Debug)]
pub(super) struct History {
    path: PathBuf,
}

impl History {
    /// The user's own, in the place that the XDG base directories give; none where there is no such place.
    pub(super) fn of_user() -> Option<Self> {
        let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let state = state.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".local/state")))?;
        Some(Self { path: state.join("wharf/connect_history") })
    }

    /// What was kept, the oldest first. Of a file that has grown too long, the oldest entries are given up.
    pub(super) fn load(&self) -> Vec<String> {
        let Ok(text) = self.read() else { return Vec::new() };
        let lines: Vec<_> = text.lines().collect();
        let kept = &lines[lines.len().saturating_sub(MOST_LINES)..];
        if lines.len() > 2 * MOST_LINES {
            // A history that stays too long is no reason not to connect.
            let _ = self.replace(kept);
        }
        kept.iter().map(|line| unescape(line)).collect()
    }

    /// Keeps a line, unless it begins with a blank or is very long.
    ///
    /// # Errors
    /// The system's; the line is not kept.
    pub(super) fn add(&self, line: &str) -> io::Result<()> {
        if !is_kept(line) {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut file = private_file().append(true).create(true).open(&self.path)?;
        // It may have been made by somebody else, with other rights.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        // One write, so that sessions side by side do not mix their lines.
        file.write_all(format!("{}\n", escape(line)).as_bytes())
    }

    fn read(&self) -> io::Result<String> {
        let mut bytes = Vec::new();
        let most = 2 * MOST_LINES * LONGEST_LINE;
        File::open(&self.path)?.take(most as u64).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn replace(&self, lines: &[&str]) -> io::Result<()> {
        let beside = self.path.with_extension(process::id().to_string());
        let written = write_new(&beside, lines).and_then(|()| fs::rename(&beside, &self.path));
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written
    }
}

/// Whether a line belongs into a history: what begins with a blank is not to be kept, as in a shell.
pub(super) fn is_kept(line: &str) -> bool {
    !line.starts_with(char::is_whitespace) && !line.is_empty() && line.len() <= LONGEST_LINE
}

fn write_new(path: &Path, lines: &[&str]) -> io::Result<()> {
    let mut file = private_file().write(true).create_new(true).open(path)?;
    file.write_all(lines.iter().flat_map(|line| [line, "\n"]).collect::<String>().as_bytes())
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

fn escape(line: &str) -> String {
    line.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}

fn unescape(line: &str) -> String {
    let mut characters = line.chars();
    let mut entry = String::with_capacity(line.len());
    while let Some(character) = characters.next() {
        if character != '\\' {
            entry.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => entry.push('\n'),
            Some('r') => entry.push('\r'),
            Some(other) => entry.push(other),
            None => entry.push('\\'),
        }
    }
    entry
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A history in a folder of its own, which goes with it.
    struct Scratch(PathBuf, History);

    impl Scratch {
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let folder = env::temp_dir().join(format!("wharf-history-{}-{number}", process::id()));
            let path = folder.join("state/history");
            Self(folder, History { path })
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn lines_come_back_in_order_newlines_and_backslashes_too() {
        let Scratch(_, history) = &Scratch::new();
        assert!(history.load().is_empty());
        let lines = ["one", "two\nlines", r"back\slash \n", "  ", "ü"];
        for line in lines {
            history.add(line).unwrap();
        }
        assert_eq!(history.load(), ["one", "two\nlines", r"back\slash \n", "ü"]);
    }

    #[test]
    fn only_its_owner_can_read_it() {
        let Scratch(_, history) = &Scratch::new();
        history.add("secret").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&history.path), 0o600);
        assert_eq!(mode(history.path.parent().unwrap()), 0o700);
        fs::set_permissions(&history.path, fs::Permissions::from_mode(0o644)).unwrap();
        history.add("another").unwrap();
        assert_eq!(mode(&history.path), 0o600);
    }

    #[test]
    fn the_oldest_lines_go_when_there_are_too_many() {
        let Scratch(_, history) = &Scratch::new();
        history.add("first").unwrap();
        let lines: Vec<_> = (0..=2 * MOST_LINES).map(|number| number.to_string()).collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        history.replace(&lines).unwrap();
        assert_eq!(history.load().len(), MOST_LINES);
        let kept = fs::read_to_string(&history.path).unwrap();
        assert_eq!(kept.lines().count(), MOST_LINES);
        assert!(kept.ends_with("\n1999\n2000\n"), "{}", &kept[kept.len() - 20..]);
    }
}
