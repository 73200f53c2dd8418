//! A nats-server of our own.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

/// A nats-server on a free port, which ends with this.
pub(crate) struct NatsServer {
    child: Child,
    /// Where it says on which port it listens.
    directory: PathBuf,
    url: String,
}

/// How long it may take to listen.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

impl NatsServer {
    pub(crate) fn start() -> Result<Self, Box<dyn Error>> {
        let directory = env::temp_dir().join(format!("wharf-nats-{}", process::id()));
        fs::create_dir_all(&directory)?;
        let child = Command::new("nats-server")
            .args(["--addr", "127.0.0.1", "--port", "-1", "--ports_file_dir"])
            .arg(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!("nats-server: {error}; to get it, run: apt-get install -y nats-server")
            })?;
        let mut server = Self { child, directory, url: String::new() };
        let began = Instant::now();
        while server.url.is_empty() {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("nats-server ended with {status}").into());
            }
            if began.elapsed() > LONGEST_WAIT {
                return Err("nats-server does not listen".into());
            }
            thread::sleep(Duration::from_millis(5));
            server.url = url_of(&server.directory)?.unwrap_or_default();
        }
        Ok(server)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// The first URL of the only file there, once it is written.
fn url_of(directory: &Path) -> Result<Option<String>, Box<dyn Error>> {
    let Some(file) = fs::read_dir(directory)?.next() else { return Ok(None) };
    let text = fs::read_to_string(file?.path())?;
    Ok(text.split('"').find(|word| word.starts_with("nats://")).map(str::to_owned))
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
