//! Speaks no WebSocket: sends back the bytes that it reads. What it costs, the kernel and the runtime cost.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use contract::{Ended, Mode, Options, Peer, Stream, not_possible, run};
use tokio::io::ReadBuf;

fn main() {
    let options = Options::of_this_process();
    if options.mode != Mode::Echo || options.deflate.is_some() || options.is_tls() {
        not_possible("raw-tokio echoes bytes over TCP, and nothing else");
    }
    run(&options, Raw)
}

#[derive(Clone)]
struct Raw;

impl Peer for Raw {
    async fn serve<S: Stream>(self, stream: S) -> Ended {
        let mut echo = Echo { stream, unsent: Vec::new() };
        Ok(poll_fn(|context| echo.poll(context)).await?)
    }
}

struct Echo<S> {
    stream: S,
    /// What the socket did not take yet.
    unsent: Vec<u8>,
}

const BUFFER_SIZE: usize = 64 * 1024;

thread_local! {
    /// One for all connections: a task keeps nothing in it while another one runs.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER_SIZE].into());
}

impl<S: Stream> Echo<S> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while !self.unsent.is_empty() {
                let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.unsent))?;
                self.unsent.drain(..written);
            }
            if ready!(BUFFER.with_borrow_mut(|buffer| self.poll_once(context, buffer)))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Reads, and writes as much of it as goes; how much was read.
    fn poll_once(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        let read = buffer.filled();
        let written = match Pin::new(&mut self.stream).poll_write(context, read) {
            Poll::Ready(written) => written?,
            Poll::Pending => 0,
        };
        self.unsent.extend_from_slice(&read[written..]);
        Poll::Ready(Ok(read.len()))
    }
}
