//! What nodes tell each other of those who have subscribed: each change, and all of it to who asks or has missed one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::hub::presences::{Change, Entry};
use crate::hub::{PresenceChange, Topic};

/// The topic on which they do.
pub(super) const TOPIC: &str = "$nodes.presence";

/// How often a node says that it is there.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(10);

/// For how long a node may be silent before its subscribers count as gone.
const SILENCE: Duration = Duration::from_secs(35);

/// How long a node waits before it asks another a second time.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many bytes of entries go into one message, so that no broker finds it too long.
const LONGEST_PART: usize = 128 * 1024;

/// What one node says to all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The change of this number.
    Changed(u64, Change),
    /// The how manieth part of all who are there, from 0, after so many changes; more follow, or none.
    All { changes: u64, part: u64, is_last: bool, entries: Vec<Entry> },
    /// It is there, and there were so many changes.
    Here { changes: u64 },
    /// This node is to say all, or each node, where it is 0.
    Ask { node: u64 },
}

/// What is known of the other nodes.
#[derive(Debug, Default)]
pub(super) struct Others {
    nodes: HashMap<u64, Other>,
}

#[derive(Debug)]
struct Other {
    heard: Instant,
    /// How many of its changes are known. Unknown at first.
    changes: Option<u64>,
    asked: Option<Instant>,
    /// What came of all, until the last part has, and how many parts those are.
    parts: (u64, Vec<Entry>),
}

/// What is to be done with what another node said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Nothing,
    Apply(Change),
    Replace(Vec<Entry>),
    /// To ask it for all.
    Ask,
    /// To say all.
    Answer,
}

impl Others {
    /// Takes in what a node said.
    pub(super) fn hear(&mut self, own: u64, node: u64, said: Said, now: Instant) -> Heard {
        let other = self.nodes.entry(node).or_insert_with(|| Other::new(now));
        other.heard = now;
        match said {
            Said::Changed(number, change) => match other.changes {
                Some(known) if known.checked_add(1) == Some(number) => {
                    other.changes = Some(number);
                    Heard::Apply(change)
                }
                Some(known) if number <= known => Heard::Nothing,
                _ => other.ask(now),
            },
            Said::Here { changes } if other.changes == Some(changes) => Heard::Nothing,
            Said::Here { .. } => other.ask(now),
            Said::All { changes, part, is_last, entries } => {
                if part == 0 {
                    other.parts = (0, Vec::new());
                }
                if part != other.parts.0 {
                    return other.ask(now);
                }
                other.parts.0 += 1;
                other.parts.1.extend(entries);
                if !is_last {
                    return Heard::Nothing;
                }
                other.changes = Some(changes);
                other.asked = None;
                Heard::Replace(std::mem::take(&mut other.parts).1)
            }
            Said::Ask { node } if node == own || node == 0 => Heard::Answer,
            Said::Ask { .. } => Heard::Nothing,
        }
    }

    /// Forgets nodes that were silent for too long: which.
    pub(super) fn forget_silent(&mut self, now: Instant) -> Vec<u64> {
        let silent = self.nodes.extract_if(|_, other| now.duration_since(other.heard) > SILENCE);
        silent.map(|(node, _)| node).collect()
    }
}

impl Other {
    const fn new(now: Instant) -> Self {
        Self { heard: now, changes: None, asked: None, parts: (0, Vec::new()) }
    }

    fn ask(&mut self, now: Instant) -> Heard {
        if self.asked.is_some_and(|asked| now.duration_since(asked) < PATIENCE) {
            return Heard::Nothing;
        }
        self.asked = Some(now);
        Heard::Ask
    }
}

impl Said {
    /// All who are there, in as many parts as it takes.
    pub(super) fn all(changes: u64, entries: Vec<Entry>) -> Vec<Self> {
        let mut parts = vec![Vec::new()];
        let mut len = 0;
        for entry in entries {
            len += entry.topic.len() + entry.member.as_ref().map_or(0, |member| member.len()) + 16;
            if len > LONGEST_PART {
                parts.push(Vec::new());
                len = 0;
            }
            parts.last_mut().expect("there is one").push(entry);
        }
        let last = parts.len() - 1;
        let part = |(at, entries)| Self::All { changes, part: at as u64, is_last: at == last, entries };
        parts.into_iter().enumerate().map(part).collect()
    }

    /// A version, what it is, and its numbers and texts, each text behind its length in bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        match self {
            Self::Changed(number, Change { topic, member, kind }) => {
                bytes.push(CHANGED);
                write_number(&mut bytes, *number);
                bytes.push(u8::from(*kind == PresenceChange::Joined));
                write_text(&mut bytes, topic);
                write_member(&mut bytes, member.as_ref());
            }
            Self::All { changes, part, is_last, entries } => {
                bytes.push(ALL);
                write_number(&mut bytes, *changes);
                write_number(&mut bytes, *part);
                bytes.push(u8::from(*is_last));
                for Entry { topic, member, connections } in entries {
                    write_text(&mut bytes, topic);
                    write_member(&mut bytes, member.as_ref());
                    write_number(&mut bytes, *connections as u64);
                }
            }
            Self::Here { changes } => {
                bytes.push(HERE);
                write_number(&mut bytes, *changes);
            }
            Self::Ask { node } => {
                bytes.push(ASK);
                write_number(&mut bytes, *node);
            }
        }
        bytes
    }

    /// What [`to_bytes`](Self::to_bytes) wrote. `None`: something else, such as what a later version says.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = bytes.strip_prefix(&[VERSION])?;
        let said = match read_byte(&mut bytes)? {
            CHANGED => {
                let number = read_number(&mut bytes)?;
                let has_joined = read_byte(&mut bytes)? != 0;
                let kind = if has_joined { PresenceChange::Joined } else { PresenceChange::Left };
                let (topic, member) = (read_topic(&mut bytes)?, read_member(&mut bytes)?);
                Self::Changed(number, Change { topic, member, kind })
            }
            ALL => {
                let changes = read_number(&mut bytes)?;
                let (part, is_last) = (read_number(&mut bytes)?, read_byte(&mut bytes)? != 0);
                let mut entries = Vec::new();
                while !bytes.is_empty() {
                    let (topic, member) = (read_topic(&mut bytes)?, read_member(&mut bytes)?);
                    let connections = usize::try_from(read_number(&mut bytes)?).ok()?;
                    entries.push(Entry { topic, member, connections });
                }
                Self::All { changes, part, is_last, entries }
            }
            HERE => Self::Here { changes: read_number(&mut bytes)? },
            ASK => Self::Ask { node: read_number(&mut bytes)? },
            _ => return None,
        };
        bytes.is_empty().then_some(said)
    }
}

const VERSION: u8 = 1;
const CHANGED: u8 = 1;
const ALL: u8 = 2;
const HERE: u8 = 3;
const ASK: u8 = 4;

fn write_number(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend(number.to_be_bytes());
}

fn write_text(bytes: &mut Vec<u8>, text: &str) {
    // None is so long: topics are bounded, and a name that is longer is cut off at a character.
    let longest = text.len().min(usize::from(u16::MAX));
    let len = (0..=longest).rev().find(|len| text.is_char_boundary(*len)).unwrap_or_default();
    bytes.extend(u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend(&text.as_bytes()[..len]);
}

fn write_member(bytes: &mut Vec<u8>, member: Option<&Arc<str>>) {
    bytes.push(u8::from(member.is_some()));
    if let Some(member) = member {
        write_text(bytes, member);
    }
}

fn read_byte(bytes: &mut &[u8]) -> Option<u8> {
    bytes.split_off_first().copied()
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    bytes.split_off(..8)?.try_into().ok().map(u64::from_be_bytes)
}

fn read_text<'b>(bytes: &mut &'b [u8]) -> Option<&'b str> {
    let len = bytes.split_off(..2)?.try_into().ok().map(u16::from_be_bytes)?;
    str::from_utf8(bytes.split_off(..len.into())?).ok()
}

fn read_topic(bytes: &mut &[u8]) -> Option<Topic> {
    Topic::new(read_text(bytes)?).ok()
}

#[expect(clippy::option_option, reason = "no member, or nothing that could be read")]
fn read_member(bytes: &mut &[u8]) -> Option<Option<Arc<str>>> {
    match read_byte(bytes)? {
        0 => Some(None),
        _ => Some(Some(read_text(bytes)?.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(member: &str) -> Change {
        let (topic, kind) = (Topic::new("rooms.a").unwrap(), PresenceChange::Joined);
        Change { topic, member: Some(member.into()), kind }
    }

    fn entry(member: Option<&str>) -> Entry {
        Entry { topic: Topic::new("rooms.a").unwrap(), member: member.map(Into::into), connections: 3 }
    }

    fn all(changes: u64) -> Said {
        Said::all(changes, vec![entry(Some("ann")), entry(None)]).remove(0)
    }

    #[test]
    fn what_is_said_is_read_as_it_was_said_and_nothing_that_is_cut_or_prolonged_is() {
        let left = Change { member: None, kind: PresenceChange::Left, ..change("") };
        for said in [
            Said::Changed(7, change("ann")),
            Said::Changed(8, left),
            all(9),
            Said::Here { changes: 1 },
            Said::Ask { node: 5 },
        ] {
            let mut bytes = said.to_bytes();
            assert_eq!(Said::read(&bytes), Some(said.clone()));
            for len in 0..bytes.len() {
                // All without its last entries is all of others.
                assert_ne!(Said::read(&bytes[..len]), Some(said.clone()), "{len}");
            }
            bytes.push(0);
            assert_eq!(Said::read(&bytes), None);
        }
        assert_eq!(Said::read(&[2, 3, 0, 0, 0, 0, 0, 0, 0, 1]), None, "another version");
    }

    #[test]
    fn many_entries_go_in_parts_and_are_put_together() {
        let entries: Vec<_> = (0..10_000).map(|number| entry(Some(&format!("member {number}")))).collect();
        let parts = Said::all(3, entries.clone());
        assert!(parts.len() > 1 && parts.iter().all(|part| part.to_bytes().len() < 2 * LONGEST_PART));
        let mut others = Others::default();
        let heard: Vec<_> = parts.into_iter().map(|part| others.hear(1, 2, part, Instant::now())).collect();
        assert_eq!(heard.last(), Some(&Heard::Replace(entries)));
        assert!(heard[..heard.len() - 1].iter().all(|heard| *heard == Heard::Nothing));
    }

    #[test]
    fn who_has_missed_a_change_asks_once_and_goes_on_from_the_answer() {
        let mut others = Others::default();
        let now = Instant::now();
        let mut hear = |said, now| others.hear(1, 2, said, now);
        assert_eq!(hear(Said::Changed(4, change("ann")), now), Heard::Ask, "nothing was known");
        assert_eq!(hear(Said::Changed(5, change("bob")), now), Heard::Nothing, "it was asked");
        assert!(matches!(hear(all(5), now), Heard::Replace(_)));
        assert_eq!(hear(Said::Changed(5, change("bob")), now), Heard::Nothing, "it is in the answer");
        assert_eq!(hear(Said::Changed(6, change("carl")), now), Heard::Apply(change("carl")));
        assert_eq!(hear(Said::Here { changes: 6 }, now), Heard::Nothing);
        assert_eq!(hear(Said::Here { changes: 7 }, now), Heard::Ask);
        assert_eq!(hear(Said::Here { changes: 7 }, now + 2 * PATIENCE), Heard::Ask, "again, in time");
    }

    #[test]
    fn who_is_asked_answers_and_who_is_silent_is_forgotten() {
        let mut others = Others::default();
        let now = Instant::now();
        assert_eq!(others.hear(1, 2, Said::Ask { node: 1 }, now), Heard::Answer);
        assert_eq!(others.hear(1, 2, Said::Ask { node: 0 }, now), Heard::Answer);
        assert_eq!(others.hear(1, 2, Said::Ask { node: 3 }, now), Heard::Nothing);
        others.hear(1, 3, Said::Here { changes: 0 }, now + SILENCE);
        assert!(others.forget_silent(now + SILENCE).is_empty());
        assert_eq!(others.forget_silent(now + SILENCE + PATIENCE), [2]);
    }
}
