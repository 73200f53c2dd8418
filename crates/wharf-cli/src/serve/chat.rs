//! `/chat`: everyone hears everyone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use wharf::{Connection, Context, Ending, Handler, MessageRef};

use super::live::Traffic;

/// The longest name and text that are relayed, in characters.
const LONGEST_NAME: usize = 32;
const LONGEST_TEXT: usize = 1000;

#[derive(Debug, Default)]
pub(super) struct Chat {
    members: Mutex<BTreeMap<u64, Connection>>,
    messages: AtomicU64,
}

/// What a member says.
#[derive(Debug, Deserialize)]
struct Said {
    name: String,
    text: String,
}

/// What members hear.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Heard<'a> {
    Message {
        id: u64,
        name: &'a str,
        text: &'a str,
        /// Milliseconds since 1970.
        at: u64,
    },
    People {
        count: usize,
    },
    Refused {
        reason: &'a str,
    },
}

impl Chat {
    pub(super) fn member(self: Arc<Self>, traffic: Arc<Traffic>) -> impl Handler {
        Member { chat: self, traffic }
    }

    /// Tells all: those whose output is full miss it, so that one slow member holds up nobody. How many heard it.
    fn tell(&self, heard: &Heard<'_>) -> usize {
        let json = heard.json();
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.values().filter(|member| member.try_send(json.as_str()).is_ok()).count()
    }

    fn tell_people(&self) {
        let count = self.members.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.tell(&Heard::People { count });
    }
}

impl Heard<'_> {
    fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and text under fixed names are always JSON")
    }
}

/// One connection in the chat.
struct Member {
    chat: Arc<Chat>,
    traffic: Arc<Traffic>,
}

impl Member {
    /// Relays what was said, or tells why not.
    fn relay(&self, message: MessageRef<'_>) -> Result<(), &'static str> {
        let MessageRef::Text(json) = message else { return Err("only text is relayed") };
        let Said { name, text } =
            serde_json::from_str(json).map_err(|_| "a message is JSON with a \"name\" and a \"text\"")?;
        let (name, text) = (name.trim(), text.trim());
        if name.is_empty() || name.chars().count() > LONGEST_NAME {
            return Err("a name has 1 to 32 characters");
        }
        if text.is_empty() || text.chars().count() > LONGEST_TEXT {
            return Err("a text has 1 to 1000 characters");
        }
        let id = self.chat.messages.fetch_add(1, Ordering::Relaxed) + 1;
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        for _ in 0..self.chat.tell(&Heard::Message { id, name, text, at }) {
            self.traffic.sent(text.len());
        }
        Ok(())
    }
}

impl Handler for Member {
    fn connect(&mut self, context: &mut Context<'_>) {
        let connection = context.connection();
        let mut members = self.chat.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.insert(connection.id(), connection.clone());
        drop(members);
        self.chat.tell_people();
    }

    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        self.traffic.received(message.as_bytes().len());
        if let Err(reason) = self.relay(message) {
            let _ = context.send(Heard::Refused { reason }.json().as_str());
        }
    }

    fn close(&mut self, connection: &Connection, _: &Ending) {
        self.chat.members.lock().unwrap_or_else(PoisonError::into_inner).remove(&connection.id());
        self.chat.tell_people();
    }
}
