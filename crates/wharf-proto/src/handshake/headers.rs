//! The grammar that the header fields of both sides share: tokens, comma lists, quoted strings, extensions
//! (RFC 6455 §9.1, RFC 9110 §5.6).

use super::error::{ExtensionsError, FieldError, excerpt};

/// One element of `Sec-WebSocket-Extensions`, as offered, accepted, or answered (RFC 6455 §9.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Extension {
    /// The registered name; in lower case when it was read from a header.
    pub name: String,
    /// Parameters in their order, repeated ones too: name (in lower case when read) and value, if it has one.
    pub params: Vec<(String, Option<String>)>,
}

impl Extension {
    /// An extension without parameters.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), params: Vec::new() }
    }

    /// Adds a parameter, with its value if it has one.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: Option<&str>) -> Self {
        self.params.push((name.into(), value.map(str::to_owned)));
        self
    }
}

/// Reads the values of `Sec-WebSocket-Extensions`, all field lines in order, as one list (RFC 6455 §9.1).
///
/// Names of extensions and parameters come out in lower case, as in the reference; values stay as they are,
/// quoted ones without their quotes and backslashes. Empty list elements are skipped, and an empty field
/// names nothing. The RFC wants a quoted value to be a token once it is unquoted, and so it is in what is
/// [sent](write_extensions); here it may be any text of blanks and visible ASCII, as in the reference, and whoever
/// negotiates an extension judges it.
///
/// # Errors
/// [`ExtensionsError`] where a value breaks the grammar, which fails the handshake on either side, or where
/// it names more extensions and parameters, taken together, than a header can reasonably hold.
pub fn parse_extensions<'v>(
    values: impl IntoIterator<Item = &'v [u8]>,
) -> Result<Vec<Extension>, ExtensionsError> {
    let mut extensions = Vec::new();
    let mut room = MAX_EXTENSION_PARTS;
    for value in values {
        let mut cursor = Cursor { value, position: 0, room: &mut room };
        loop {
            while cursor.eat(b',') {}
            if cursor.peek().is_none() {
                break;
            }
            extensions.push(cursor.extension()?);
        }
    }
    Ok(extensions)
}

/// Writes extensions as one value of `Sec-WebSocket-Extensions`. Names and values are tokens (RFC 6455 §4.3, §9.1), so
/// nothing is ever quoted.
///
/// # Errors
/// [`FieldError`] where a name or a value is no token.
pub fn write_extensions(extensions: &[Extension]) -> Result<String, FieldError> {
    let mut text = String::new();
    for extension in extensions {
        if !text.is_empty() {
            text.push_str(", ");
        }
        push_name(&mut text, &extension.name)?;
        for (name, value) in &extension.params {
            text.push_str("; ");
            push_name(&mut text, name)?;
            let Some(value) = value else { continue };
            if !is_token(value) {
                let (name, value) = (excerpt(name.as_bytes()), excerpt(value.as_bytes()));
                return Err(FieldError::ExtensionValue { name, value });
            }
            text.extend(["=", value]);
        }
    }
    Ok(text)
}

/// Whether `text` is a token: visible ASCII without separators, at least one character (RFC 9110 §5.6.2).
///
/// Names of header fields, of extensions and of subprotocols (RFC 6455 §4.1 item 10) are tokens.
pub fn is_token(text: &str) -> bool {
    is_token_bytes(text.as_bytes())
}

/// [`is_token`] for bytes that may be no text.
pub(super) fn is_token_bytes(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// The elements of a comma list without the blanks around them; empty ones are skipped (RFC 9110 §5.6.1.2).
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// Takes optional blanks off both ends (RFC 9110 §5.6.3).
pub(super) fn trim(value: &[u8]) -> &[u8] {
    if let [first, .., last] = value
        && !is_blank(*first)
        && !is_blank(*last)
    {
        return value; // Nearly always.
    }
    let Some(start) = value.iter().position(|&byte| !is_blank(byte)) else { return &[] };
    let end = value.iter().rposition(|&byte| !is_blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// `value` as text, if it is nothing but blanks and visible ASCII, and so no broken UTF-8 either (RFC 6455 §8.1).
pub(super) fn text(value: &[u8]) -> Option<&str> {
    // To the end at any rate, which takes several bytes at a time.
    let is_text = value.iter().fold(true, |is_text, &byte| is_text & is_text_byte(byte));
    if is_text { std::str::from_utf8(value).ok() } else { None }
}

/// Checks the name of a field that is about to be sent.
pub(super) fn check_name(name: &str) -> Result<(), FieldError> {
    if is_token(name) { Ok(()) } else { Err(FieldError::Name { name: excerpt(name.as_bytes()) }) }
}

/// Checks a value that is about to be sent: a control character could begin a line of its own, and what is
/// not ASCII has no agreed meaning (RFC 9110 §5.5).
pub(super) fn check_value(name: &str, value: &str) -> Result<(), FieldError> {
    match value.bytes().enumerate().find(|&(_, byte)| !is_text_byte(byte)) {
        Some((position, byte)) => Err(FieldError::Value { name: excerpt(name.as_bytes()), position, byte }),
        None => Ok(()),
    }
}

fn push_name(text: &mut String, name: &str) -> Result<(), FieldError> {
    check_name(name)?;
    text.push_str(name);
    Ok(())
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !SEPARATORS.contains(&byte)
}

fn is_text_byte(byte: u8) -> bool {
    byte == b' ' || byte.is_ascii_graphic()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// One field line of extensions, read from left to right. Blanks may stand between any two parts.
struct Cursor<'v, 'r> {
    value: &'v [u8],
    position: usize,
    /// How many more extensions and parameters may come, over all field lines.
    room: &'r mut usize,
}

impl<'v> Cursor<'v, '_> {
    /// `extension-param *( ";" extension-param )` up to the comma or the end.
    fn extension(&mut self) -> Result<Extension, ExtensionsError> {
        let mut extension = Extension::new(self.name("the name of an extension")?);
        while self.eat(b';') {
            let name = self.name("the name of a parameter")?;
            let value = if self.eat(b'=') { Some(self.value()?) } else { None };
            extension.params.push((name, value));
        }
        match self.peek() {
            None | Some(b',') => Ok(extension),
            Some(_) => Err(self.error("a comma or a semicolon")),
        }
    }

    fn name(&mut self, expected: &'static str) -> Result<String, ExtensionsError> {
        *self.room =
            self.room.checked_sub(1).ok_or(ExtensionsError::TooMany { limit: MAX_EXTENSION_PARTS })?;
        let mut name = self.token(expected)?;
        name.make_ascii_lowercase();
        Ok(name)
    }

    fn value(&mut self) -> Result<String, ExtensionsError> {
        if self.eat(b'"') { self.quoted() } else { self.token("a value") }
    }

    fn token(&mut self, expected: &'static str) -> Result<String, ExtensionsError> {
        self.skip_blanks();
        let rest = self.rest();
        let length = rest.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(rest.len());
        match text(&rest[..length]) {
            Some(token) if length > 0 => {
                self.position += length;
                Ok(token.to_owned())
            }
            _ => Err(self.error(expected)),
        }
    }

    /// What follows an opening quote, up to and with the closing one (RFC 9110 §5.6.4).
    fn quoted(&mut self) -> Result<String, ExtensionsError> {
        let mut text = String::new();
        loop {
            let escaped = self.rest().first() == Some(&b'\\');
            self.position += usize::from(escaped);
            match self.rest().first() {
                Some(b'"') if !escaped => {
                    self.position += 1;
                    return Ok(text);
                }
                Some(&byte) if is_text_byte(byte) => text.push(char::from(byte)),
                Some(_) => return Err(self.error("visible ASCII")),
                None => return Err(self.error("a closing quote")),
            }
            self.position += 1;
        }
    }

    /// Takes `byte` and the blanks before it, if it is the next one.
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.position += usize::from(found);
        found
    }

    /// The next byte that is not a blank.
    fn peek(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.rest().first().copied()
    }

    fn skip_blanks(&mut self) {
        self.position += self.rest().iter().take_while(|&&byte| is_blank(byte)).count();
    }

    fn rest(&self) -> &'v [u8] {
        &self.value[self.position..]
    }

    fn error(&self, expected: &'static str) -> ExtensionsError {
        ExtensionsError::Unexpected { came: excerpt(self.rest()), position: self.position, expected }
    }
}

const SEPARATORS: &[u8] = b"()<>@,;:\\\"/[]?={}";

/// Two bytes of a header can make a parameter of a hundred bytes here, so their number has a limit of its
/// own. Browsers send two or three.
const MAX_EXTENSION_PARTS: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(value: &str) -> Result<Vec<Extension>, ExtensionsError> {
        parse_extensions([value.as_bytes()])
    }

    fn position(value: &str) -> usize {
        match parse(value).unwrap_err() {
            ExtensionsError::Unexpected { position, .. } => position,
            other @ ExtensionsError::TooMany { .. } => panic!("{other}"),
        }
    }

    #[test]
    fn r7_1_extensions_and_parameters_come_in_order_and_quotes_are_taken_off() {
        // RFC 6455 §9.1
        let value = "permessage-deflate; client_max_window_bits; server_max_window_bits=\"10\", X-Foo;a=b";
        let expected = [
            Extension::new("permessage-deflate")
                .param("client_max_window_bits", None)
                .param("server_max_window_bits", Some("10")),
            Extension::new("x-foo").param("a", Some("b")),
        ];
        assert_eq!(parse(value).unwrap(), expected);
    }

    #[test]
    fn r7_2_a_quoted_value_with_comma_and_semicolon_stays_whole() {
        // RFC 6455 §9.1
        let expected = [Extension::new("a").param("b", Some(r#"c, d; e="F\"#)).param("g", None)];
        assert_eq!(parse(r#"a; b="c, d; e=\"F\\"; g"#).unwrap(), expected);
    }

    #[test]
    fn several_field_lines_are_one_list_and_empty_elements_are_skipped() {
        // RFC 6455 §9.1, RFC 9110 §5.6.1.2
        let values = [b", a ,, b".as_slice(), b"", b"\t", b"a;\tx = 1 ,"];
        let expected = [Extension::new("a"), Extension::new("b"), Extension::new("a").param("x", Some("1"))];
        assert_eq!(parse_extensions(values).unwrap(), expected);
    }

    #[test]
    fn what_breaks_the_grammar_is_an_error_at_its_place() {
        // RFC 6455 §9.1
        assert_eq!(position("foo bar"), 4);
        assert_eq!(position("foo;"), 4);
        assert_eq!(position("foo; ;a"), 5);
        assert_eq!(position("foo; a="), 7);
        assert_eq!(position("foo; a=,b"), 7);
        assert_eq!(position("=a"), 0);
        assert_eq!(position("foo; a=\"b"), 9);
        assert_eq!(position("foo; a=\"b\\"), 10);
        assert_eq!(position("foo; a=\"b\"c"), 10);
        assert_eq!(position("foo; a=\"\t\""), 8);
        assert_eq!(position("foo; a=b=c"), 8);
        assert_eq!(position("foo; a=\"\u{e9}\""), 8);
        assert_eq!(position("f\u{e9}"), 1);
    }

    #[test]
    fn more_extensions_and_parameters_than_the_limit_are_an_error_also_over_several_lines() {
        let full = format!("a{}", ";b".repeat(MAX_EXTENSION_PARTS - 1));
        assert_eq!(parse(&full).unwrap()[0].params.len(), MAX_EXTENSION_PARTS - 1);
        let error = ExtensionsError::TooMany { limit: MAX_EXTENSION_PARTS };
        assert_eq!(parse_extensions([full.as_bytes(), b"c"]).unwrap_err(), error);
    }

    #[test]
    fn a_value_that_is_no_token_is_never_sent() {
        // RFC 6455 §4.3, §9.1
        let extensions = [Extension::new("a").param("b", None).param("c", Some("10")), Extension::new("d")];
        assert_eq!(write_extensions(&extensions).unwrap(), "a; b; c=10, d");
        for value in ["", "b c", "b,c", "\"b\"", "b\r\nc", "\u{e9}"] {
            let error = write_extensions(&[Extension::new("a").param("p", Some(value))]).unwrap_err();
            let value = excerpt(value.as_bytes());
            assert_eq!(error, FieldError::ExtensionValue { name: "p".to_owned(), value });
        }
    }

    #[test]
    fn an_extension_that_cannot_be_sent_is_an_error() {
        let error = write_extensions(&[Extension::new("a\r\nb")]).unwrap_err();
        assert_eq!(error, FieldError::Name { name: r"a\r\nb".to_owned() });
        assert!(write_extensions(&[Extension::new("a").param("", None)]).is_err());
    }

    #[test]
    fn a_token_is_visible_ascii_without_separators() {
        // RFC 9110 §5.6.2
        let tokens: String = (0..=255).map(char::from).filter(|char| is_token(&char.to_string())).collect();
        let letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~";
        assert_eq!(tokens, format!("!#$%&'*+-.{letters}"));
        assert!(!is_token(""));
        assert!(!is_token("a b"));
    }

    fn extension() -> impl Strategy<Value = Extension> {
        let params = proptest::collection::vec(
            ("[a-z0-9_-]{1,5}", proptest::option::of("[a-zA-Z0-9!#.-]{1,6}")),
            0..4,
        );
        ("[a-z0-9.-]{1,8}", params).prop_map(|(name, params)| Extension { name, params })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(extensions in proptest::collection::vec(extension(), 0..5)) {
            prop_assert_eq!(parse(&write_extensions(&extensions).unwrap()).unwrap(), extensions);
        }

        #[test]
        fn no_bytes_panic_the_extension_parser(value: Vec<u8>, text in "[a,;=\"\\\\ \t]{0,20}") {
            if let Ok(extensions) = parse_extensions([value.as_slice(), text.as_bytes()])
                && let Ok(written) = write_extensions(&extensions)
            {
                prop_assert_eq!(parse(&written).unwrap(), extensions);
            }
        }

        #[test]
        fn trimmed_elements_hold_no_comma_and_no_outer_blank(value in "[a, \t]{0,20}") {
            for element in elements(value.as_bytes()) {
                prop_assert!(!element.contains(&b','));
                prop_assert_eq!(trim(element), element);
                prop_assert!(!element.is_empty());
            }
        }
    }
}
