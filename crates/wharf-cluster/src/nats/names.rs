//! Subjects and streams, by topic.

use std::fmt::Write;
use std::sync::Arc;

use wharf::hub::{BrokerError, Topic};

/// How subjects and streams are called.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Before topics, where messages are sent to those who have subscribed.
    live: Arc<str>,
    /// Before topics, where streams take messages.
    kept: Arc<str>,
    /// Before numbers, where connections send to themselves.
    echo: Arc<str>,
}

/// The longest name of a stream, in bytes.
const LONGEST_STREAM: usize = 255;

impl Names {
    pub(super) fn new(prefix: &Topic) -> Self {
        let below = |token| format!("{prefix}.{token}.").into();
        Self { live: below("t"), kept: below("h"), echo: below("e") }
    }

    /// Where messages of a topic, or of those that match a pattern, are sent.
    pub(super) fn live(&self, pattern: &str) -> String {
        format!("{}{pattern}", self.live)
    }

    /// The topic whose messages are sent there.
    pub(super) fn topic(&self, live: &str) -> Option<Topic> {
        Topic::new(live.strip_prefix(&*self.live)?).ok()
    }

    /// Where the stream of a topic takes messages.
    pub(super) fn kept(&self, topic: &Topic) -> String {
        format!("{}{topic}", self.kept)
    }

    /// Where the connection that has drawn this number sends to itself.
    pub(super) fn echo(&self, number: u64) -> String {
        format!("{}{number:x}", self.echo)
    }

    /// The stream of a topic: its subject, in the characters that a stream's name may have, which is a directory's, too.
    pub(super) fn stream(&self, topic: &Topic) -> Result<String, BrokerError> {
        let mut name = String::with_capacity(self.kept.len() + topic.len());
        for byte in self.kept(topic).bytes() {
            match byte {
                b'.' => name.push('_'),
                b'-' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => name.push(char::from(byte)),
                _ => {
                    // Writing to a text does not fail.
                    let _ = write!(name, "={byte:02X}");
                }
            }
        }
        if name.len() > LONGEST_STREAM {
            let reason = format!(
                "the topic {topic:?} is too long for a history: its stream's name would have {} bytes, of at most {LONGEST_STREAM}",
                name.len()
            );
            return Err(BrokerError::Refused(reason.into()));
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(prefix: &str) -> Names {
        Names::new(&Topic::new(prefix).unwrap())
    }

    fn topic(name: &str) -> Topic {
        Topic::new(name).unwrap()
    }

    #[test]
    fn a_topic_is_known_by_its_subject() {
        let names = names("my.wharf");
        assert_eq!(names.live("rooms.*"), "my.wharf.t.rooms.*");
        assert_eq!(names.topic("my.wharf.t.rooms.lobby"), Some(topic("rooms.lobby")));
        assert_eq!(names.topic("my.wharf.h.rooms.lobby"), None);
        assert_eq!(names.kept(&topic("rooms.lobby")), "my.wharf.h.rooms.lobby");
        assert_eq!(names.echo(0xfe), "my.wharf.e.fe");
    }

    #[test]
    fn a_stream_is_called_by_its_subject_in_letters_and_digits() {
        let stream = |prefix, name| names(prefix).stream(&topic(name)).unwrap();
        assert_eq!(stream("wharf", "rooms.the-lobby"), "wharf_h_rooms_the-lobby");
        assert_eq!(stream("wharf", "a_b/ü=$"), "wharf_h_a=5Fb=2F=C3=BC=3D=24");
        assert_ne!(stream("a", "b.c"), stream("a.b", "c"));
    }

    #[test]
    fn a_topic_whose_stream_would_have_too_long_a_name_is_refused() {
        assert!(names("wharf").stream(&topic(&"a".repeat(247))).is_ok());
        let error = names("wharf").stream(&topic(&"a".repeat(248))).unwrap_err();
        assert!(error.to_string().contains("256 bytes, of at most 255"), "{error}");
    }
}
