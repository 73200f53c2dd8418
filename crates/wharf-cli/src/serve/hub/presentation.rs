//! How what the hub has to say is put for clients of `wharf.json.v1`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use wharf::hub::{Position, PresenceChange, PresenceEvent, Presentation, Publication, Topic};
use wharf::{Message, MessageRef};

use super::said::{Data, Said};

/// What was published, in an envelope that is made once for all who get it.
///
/// The hub's own messages are the published data alone: JSON that this program has checked, bytes, or what another program
/// has given to the broker, which can be any text.
pub(in crate::serve) struct InJson;

impl Presentation for InJson {
    fn message(&self, publication: &Publication) -> Message {
        let data = match publication.message.as_ref() {
            MessageRef::Text(text) => {
                serde_json::from_str::<&RawValue>(text).map_or(Data::Text(text), Data::Json)
            }
            MessageRef::Binary(bytes) => Data::Base64(STANDARD.encode(bytes)),
        };
        let Publication { topic, key, position, .. } = publication;
        Said::Message { topic, position: *position, key: key.as_deref(), data }.into()
    }

    fn missed(&self, topic: &Topic, count: u64) -> Option<Message> {
        Some(Said::Missed { topic, count }.into())
    }

    fn presence(&self, event: &PresenceEvent) -> Option<Message> {
        let PresenceEvent { topic, member, change, .. } = event;
        Some(match change {
            PresenceChange::Joined => Said::Joined { topic, member }.into(),
            PresenceChange::Left => Said::Left { topic, member }.into(),
        })
    }

    fn placed(&self, topic: &Topic, position: Position) -> Option<Message> {
        Some(Said::Position { topic, position: Some(position) }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(message: impl Into<Message>) -> String {
        let publication = Publication::new(Topic::new("a.b").unwrap(), message);
        match InJson.message(&publication) {
            Message::Text(json) => json,
            Message::Binary(_) => panic!("it is text"),
        }
    }

    #[test]
    fn json_goes_on_as_it_came_and_what_is_none_is_a_string() {
        for (published, data) in [
            (r#"{"b": 1.0, "a": [null]}"#, r#""data":{"b": 1.0, "a": [null]}"#),
            ("1e400", r#""data":1e400"#),
            ("plain", r#""data":"plain""#),
            ("", r#""data":"""#),
            (r#"{"a":"#, r#""data":"{\"a\":""#),
            ("1 2", r#""data":"1 2""#),
        ] {
            assert_eq!(presented(published), format!(r#"{{"type":"message","topic":"a.b",{data}}}"#));
        }
    }

    #[test]
    fn bytes_are_in_a_field_of_their_own() {
        assert_eq!(presented(vec![0, 255]), r#"{"type":"message","topic":"a.b","base64":"AP8="}"#);
    }

    #[test]
    fn what_else_there_is_to_say_has_its_topic() {
        let topic = Topic::new("a").unwrap();
        let said = |message: Option<Message>| match message {
            Some(Message::Text(json)) => json,
            other => panic!("it is text, not {other:?}"),
        };
        assert_eq!(said(InJson.missed(&topic, 3)), r#"{"type":"missed","topic":"a","count":3}"#);
        let position = Position { epoch: 0xfe, offset: 2 };
        assert_eq!(
            said(InJson.placed(&topic, position)),
            r#"{"type":"position","topic":"a","position":"fe-2"}"#
        );
        let mut publication = Publication::new(topic, "1");
        publication.key = Some("k".into());
        publication.position = Some(position);
        assert_eq!(
            said(Some(InJson.message(&publication))),
            r#"{"type":"message","topic":"a","position":"fe-2","key":"k","data":1}"#
        );
    }
}
