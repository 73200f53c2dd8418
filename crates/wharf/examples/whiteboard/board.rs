//! What was drawn, and how it is said: one JSON object a message.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// What a page may say.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Drawing {
    /// A straight piece of a stroke.
    Line {
        /// Where it begins and ends: x and y, x and y, in units of the board, which is 1,000 wide and 600 high.
        points: [f32; 4],
        /// `#rrggbb`
        color: String,
        /// In units of the board.
        width: f32,
    },
    /// The board is empty again.
    Clear,
}

/// The latest lines; the oldest go when there are too many.
#[derive(Debug, Default)]
pub(crate) struct Board {
    lines: VecDeque<Drawing>,
}

/// Some two megabytes of history.
const MAX_LINES: usize = 20_000;

impl Drawing {
    /// # Errors
    /// Why it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let drawing: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if let Self::Line { points, color, width } = &drawing {
            if points.iter().any(|point| !(-100.0..=1100.0).contains(point)) {
                return Err("a line lies on the board".to_owned());
            }
            if !(1.0..=60.0).contains(width) {
                return Err("a line is 1 to 60 wide".to_owned());
            }
            let digits = color.strip_prefix('#').unwrap_or_default();
            if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err("a colour is #rrggbb".to_owned());
            }
        }
        Ok(drawing)
    }

    pub(crate) fn to_json(&self) -> String {
        json(self)
    }
}

impl Board {
    pub(crate) fn add(&mut self, drawing: Drawing) {
        match drawing {
            Drawing::Clear => self.lines.clear(),
            line @ Drawing::Line { .. } => {
                if self.lines.len() >= MAX_LINES {
                    self.lines.pop_front();
                }
                self.lines.push_back(line);
            }
        }
    }

    /// All that is on it, in one message.
    pub(crate) fn history(&self) -> String {
        json(&serde_json::json!({ "type": "history", "lines": self.lines }))
    }
}

/// How many there are.
pub(crate) fn people(count: usize) -> String {
    json(&serde_json::json!({ "type": "people", "count": count }))
}

fn json(value: &impl Serialize) -> String {
    // Fails only for maps whose keys are no text.
    serde_json::to_string(value).unwrap_or_default()
}
