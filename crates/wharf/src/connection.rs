//! The user's handle on a connection.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};

use bytes::Bytes;
use futures_util::{Stream, stream};

use crate::burst::Burst;
use crate::error::{ControlError, SendError, TrySendError};
use crate::http::client_address::address_text;
use crate::inbox::{self, Inbox};
use crate::options::Options;
use crate::outbox::{InBurst, Outbox, Turn};
use crate::proto::connection::{Cause, Config, Ending, Frame};
use crate::proto::deflate::{Agreed, Direction};
use crate::proto::frame::MAX_CONTROL_PAYLOAD;
use crate::proto::handshake::{Extension, Version};
use crate::proto::{Close, CloseCode, CloseError, Message, MessageRef};
use crate::queue::Command;

/// A WebSocket connection. A cheap clone, to be used from any number of tasks at once; all clones are the same
/// connection.
///
/// Messages are taken with [`recv`](Self::recv), unless the connection was made with a
/// [`Handler`](crate::Handler). They are sent with [`send`](Self::send), which waits for a slow peer, or
/// [`try_send`](Self::try_send), which does not.
///
/// Dropping every handle does not close it: it lives until either side closes, and what it receives meanwhile is
/// thrown away.
///
/// ```no_run
/// # async fn echo(connection: wharf::Connection) -> Result<(), wharf::SendError> {
/// while let Some(message) = connection.recv().await {
///     connection.send(message).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[doc(alias = "WebSocketConnection")]
pub struct Connection {
    pub(crate) shared: Arc<Shared>,
}

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
    /// The [`Connection`]s that there are: the driver's, and those that users hold. At 1 nobody can take a message any
    /// more.
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

const _: () = assert!(size_of::<Shared>() <= 200, "an idle connection is to stay small");

/// What the opening handshake settled.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) protocol: Option<Box<str>>,
    /// How messages are compressed, if they are.
    pub(crate) compression: Option<Agreed>,
    pub(crate) is_server: bool,
    pub(crate) version: Version,
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

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.handles.fetch_add(1, Ordering::Relaxed);
        Self { shared }
    }

    /// The next message, in order; `None` once the connection has ended and everything was taken, and always
    /// where a [`Handler`](crate::Handler) receives. With `assemble_fragments` off, only messages that came in
    /// one frame.
    ///
    /// Of several tasks that wait, one gets the message. While
    /// [`max_unread_messages`](crate::ServerConfig::max_unread_messages) or
    /// [`max_unread_bytes`](crate::ServerConfig::max_unread_bytes) wait to be taken, nothing more is read, and
    /// TCP holds the peer back.
    ///
    /// Cancel safe: a message that was not returned is the next call's.
    #[doc(alias = "message")]
    #[inline]
    pub async fn recv(&self) -> Option<Message> {
        // Nearly all of a burst.
        if let Some(message) = self.shared.take_short() {
            return Some(message);
        }
        self.shared.take(inbox::State::message).await
    }

    /// The messages that [`recv`](Self::recv) would return, for code that takes a stream of them. Dropped, it has lost
    /// none.
    ///
    /// There is no `Sink`, because a handle that is cloned cannot reserve room for one of its clones; where code takes one,
    /// `futures_util::sink::unfold` around [`send`](Self::send) makes it. Nor need a connection be split: clone it.
    ///
    /// ```no_run
    /// use futures_util::{StreamExt, sink};
    /// use wharf::{Connection, Message};
    ///
    /// # async fn echo(connection: Connection) -> Result<(), wharf::SendError> {
    /// let sink = sink::unfold(connection.clone(), async |connection: Connection, message: Message| {
    ///     connection.send(message).await.map(|()| connection)
    /// });
    /// connection.messages().map(Ok).forward(sink).await
    /// # }
    /// ```
    pub fn messages(&self) -> impl Stream<Item = Message> + Send + Unpin + use<> {
        Box::pin(stream::unfold(self.clone(), async |connection| {
            let message = connection.recv().await?;
            Some((message, connection))
        }))
    }

    /// The next frame, where [`assemble_fragments`](crate::ServerConfig::assemble_fragments) is off: every frame
    /// that comes, control frames too. `None` as for [`recv`](Self::recv). Messages are passed over.
    ///
    /// Cancel safe: a frame that was not returned is the next call's.
    #[doc(alias = "frame")]
    pub async fn recv_frame(&self) -> Option<Frame<'static>> {
        self.shared.take(inbox::State::frame).await
    }

    /// Sends a message: text goes out as text, bytes as binary. Waits while as much is waiting to be sent as
    /// [`max_buffered_amount`](crate::ServerConfig::max_buffered_amount) allows, and within a message that is sent in
    /// parts ([`message_writer`](Self::message_writer), [`send_frame`](Self::send_frame)). Messages of one task go out in
    /// its order. It returns when the message is queued; [`flush`](Self::flush) tells when it has left.
    ///
    /// Cancel safe: dropped before it returns, nothing was sent.
    ///
    /// # Errors
    /// [`SendError`] with the message, once either side has begun to close.
    #[doc(alias = "sendUTF")]
    #[doc(alias = "sendBytes")]
    #[inline]
    pub fn send(&self, message: impl Into<Message>) -> impl Future<Output = Result<(), SendError>> + Send {
        // Made into a message here, and boxed where it has to wait, for the future is copied into its task for every
        // message.
        let message = message.into();
        async move {
            if let Some(wake) = self.shared.outbox.try_send_short(message.as_ref()) {
                self.wake_if(wake);
                return Ok(());
            }
            match self.try_queue(message, Command::Send) {
                Ok(()) => Ok(()),
                Err(TrySendError::Closed(message)) => Err(SendError(message)),
                Err(TrySendError::Full(message)) => Box::pin(self.queue(message, Command::Send)).await,
            }
        }
    }

    /// Sends a message if it can be queued now. See [`send`](Self::send).
    ///
    /// # Errors
    /// [`TrySendError`], which hands the message back.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), TrySendError> {
        self.try_queue(message.into(), Command::Send)
    }

    /// Sends a message as it is, also where the handshake agreed on compression (RFC 7692 §6.1): one that is compressed
    /// already, or that mixes a secret with what somebody else chose, whose length would tell of the secret. Waits as
    /// [`send`](Self::send) does.
    ///
    /// Cancel safe: dropped before it returns, nothing was sent.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub async fn send_uncompressed(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.queue(message.into(), Command::SendUncompressed).await
    }

    /// Sends a message as it is, if it can be queued now. See [`send_uncompressed`](Self::send_uncompressed).
    ///
    /// # Errors
    /// [`TrySendError`], which hands the message back.
    pub fn try_send_uncompressed(&self, message: impl Into<Message>) -> Result<(), TrySendError> {
        self.try_queue(message.into(), Command::SendUncompressed)
    }

    async fn queue(
        &self,
        mut message: Message,
        command: impl Fn(Message) -> Command,
    ) -> Result<(), SendError> {
        loop {
            match self.try_queue(message, &command) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Closed(message)) => return Err(SendError(message)),
                Err(TrySendError::Full(full)) => message = full,
            }
            self.shared.outbox.has_room(Turn::Message).await;
        }
    }

    fn try_queue(&self, message: Message, command: impl Fn(Message) -> Command) -> Result<(), TrySendError> {
        self.wake_if(self.shared.outbox.try_send(message, command)?);
        Ok(())
    }

    /// Sends a ping with at most 125 bytes. The pong is told to a [`Handler`](crate::Handler).
    ///
    /// # Errors
    /// [`ControlError`]; nothing was sent.
    pub fn ping(&self, payload: impl Into<Bytes>) -> Result<(), ControlError> {
        self.control(payload.into(), Command::Ping)
    }

    /// Sends a pong with at most 125 bytes that answers nothing (RFC 6455 §5.5.3). Pings are answered by
    /// themselves.
    ///
    /// # Errors
    /// [`ControlError`]; nothing was sent.
    pub fn pong(&self, payload: impl Into<Bytes>) -> Result<(), ControlError> {
        self.control(payload.into(), Command::Pong)
    }

    /// Begins the closing handshake: what was sent before goes out, then a Close frame, and nothing after it.
    /// What the peer still sends is thrown away. A second call does nothing; the first code stands.
    ///
    /// Without a description the code's own is sent (`"Normal connection closure"`); an empty one sends none. TCP
    /// ends when the peer has answered, or after [`close_timeout`](crate::ServerConfig::close_timeout).
    ///
    /// # Errors
    /// [`CloseError`] for a code that is not 1000–1003, 1007–1014 or 3000–4999, or a description of more than 123
    /// bytes; the connection stays open.
    #[doc(alias = "sendCloseFrame")]
    pub fn close(&self, code: CloseCode, description: Option<&str>) -> Result<(), CloseError> {
        let close = close_of(code, description)?;
        self.wake_if(self.shared.outbox.close(close));
        Ok(())
    }

    /// Gives the connection up: a Close frame says why if it can go out at once, and TCP ends without waiting
    /// for the peer. Where queued output leaves no way for the Close frame, TCP is reset, so that the peer does not
    /// take a cut stream for a whole one. After [`close`](Self::close) no second Close frame goes out, and this
    /// code is what the application is told. Once the connection has ended, only a TCP connection that still waits for
    /// the peer's end goes.
    ///
    /// # Errors
    /// [`CloseError`] as for [`close`](Self::close); nothing has changed.
    #[doc(alias = "drop")]
    pub fn drop_now(&self, code: CloseCode, description: Option<&str>) -> Result<(), CloseError> {
        close_of(code, description)?;
        self.drop_with(code, description, true);
        Ok(())
    }

    /// Gives the connection up without a Close frame; any code may be told to the application.
    #[doc(alias = "drop")]
    #[doc(alias = "skipCloseFrame")]
    pub fn drop_silently(&self, code: CloseCode, description: Option<&str>) {
        self.drop_with(code, description, false);
    }

    /// Stops reading: nothing more is received after what has been, and TCP holds the peer back. The keepalive
    /// drops nobody meanwhile.
    pub fn pause(&self) {
        self.shared.is_paused.store(true, Ordering::Release);
        self.shared.wake_driver();
    }

    /// Reads on. Nothing was lost.
    pub fn resume(&self) {
        self.shared.is_paused.store(false, Ordering::Release);
        self.shared.wake_driver();
    }

    /// Waits until nothing waits to be sent: everything has been given to the socket, or cannot be any more.
    /// [`flush`](Self::flush) waits for no more than what was sent before it, and tells whether that has left.
    ///
    /// Cancel safe.
    #[doc(alias = "drain")]
    pub async fn drained(&self) {
        self.shared.outbox.is_empty().await;
    }

    /// Waits until the connection has ended, its TCP connection too: how.
    ///
    /// Cancel safe.
    #[doc(alias = "close")]
    pub async fn closed(&self) -> Ending {
        self.shared.outbox.has_gone().await;
        // Set before.
        self.shared.ending().cloned().unwrap_or(Ending::Lost(Cause::PeerEnded))
    }

    /// Bytes that wait to be sent, the bookkeeping of each message included.
    #[doc(alias = "bufferedAmount")]
    #[doc(alias = "bytesWaitingToFlush")]
    pub fn buffered_amount(&self) -> usize {
        self.shared.outbox.buffered_amount()
    }

    /// Whether as much waits to be sent as is allowed.
    #[doc(alias = "outputBufferFull")]
    pub fn is_output_full(&self) -> bool {
        self.buffered_amount() >= self.output_limit()
    }

    /// Whether reading was stopped by [`pause`](Self::pause).
    #[doc(alias = "inputPaused")]
    pub fn is_paused(&self) -> bool {
        self.shared.is_paused()
    }

    /// Whether neither side has begun to close. Once false, it stays so.
    #[doc(alias = "connected")]
    pub fn is_connected(&self) -> bool {
        self.shared.outbox.is_open()
    }

    /// How the connection ended, as soon as no message can come any more; TCP may still be about to end.
    #[doc(alias = "closeReasonCode")]
    #[doc(alias = "closeDescription")]
    pub fn ending(&self) -> Option<Ending> {
        self.shared.ending().cloned()
    }

    /// The subprotocol that was accepted: at a server in lower case, at a client as it was asked for.
    pub fn protocol(&self) -> Option<&str> {
        self.shared.details.get()?.protocol.as_deref()
    }

    /// The extensions that were negotiated, with what was agreed on: permessage-deflate (RFC 7692), or none. A parameter
    /// that has its default is not among them.
    pub fn extensions(&self) -> Vec<Extension> {
        self.shared.compression.iter().map(Agreed::extension).collect()
    }

    /// Who the peer is, as [`Request::remote_address`](crate::Request::remote_address) has it. At a client, the address that
    /// it is connected to: the server's, or its [`Proxy`](crate::Proxy)'s.
    #[doc(alias = "remoteAddress")]
    pub fn remote_address(&self) -> &str {
        &self.shared.details().remote_address
    }

    /// The client, then the proxies on its way, the socket's peer last. At a client, the socket's peer alone.
    #[doc(alias = "remoteAddresses")]
    pub fn remote_addresses(&self) -> Vec<String> {
        let details = self.shared.details();
        if details.forwarded_for.is_empty() {
            vec![details.remote_address.to_string()]
        } else {
            details.forwarded_for.to_vec()
        }
    }

    /// The address of the socket's peer, whatever headers say. `None`: it has none that is known, such as on a Unix socket.
    #[doc(alias = "socket")]
    pub fn socket_address(&self) -> Option<SocketAddr> {
        self.shared.details.get().map_or_else(|| self.shared.peer.address(), |details| details.socket)
    }

    /// 13, or 8.
    #[doc(alias = "webSocketVersion")]
    pub fn websocket_version(&self) -> Version {
        self.shared.version
    }

    /// A number for this connection that no other of its server, or of its client, has, in order of acceptance.
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    pub(crate) fn output_limit(&self) -> usize {
        self.shared.outbox.limit()
    }

    fn control(&self, payload: Bytes, command: impl FnOnce(Bytes) -> Command) -> Result<(), ControlError> {
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(ControlError::PayloadTooLong { length: payload.len() });
        }
        self.wake_if(self.shared.outbox.control(command(payload))?);
        Ok(())
    }

    fn drop_with(&self, code: CloseCode, description: Option<&str>, tell_peer: bool) {
        let description = description.map(ToOwned::to_owned);
        self.wake_if(self.shared.outbox.drop_connection(code, description, tell_peer));
    }

    pub(crate) fn wake_if(&self, wake: bool) {
        if wake {
            self.shared.wake_driver();
        }
    }
}

impl Clone for Connection {
    fn clone(&self) -> Self {
        Self::new(self.shared.clone())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The driver's own is left.
        if self.shared.handles.fetch_sub(1, Ordering::AcqRel) == 2 && self.shared.is_inbox_holding() {
            self.shared.wake_driver();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.shared.id)
            .field("remote_address", &self.remote_address())
            .field("protocol", &self.protocol())
            .field("is_connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Connection {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Connection {}

impl Shared {
    pub(crate) fn new(id: u64, opening: Opening, receives: Receives, options: &Arc<Options>) -> Self {
        let Opening { compression, is_server, version, socket, .. } = opening;
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
            outbox: Outbox::new(options.clone(), is_server && compression.is_none()),
            inbox: (receives == Receives::Handles).then(inbox),
            driver: OnceLock::new(),
            ending: OnceLock::new(),
        }
    }

    fn details(&self) -> &Details {
        self.details.get_or_init(|| {
            Box::new(Details::of(Opening {
                protocol: None,
                compression: self.compression,
                is_server: self.is_server,
                version: self.version,
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
    pub(crate) fn ended(&self, ending: &Ending) {
        // Set once, by the one driver that a connection has.
        let _ = self.ending.set(Box::new(ending.clone()));
        self.outbox.ended();
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

/// The Close frame for a code and its description, or the code's own.
pub(crate) fn close_of(code: CloseCode, description: Option<&str>) -> Result<Close, CloseError> {
    match description {
        Some(description) => Close::new(code, description.to_owned()),
        None => Close::with_default_reason(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerConfig;

    fn to_peer(socket: &str) -> Connection {
        let opening = Opening {
            protocol: None,
            compression: None,
            is_server: true,
            version: Version::V13,
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
