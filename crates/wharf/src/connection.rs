//! The user's handle on a connection.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};

use crate::error::{ControlError, SendError, TrySendError};
use crate::hub::{
    Hub, Publish, PublishError, Publishing, Subscribe, SubscribeError, Subscribing, Topic, TopicError,
    TopicPattern,
};
use crate::inbox;
use crate::outbox::Turn;
use crate::proto::connection::{Cause, Ending, Frame};
use crate::proto::deflate::Agreed;
use crate::proto::frame::MAX_CONTROL_PAYLOAD;
use crate::proto::handshake::{Extension, Version};
use crate::proto::{Close, CloseCode, CloseError, Message};
use crate::queue::Command;
use crate::shared::Shared;

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

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.handle_made();
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

    /// Subscribes to a topic, or to all topics that match a [pattern](TopicPattern): what is published on them from now on is
    /// sent to this connection, until it [unsubscribes](Self::unsubscribe) or ends. What this thread publishes behind it is
    /// among that, and what others publish once the answer is there. A second subscription to the same does nothing.
    ///
    /// The answer need not be awaited.
    ///
    /// # Errors
    /// [`SubscribeError`], here or in the answer; nothing has changed, but for what it says of the broker.
    pub fn subscribe<T: TryInto<TopicPattern>>(&self, pattern: T) -> Result<Subscribing, SubscribeError>
    where
        TopicError: From<T::Error>,
    {
        self.subscribe_with(Subscribe::new(pattern)?)
    }

    /// [`subscribe`](Self::subscribe)s with what was missed, or under a name.
    ///
    /// # Errors
    /// As for [`subscribe`](Self::subscribe).
    pub fn subscribe_with(&self, subscribe: Subscribe) -> Result<Subscribing, SubscribeError> {
        let hub = self.hub().ok_or(SubscribeError::NoHub)?;
        hub.subscribe(&self.shared, subscribe)
    }

    /// Ends a [subscription](Self::subscribe) to this topic or pattern, if there is one. What has been delivered before is
    /// still sent.
    ///
    /// # Errors
    /// [`TopicError`]: it is not a pattern.
    pub fn unsubscribe<T: TryInto<TopicPattern>>(&self, pattern: T) -> Result<(), TopicError>
    where
        TopicError: From<T::Error>,
    {
        let pattern = pattern.try_into()?;
        if let Some(hub) = self.hub() {
            hub.unsubscribe(&self.shared, pattern);
        }
        Ok(())
    }

    /// Publishes a message to everybody who has subscribed to the topic, but for this connection. See
    /// [`Hub::publish`](crate::hub::Hub::publish).
    ///
    /// # Errors
    /// [`PublishError`]; nobody gets it.
    pub fn publish<T: TryInto<Topic>>(
        &self,
        topic: T,
        message: impl Into<Message>,
    ) -> Result<Publishing, PublishError>
    where
        TopicError: From<T::Error>,
    {
        let hub = self.hub().ok_or(PublishError::NoHub)?;
        hub.publish_with(Publish::new(topic, message)?.except(self))
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
        self.shared.set_paused(true);
    }

    /// Reads on. Nothing was lost.
    pub fn resume(&self) {
        self.shared.set_paused(false);
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
        self.shared.protocol()
    }

    /// The extensions that were negotiated, with what was agreed on: permessage-deflate (RFC 7692), or none. A parameter
    /// that has its default is not among them.
    pub fn extensions(&self) -> Vec<Extension> {
        self.shared.compression().iter().map(Agreed::extension).collect()
    }

    /// Who the peer is, as [`Request::remote_address`](crate::Request::remote_address) has it. At a client, the address that
    /// it is connected to: the server's, or its [`Proxy`](crate::Proxy)'s.
    #[doc(alias = "remoteAddress")]
    pub fn remote_address(&self) -> &str {
        self.shared.remote_address()
    }

    /// The client, then the proxies on its way, the socket's peer last. At a client, the socket's peer alone.
    #[doc(alias = "remoteAddresses")]
    pub fn remote_addresses(&self) -> Vec<String> {
        match self.shared.forwarded_for() {
            [] => vec![self.remote_address().to_owned()],
            all => all.to_vec(),
        }
    }

    /// The address of the socket's peer, whatever headers say. `None`: it has none that is known, such as on a Unix socket.
    #[doc(alias = "socket")]
    pub fn socket_address(&self) -> Option<SocketAddr> {
        self.shared.socket_address()
    }

    /// 13, or 8.
    #[doc(alias = "webSocketVersion")]
    pub fn websocket_version(&self) -> Version {
        self.shared.version()
    }

    /// A number for this connection that no other of its server, or of its client, has, in order of acceptance.
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    fn hub(&self) -> Option<&Hub> {
        self.shared.outbox.options().hub.as_ref()
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
        self.shared.handle_dropped();
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

/// The Close frame for a code and its description, or the code's own.
pub(crate) fn close_of(code: CloseCode, description: Option<&str>) -> Result<Close, CloseError> {
    match description {
        Some(description) => Close::new(code, description.to_owned()),
        None => Close::with_default_reason(code),
    }
}
