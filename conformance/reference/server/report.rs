//! What happened, as a line of JSON.

use std::io::Write;

use serde_json::{Map, Value, json};
use wharf::MessageRef;

/// Tells that `event` happened, in the order in which the others of its stream did.
pub(crate) fn report(stream: &str, event: &str, data: &[(&str, Value)]) {
    let mut line = Map::new();
    line.insert("stream".to_owned(), stream.into());
    line.insert("event".to_owned(), event.into());
    line.extend(data.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    // Nobody is left to be told that the run is over.
    let _ = writeln!(std::io::stdout().lock(), "{}", Value::Object(line));
}

pub(crate) fn message(message: MessageRef<'_>) -> Value {
    match message {
        MessageRef::Text(text) => json!({ "text": shortened(text.as_bytes(), || text.into()) }),
        MessageRef::Binary(bytes) => json!({ "binary": payload(bytes) }),
    }
}

pub(crate) fn payload(bytes: &[u8]) -> Value {
    shortened(bytes, || {
        let digits = |byte: &u8| [byte >> 4, byte & 15];
        let digit = |digit| char::from_digit(u32::from(digit), 16).expect("half a byte is one digit");
        bytes.iter().flat_map(digits).map(digit).collect::<String>().into()
    })
}

/// Itself, or, where that would fill the page, its length and the checksum of FNV-1a.
fn shortened(bytes: &[u8], itself: impl FnOnce() -> Value) -> Value {
    if bytes.len() <= 64 {
        return itself();
    }
    let sum =
        bytes.iter().fold(0x811c_9dc5_u32, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    json!({ "length": bytes.len(), "sum": sum })
}
