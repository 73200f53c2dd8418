//! Memory of long messages, kept by the thread for the next one: to take it anew from the system costs more than all that is
//! done with a message, since each page of it is first cleared.

use std::cell::Cell;

use crate::message::Message;

/// What is shorter an allocator serves from what it has, in bytes.
pub const LONG: usize = 64 * 1024;

/// How much a thread keeps, in bytes. What does not fit in goes back to the allocator.
pub const KEPT: usize = 8 * 1024 * 1024;

thread_local! {
    static SPARE: Cell<Vec<Vec<u8>>> = const { Cell::new(Vec::new()) };
}

/// Empty memory with room for `len` bytes and at most as much again, if the thread has such; without any room otherwise.
pub fn take(len: usize) -> Vec<u8> {
    if len < LONG {
        return Vec::new();
    }
    let mut spare = SPARE.take();
    let fitting = spare.iter().position(|memory| (len..=len.saturating_mul(2)).contains(&memory.capacity()));
    let taken = fitting.map(|at| spare.swap_remove(at)).unwrap_or_default();
    SPARE.set(spare);
    taken
}

/// Keeps the memory for the next long message, where it is long enough for that and not too much.
pub fn keep(mut memory: Vec<u8>) {
    if memory.capacity() < LONG {
        return;
    }
    let mut spare = SPARE.take();
    let kept: usize = spare.iter().map(Vec::capacity).sum();
    if kept.saturating_add(memory.capacity()) <= KEPT {
        memory.clear();
        spare.push(memory);
    }
    SPARE.set(spare);
}

/// Keeps the memory of a message that is done with, where nobody else has it.
pub fn keep_message(message: Message) {
    if message.len() < LONG {
        return;
    }
    match message {
        Message::Text(text) => keep(text.into_bytes()),
        Message::Binary(bytes) => {
            if let Ok(bytes) = bytes.try_into_mut() {
                keep(bytes.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_kept_up_to_a_bound_and_comes_back_empty() {
        keep(vec![1; LONG]);
        let taken = take(LONG);
        assert_eq!((taken.len(), taken.capacity()), (0, LONG));
        assert_eq!(take(LONG).capacity(), 0, "taken");
        for _ in 0..3 {
            keep(vec![1; KEPT / 2]);
        }
        let taken = [0; 3].map(|_| take(KEPT / 2).capacity());
        assert_eq!(taken, [KEPT / 2, KEPT / 2, 0]);
    }

    #[test]
    fn memory_that_does_not_fit_the_length_stays() {
        keep(vec![1; LONG - 1]);
        assert_eq!(take(LONG - 1).capacity(), 0, "nothing so short is kept");
        keep(vec![1; 4 * LONG]);
        assert_eq!(take(4 * LONG + 1).capacity(), 0, "too short");
        assert_eq!(take(2 * LONG - 1).capacity(), 0, "more than twice as long");
        assert_eq!(take(2 * LONG).capacity(), 4 * LONG);
    }
}
