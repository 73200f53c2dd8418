//! The ways to use io_uring that are compared.

use std::str::FromStr;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskRun {
    /// The kernel interrupts the thread for its completions.
    AtOnce,
    /// `COOP_TASKRUN`: with the next system call.
    Cooperative,
    /// `DEFER_TASKRUN`: when the thread waits for completions.
    Deferred,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receive {
    /// A completion is one buffer.
    Whole,
    /// A completion is as many buffers as there are bytes for.
    Bundle,
    /// A completion is a piece of a large buffer, which the next ones go on with.
    Pieces,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Send {
    Ring,
    /// In the ring, without the kernel's copy from 16 KiB on.
    ZeroCopy,
    /// By `send(2)`, and in the ring what the socket does not take.
    SystemCall,
}

#[derive(Clone, Copy)]
pub(crate) struct Variant {
    pub(crate) task_run: TaskRun,
    pub(crate) receive: Receive,
    pub(crate) send: Send,
    /// Sockets are slots of a table of the ring's, not file descriptors.
    pub(crate) is_direct: bool,
    pub(crate) buffers: u16,
    /// Bytes.
    pub(crate) buffer_size: usize,
}

impl FromStr for Variant {
    type Err = String;

    /// Words that are joined by `+`, none for the default; `64x16k` are 64 read buffers of 16 KiB.
    fn from_str(words: &str) -> Result<Self, String> {
        let mut variant = Self {
            task_run: TaskRun::Deferred,
            receive: Receive::Pieces,
            send: Send::Ring,
            is_direct: false,
            buffers: 4,
            buffer_size: 256 * 1024,
        };
        for word in words.split('+').filter(|word| !word.is_empty()) {
            match word {
                "at-once" => variant.task_run = TaskRun::AtOnce,
                "coop" => variant.task_run = TaskRun::Cooperative,
                "whole" => {
                    variant.receive = Receive::Whole;
                    (variant.buffers, variant.buffer_size) = (256, 16 * 1024);
                }
                "bundle" => {
                    variant.receive = Receive::Bundle;
                    (variant.buffers, variant.buffer_size) = (512, 4096);
                }
                "zero-copy" => variant.send = Send::ZeroCopy,
                "syscall" => variant.send = Send::SystemCall,
                "direct" => variant.is_direct = true,
                sizes => {
                    (variant.buffers, variant.buffer_size) =
                        read_buffers(sizes).ok_or_else(|| format!("no variant is called {word}"))?;
                }
            }
        }
        Ok(variant)
    }
}

fn read_buffers(sizes: &str) -> Option<(u16, usize)> {
    let (count, size) = sizes.split_once('x')?;
    let size: usize = size.strip_suffix('k')?.parse().ok()?;
    Some((count.parse().ok()?, size * 1024))
}
