//! Servers in processes of their own, and what they cost.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, process};

pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) addr: SocketAddr,
    process: Child,
}

impl Server {
    /// On the first core.
    pub(crate) fn start(name: &str) -> io::Result<Self> {
        let own = env::current_exe()?;
        let mut process = Command::new("taskset")
            .args(["-c", "0"])
            .arg(own)
            .args(["serve", name])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut addr = String::new();
        BufReader::new(process.stdout.take().expect("it is piped")).read_line(&mut addr)?;
        let addr = addr.trim().parse().map_err(io::Error::other)?;
        Ok(Self { name: name.to_owned(), addr, process })
    }

    /// User and system time of all threads, those of the kernel's io_uring workers too.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        cpu_of(self.process.id())
    }

    /// Bytes.
    pub(crate) fn resident(&self) -> io::Result<usize> {
        kibibytes(&format!("/proc/{}/status", self.process.id()), "VmRSS:")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails where it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// This process goes to the second core.
pub(crate) fn make_room() -> io::Result<()> {
    let pid = process::id().to_string();
    let status = Command::new("taskset").args(["-cp", "1", &pid]).stdout(Stdio::null()).status()?;
    assert!(status.success(), "there is a second core");
    Ok(())
}

pub(crate) fn own_cpu() -> io::Result<Duration> {
    cpu_of(process::id())
}

/// What the kernel holds for its objects, sockets among them, of all processes, in bytes.
pub(crate) fn slab() -> io::Result<usize> {
    kibibytes("/proc/meminfo", "Slab:")
}

/// The value below which this part of `values` lies; the median is that of one half.
pub(crate) fn quantile(values: impl IntoIterator<Item = f64>, part: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[(values.len() as f64 * part) as usize]
}

fn cpu_of(pid: u32) -> io::Result<Duration> {
    let mut total = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let times = fs::read_to_string(thread?.path().join("schedstat"))?;
        total += times.split(' ').next().and_then(|time| time.parse::<u64>().ok()).expect("proc(5) says so");
    }
    Ok(Duration::from_nanos(total))
}

fn kibibytes(file: &str, field: &str) -> io::Result<usize> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("proc(5) says so");
    Ok(line.trim_end_matches("kB").trim().parse::<usize>().map_err(io::Error::other)? * 1024)
}
