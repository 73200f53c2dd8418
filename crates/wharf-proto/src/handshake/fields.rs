//! The header fields of a handshake, found among all of a request's in one pass: to look for each by its name would be a
//! pass each.

use super::error::{FieldRepeated, excerpt};
use super::head::Fields;
use super::headers::elements;

/// A header field that a handshake may have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
    Host,
    Origin,
    Upgrade,
    Connection,
    Key,
    /// Of the drafts, which had another name for it.
    OriginOfDrafts,
    Version,
    Protocol,
    Extensions,
}

impl Field {
    const COUNT: usize = Self::Extensions as usize + 1;

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Host => "Host",
            Self::Origin => "Origin",
            Self::Upgrade => "Upgrade",
            Self::Connection => "Connection",
            Self::Key => "Sec-WebSocket-Key",
            Self::OriginOfDrafts => "Sec-WebSocket-Origin",
            Self::Version => "Sec-WebSocket-Version",
            Self::Protocol => "Sec-WebSocket-Protocol",
            Self::Extensions => "Sec-WebSocket-Extensions",
        }
    }

    /// The field of this name, in any case. No two names have the same length, so that one comparison is enough.
    fn named(name: &str) -> Option<Self> {
        let field = match name.len() {
            4 => Self::Host,
            6 => Self::Origin,
            7 => Self::Upgrade,
            10 => Self::Connection,
            17 => Self::Key,
            20 => Self::OriginOfDrafts,
            21 => Self::Version,
            22 => Self::Protocol,
            24 => Self::Extensions,
            _ => return None,
        };
        // In the case of the RFC from nearly everybody.
        (name == field.name() || name.eq_ignore_ascii_case(field.name())).then_some(field)
    }
}

/// The fields of a handshake among all of a request's.
pub(super) struct HandshakeFields<'a> {
    all: &'a Fields<'a>,
    lines: [Lines<'a>; Field::COUNT],
}

/// The lines of one field, without the blanks around their values.
#[derive(Clone, Copy, Default)]
struct Lines<'a> {
    first: Option<&'a [u8]>,
    is_repeated: bool,
}

impl<'a> HandshakeFields<'a> {
    pub(super) fn of(all: &'a Fields<'a>) -> Self {
        let mut lines = [Lines::default(); Field::COUNT];
        for (name, value) in all.iter() {
            let Some(field) = Field::named(name) else { continue };
            let lines: &mut Lines<'_> = &mut lines[field as usize];
            lines.is_repeated = lines.first.is_some();
            lines.first.get_or_insert(value);
        }
        Self { all, lines }
    }

    /// See [`Fields::get_single`].
    pub(super) fn get_single(&self, field: Field) -> Result<Option<&'a [u8]>, FieldRepeated> {
        let Lines { first, is_repeated } = self.lines[field as usize];
        if is_repeated {
            return Err(FieldRepeated { name: field.name() });
        }
        Ok(first.filter(|value| !value.is_empty()))
    }

    /// See [`Fields::get_all`].
    pub(super) fn get_all(&self, field: Field) -> impl Iterator<Item = &'a [u8]> {
        let Lines { first, is_repeated } = self.lines[field as usize];
        let further = is_repeated.then(|| self.all.get_all(field.name()).skip(1));
        first.into_iter().chain(further.into_iter().flatten())
    }

    /// See [`Fields::contains_token`].
    pub(super) fn contains_token(&self, field: Field, token: &str) -> bool {
        let is_token = |element: &[u8]| element.eq_ignore_ascii_case(token.as_bytes());
        // Nearly always the only element.
        self.lines[field as usize].first.is_some_and(is_token)
            || self.get_all(field).flat_map(elements).any(is_token)
    }

    /// The beginning of the first line's value, for whoever is to be told what came.
    pub(super) fn excerpt(&self, field: Field) -> String {
        self.lines[field as usize].first.map(excerpt).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name_in_any_case() {
        let names = [
            Field::Host,
            Field::Origin,
            Field::Upgrade,
            Field::Connection,
            Field::Key,
            Field::OriginOfDrafts,
            Field::Version,
            Field::Protocol,
            Field::Extensions,
        ]
        .map(Field::name);
        assert_eq!(names.len(), Field::COUNT);
        for name in names {
            let found = |name: &str| Field::named(name).map(Field::name);
            assert_eq!(found(name), Some(name));
            assert_eq!(found(&name.to_ascii_lowercase()), Some(name));
            assert_eq!(found(&name.to_ascii_uppercase()), Some(name));
            assert_eq!(found(&format!("X{}", &name[1..])), None);
        }
    }
}
