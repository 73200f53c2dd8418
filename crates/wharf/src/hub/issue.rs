//! A message that goes to subscribers, made once for all of them.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use super::rules::Rule;
use super::{Position, Publication, Topic};
use crate::class::Class;
use crate::proto::Message;
use crate::proto::connection::PreparedMessage;
use crate::shared::Shared;

/// A message that goes to subscribers, as they are sent it, and the frames that were made of it so far.
pub(super) struct Issue {
    pub(super) topic: Topic,
    pub(super) rule: Arc<Rule>,
    pub(super) key: Option<Arc<str>>,
    pub(super) position: Option<Position>,
    /// As it is presented.
    pub(super) message: Arc<Message>,
    /// Who does not get it. A history may keep it for longer than that connection.
    except: Option<Weak<Shared>>,
    /// It was missed before, by all: it makes nobody too slow.
    pub(super) recovers: bool,
    /// The first form that it was needed in, nearly always the only one.
    frames: OnceLock<(Class, PreparedMessage)>,
    others: Mutex<Vec<(Class, PreparedMessage)>>,
}

impl Issue {
    /// A publication, for all but one, as `message`.
    pub(super) fn new(
        publication: Publication,
        rule: Arc<Rule>,
        message: Message,
        except: Option<&Arc<Shared>>,
    ) -> Self {
        let Publication { topic, key, position, .. } = publication;
        let (frames, others) = (OnceLock::new(), Mutex::default());
        Self {
            topic,
            rule,
            key,
            position,
            message: Arc::new(message),
            except: except.map(Arc::downgrade),
            recovers: false,
            frames,
            others,
        }
    }

    /// One that was missed before.
    pub(super) fn recovering(self) -> Self {
        Self { recovers: true, ..self }
    }

    /// Whether it goes to this connection, which has subscribed.
    #[inline]
    pub(super) fn is_for(&self, connection: &Arc<Shared>) -> bool {
        self.except.as_ref().is_none_or(|except| except.as_ptr() != Arc::as_ptr(connection))
    }

    /// Whether it goes to the same as another.
    pub(super) fn goes_where(&self, other: &Self) -> bool {
        self.topic == other.topic
            && self.recovers == other.recovers
            && match (&self.except, &other.except) {
                (None, None) => true,
                (Some(own), Some(others)) => own.ptr_eq(others),
                _ => false,
            }
    }

    /// Its frames for these connections: made once, and waited for where somebody else is making them.
    pub(super) fn frames(&self, class: &Class) -> PreparedMessage {
        let (first, frames) =
            self.frames.get_or_init(|| (class.clone(), class.frame((*self.message).as_ref())));
        if first == class {
            return frames.clone();
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, frames)) = others.iter().find(|(other, _)| other == class) {
            return frames.clone();
        }
        let frames = class.frame((*self.message).as_ref());
        others.push((class.clone(), frames.clone()));
        frames
    }
}

impl fmt::Debug for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issue")
            .field("topic", &self.topic)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
