//! Options as they are written in files: the feature `serde`.
//!
//! Read and written by hand, because what a number means depends on the name it stands under, and because an unknown
//! name is answered with the nearest known one.

use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;
use std::{fmt, iter};

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::{ServerConfig, UNLIMITED};
use crate::client_address_header::ClientAddressHeader;
#[cfg(feature = "deflate")]
use crate::compression::Compression;
use crate::network::IpNetwork;
use crate::origin::OriginRule;

/// Options that a file has a table for.
trait Table: Default {
    /// What they are the options of.
    const OF: &'static str;
    /// What stands before their names in errors: the name of the table, where that is not the whole file.
    const PREFIX: &'static str;
    const OPTIONS: &'static [Known];

    /// Reads the value that follows the name of one of them.
    fn read<'de, A: MapAccess<'de>>(&mut self, name: Name, map: &mut A) -> Result<(), A::Error>;
}

/// The names of an option.
struct Known {
    /// Where it stands.
    key: &'static str,
    /// Its name in errors, with the prefix.
    name: &'static str,
    /// The reference's, where that differs.
    reference: Option<&'static str>,
}

/// Declares each option once: its name, the reference's where that differs, and how it is written.
macro_rules! options {
    ($table:ident, $of:literal, $prefix:literal: {
        $($(#[$condition:meta])? $option:ident $(= $reference:literal)?: $form:ty,)+
    }) => {
        impl Table for $table {
            const OF: &'static str = $of;
            const PREFIX: &'static str = $prefix;
            const OPTIONS: &'static [Known] = &[$(
                $(#[$condition])?
                Known {
                    key: stringify!($option),
                    name: concat!($prefix, stringify!($option)),
                    reference: [$($reference,)?].first().copied(),
                },
            )+];

            fn read<'de, A: MapAccess<'de>>(&mut self, name: Name, map: &mut A) -> Result<(), A::Error> {
                match name.key {
                    $($(#[$condition])?
                    stringify!($option) => {
                        self.$option = map.next_value_seed(ValueOf::<$form>(name, PhantomData))?;
                    })+
                    unknown => return Err(unknown_option::<Self, _>(unknown)),
                }
                Ok(())
            }
        }

        impl Serialize for $table {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut options = serializer.serialize_struct(stringify!($table), Self::OPTIONS.len())?;
                $($(#[$condition])?
                options.serialize_field(stringify!($option), &Written::<$form>(&self.$option))?;)+
                options.end()
            }
        }

        impl<'de> Deserialize<'de> for $table {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                const NAMES: &[&str] = &[$($(#[$condition])? stringify!($option)),+];
                deserializer.deserialize_struct(stringify!($table), NAMES, TableOf(PhantomData))
            }
        }
    };
}

options! { ServerConfig, "options of a server", "": {
    max_received_frame_size = "maxReceivedFrameSize": Size,
    max_received_message_size = "maxReceivedMessageSize": Size,
    fragment_outgoing_messages = "fragmentOutgoingMessages": bool,
    fragmentation_threshold = "fragmentationThreshold": Size,
    keepalive: bool,
    keepalive_interval = "keepaliveInterval": Time,
    drop_connection_on_keepalive_timeout = "dropConnectionOnKeepaliveTimeout": bool,
    keepalive_grace_period = "keepaliveGracePeriod": Time,
    use_native_keepalive = "useNativeKeepalive": bool,
    assemble_fragments = "assembleFragments": bool,
    auto_accept_connections = "autoAcceptConnections": bool,
    close_timeout = "closeTimeout": Time,
    disable_nagle_algorithm = "disableNagleAlgorithm": bool,
    ignore_x_forwarded_for = "ignoreXForwardedFor": bool,
    parse_extensions = "parseExtensions": bool,
    parse_cookies = "parseCookies": bool,
    trusted_proxies: ListOf<IpNetwork>,
    client_address_header: ClientAddressHeader,
    allowed_origins: ListOf<OriginRule>,
    handshake_timeout: Time,
    max_pending_requests: usize,
    max_connections: usize,
    max_fragments: u32,
    max_buffered_amount: Size,
    max_unread_messages: usize,
    max_unread_bytes: Size,
    write_timeout: Time,
    max_pending_events: usize,
    #[cfg(feature = "deflate")]
    compression: Option<Compression>,
}}

#[cfg(feature = "deflate")]
options! { Compression, "options of compression", "compression.": {
    level: u8,
    memory_level: u8,
    threshold: Size,
    server_context_takeover: bool,
    client_context_takeover: bool,
    server_max_window_bits: u8,
    client_max_window_bits: u8,
    memory_limit: Size,
    idle_timeout: Time,
}}

/// Reads a table.
struct TableOf<T: Table>(PhantomData<T>);

impl<'de, T: Table> Visitor<'de> for TableOf<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::OF)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut table = T::default();
        let mut seen = Vec::new();
        while let Some(name) = map.next_key_seed(NameOf::<T>(&mut seen, PhantomData))? {
            table.read(name, &mut map)?;
        }
        Ok(table)
    }
}

/// An option, as a file names it.
#[derive(Clone, Copy)]
struct Name {
    key: &'static str,
    option: &'static str,
    is_the_references: bool,
}

/// Reads a name. An error here has the name's place in the file.
struct NameOf<'a, T: Table>(&'a mut Vec<&'static str>, PhantomData<T>);

impl<'de, T: Table> DeserializeSeed<'de> for NameOf<'_, T> {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<T: Table> Visitor<'_> for NameOf<'_, T> {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an option")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Name, E> {
        let is_its_name = |known: &&Known| known.key == text || known.reference == Some(text);
        let Some(known) = T::OPTIONS.iter().find(is_its_name) else {
            return Err(unknown_option::<T, E>(text));
        };
        let name = Name { key: known.key, option: known.name, is_the_references: known.key != text };
        if self.0.contains(&name.option) {
            return Err(E::custom(format_args!("the option {} is given twice", name.option)));
        }
        self.0.push(name.option);
        Ok(name)
    }
}

fn unknown_option<T: Table, E: de::Error>(name: &str) -> E {
    let prefix = T::PREFIX;
    let names = T::OPTIONS.iter().flat_map(|known| iter::once(known.key).chain(known.reference));
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(name, known);
    let nearest = names.max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let unknown = format!("{prefix}{name}");
    match nearest.filter(|nearest| likeness(nearest) >= ALIKE) {
        Some(nearest) => {
            E::custom(format_args!("unknown option {unknown:?}; did you mean {prefix}{nearest}?"))
        }
        None => E::custom(format_args!("unknown option {unknown:?}")),
    }
}

/// A typing error or two leave more than this of a name; names that mean something else share less.
const ALIKE: f64 = 0.6;

/// How the values of an option are written.
trait Form: Sized {
    type Value;
    const EXPECTED: &'static str;

    fn read_bool(_: bool) -> Option<Self::Value> {
        None
    }

    fn read_number(_: u64, _: Name) -> Option<Self::Value> {
        None
    }

    fn read_text(_: &str) -> Option<Self::Value> {
        None
    }

    fn read_list<'de, A: SeqAccess<'de>>(_: A, name: Name) -> Result<Self::Value, A::Error> {
        Err(de::Error::invalid_type(Unexpected::Seq, &ValueOf::<Self>(name, PhantomData)))
    }

    fn read_table<'de, A: MapAccess<'de>>(_: A, name: Name) -> Result<Self::Value, A::Error> {
        Err(de::Error::invalid_type(Unexpected::Map, &ValueOf::<Self>(name, PhantomData)))
    }

    fn write<S: Serializer>(value: &Self::Value, serializer: S) -> Result<S::Ok, S::Error>;
}

impl Form for bool {
    type Value = Self;
    const EXPECTED: &'static str = "true or false";

    fn read_bool(value: bool) -> Option<Self> {
        Some(value)
    }

    fn write<S: Serializer>(value: &Self, serializer: S) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }
}

macro_rules! counts {
    ($($count:ty),+) => {
        $(impl Form for $count {
            type Value = Self;
            const EXPECTED: &'static str = "a number";

            fn read_number(number: u64, _: Name) -> Option<Self> {
                number.try_into().ok()
            }

            fn write<S: Serializer>(value: &Self, serializer: S) -> Result<S::Ok, S::Error> {
                value.serialize(serializer)
            }
        })+
    };
}

counts!(u32, usize);
#[cfg(feature = "deflate")]
counts!(u8);

/// Bytes: a number, or `"unlimited"`.
struct Size;

impl Form for Size {
    type Value = usize;
    const EXPECTED: &'static str = "a number of bytes, or \"unlimited\"";

    fn read_number(number: u64, _: Name) -> Option<usize> {
        number.try_into().ok()
    }

    fn read_text(text: &str) -> Option<usize> {
        (text == "unlimited").then_some(UNLIMITED)
    }

    fn write<S: Serializer>(value: &usize, serializer: S) -> Result<S::Ok, S::Error> {
        if *value == UNLIMITED { "unlimited".serialize(serializer) } else { value.serialize(serializer) }
    }
}

/// A time with its unit: `"20s"`, `"1m 30s"`, `"500ms"`. Under the reference's name of an option also a number, which
/// counts milliseconds as it does there; under ours nobody could tell what it counts.
struct Time;

impl Form for Time {
    type Value = Duration;
    const EXPECTED: &'static str = "a time with its unit, such as \"20s\" or \"500ms\"";

    fn read_number(number: u64, name: Name) -> Option<Duration> {
        name.is_the_references.then(|| Duration::from_millis(number))
    }

    fn read_text(text: &str) -> Option<Duration> {
        humantime::parse_duration(text).ok()
    }

    fn write<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*value))
    }
}

impl Form for ClientAddressHeader {
    type Value = Self;
    const EXPECTED: &'static str = "X-Forwarded-For or Forwarded";

    fn read_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write<S: Serializer>(value: &Self, serializer: S) -> Result<S::Ok, S::Error> {
        value.name().serialize(serializer)
    }
}

/// A list, each element a text.
struct ListOf<T>(PhantomData<T>);

/// What lists consist of.
trait Listed: FromStr<Err: fmt::Display> + fmt::Display {
    const LIST: &'static str;
}

impl Listed for IpNetwork {
    const LIST: &'static str = "a list of networks such as [\"10.0.0.0/8\"]";
}

impl Listed for OriginRule {
    const LIST: &'static str = "a list of origins such as [\"same-origin\", \"https://example.com\"]";
}

impl<T: Listed> Form for ListOf<T> {
    type Value = Vec<T>;
    const EXPECTED: &'static str = T::LIST;

    fn read_list<'de, A: SeqAccess<'de>>(mut list: A, name: Name) -> Result<Vec<T>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element_seed(ElementOf(name, PhantomData))? {
            elements.push(element);
        }
        Ok(elements)
    }

    fn write<S: Serializer>(elements: &Vec<T>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(elements.iter().map(ToString::to_string))
    }
}

struct ElementOf<T>(Name, PhantomData<T>);

impl<'de, T: Listed> DeserializeSeed<'de> for ElementOf<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T: Listed> Visitor<'_> for ElementOf<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ValueOf::<ListOf<T>>(self.0, PhantomData).expecting(f)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|error| E::custom(format_args!("{}: {error}", self.0.option)))
    }
}

/// `true` for the defaults, `false` for none, or a table with what differs from the defaults.
#[cfg(feature = "deflate")]
impl Form for Option<Compression> {
    type Value = Self;
    const EXPECTED: &'static str = "true, false or a table of its options";

    fn read_bool(is_on: bool) -> Option<Self> {
        Some(is_on.then(Compression::default))
    }

    fn read_table<'de, A: MapAccess<'de>>(map: A, _: Name) -> Result<Self, A::Error> {
        TableOf::<Compression>(PhantomData).visit_map(map).map(Some)
    }

    fn write<S: Serializer>(value: &Self, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(compression) => compression.serialize(serializer),
            None => false.serialize(serializer),
        }
    }
}

/// Reads the value of the option that was named.
struct ValueOf<F: Form>(Name, PhantomData<F>);

impl<'de, F: Form> DeserializeSeed<'de> for ValueOf<F> {
    type Value = F::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<F::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: Form> Visitor<'de> for ValueOf<F> {
    type Value = F::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to be {}", self.0.option, F::EXPECTED)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<F::Value, E> {
        F::read_bool(value).ok_or_else(|| E::invalid_value(Unexpected::Bool(value), &self))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<F::Value, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<F::Value, E> {
        F::read_number(number, self.0).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<F::Value, E> {
        F::read_text(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<F::Value, A::Error> {
        F::read_list(list, self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<F::Value, A::Error> {
        F::read_table(map, self.0)
    }
}

/// A value on its way into a file.
struct Written<'a, F: Form>(&'a F::Value);

impl<F: Form> Serialize for Written<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        F::write(self.0, serializer)
    }
}
