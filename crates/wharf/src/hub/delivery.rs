//! Messages of one topic that go to many connections together, framed for those that share frames.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::counters::{Counters, add};
use super::issue::Issue;
use crate::class::{Class, Form};
use crate::proto::connection::{Prepared, PreparedMessage, PreparedMessages};

/// Messages of one topic, one behind the other, for connections of one class.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(super) issues: Box<[Arc<Issue>]>,
    frames: Frames,
    /// Bytes on the wire, or of payload where each connection frames for itself.
    weight: usize,
    pub(super) counters: Arc<Counters>,
}

#[derive(Debug)]
enum Frames {
    One(PreparedMessage),
    Many(PreparedMessages),
    /// Each connection compresses in a context of its own.
    Own,
}

/// What a connection is to send of a delivery.
pub(crate) enum Part<'d> {
    Prepared(&'d PreparedMessage),
    /// Frames that lie one behind the other.
    Frames(&'d PreparedMessages, std::ops::Range<usize>),
    Message(&'d crate::proto::Message),
}

impl Delivery {
    pub(super) fn new(issues: &[Arc<Issue>], class: &Class, counters: &Arc<Counters>) -> Self {
        let frames = match (class.form, issues) {
            (Form::Own, _) => Frames::Own,
            (_, [issue]) => Frames::One(issue.frames(class)),
            (_, issues) => {
                let mut frames = PreparedMessages::default();
                for issue in issues {
                    frames.push(&issue.frames(class));
                }
                Frames::Many(frames)
            }
        };
        let weight = match &frames {
            Frames::One(frames) => frames.wire_len(),
            Frames::Many(frames) => frames.wire_len(0..issues.len()),
            Frames::Own => issues.iter().map(|issue| issue.message.len()).sum(),
        };
        Self { issues: issues.into(), frames, weight, counters: counters.clone() }
    }

    /// How many messages it has.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.issues.len()
    }

    #[inline]
    pub(crate) const fn weight(&self) -> usize {
        self.weight
    }

    /// What one of its messages weighs.
    pub(super) fn weight_of(&self, index: usize) -> usize {
        match &self.frames {
            Frames::One(frames) => frames.wire_len(),
            Frames::Many(frames) => frames.wire_len(index..index + 1),
            Frames::Own => self.issues[index].message.len(),
        }
    }

    /// Its messages, as few parts as they can be sent in.
    #[inline]
    pub(crate) fn parts(&self, mut send: impl FnMut(Part<'_>)) {
        match &self.frames {
            Frames::One(frames) => send(Part::Prepared(frames)),
            Frames::Many(frames) => send(Part::Frames(frames, 0..self.issues.len())),
            Frames::Own => self.issues.iter().for_each(|issue| send(Part::Message(&issue.message))),
        }
    }

    /// Its frames, unless each connection makes its own.
    #[inline]
    pub(crate) const fn prepared(&self) -> Option<Prepared<'_>> {
        match &self.frames {
            Frames::One(frames) => Some(Prepared::One(frames)),
            Frames::Many(frames) => Some(Prepared::Many(frames)),
            Frames::Own => None,
        }
    }

    /// The bytes of its frames, unless each connection makes its own.
    #[inline]
    pub(crate) fn frames(&self) -> Option<&[u8]> {
        self.prepared().map(Prepared::frames)
    }

    /// One of its messages.
    pub(super) fn part(&self, index: usize) -> Part<'_> {
        match &self.frames {
            Frames::One(frames) => Part::Prepared(frames),
            Frames::Many(frames) => Part::Frames(frames, index..index + 1),
            Frames::Own => Part::Message(&self.issues[index].message),
        }
    }

    /// It was handed to a connection that can send no more.
    pub(crate) fn discard(&self) {
        self.discard_some(self.len());
    }

    pub(super) fn discard_some(&self, count: usize) {
        self.counters.delivered.fetch_sub(count as u64, Ordering::Relaxed);
        add(&self.counters.discarded, count);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::ErrorKind;

    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::config::ServerConfig;
    use crate::hub::{Home, Publication, Topic};
    use crate::options::Options;
    use crate::outbox::{Delivered, Outbox};
    use crate::proto::{Close, CloseCode};
    use crate::queue::{Command, Queue};

    const AT_ONCE: Delivered = Delivered::Now { wake: false };
    const BY_DRIVER: Delivered = Delivered::Now { wake: true };

    fn options() -> Arc<Options> {
        Arc::new(Options::new(ServerConfig::default()).unwrap())
    }

    fn outbox() -> Outbox {
        Outbox::new(options(), true, Home::default())
    }

    /// A message of a topic, for connections that neither mask nor compress.
    pub(crate) fn delivery(message: impl Into<crate::proto::Message>) -> Arc<Delivery> {
        let message = message.into();
        let topic = Topic::new("a").unwrap();
        let publication = Publication { topic, message: message.clone(), key: None, position: None };
        let issue = Arc::new(Issue::new(publication, Arc::default(), message, None));
        let class = Class { config: options().core.clone(), form: Form::Plain };
        Arc::new(Delivery::new(&[issue], &class, &Arc::default()))
    }

    /// The socket of a connection, and its peer's.
    async fn sockets() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let socket = listener.accept().await.unwrap().0;
        // The first write of a tokio socket is refused until it has been seen to be writable.
        socket.writable().await.unwrap();
        (Arc::new(socket), peer)
    }

    async fn read(peer: &TcpStream, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            peer.readable().await.unwrap();
            match peer.try_read(&mut bytes[filled..]) {
                Ok(read) => filled += read,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        bytes
    }

    #[tokio::test]
    async fn where_nothing_is_before_it_a_message_goes_to_the_socket_without_the_driver() {
        let (socket, peer) = sockets().await;
        let outbox = outbox();
        let lent = Arc::downgrade(&socket);
        assert_eq!(outbox.deliver(&delivery("hello"), false, Some(&lent)), AT_ONCE);
        assert!(!outbox.has_commands());
        assert_eq!(read(&peer, 7).await, b"\x81\x05hello");
        drop(socket);
        assert_eq!(
            outbox.deliver(&delivery("hello"), false, Some(&lent)),
            BY_DRIVER,
            "nothing is lent any more"
        );
    }

    #[tokio::test]
    async fn behind_what_waits_for_the_driver_a_message_waits_for_it_too() {
        let (socket, peer) = sockets().await;
        let lent = Arc::downgrade(&socket);
        let outbox = outbox();
        outbox.try_send("first".into(), Command::Send).unwrap();
        assert_eq!(outbox.deliver(&delivery("second"), false, Some(&lent)), AT_ONCE, "the driver was woken");
        let mut taken = outbox.take();
        assert!(matches!(taken.as_mut()[..], [Command::SendFramed { .. }, Command::Deliver(_)]));
        assert_eq!(
            outbox.deliver(&delivery("third"), false, Some(&lent)),
            BY_DRIVER,
            "they were not written yet"
        );
        assert!(matches!(outbox.take(), Queue::Delivery(_)));
        outbox.set_unsent(0);
        assert!(outbox.begin_handlers_message(false));
        let delivered = outbox.deliver(&delivery("fourth"), false, Some(&lent));
        assert_eq!(delivered, Delivered::Waits, "nothing comes between the frames of a message");
        assert_eq!(peer.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        outbox.close(Close::new(CloseCode::NORMAL, "").unwrap());
        assert_eq!(outbox.deliver(&delivery("fifth"), false, Some(&lent)), Delivered::Closed);
    }

    #[tokio::test]
    async fn what_a_socket_does_not_take_is_the_first_that_its_driver_writes() {
        let (socket, peer) = sockets().await;
        let lent = Arc::downgrade(&socket);
        let outbox = outbox();
        let long = delivery("x".repeat(32 * 1024 * 1024));
        assert_eq!(outbox.deliver(&long, false, Some(&lent)), BY_DRIVER);
        assert!(outbox.buffered_amount() > 0);
        assert!(outbox.try_send("after".into(), Command::Send).is_err(), "it counts towards the bound");
        outbox.close(Close::new(CloseCode::NORMAL, "").unwrap());
        let mut taken = outbox.take();
        let [Command::DeliverRest { delivery, written }, Command::Close(_)] = &taken.as_mut()[..] else {
            panic!("{taken:?}")
        };
        assert!(Arc::ptr_eq(delivery, &long));
        assert_eq!(read(&peer, *written).await, long.frames().unwrap()[..*written]);
    }
}
