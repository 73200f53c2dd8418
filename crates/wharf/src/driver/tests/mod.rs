//! Two drivers joined in memory, and an executor that polls only what was woken and gives futures up where it is told.

mod cancellation;
mod deadlines;
mod halves;
mod parts;
mod topics;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use futures_util::future::LocalBoxFuture;
use tokio::io::DuplexStream;

use super::{Driver, IntoStream, Receiver, Transport};
use crate::config::ServerConfig;
use crate::connection::Connection;
use crate::options::Options;
use crate::proto;
use crate::proto::connection::Ending;
use crate::proto::handshake::Version;
use crate::proto::mask::MaskingKey;
use crate::shared::{Opening, Owner, Receives, Shared};

impl IntoStream for DuplexStream {}

impl Transport for DuplexStream {
    fn reset_on_drop(&mut self) {}
}

struct Nobody;

impl Owner for Nobody {
    fn connection_gone(&self, _: &Arc<Shared>, _: &Ending) {}
}

/// A server's and a client's end of one connection.
struct Pair {
    server: Connection,
    client: Connection,
    drivers: [Driver<DuplexStream>; 2],
}

impl Pair {
    /// Needs the context of a runtime, for its clock. The stream between the two holds `capacity` bytes each way.
    fn open(config: ServerConfig, capacity: usize) -> Self {
        let options = Arc::new(Options::new(config).unwrap());
        let now = tokio::time::Instant::now().into_std();
        let (servers, clients) = tokio::io::duplex(capacity);
        let server = proto::Connection::server(options.core.clone(), now);
        let client = proto::Connection::client(options.core.clone(), || MaskingKey([1, 2, 3, 4]), now);
        let (server, servers_driver) = end(&options, server, true, servers);
        let (client, clients_driver) = end(&options, client, false, clients);
        Self { server, client, drivers: [servers_driver, clients_driver] }
    }
}

fn end<S: Transport>(
    options: &Arc<Options>,
    core: proto::Connection,
    is_server: bool,
    stream: S,
) -> (Connection, Driver<S>) {
    let opening = Opening {
        protocol: None,
        compression: None,
        is_server,
        version: Version::V13,
        home: options.home(),
        remote_address: Some("peer".into()),
        forwarded_for: Box::default(),
        socket: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
    };
    let shared = Arc::new(Shared::new(0, opening, Receives::Handles, options));
    let driver = Driver::new(core, stream, Vec::new(), shared.clone(), Arc::new(Nobody), Receiver::Queue);
    (Connection::new(shared), driver)
}

/// A clock that stands still, for all that is made while the guard lives.
fn paused_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

type Operation = LocalBoxFuture<'static, ()>;

/// Something that is done by one operation after the other, each a future of its own.
struct Task {
    /// The next operation; `None` while, or because, there is nothing to do.
    next: Box<dyn FnMut() -> Option<Operation>>,
    operation: Option<Operation>,
    woken: Arc<Flag>,
    may_be_given_up: bool,
}

/// Polls tasks as an executor would, in an order of the test's choice: those that were woken, and no others.
#[derive(Default)]
struct Executor {
    tasks: Vec<Task>,
}

/// What the test does next.
#[derive(Clone, Copy, Debug)]
enum Choice {
    /// Polls one of those that were woken.
    Poll(usize),
    /// Gives up one of the futures that wait.
    GiveUp(usize),
}

impl Executor {
    /// A future that is polled to its end.
    fn drive(&mut self, future: impl Future<Output = ()> + 'static) {
        let mut future = Some(future);
        self.add(false, move || future.take().map(|future| Box::pin(future) as Operation));
    }

    /// Operations that may be given up anywhere, and are begun anew then.
    fn repeat(&mut self, next: impl FnMut() -> Option<Operation> + 'static) {
        self.add(true, next);
    }

    fn add(&mut self, may_be_given_up: bool, next: impl FnMut() -> Option<Operation> + 'static) {
        self.tasks.push(Task {
            next: Box::new(next),
            operation: None,
            woken: Arc::default(),
            may_be_given_up,
        });
    }

    /// Runs until `is_done`, first as `choices` say, then in turn and to the end.
    fn run(&mut self, choices: impl IntoIterator<Item = Choice>, is_done: impl Fn() -> bool) {
        let mut choices = choices.into_iter();
        let mut turn = 0;
        while !is_done() {
            let runnable = self.runnable();
            assert!(!runnable.is_empty(), "somebody waits for a wake that was lost");
            match choices.next() {
                Some(Choice::GiveUp(number)) => self.give_up(number),
                Some(Choice::Poll(number)) => {
                    self.poll(runnable[number % runnable.len()]);
                }
                None => {
                    turn += 1;
                    assert!(turn < 100_000, "it goes on and on");
                    self.poll(runnable[turn % runnable.len()]);
                }
            }
        }
    }

    /// Runs until `is_done`, and gives up every operation wherever it has to wait, each time.
    fn run_giving_up_always(&mut self, is_done: impl Fn() -> bool) {
        for turn in 0.. {
            if is_done() {
                return;
            }
            assert!(turn < 100_000, "it goes on and on");
            for task in self.runnable() {
                let has_ended = self.poll(task);
                if !has_ended && self.tasks[task].may_be_given_up {
                    self.tasks[task].operation = None;
                }
            }
        }
    }

    fn runnable(&mut self) -> Vec<usize> {
        for task in &mut self.tasks {
            if task.operation.is_none()
                && let Some(operation) = (task.next)()
            {
                task.operation = Some(operation);
                task.woken.0.store(true, Ordering::Release);
            }
        }
        let is_runnable = |task: &Task| task.operation.is_some() && task.woken.0.load(Ordering::Acquire);
        (0..self.tasks.len()).filter(|&task| is_runnable(&self.tasks[task])).collect()
    }

    /// Polls once: whether the operation has ended.
    fn poll(&mut self, task: usize) -> bool {
        let task = &mut self.tasks[task];
        task.woken.0.store(false, Ordering::Release);
        let waker = Waker::from(task.woken.clone());
        let Some(operation) = &mut task.operation else { return true };
        let has_ended = Pin::new(operation).poll(&mut Context::from_waker(&waker)).is_ready();
        if has_ended {
            task.operation = None;
        }
        has_ended
    }

    fn give_up(&mut self, number: usize) {
        let waiting: Vec<_> = (0..self.tasks.len())
            .filter(|&task| self.tasks[task].may_be_given_up && self.tasks[task].operation.is_some())
            .collect();
        if !waiting.is_empty() {
            self.tasks[waiting[number % waiting.len()]].operation = None;
        }
    }
}
