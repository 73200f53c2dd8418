//! Messages on standard output, for another program or a reader's eyes.

use std::io::{self, BufWriter, Write};
use std::thread;

use tokio::sync::{mpsc, oneshot};
use wharf::Message;

use super::display::Display;
use super::escape::Escaped;
use super::options::Times;

/// Messages that may wait to be written; then nothing more is received.
const WAITING: usize = 16;

/// How messages are written.
#[derive(Clone, Debug)]
pub(super) struct Format {
    /// What follows each message.
    pub(super) separator: Option<u8>,
    /// Whether a terminal reads: what comes is then shown, never obeyed.
    pub(super) to_terminal: bool,
    /// The times, and how bytes are shown to a terminal.
    pub(super) display: Display,
}

/// The messages' way out, through a thread of its own, since writing waits for whoever reads.
#[derive(Debug)]
pub(super) struct Output {
    messages: mpsc::Sender<Message>,
    written: oneshot::Receiver<io::Result<()>>,
}

impl Output {
    /// # Errors
    /// The system's, where there is no thread to be had.
    pub(super) fn start(format: Format) -> io::Result<Self> {
        let (messages, waiting) = mpsc::channel(WAITING);
        let (done, written) = oneshot::channel();
        thread::Builder::new().name("output".to_owned()).spawn(move || {
            // Nobody listens any more only where the program is ending.
            let _ = done.send(write_messages(waiting, &format, io::stdout().lock()));
        })?;
        Ok(Self { messages, written })
    }

    /// Room for a message, as soon as there is some; none where nothing can be written any more, and
    /// [`finish`](Self::finish) tells why.
    ///
    /// Cancel safe.
    pub(super) async fn room(&self) -> Option<mpsc::Permit<'_, Message>> {
        self.messages.reserve().await.ok()
    }

    /// Room for a message, if there is some now.
    pub(super) fn try_room(&self) -> Option<mpsc::Permit<'_, Message>> {
        self.messages.try_reserve().ok()
    }

    /// Whether nothing can be written any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.messages.is_closed()
    }

    /// Waits until nothing can be written any more.
    ///
    /// Cancel safe.
    pub(super) async fn abandoned(&self) {
        self.messages.closed().await;
    }

    /// Waits until everything has been written.
    ///
    /// # Errors
    /// The system's. That nobody reads any more is none.
    pub(super) async fn finish(self) -> io::Result<()> {
        drop(self.messages);
        match self.written.await {
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}

/// Writes until there are no more; what was written is on its way whenever none waits.
fn write_messages(
    mut messages: mpsc::Receiver<Message>,
    format: &Format,
    sink: impl Write,
) -> io::Result<()> {
    let mut sink = BufWriter::with_capacity(64 << 10, sink);
    while let Some(message) = messages.blocking_recv() {
        format.write(&message, &mut sink)?;
        if messages.is_empty() {
            sink.flush()?;
        }
    }
    sink.flush()
}

impl Format {
    fn write(&self, message: &Message, sink: &mut impl Write) -> io::Result<()> {
        if self.display.times != Times::None {
            sink.write_all(self.display.stamp().as_bytes())?;
        }
        match message {
            Message::Binary(_) if self.to_terminal => {
                let display = Display { times: Times::None, ..self.display.clone() };
                return sink.write_all(display.received(message).as_bytes());
            }
            Message::Text(text) if self.to_terminal => write!(sink, "{}", Escaped(text))?,
            _ => sink.write_all(message.as_bytes())?,
        }
        if let Some(separator) = self.separator {
            sink.write_all(&[separator])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn format() -> Format {
        let display = Display { times: Times::None, colours: false, limit: 64, began: Instant::now() };
        Format { separator: Some(b'\n'), to_terminal: false, display }
    }

    fn written(format: &Format, messages: &[Message]) -> Vec<u8> {
        let mut sink = Vec::new();
        for message in messages {
            format.write(message, &mut sink).unwrap();
        }
        sink
    }

    #[test]
    fn a_program_gets_every_byte_and_a_newline_behind_each_message() {
        let messages = ["a\x1b[31m".into(), b"\0\xff".as_slice().into()];
        assert_eq!(written(&format(), &messages), b"a\x1b[31m\n\0\xff\n");
    }

    #[test]
    fn separators_are_chosen_or_left_away() {
        let messages = ["a\nb".into(), "c".into()];
        assert_eq!(written(&Format { separator: Some(0), ..format() }, &messages), b"a\nb\0c\0");
        assert_eq!(written(&Format { separator: None, ..format() }, &messages), b"a\nbc");
    }

    #[test]
    fn a_terminal_never_gets_a_control_character() {
        let format = Format { to_terminal: true, ..format() };
        let shown = written(&format, &["\x1b]0;x\x07".into(), b"\x1b".as_slice().into()]);
        let shown = String::from_utf8(shown).unwrap();
        assert!(shown.starts_with("\\x1b]0;x\\x07\n< (1 byte, binary)\n"), "{shown}");
        assert!(!shown.contains('\x1b'), "{shown}");
    }

    #[test]
    fn times_stand_in_front_where_asked_for() {
        let mut format = format();
        format.display.times = Times::Elapsed;
        let line = String::from_utf8(written(&format, &["hi".into()])).unwrap();
        assert!(line.ends_with(" hi\n") && line.len() == "    0.000 hi\n".len(), "{line}");
    }

    #[tokio::test]
    async fn what_was_written_leaves_before_the_next_message_comes() {
        let (reader, writer) = io::pipe().unwrap();
        let (sender, messages) = mpsc::channel(2);
        let writing = thread::spawn(move || write_messages(messages, &format(), writer));
        let mut lines = io::BufRead::lines(io::BufReader::new(reader));
        for text in ["one", "two"] {
            sender.send(text.into()).await.unwrap();
            assert_eq!(lines.next().unwrap().unwrap(), text);
        }
        drop(sender);
        writing.join().unwrap().unwrap();
    }
}
