//! The streams of one HTTP/2 connection: how many there are, and how each of them ends.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

tokio::task_local! {
    /// The stream whose request the task answers.
    static STREAM: Arc<Stream>;
}

/// The streams of one connection.
pub(super) struct Streams {
    counts: watch::Sender<Counts>,
    are_requests_dropped: watch::Sender<bool>,
    write_timeout: Duration,
}

/// How many streams of a connection there are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Requests that are being answered, undecided handshakes among them.
    pub(super) requests: usize,
    /// Streams that are no longer HTTP.
    pub(super) upgraded: usize,
    /// Requests that the client gave up before they were answered, less those that were.
    pub(super) given_up: usize,
}

impl Streams {
    pub(super) fn new(write_timeout: Duration) -> Self {
        Self {
            counts: watch::Sender::default(),
            are_requests_dropped: watch::Sender::new(false),
            write_timeout,
        }
    }

    pub(super) fn counts(&self) -> watch::Receiver<Counts> {
        self.counts.subscribe()
    }

    /// Ends all requests that are being answered; their streams are reset. What was upgraded goes on.
    pub(super) fn drop_requests(&self) {
        self.are_requests_dropped.send_replace(true);
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.counts.send_modify(change);
    }
}

/// One stream while its request is answered, and for who has it afterwards.
#[derive(Default)]
pub(super) struct Stream {
    is_answered: AtomicBool,
    /// Since when the client has been to take what the body gave last.
    untaken: Mutex<Option<Instant>>,
    /// The task that sends for an upgraded stream.
    sender: OnceLock<AbortHandle>,
    /// Nobody has the upgraded stream any more.
    left: Notify,
}

impl Stream {
    /// That of the request that this task answers. `None`: of a connection that somebody else serves.
    pub(super) fn current() -> Option<Arc<Self>> {
        STREAM.try_with(Arc::clone).ok()
    }

    /// Ends what an upgraded stream sends not in order, but by a reset, once nobody reads it either.
    pub(super) fn reset(&self) {
        if let Some(sender) = self.sender.get() {
            sender.abort();
        }
    }

    /// Nobody sends more on an upgraded stream: what waits is the client's to take, for as long as a write may last.
    pub(super) fn leave(&self) {
        self.left.notify_one();
    }

    fn untaken(&self) -> Option<Instant> {
        *self.untaken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The request of this task has its answer.
pub(super) fn answered() {
    let _ = STREAM.try_with(|stream| stream.is_answered.store(true, Ordering::Relaxed));
}

/// The body of this task's answer was asked for more, which hyper does when the client has room for it.
pub(super) fn body_was_asked(gave: bool) {
    let now = gave.then(Instant::now);
    let _ = STREAM.try_with(|stream| *stream.untaken.lock().unwrap_or_else(PoisonError::into_inner) = now);
}

/// Starts the tasks that hyper wants for a connection: one for each request, and from within it one for what an upgraded
/// stream sends.
#[derive(Clone)]
pub(super) struct StreamExecutor {
    streams: Arc<Streams>,
}

impl StreamExecutor {
    pub(super) const fn new(streams: Arc<Streams>) -> Self {
        Self { streams }
    }
}

impl<F> hyper::rt::Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let Some(stream) = Stream::current() else {
            let counted = Counted::request(&self.streams);
            tokio::spawn(answer(Box::pin(future), counted));
            return;
        };
        let counted = Counted::upgraded(&self.streams);
        let (write_timeout, left) = (self.streams.write_timeout, Arc::clone(&stream));
        let task = tokio::spawn(async move {
            let over = async {
                left.left.notified().await;
                // Boxed, because it is large, and few live to need it.
                Box::pin(sleep(write_timeout)).await;
            };
            tokio::select! {
                biased;
                () = future => {}
                () = over => {}
            }
            drop(counted);
        });
        // There is one for each stream.
        let _ = stream.sender.set(task.abort_handle());
    }
}

/// Answers one request, unless the client stops to take the answer.
async fn answer(mut answering: Pin<Box<dyn Future<Output = ()> + Send>>, mut counted: Counted) {
    let stream = Arc::new(Stream::default());
    let mut are_dropped = counted.streams.are_requests_dropped.subscribe();
    let mut are_dropped = pin!(are_dropped.wait_for(|&are_dropped| are_dropped));
    let mut patience = Patience { write_timeout: counted.streams.write_timeout, over: None };
    let answering = poll_fn(|cx| {
        // Before anything is done for one that came too late.
        if are_dropped.as_mut().poll(cx).is_ready() || answering.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        // In the same task, so that it is looked at whenever something has changed.
        patience.poll(&stream, cx)
    });
    STREAM.scope(Arc::clone(&stream), answering).await;
    counted.is_answered = stream.is_answered.load(Ordering::Relaxed);
}

/// How long a client may leave an answer where it is. hyper has no bound for it, and one that opens no window would have us
/// hold each answer that it asks for.
struct Patience {
    write_timeout: Duration,
    /// For what was given when.
    over: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Patience {
    fn poll(&mut self, stream: &Stream, cx: &mut Context<'_>) -> Poll<()> {
        let Some(given) = stream.untaken() else {
            self.over = None;
            return Poll::Pending;
        };
        if self.over.as_ref().is_none_or(|&(other, _)| other != given) {
            self.over = Some((given, Box::pin(sleep_until(given + self.write_timeout))));
        }
        match &mut self.over {
            Some((_, over)) => over.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

/// One of a connection's streams, for as long as it is.
struct Counted {
    streams: Arc<Streams>,
    is_upgraded: bool,
    is_answered: bool,
}

impl Counted {
    fn request(streams: &Arc<Streams>) -> Self {
        streams.count(|counts| counts.requests += 1);
        Self { streams: Arc::clone(streams), is_upgraded: false, is_answered: false }
    }

    fn upgraded(streams: &Arc<Streams>) -> Self {
        streams.count(|counts| counts.upgraded += 1);
        Self { streams: Arc::clone(streams), is_upgraded: true, is_answered: true }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // A panic of the service is not the client's doing.
        let is_answered = self.is_answered || std::thread::panicking();
        self.streams.count(|counts| match (self.is_upgraded, is_answered) {
            (true, _) => counts.upgraded -= 1,
            (false, true) => {
                counts.requests -= 1;
                counts.given_up = counts.given_up.saturating_sub(1);
            }
            (false, false) => {
                counts.requests -= 1;
                counts.given_up += 1;
            }
        });
    }
}
