//! What the handles, the driver and the server share of one connection.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Poll, Waker};

use tokio::net::TcpStream;

use crate::burst::Burst;
use crate::http::client_address::address_text;
use crate::hub::{Delivery, Home};
use crate::inbox::{self, Inbox};
use crate::options::Options;
use crate::outbox::{Delivered, InBurst, Outbox};
use crate::proto::connection::{Config, Ending};
use crate::proto::deflate::{Agreed, Direction};
use crate::proto::handshake::Version;
use crate::proto::{Message, MessageRef};
use crate::queue::Command;

/// What the handles, the driver and the server share of one connection.
#[derive(Debug)]
pub(crate) struct Shared {
    /// In order of acceptance, over the whole server or client.
    pub(crate) id: u64,
    peer: Peer,
    /// How messages are compressed, if they are.
    compression: Option<Agreed>,
    is_server: bool,
    version: Version,
    is_paused: AtomicBool,
    /// The [`Connection`](crate::Connection)s that there are: the driver's, and those that users hold. At 1 nobody can
    /// take a message any more.
    handles: AtomicU32,
    /// What more the opening handshake told of, or somebody asked for. Most connections have nothing.
    details: OnceLock<Box<Details>>,
    pub(crate) outbox: Outbox,
    /// Boxed, because a connection whose handler receives has none.
    inbox: Option<Box<Inbox>>,
    /// Wakes the task that moves this connection's bytes; set when it first runs.
    driver: OnceLock<Waker>,
    /// Set when no more frames come or go.
    ending: OnceLock<Box<Ending>>,
}

const _: () = assert!(size_of::<Shared>() <= 208, "an idle connection is to stay small");

/// What the opening handshake settled.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) protocol: Option<Box<str>>,
    /// How messages are compressed, if they are.
    pub(crate) compression: Option<Agreed>,
    pub(crate) is_server: bool,
    pub(crate) version: Version,
    /// Where its subscriptions live; a client's has none.
    pub(crate) home: Home,
    /// Only where it is not the address of the socket's peer.
    pub(crate) remote_address: Option<Box<str>>,
    /// Only where a proxy named more than the peer itself.
    pub(crate) forwarded_for: Box<[String]>,
    pub(crate) socket: Option<SocketAddr>,
}

/// Who is at the other end of the socket, in 20 bytes.
#[derive(Clone, Copy, Debug)]
struct Peer {
    /// Of IPv4 as IPv6 writes it.
    ip: Ipv6Addr,
    port: u16,
    family: Family,
}

/// Which addresses a peer's is one of.
#[derive(Clone, Copy, Debug)]
enum Family {
    V4,
    V6,
    /// None that is known.
    Unknown,
}

/// What few connections have.
#[derive(Debug)]
struct Details {
    protocol: Option<Box<str>>,
    remote_address: Box<str>,
    forwarded_for: Box<[String]>,
    /// As it was: a [`Peer`] knows no scope.
    socket: Option<SocketAddr>,
}

/// Who takes what a connection receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receives {
    /// Its handles, from the inbox.
    Handles,
    /// Its handler, in place.
    Handler,
}

impl Shared {
    pub(crate) fn new(id: u64, opening: Opening, receives: Receives, options: &Arc<Options>) -> Self {
        let Opening { compression, is_server, version, home, socket, .. } = opening;
        let peer = Peer::from(socket);
        let is_all_told = opening.protocol.is_none()
            && opening.remote_address.is_none()
            && opening.forwarded_for.is_empty()
            && peer.address() == socket;
        let details = || Box::new(Details::of(opening));
        let config = &options.config;
        let inbox = || Box::new(Inbox::new(config.max_unread_messages, config.max_unread_bytes));
        Self {
            id,
            peer,
            compression,
            is_server,
            version,
            is_paused: AtomicBool::new(false),
            handles: AtomicU32::new(0),
            details: if is_all_told { OnceLock::new() } else { OnceLock::from(details()) },
            outbox: Outbox::new(options.clone(), is_server && compression.is_none(), home),
            inbox: (receives == Receives::Handles).then(inbox),
            driver: OnceLock::new(),
            ending: OnceLock::new(),
        }
    }

    /// There is one handle more.
    #[inline]
    pub(crate) fn handle_made(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// There is one handle less.
    #[inline]
    pub(crate) fn handle_dropped(&self) {
        // The driver's own is left.
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 2 && self.is_inbox_holding() {
            self.wake_driver();
        }
    }

    pub(crate) fn protocol(&self) -> Option<&str> {
        self.details.get()?.protocol.as_deref()
    }

    /// How messages are compressed, if they are.
    pub(crate) const fn compression(&self) -> Option<Agreed> {
        self.compression
    }

    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    pub(crate) const fn home(&self) -> Home {
        self.outbox.home()
    }

    pub(crate) fn remote_address(&self) -> &str {
        &self.details().remote_address
    }

    /// Empty where no proxy named more than the peer itself.
    pub(crate) fn forwarded_for(&self) -> &[String] {
        &self.details().forwarded_for
    }

    pub(crate) fn socket_address(&self) -> Option<SocketAddr> {
        self.details.get().map_or_else(|| self.peer.address(), |details| details.socket)
    }

    fn details(&self) -> &Details {
        self.details.get_or_init(|| {
            Box::new(Details::of(Opening {
                protocol: None,
                compression: self.compression,
                is_server: self.is_server,
                version: self.version,
                home: self.home(),
                remote_address: None,
                forwarded_for: Box::default(),
                socket: self.peer.address(),
            }))
        })
    }

    /// Where what is received waits, unless a handler takes it.
    #[inline]
    pub(crate) const fn inbox(&self) -> Option<&Inbox> {
        match &self.inbox {
            Some(inbox) => Some(inbox),
            None => None,
        }
    }

    /// Takes the next thing that `pick` finds in the inbox. Where there is none, it waits for the end all the same.
    pub(crate) async fn take<T>(&self, pick: impl Fn(&mut inbox::State) -> Poll<Option<T>>) -> Option<T> {
        if let Some(inbox) = &self.inbox {
            return inbox.take(pick, || self.wake_driver()).await;
        }
        // Boxed, because few come here, and the future of `recv` is copied into its task for every message.
        Box::pin(self.outbox.until(|_| self.ending().is_some())).await;
        None
    }

    /// Takes the next message, if it is one of the short ones.
    #[expect(clippy::inline_always, reason = "so that the message goes to its taker in registers")]
    #[inline(always)]
    pub(crate) fn take_short(&self) -> Option<Message> {
        self.inbox()?.take_short(|| self.wake_driver())
    }

    /// Takes what [`take`](Self::take) would, if it need not wait for it.
    pub(crate) fn try_take<T>(&self, pick: impl Fn(&mut inbox::State) -> Poll<Option<T>>) -> Poll<Option<T>> {
        self.inbox().map_or(Poll::Pending, |inbox| inbox.try_take(pick, || self.wake_driver()))
    }

    /// The reader that the inbox was lent to needs no more of it.
    pub(crate) fn give_back(&self) {
        if let Some(inbox) = &self.inbox {
            inbox.give_back();
        }
    }

    /// Whether the driver is to hold reading, because the inbox is full.
    pub(crate) fn is_inbox_holding(&self) -> bool {
        self.inbox().is_some_and(Inbox::is_holding)
    }

    pub(crate) fn core_config(&self) -> &Arc<Config> {
        &self.outbox.options().core
    }

    /// How what is sent is compressed, if it is.
    pub(crate) fn sends_compressed(&self) -> Option<Direction> {
        let Self { compression, is_server, .. } = self;
        compression.map(|agreed| if *is_server { agreed.server } else { agreed.client })
    }

    /// Queues the first message of a burst, and those that will be added to it, if there is room: how much more of them
    /// there is room for, where there is any.
    #[inline]
    pub(crate) fn try_send_burst(&self, burst: &Arc<Burst>, message: MessageRef<'_>) -> Option<usize> {
        let InBurst { wake, room } = self.outbox.try_send_burst(burst, message)?;
        if wake {
            self.wake_driver();
        }
        Some(room)
    }

    /// Queues a message that goes to many: whether there was room.
    pub(crate) fn try_send_to_many(&self, command: Command) -> bool {
        let wake = self.outbox.try_send_to_many(command);
        if wake == Some(true) {
            self.wake_driver();
        }
        wake.is_some()
    }

    /// Queues messages of a topic. Those that `recover` a client are not bounded.
    #[inline]
    pub(crate) fn deliver(
        &self,
        delivery: &Arc<Delivery>,
        recovers: bool,
        socket: Option<&Weak<TcpStream>>,
    ) -> Delivered {
        let delivered = self.outbox.deliver(delivery, recovers, socket);
        if matches!(delivered, Delivered::Now { wake: true } | Delivered::TooSlow) {
            self.wake_driver();
        }
        delivered
    }

    /// Asks the driver to lend its socket to the part of the hub that delivers to it.
    pub(crate) fn lend_socket(&self) {
        if self.outbox.lend_socket() {
            self.wake_driver();
        }
    }

    /// The driver runs, in a task of its own, and is woken by `waker` from now on.
    pub(crate) fn driver_runs(&self, waker: &Waker) {
        // Set once: a task's waker is always the same.
        let _ = self.driver.set(waker.clone());
    }

    pub(crate) fn wake_driver(&self) {
        // One that has not run yet will look at everything when it does.
        if let Some(driver) = self.driver.get() {
            driver.wake_by_ref();
        }
    }

    /// Holds the driver's reading, or lets it go on.
    pub(crate) fn set_paused(&self, is_paused: bool) {
        self.is_paused.store(is_paused, Ordering::Release);
        self.wake_driver();
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Acquire)
    }

    /// Whether anybody could still take what is received.
    pub(crate) fn has_handles(&self) -> bool {
        self.handles.load(Ordering::Acquire) > 1
    }

    /// How the connection ended, once it has.
    pub(crate) fn ending(&self) -> Option<&Ending> {
        self.ending.get().map(Box::as_ref)
    }

    /// No more messages go; what we have said in Close stands.
    pub(crate) fn closing(&self) {
        self.outbox.closing();
    }

    /// No more messages come or go.
    pub(crate) fn ended(self: &Arc<Self>, ending: &Ending) {
        // Set once, by the one driver that a connection has.
        let _ = self.ending.set(Box::new(ending.clone()));
        self.outbox.ended();
        if self.outbox.is_subscriber()
            && let Some(hub) = &self.outbox.options().hub
        {
            hub.leave(self);
        }
        if let Some(inbox) = &self.inbox {
            inbox.end();
        }
    }

    /// TCP is gone.
    pub(crate) fn gone(&self) {
        self.outbox.gone();
    }
}

impl Details {
    fn of(opening: Opening) -> Self {
        let Opening { protocol, remote_address, forwarded_for, socket, .. } = opening;
        let remote_address = remote_address.unwrap_or_else(|| address_text(socket).into());
        Self { protocol, remote_address, forwarded_for, socket }
    }
}

impl Peer {
    fn address(self) -> Option<SocketAddr> {
        match self.family {
            Family::V4 => Some(SocketAddr::from((self.ip.to_ipv4_mapped()?, self.port))),
            Family::V6 => Some(SocketAddrV6::new(self.ip, self.port, 0, 0).into()),
            Family::Unknown => None,
        }
    }
}

impl From<Option<SocketAddr>> for Peer {
    fn from(socket: Option<SocketAddr>) -> Self {
        let (ip, family) = match socket.map(|socket| socket.ip()) {
            Some(IpAddr::V4(ip)) => (ip.to_ipv6_mapped(), Family::V4),
            Some(IpAddr::V6(ip)) => (ip, Family::V6),
            None => (Ipv6Addr::UNSPECIFIED, Family::Unknown),
        };
        Self { ip, port: socket.map_or(0, |socket| socket.port()), family }
    }
}

/// Whoever keeps the list of connections: told when one is gone, before its own users are.
pub(crate) trait Owner: Send + Sync {
    fn connection_gone(&self, connection: &Arc<Shared>, ending: &Ending);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerConfig;
    use crate::connection::Connection;

    fn to_peer(socket: &str) -> Connection {
        let opening = Opening {
            protocol: None,
            compression: None,
            is_server: true,
            version: Version::V13,
            home: Home::default(),
            remote_address: None,
            forwarded_for: Box::default(),
            socket: Some(socket.parse().unwrap()),
        };
        let options = Arc::new(Options::new(ServerConfig::default()).unwrap());
        Connection::new(Arc::new(Shared::new(0, opening, Receives::Handler, &options)))
    }

    #[test]
    fn the_address_of_a_peer_is_as_its_socket_has_it_and_of_few_connections_takes_memory_of_its_own() {
        for (socket, remote_address, is_kept_whole) in [
            ("1.2.3.4:5", "1.2.3.4", false),
            ("[2001:db8::1]:5", "2001:db8::1", false),
            ("[::ffff:1.2.3.4]:5", "1.2.3.4", false),
            ("[fe80::1%3]:5", "fe80::1", true),
        ] {
            let connection = to_peer(socket);
            assert_eq!(connection.shared.details.get().is_some(), is_kept_whole, "{socket}");
            assert_eq!(connection.socket_address(), Some(socket.parse().unwrap()));
            assert_eq!(connection.protocol(), None);
            assert_eq!(connection.remote_address(), remote_address);
            assert_eq!(connection.remote_addresses(), [remote_address]);
            assert_eq!(connection.socket_address(), Some(socket.parse().unwrap()));
        }
    }
}
