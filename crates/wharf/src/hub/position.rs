//! Where a message lies in the history of its topic.

use std::fmt;
use std::str::FromStr;

/// The place of a message in the history of its topic: its offset, in an epoch. As text `epoch-offset`, such as
/// `18c5e7f2a-42`, the epoch in hexadecimal.
///
/// Offsets of an epoch count the messages of the topic, from 1. Whoever keeps the history begins a new epoch when it begins
/// to count anew, such as a process that keeps it in memory: what is known from another epoch says nothing of what was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Which history it is.
    pub epoch: u64,
    /// How many messages there were, with this one. 0 is before the first.
    pub offset: u64,
}

/// A text is not a [`Position`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a position is an epoch in hexadecimal, a dash and an offset, such as 18c5e7f2a-42")]
pub struct PositionError;

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.epoch, self.offset)
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (epoch, offset) = text.split_once('-').ok_or(PositionError)?;
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_number(epoch) || !is_number(offset) {
            return Err(PositionError);
        }
        let epoch = u64::from_str_radix(epoch, 16).map_err(|_| PositionError)?;
        Ok(Self { epoch, offset: offset.parse().map_err(|_| PositionError)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_text_is_read_as_it_was_written_and_nothing_else_is() {
        for position in [Position { epoch: 0x18c5_e7f2_aaaa, offset: 42 }, Position { epoch: 0, offset: 0 }] {
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        assert_eq!(Position { epoch: 0xfe, offset: 10 }.to_string(), "fe-10");
        for wrong in ["", "-", "1", "1-", "-1", "x-1", "1-x", "+1-1", "1-+1", "1-f", "11111111111111111-1"] {
            assert_eq!(wrong.parse::<Position>(), Err(PositionError), "{wrong}");
        }
    }
}
