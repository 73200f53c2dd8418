//! `wharf serve --listen`: all that the program listens on, and how it is replaced by another while clients come.

mod serving;

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serving::{Serving, answer_on, serve};

const ECHO: &[u8] = b"\x81\x03abc";

/// The program with this socket as file descriptor 3, as systemd passes it. The shell becomes the program, and so the two
/// have one number.
fn inheriting(socket: impl Into<OwnedFd>, environment: &str) -> Command {
    let mut command = becoming_wharf("exec 3<&0 </dev/null", environment);
    command.arg("--listen=inherited").stdin(Stdio::from(socket.into()));
    command
}

fn becoming_wharf(redirections: &str, environment: &str) -> Command {
    let script = format!("{redirections}; {environment} exec \"$0\" serve \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_wharf")]);
    command
}

/// Its one line, of a program that does not serve.
fn refusal(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the program runs");
    assert_eq!((status.code(), stdout.len()), (Some(2), 0));
    let line = String::from_utf8(stderr).expect("text");
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    line.trim().trim_start_matches("wharf: ").to_owned()
}

fn stopped(serving: Serving) -> Option<i32> {
    serving.tell_to_stop();
    serving.end()
}

/// A path for a socket, which has room for about a hundred bytes.
fn socket_path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("wharf-{}-{name}", std::process::id()))
}

fn echoes_on_unix(path: &Path) {
    let stream = UnixStream::connect(path).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a live socket");
    assert_eq!(answer_on(stream, "abc", 5).expect("it answers"), ECHO);
}

#[test]
fn tcp_and_a_unix_socket_are_served_at_once_and_the_file_goes_with_the_program() {
    let path = socket_path("both");
    let mut command = serve();
    command.args(["--listen=127.0.0.1:0", "--unix-permissions=600"]);
    command.arg(format!("--listen=unix:{}", path.display()));
    let mut serving = Serving::start(command);
    assert_eq!(serving.next_address(), format!("unix:{}", path.display()));
    assert_eq!(serving.answer_to("abc", 5), ECHO);
    echoes_on_unix(&path);
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o7777, 0o600);
    assert_eq!(stopped(serving), Some(0));
    assert!(!path.exists());
}

#[test]
fn a_file_says_several_places_to_listen_on() {
    let path = socket_path("file");
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("listen.toml");
    let text = format!("listen = [\"unix:{}\", \"127.0.0.1:0\"]\nreuse_port = true\n", path.display());
    fs::write(&config, text).expect("the directory is writable");
    let mut command = serve();
    command.arg("--config").arg(&config);
    let mut first = Serving::start(command);
    let shared = first.next_address();
    echoes_on_unix(&path);
    let mut command = serve();
    command.arg(format!("--listen={shared}")).arg("--reuse-port");
    let second = Serving::start(command);
    assert_eq!(stopped(first), Some(0));
    assert_eq!((second.answer_to("abc", 5), second.address.as_str()), (ECHO.to_vec(), shared.as_str()));
}

#[test]
fn what_cannot_be_listened_on_is_one_line_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = taken.local_addr().expect("it is bound");
    let line = refusal(serve().arg(format!("--listen={addr}")));
    assert_eq!(line, format!("cannot listen on {addr}: the address is in use"));

    let path = socket_path("precious");
    fs::write(&path, "precious").expect("the directory is writable");
    let line = refusal(serve().arg(format!("--listen=unix:{}", path.display())));
    assert_eq!(line, format!("cannot listen on unix:{}: there is a file that is no socket", path.display()));
    fs::remove_file(&path).expect("it is still there");

    let line = refusal(serve().arg("--listen=here"));
    assert!(line.starts_with("invalid value 'here' for '--listen <ADDRESS>': expected an address"), "{line}");
    let line = refusal(serve().arg("--unix-permissions=9"));
    assert!(
        line.starts_with("invalid value '9' for '--unix-permissions <MODE>': expected an octal"),
        "{line}"
    );
    let line = refusal(serve().args(["--listen=inherited"]).env_remove("LISTEN_FDS"));
    assert!(line.starts_with("LISTEN_FDS passes no socket to this process"), "{line}");
}

#[test]
fn a_socket_that_the_parent_passes_on_is_served_with_or_without_the_number_of_the_process() {
    for environment in
        ["LISTEN_FDS=1 LISTEN_PID=$$", "LISTEN_FDS=1", "LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=web"]
    {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let addr = socket.local_addr().expect("it is bound");
        let serving = Serving::start(inheriting(socket, environment));
        assert_eq!((serving.address.clone(), serving.answer_to("abc", 5)), (addr.to_string(), ECHO.to_vec()));
    }
}

#[test]
fn a_unix_socket_that_the_parent_passes_on_is_served_and_its_file_stays() {
    let path = socket_path("passed");
    let socket = UnixListener::bind(&path).expect("the directory is writable");
    let serving = Serving::start(inheriting(socket, "LISTEN_FDS=1 LISTEN_PID=$$"));
    assert_eq!(serving.address, format!("unix:{}", path.display()));
    echoes_on_unix(&path);
    assert_eq!(stopped(serving), Some(0));
    fs::remove_file(&path).expect("it is still there");
}

#[test]
fn of_several_sockets_those_are_served_that_are_named_or_all() {
    let sockets = || [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port is free"));
    let passing = |[first, second]: [TcpListener; 2]| {
        let mut command = becoming_wharf(
            "exec 3<&0 4<&2 </dev/null 2>/dev/null",
            "LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES=admin:web",
        );
        command.stdin(Stdio::from(OwnedFd::from(first))).stderr(Stdio::from(OwnedFd::from(second)));
        command
    };
    let [admin, web] = sockets();
    let addresses = [&admin, &web].map(|socket| socket.local_addr().expect("it is bound").to_string());
    let mut command = passing([admin, web]);
    command.arg("--listen=inherited:web");
    let serving = Serving::start(command);
    assert_eq!((serving.answer_to("abc", 5), &serving.address), (ECHO.to_vec(), &addresses[1]));
    assert!(TcpStream::connect(&addresses[0]).is_err(), "what nobody serves is closed");

    let sockets = sockets();
    let addresses = [0, 1].map(|at| sockets[at].local_addr().expect("it is bound").to_string());
    let mut command = passing(sockets);
    command.args(["--listen=inherited:web", "--listen=inherited"]);
    let mut serving = Serving::start(command);
    assert_eq!([serving.next_address(), serving.address.clone()], addresses);
}

#[test]
fn what_is_passed_on_to_another_or_is_no_socket_that_listens_is_refused_in_one_line() {
    let socket = || TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let line = refusal(&mut inheriting(socket(), "LISTEN_FDS=1 LISTEN_PID=1"));
    assert!(line.starts_with("LISTEN_FDS passes no socket to this process"), "{line}");
    let line = refusal(inheriting(socket(), "LISTEN_FDS=1").arg("--listen=inherited:web"));
    assert!(line.starts_with("LISTEN_FDS passes no socket of the name \"web\" to this process"), "{line}");
    let line = refusal(&mut inheriting(socket(), "LISTEN_FDS=many"));
    assert_eq!(line, "LISTEN_FDS is \"many\", but must be a number from 0 to 1024");

    let none = "of the sockets in LISTEN_FDS is none of TCP or Unix that listens";
    let file = File::open("/dev/null").expect("it is everywhere");
    assert_eq!(
        refusal(&mut inheriting(file, "LISTEN_FDS=1 LISTEN_FDNAMES=web")),
        format!("number 1 (\"web\") {none}")
    );
    let (connected, _peer) = UnixStream::pair().expect("sockets");
    assert_eq!(refusal(&mut inheriting(connected, "LISTEN_FDS=1")), format!("number 1 {none}"));
}

/// Clients that come one after the other until they are told to stop. Each that was served is told of, or what kept it from
/// being served.
struct Clients<'a> {
    told: Receiver<Result<(), String>>,
    stop: &'a AtomicBool,
}

impl<'a> Clients<'a> {
    fn start<'s>(scope: &'s thread::Scope<'s, '_>, addr: std::net::SocketAddr, stop: &'a AtomicBool) -> Self
    where
        'a: 's,
    {
        let (tell, told) = mpsc::channel();
        for _ in 0..4 {
            let tell = tell.clone();
            scope.spawn(move || while !stop.load(Ordering::Relaxed) && tell.send(client(addr)).is_ok() {});
        }
        Self { told, stop }
    }

    /// Waits until so many more have been served, and fails with the first that was not.
    fn served(&self, count: usize) {
        for _ in 0..count {
            let outcome = self.told.recv_timeout(Duration::from_secs(10)).expect("clients are served");
            assert_eq!(outcome, Ok(()));
        }
    }
}

impl Drop for Clients<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn client(addr: std::net::SocketAddr) -> Result<(), String> {
    is_served(TcpStream::connect(addr).map_err(|error| format!("not taken: {error}"))?)
}

/// Has its handshake answered with 101, and its message with an echo, or with a close if its server stops.
fn is_served(stream: TcpStream) -> Result<(), String> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(|error| error.to_string())?;
    match answer_on(stream, "abc", 4) {
        Ok(answer) if ECHO.starts_with(&answer) || answer[0] == 0x88 && answer[2..] == CLOSE_1001 => Ok(()),
        Ok(answer) => Err(format!("an answer of another kind: {answer:?}")),
        Err(error) => Err(format!("not answered: {error}")),
    }
}

const CLOSE_1001: [u8; 2] = [0x03, 0xe9];

/// One program follows the other on one socket, several times, and clients come all the while.
fn is_replaced_without_a_client_lost(flags: &[&str]) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = socket.local_addr().expect("it is bound");
    let start = || {
        let mut command =
            inheriting(socket.try_clone().expect("a live socket"), "LISTEN_FDS=1 LISTEN_PID=$$");
        command.args(flags);
        Serving::start(command)
    };
    let mut running = start();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients = Clients::start(scope, addr, &stop);
        for _ in 0..5 {
            clients.served(50);
            let successor = start();
            clients.served(50);
            assert_eq!(stopped(std::mem::replace(&mut running, successor)), Some(0));
        }
        clients.served(50);
    });
    drop(socket);
}

#[test]
fn a_program_is_replaced_by_another_on_the_same_socket_and_no_client_is_lost() {
    is_replaced_without_a_client_lost(&[]);
}

#[test]
fn a_program_with_workers_is_replaced_by_another_on_the_same_socket_and_no_client_is_lost() {
    is_replaced_without_a_client_lost(&["--workers=2"]);
}

#[test]
fn who_has_connected_and_asked_for_nothing_yet_is_served_by_a_program_that_is_told_to_stop() {
    let mut command = serve();
    command.arg("--listen=127.0.0.1:0");
    let serving = Serving::start(command);
    let connect = || TcpStream::connect(&serving.address).expect("it listens");
    let silent: Vec<_> = (0..8).map(|_| connect()).collect();
    // They are taken in the order in which they came.
    assert_eq!(is_served(connect()), Ok(()));
    serving.tell_to_stop();
    for stream in silent {
        assert_eq!(is_served(stream), Ok(()));
    }
    assert_eq!(serving.end(), Some(0));
}
