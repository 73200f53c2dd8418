//! How messages look on a terminal: when they came, in which direction, and never as what the peer's bytes ask for.

use std::fmt::Write;
use std::time::{Duration, Instant};
use std::{env, iter};

use wharf::Message;

use super::escape::{Escaped, OneLine};
use super::options::Times;

/// Bytes of a binary message that are shown at most.
const BINARY_SHOWN: usize = 512;

/// The look of a session.
#[derive(Clone, Debug)]
pub(super) struct Display {
    pub(super) times: Times,
    pub(super) colours: bool,
    /// Bytes of a text that are shown at most.
    pub(super) limit: usize,
    pub(super) began: Instant,
}

/// What a line is about, as its colour.
#[derive(Clone, Copy, Debug)]
enum Colour {
    Faint,
    Received,
    Noted,
}

impl Display {
    /// A message that came, with its newline.
    pub(super) fn received(&self, message: &Message) -> String {
        let stamp = self.stamp();
        let mut shown = String::new();
        self.mark(&mut shown, &stamp, "<", Colour::Received);
        match message {
            Message::Text(text) if text.is_empty() => self.paint(&mut shown, "(empty)", Colour::Faint),
            Message::Text(text) => self.text(&mut shown, text, stamp.len()),
            Message::Binary(bytes) => {
                self.paint(&mut shown, &format!("({}, binary)", in_bytes(bytes.len())), Colour::Faint);
                self.dump(&mut shown, bytes, stamp.len());
            }
        }
        shown.push('\n');
        shown
    }

    /// Something else that happened, with its newline.
    pub(super) fn noted(&self, what: &str) -> String {
        let mut shown = String::new();
        self.mark(&mut shown, &self.stamp(), "*", Colour::Noted);
        for (at, line) in what.lines().enumerate() {
            if at > 0 {
                shown.push('\n');
            }
            let _ = write!(shown, "{}", Escaped(line));
        }
        shown.push('\n');
        shown
    }

    /// When, with the blank that follows; nothing where times are not shown.
    pub(super) fn stamp(&self) -> String {
        match self.times {
            Times::Local => jiff::Zoned::now().strftime("%H:%M:%S%.3f ").to_string(),
            Times::Elapsed => elapsed(self.began.elapsed()),
            Times::None => String::new(),
        }
    }

    fn mark(&self, shown: &mut String, stamp: &str, mark: &str, colour: Colour) {
        if !stamp.is_empty() {
            self.paint(shown, stamp, Colour::Faint);
        }
        self.paint(shown, mark, colour);
        shown.push(' ');
    }

    /// Further lines of a message are marked, too: what a peer sends never stands where a mark of ours does.
    fn text(&self, shown: &mut String, text: &str, indent: usize) {
        let mut length = self.limit.min(text.len());
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        for (at, line) in text[..length].split('\n').enumerate() {
            if at > 0 {
                self.next_line(shown, indent);
            }
            let _ = write!(shown, "{}", Escaped(line));
        }
        self.rest(shown, text.len() - length, indent);
    }

    fn dump(&self, shown: &mut String, bytes: &[u8], indent: usize) {
        let length = bytes.len().min(self.limit).min(BINARY_SHOWN);
        for (at, row) in bytes[..length].chunks(16).enumerate() {
            self.next_line(shown, indent);
            let _ = write!(shown, "{:04x}:", at * 16);
            for pair in row.chunks(2) {
                shown.push(' ');
                shown.extend(pair.iter().map(|byte| format!("{byte:02x}")));
            }
            // As wide as eight pairs are.
            let width = row.len() * 2 + row.len().div_ceil(2);
            shown.extend(iter::repeat_n(' ', 40 - width + 2));
            shown.extend(row.iter().map(|&byte| match byte {
                b' '..=b'~' => char::from(byte),
                _ => '.',
            }));
        }
        self.rest(shown, bytes.len() - length, indent);
    }

    fn rest(&self, shown: &mut String, left_out: usize, indent: usize) {
        if left_out > 0 {
            self.next_line(shown, indent);
            self.paint(shown, &format!("(and {} more)", in_bytes(left_out)), Colour::Faint);
        }
    }

    fn next_line(&self, shown: &mut String, indent: usize) {
        shown.push('\n');
        shown.extend(iter::repeat_n(' ', indent));
        self.paint(shown, "|", Colour::Faint);
        shown.push(' ');
    }

    fn paint(&self, shown: &mut String, text: &str, colour: Colour) {
        if self.colours {
            let code = match colour {
                Colour::Faint => 2,
                Colour::Received => 32,
                Colour::Noted => 33,
            };
            let _ = write!(shown, "\x1b[{code}m{text}\x1b[0m");
        } else {
            shown.push_str(text);
        }
    }
}

/// Whether a terminal is to get colours: not where `NO_COLOR` says so (no-color.org), nor where it knows none.
pub(super) fn wants_colours() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

pub(super) fn in_bytes(count: usize) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}

/// A short text of the peer's, in quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", OneLine(text))
}

fn elapsed(time: Duration) -> String {
    format!("{:9.3} ", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn display(times: Times, limit: usize) -> Display {
        Display { times, colours: false, limit, began: Instant::now() }
    }

    fn shown(message: impl Into<Message>) -> String {
        display(Times::None, 64).received(&message.into())
    }

    #[test]
    fn a_text_stands_behind_its_mark() {
        assert_eq!(shown("hello"), "< hello\n");
        assert_eq!(shown(""), "< (empty)\n");
    }

    #[test]
    fn further_lines_are_marked_and_cannot_pretend_to_be_messages() {
        assert_eq!(shown("a\n< b\r\n* c"), "< a\n| < b\\r\n| * c\n");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "ü".repeat(40);
        assert_eq!(shown(text.as_str()), format!("< {}\n| (and 16 bytes more)\n", "ü".repeat(32)));
        assert_eq!(display(Times::None, 3).received(&text.as_str().into()), "< ü\n| (and 78 bytes more)\n");
    }

    #[test]
    fn bytes_are_dumped() {
        let mut bytes = b"\x00hello\x1b\xff".to_vec();
        assert_eq!(
            shown(bytes.clone()),
            "< (8 bytes, binary)\n| 0000: 0068 656c 6c6f 1bff                      .hello..\n"
        );
        bytes.resize(1000, b'x');
        let shown = display(Times::None, 4096).received(&bytes.into());
        assert_eq!(shown.lines().count(), 1 + 512 / 16 + 1);
        assert!(shown.ends_with("| (and 488 bytes more)\n"), "{shown}");
    }

    #[test]
    fn colours_mark_what_is_ours_and_nothing_that_is_the_peers() {
        let display = Display { colours: true, ..display(Times::None, 64) };
        assert_eq!(display.received(&"\x1b[31mred".into()), "\x1b[32m<\x1b[0m \\x1b[31mred\n");
    }

    #[test]
    fn a_time_stands_in_front_and_further_lines_below_the_text() {
        assert_eq!(elapsed(Duration::from_millis(12_345)), "   12.345 ");
        let shown = display(Times::Elapsed, 64).received(&"a\nb".into());
        let lines: Vec<_> = shown.lines().map(|line| line.split_at(10)).collect();
        assert!(lines[0].0.trim().parse::<f64>().is_ok(), "{shown}");
        assert_eq!([lines[0].1, lines[1].1], ["< a", "| b"]);
        let local = display(Times::Local, 64).stamp();
        assert_eq!(local.len(), "12:34:56.789 ".len(), "{local}");
    }
}
