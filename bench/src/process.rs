//! A server in a process of its own, on a core of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl;
use nix::unistd::Pid;

/// Where servers run, and where what loads them does.
pub(crate) const SERVER_CORE: usize = 0;
pub(crate) const LOAD_CORE: usize = 1;

/// Keeps this thread, and what it starts from now on, on one core.
pub(crate) fn pin_to(core: usize) -> Result<(), String> {
    let mut cores = CpuSet::new();
    cores
        .set(core)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &cores))
        .map_err(|error| format!("core {core} is not to be had: {error}; two cores are needed"))
}

/// Keeps huge pages from this process, and from what it starts from now on: with them memory is a matter of which piece of
/// 2 MiB an allocator took next.
pub(crate) fn renounce_huge_pages() -> Result<(), String> {
    prctl::set_thp_disable(true).map_err(|error| format!("huge pages cannot be turned off: {error}"))
}

pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// Processor time so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// Of all threads, user and system, exact.
    pub(crate) total: Duration,
    /// In ticks of the system, 100 a second: which part is the user's.
    pub(crate) user_ticks: u64,
    pub(crate) system_ticks: u64,
}

/// Why there is no server.
#[derive(Debug)]
pub(crate) enum StartError {
    /// It says that it cannot do what it is asked for.
    NotPossible(String),
    Failed(String),
}

/// The status of a server that cannot do what it is asked for.
const NOT_POSSIBLE: i32 = 3;

impl Process {
    /// Starts a server on its core, and waits until it listens.
    pub(crate) fn start(command: &mut Command) -> Result<Self, StartError> {
        let failed = |what: String| StartError::Failed(what);
        pin_to(SERVER_CORE).map_err(failed)?;
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        pin_to(LOAD_CORE).map_err(failed)?;
        let mut child =
            started.map_err(|error| failed(format!("{}: {error}", command.get_program().display())))?;
        let mut line = String::new();
        if let Some(stdout) = &mut child.stdout {
            // A server that says nothing has ended.
            let _ = BufReader::new(stdout).read_line(&mut line);
        }
        if let Ok(address) = line.trim().parse() {
            // Nobody reads what it says from now on; it is not to wait for that.
            child.stderr = None;
            return Ok(Self { child, address });
        }
        let mut said = String::new();
        if let Some(stderr) = &mut child.stderr {
            let _ = stderr.read_to_string(&mut said);
        }
        let said = said.trim().lines().last().unwrap_or("it said nothing").to_owned();
        match child.wait().ok().and_then(|status| status.code()) {
            Some(NOT_POSSIBLE) => Err(StartError::NotPossible(said)),
            _ => Err(StartError::Failed(said)),
        }
    }

    pub(crate) fn used(&self) -> Result<Used, String> {
        let broken = |what: &str| format!("/proc does not say what the server used: {what}");
        let directory = PathBuf::from(format!("/proc/{}", self.child.id()));
        let mut total = 0;
        for thread in fs::read_dir(directory.join("task")).map_err(|error| broken(&error.to_string()))? {
            let path = thread.map_err(|error| broken(&error.to_string()))?.path().join("schedstat");
            // A thread may have ended since.
            let times = fs::read_to_string(path).unwrap_or_default();
            total += times.split(' ').next().and_then(|time| time.parse::<u64>().ok()).unwrap_or_default();
        }
        let stat = fs::read_to_string(directory.join("stat")).map_err(|error| broken(&error.to_string()))?;
        // Behind the name, which may hold blanks, the state is the 3rd field, user and system time the 14th and 15th.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |at: usize| fields.get(at - 3).and_then(|field| field.parse().ok());
        let (Some(user_ticks), Some(system_ticks)) = (ticks(14), ticks(15)) else {
            return Err(broken(&stat));
        };
        Ok(Used { total: Duration::from_nanos(total), user_ticks, system_ticks })
    }

    /// Bytes of memory.
    pub(crate) fn resident(&self) -> Result<u64, String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.map_err(|error| error.to_string())?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        let kib: u64 =
            line.trim().trim_end_matches(" kB").parse().map_err(|_| format!("no VmRSS: {line:?}"))?;
        Ok(kib * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
