//! Standard input as messages: a line each, or as the options say.

use std::io::{self, BufRead, Read};
use std::thread;

use tokio::sync::mpsc;
use wharf::Message;

/// Messages that may wait to be sent; each is as long as one may be at most.
const WAITING: usize = 16;

/// How bytes become messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framing {
    pub(super) split: Split,
    pub(super) binary: bool,
    /// Longest message, in bytes.
    pub(super) limit: usize,
}

/// Where a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// At each of these bytes, which belongs to no message, and at the end.
    At(u8),
    /// At the end.
    Nowhere,
}

/// The input cannot be sent, from this message on.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    #[error("cannot read standard input: {0}")]
    Read(#[from] io::Error),
    #[error("message {number} of the input is longer than --max-message-size ({limit} bytes)")]
    TooLong { number: u64, limit: usize },
    #[error("message {number} of the input is not UTF-8, as text must be: --binary sends bytes")]
    NotText { number: u64 },
}

/// Messages, one after the other; the last result is an error or the end.
pub(super) type Input = mpsc::Receiver<Result<Message, InputError>>;

/// Reads standard input in a thread of its own, which is left behind where it waits when the program ends.
///
/// # Errors
/// The system's, where there is no thread to be had.
pub(super) fn read_standard_input(framing: Framing) -> io::Result<Input> {
    let (sender, input) = mpsc::channel(WAITING);
    thread::Builder::new().name("input".to_owned()).spawn(move || {
        let mut source = io::stdin().lock();
        let mut number = 0;
        while let Some(message) = framing.next(&mut source, &mut number).transpose() {
            let is_last = message.is_err();
            if sender.blocking_send(message).is_err() || is_last {
                return;
            }
        }
    })?;
    Ok(input)
}

impl Framing {
    /// The next message, numbered from 1; none at the end.
    fn next(self, source: &mut impl BufRead, number: &mut u64) -> Result<Option<Message>, InputError> {
        let mut bytes = Vec::new();
        // One byte for the separator, or to see that there is more.
        let mut source = source.take((self.limit as u64).saturating_add(1));
        let is_terminated = match self.split {
            Split::At(separator) => {
                source.read_until(separator, &mut bytes)?;
                bytes.pop_if(|last| *last == separator).is_some()
            }
            Split::Nowhere => {
                source.read_to_end(&mut bytes)?;
                false
            }
        };
        if bytes.is_empty() && !is_terminated {
            return Ok(None);
        }
        *number += 1;
        if bytes.len() > self.limit {
            return Err(InputError::TooLong { number: *number, limit: self.limit });
        }
        self.message(bytes).ok_or(InputError::NotText { number: *number }).map(Some)
    }

    /// The bytes as a message; none where they are to be text and are not.
    pub(super) fn message(self, bytes: Vec<u8>) -> Option<Message> {
        if self.binary { Some(bytes.into()) } else { String::from_utf8(bytes).ok().map(Message::from) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: Framing = Framing { split: Split::At(b'\n'), binary: false, limit: 8 };

    fn read(framing: Framing, mut source: &[u8]) -> (Vec<Message>, Option<String>) {
        let mut messages = Vec::new();
        let mut number = 0;
        loop {
            match framing.next(&mut source, &mut number) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => return (messages, None),
                Err(error) => return (messages, Some(error.to_string())),
            }
        }
    }

    fn texts<const N: usize>(texts: [&str; N]) -> Vec<Message> {
        texts.map(Message::from).to_vec()
    }

    #[test]
    fn each_line_is_a_message_empty_ones_too() {
        assert_eq!(read(LINES, b"one\n\ntwo\n"), (texts(["one", "", "two"]), None));
        assert_eq!(read(LINES, b""), (vec![], None));
    }

    #[test]
    fn the_last_line_needs_no_newline() {
        assert_eq!(read(LINES, b"one\ntwo"), (texts(["one", "two"]), None));
    }

    #[test]
    fn a_carriage_return_belongs_to_the_message() {
        assert_eq!(read(LINES, b"one\r\n"), (texts(["one\r"]), None));
    }

    #[test]
    fn separated_by_nul_a_message_may_have_lines() {
        let framing = Framing { split: Split::At(0), ..LINES };
        assert_eq!(read(framing, b"a\nb\0c\0"), (texts(["a\nb", "c"]), None));
    }

    #[test]
    fn unsplit_all_of_it_is_one_message() {
        let framing = Framing { split: Split::Nowhere, binary: true, ..LINES };
        assert_eq!(read(framing, b"a\nb\n\0\xff"), (vec![b"a\nb\n\0\xff".as_slice().into()], None));
        assert_eq!(read(framing, b""), (vec![], None));
    }

    #[test]
    fn a_message_is_as_long_as_the_limit_and_no_longer() {
        assert_eq!(read(LINES, b"12345678\n1\n"), (texts(["12345678", "1"]), None));
        let (messages, error) = read(LINES, b"1\n123456789\n");
        assert_eq!(messages, texts(["1"]));
        assert_eq!(
            error.as_deref(),
            Some("message 2 of the input is longer than --max-message-size (8 bytes)")
        );
        let whole = Framing { split: Split::Nowhere, ..LINES };
        assert!(read(whole, b"123456789").1.is_some());
    }

    #[test]
    fn bytes_that_are_not_text_are_refused_and_sent_as_binary() {
        let (messages, error) = read(LINES, b"ok\n\xff\nlost\n");
        assert_eq!(messages, texts(["ok"]));
        assert!(error.is_some_and(|error| error.contains("message 2") && error.contains("--binary")));
        let binary = Framing { binary: true, ..LINES };
        assert_eq!(read(binary, b"\xff\n"), (vec![b"\xff".as_slice().into()], None));
    }
}
