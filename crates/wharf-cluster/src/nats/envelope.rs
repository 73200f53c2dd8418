//! A message as NATS carries it: its payload, and headers with what else is to be known of it.

use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::header::{HeaderName, NATS_MESSAGE_ID};
use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use wharf::Message;
use wharf::hub::{Outgoing, PublicationId};

/// What is known of a message that came.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) message: Message,
    /// Who published it, unless it is somebody who is not a hub.
    pub(super) id: Option<PublicationId>,
    pub(super) key: Option<Arc<str>>,
}

const KIND: HeaderName = HeaderName::from_static("Wharf-Kind");
const BINARY: &str = "binary";
const KEY: HeaderName = HeaderName::from_static("Wharf-Key");
/// What a header's value cannot have, or not at its ends.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// The headers of a message.
pub(super) fn headers(outgoing: &Outgoing) -> HeaderMap {
    let Outgoing { publication, id, .. } = outgoing;
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, format!("{:x}-{}", id.node, id.number));
    if let Message::Binary(_) = publication.message {
        headers.insert(KIND, BINARY);
    }
    if let Some(key) = &publication.key {
        headers.insert(KEY, utf8_percent_encode(key, ESCAPED).to_string());
    }
    headers
}

impl Envelope {
    pub(super) fn open(headers: Option<&HeaderMap>, payload: Bytes) -> Self {
        let header = |name| headers.and_then(|headers| headers.get(name)).map(AsRef::<str>::as_ref);
        let message = match header(KIND) {
            Some(BINARY) => Message::Binary(payload),
            _ => match str::from_utf8(&payload) {
                Ok(text) => text.into(),
                Err(_) => Message::Binary(payload),
            },
        };
        let key = header(KEY).map(|key| percent_decode_str(key).decode_utf8_lossy().into());
        Self { message, id: header(NATS_MESSAGE_ID).and_then(read_id), key }
    }
}

fn read_id(text: &str) -> Option<PublicationId> {
    let (node, number) = text.split_once('-')?;
    Some(PublicationId { node: u64::from_str_radix(node, 16).ok()?, number: number.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use wharf::hub::{Publication, Topic};

    use super::*;

    fn opened(message: impl Into<Message>, key: Option<&str>) -> Envelope {
        let mut publication = Publication::new(Topic::new("a").unwrap(), message);
        publication.key = key.map(Into::into);
        let outgoing = Outgoing::new(publication, PublicationId { node: u64::MAX, number: 7 }, None);
        Envelope::open(Some(&headers(&outgoing)), outgoing.publication.message.into_bytes())
    }

    #[test]
    fn what_goes_in_comes_out() {
        for key in [None, Some("eur"), Some(""), Some(" größe %\r\nX: y ")] {
            for message in
                [Message::from("text"), Message::from(b"binary".to_vec()), Message::from(vec![255])]
            {
                let Envelope { message: out, id, key: out_key } = opened(message.clone(), key);
                assert_eq!(out, message);
                assert_eq!(id, Some(PublicationId { node: u64::MAX, number: 7 }));
                assert_eq!(out_key.as_deref(), key);
            }
        }
    }

    #[test]
    fn what_is_not_of_a_hub_is_a_text_if_it_can_be_one() {
        let open = |payload: &'static [u8]| Envelope::open(None, Bytes::from_static(payload));
        assert_eq!(open(b"text").message, Message::from("text"));
        assert_eq!(open(&[0xff]).message, Message::from(vec![0xff]));
        assert_eq!(open(b"text").id, None);
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, "somebody-else's");
        assert_eq!(Envelope::open(Some(&headers), Bytes::new()).id, None);
    }
}
