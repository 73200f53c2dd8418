//! A server of somebody else, in a process of its own.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A process that is killed when this is dropped.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a program that Debian has in a package of this name.
    pub fn start(program: &str, package: &str, arguments: &[String]) -> Self {
        // Debian has some where only root's PATH leads.
        for path in [program.to_owned(), format!("/usr/sbin/{program}")] {
            let mut command = Command::new(path);
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            match command.spawn() {
                Ok(child) => return Self { child },
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => panic!("{program} does not start: {error}"),
            }
        }
        panic!("{program} is not there: apt-get install {package}")
    }

    /// Whether it has ended by itself, such as one whose port somebody else has.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }

    /// Ends it at once, with SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A directory that is removed with all that is in it when this is dropped.
pub struct Directory(PathBuf);

impl Directory {
    pub fn create() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("wharf-cluster-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("there is room for a directory");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An address that nobody listens on, for a server that is to be started there again. Not among those that the system gives
/// to connections, one of which could have it meanwhile.
pub fn free_address() -> SocketAddr {
    loop {
        let port = rand::random_range(10_000..30_000);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
