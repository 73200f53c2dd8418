//! Text of a peer's, made harmless for a terminal: it shows what came, and never obeys it.

use std::fmt::{self, Write};

/// Text whose control characters are shown, as `\x1b`, instead of written. Newlines and tabs stay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(is_dangerous) {
            f.write_str(&rest[..at])?;
            let mut following = rest[at..].chars();
            if let Some(character) = following.next() {
                escape(character, f)?;
            }
            rest = following.as_str();
        }
        f.write_str(rest)
    }
}

/// Text in one line: newlines and tabs are shown, too.
#[derive(Clone, Copy, Debug)]
pub(super) struct OneLine<'a>(pub(super) &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if matches!(character, '\n' | '\t') || is_dangerous(character) {
                escape(character, f)?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

fn escape(character: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match character {
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        _ if character.is_ascii() => write!(f, "\\x{:02x}", u32::from(character)),
        _ => write!(f, "\\u{{{:x}}}", u32::from(character)),
    }
}

/// Whether a terminal might obey the character, or show others in another order than they came: the controls of
/// C0, C1 and DEL, the separators of lines, and the marks of direction.
const fn is_dangerous(character: char) -> bool {
    matches!(
        character,
        '\0'..='\x08'
            | '\x0b'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_reaches_the_terminal() {
        for character in 0..0x3000_u32 {
            let Some(character) = char::from_u32(character) else { continue };
            let text = character.to_string();
            let shown = Escaped(&text).to_string();
            assert!(
                shown.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'),
                "{character:?} became {shown:?}"
            );
            assert!(OneLine(&text).to_string().chars().all(|c| !c.is_control()), "{character:?}");
        }
    }

    #[test]
    fn escape_sequences_are_shown() {
        assert_eq!(Escaped("\x1b]0;title\x07\r\u{9b}31m").to_string(), "\\x1b]0;title\\x07\\r\\u{9b}31m");
        assert_eq!(Escaped("a\u{202e}b").to_string(), "a\\u{202e}b");
    }

    #[test]
    fn text_without_controls_is_itself() {
        let text = "Grüße, 世界 👩‍👩‍👧\n\tindented\\";
        assert_eq!(Escaped(text).to_string(), text);
        assert_eq!(OneLine("a\n\tb").to_string(), "a\\n\\tb");
    }
}
