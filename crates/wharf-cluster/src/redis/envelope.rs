//! What is around a message on a channel, and in a stream.

use bytes::Bytes;
use wharf::Message;
use wharf::hub::{Outgoing, Position, Publication, PublicationId, Topic};

/// What an envelope begins with: no text does. The digit is the version; what begins with another is not for us.
const MAGIC: &[u8] = b"\0wharf";
const VERSION: &[u8] = b"1 ";

/// A message without a position, as it is published on a channel.
pub(super) fn without_position(outgoing: &Outgoing) -> Vec<u8> {
    [MAGIC, VERSION, b"- ", &body(outgoing)].concat()
}

/// What an envelope has behind the position, which is given by Redis where there is one.
pub(super) fn body(outgoing: &Outgoing) -> Vec<u8> {
    let Outgoing {
        publication: Publication { message, key, .. }, id: PublicationId { node, number }, ..
    } = outgoing;
    let kind = match message {
        Message::Text(_) => 't',
        Message::Binary(_) => 'b',
    };
    let key_length = key.as_ref().map_or_else(|| "-".to_owned(), |key| key.len().to_string());
    let key = key.as_deref().unwrap_or_default();
    let head = format!("{node:x} {number} {kind} {key_length}\n{key}");
    [head.as_bytes(), message.as_bytes()].concat()
}

/// What was published on a topic's channel: by a hub, or by somebody who knows nothing of envelopes. `None`: a version that
/// is not known, or not an envelope at all.
pub(super) fn decode(topic: Topic, bytes: Vec<u8>) -> Option<(Publication, Option<PublicationId>)> {
    let Some(versioned) = bytes.strip_prefix(MAGIC) else {
        let message = match String::from_utf8(bytes) {
            Ok(text) => Message::Text(text),
            Err(error) => Message::Binary(error.into_bytes().into()),
        };
        return Some((Publication::new(topic, message), None));
    };
    let (position, body) = split_once(versioned.strip_prefix(VERSION)?, b' ')?;
    let position = match position {
        b"-" => None,
        position => Some(text(position)?.parse().ok().filter(|position: &Position| position.offset > 0)?),
    };
    let at = bytes.len() - body.len();
    let (mut publication, id) = decode_body(topic, &Bytes::from(bytes).slice(at..))?;
    publication.position = position;
    Some((publication, Some(id)))
}

/// What a stream's entry holds.
pub(super) fn decode_kept(
    topic: Topic,
    position: Position,
    body: Vec<u8>,
) -> Option<(Publication, PublicationId)> {
    let (mut publication, id) = decode_body(topic, &Bytes::from(body))?;
    publication.position = Some(position);
    Some((publication, id))
}

fn decode_body(topic: Topic, body: &Bytes) -> Option<(Publication, PublicationId)> {
    let (head, rest) = split_once(body, b'\n')?;
    let mut fields = text(head)?.split(' ');
    let id = PublicationId {
        node: u64::from_str_radix(fields.next()?, 16).ok()?,
        number: fields.next()?.parse().ok()?,
    };
    let (kind, key_length) = (fields.next()?, fields.next()?);
    let (key, payload) = match key_length {
        "-" => (None, rest),
        length => {
            let (key, payload) = rest.split_at_checked(length.parse().ok()?)?;
            (Some(text(key)?), payload)
        }
    };
    let message = match kind {
        "t" => Message::Text(text(payload)?.to_owned()),
        "b" => Message::Binary(body.slice_ref(payload)),
        _ => return None,
    };
    let mut publication = Publication::new(topic, message);
    publication.key = key.map(Into::into);
    Some((publication, id))
}

fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == separator)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn topic() -> Topic {
        Topic::new("a.b").unwrap()
    }

    fn outgoing(message: Message, key: Option<&str>, id: PublicationId) -> Outgoing {
        let mut publication = Publication::new(topic(), message);
        publication.key = key.map(Into::into);
        Outgoing::new(publication, id, None)
    }

    fn message() -> impl Strategy<Value = Message> {
        prop_oneof![
            any::<String>().prop_map(Message::Text),
            any::<Vec<u8>>().prop_map(|bytes| Message::Binary(bytes.into())),
        ]
    }

    proptest! {
        #[test]
        fn what_is_put_into_an_envelope_comes_out_of_it(
            message in message(),
            key in any::<Option<String>>(),
            (node, number) in any::<(u64, u64)>(),
            epoch in any::<u64>(),
            offset in 1..=u64::MAX,
        ) {
            let id = PublicationId { node, number };
            let sent = outgoing(message, key.as_deref(), id);
            let (came, from) = decode(topic(), without_position(&sent)).unwrap();
            prop_assert_eq!(from, Some(id));
            prop_assert_eq!(&came.message, &sent.publication.message);
            prop_assert_eq!(came.key.as_deref(), key.as_deref());
            prop_assert_eq!(came.position, None);

            let position = Position { epoch, offset };
            let (kept, from) = decode_kept(topic(), position, body(&sent)).unwrap();
            prop_assert_eq!(from, id);
            prop_assert_eq!(&kept.message, &sent.publication.message);
            prop_assert_eq!(kept.position, Some(position));

            let placed = [b"\0wharf1 ", position.to_string().as_bytes(), b" ", &body(&sent)].concat();
            let (came, _) = decode(topic(), placed).unwrap();
            prop_assert_eq!(came.position, Some(position));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
            decode(topic(), bytes.clone());
            decode(topic(), [b"\0wharf1 ".as_slice(), &bytes].concat());
            decode_kept(topic(), Position { epoch: 1, offset: 1 }, bytes);
        }
    }

    #[test]
    fn what_is_not_in_an_envelope_is_a_message_of_somebody_who_is_not_a_hub() {
        let (came, id) = decode(topic(), "straße".as_bytes().to_vec()).unwrap();
        assert_eq!((came.message, id), (Message::Text("straße".to_owned()), None));
        let (came, id) = decode(topic(), b"\xff".to_vec()).unwrap();
        assert_eq!((came.message, id), (Message::Binary(b"\xff".as_slice().into()), None));
    }

    #[test]
    fn an_envelope_of_another_version_or_without_its_parts_is_no_message() {
        for wrong in [
            "\0wharf2 - 1 1 t -\nx",
            "\0wharf1 - 1 1 t -",
            "\0wharf1 - 1 1 x -\nx",
            "\0wharf1 - 1 1 t 9\nx",
            "\0wharf1 -1 1 1 t -\nx",
            "\0wharf1 ab-0 1 1 t -\nx",
            "\0wharf",
        ] {
            assert!(decode(topic(), wrong.as_bytes().to_vec()).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn an_envelope_is_as_the_documentation_says() {
        let sent = outgoing("hello".into(), Some("k"), PublicationId { node: 0xab, number: 7 });
        assert_eq!(without_position(&sent), b"\0wharf1 - ab 7 t 1\nkhello");
    }
}
