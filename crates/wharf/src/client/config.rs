//! What a client allows, promises and waits for.

use std::time::Duration;

use super::proxy::Proxy;
#[cfg(feature = "deflate")]
use crate::compression::Compression;
use crate::config::{ConfigError, ServerConfig, time};
use crate::proto::handshake::Version;
#[cfg(feature = "tls")]
use crate::tls::ClientTls;

/// The options of a client, plain data with a default for each.
///
/// Start from [`Default`], change what should differ, by field or in a chain, and give it to
/// [`Client::new`](crate::Client::new), which validates it.
///
/// Where an option has the name of one of [`ServerConfig`], it does the same, and more is said there. The defaults
/// differ in three: frames and messages may be larger, because a client has chosen its peer, and there is no keepalive.
///
/// ```
/// use std::time::Duration;
/// use wharf::{Client, ClientConfig};
///
/// let config = ClientConfig::default().keepalive(true).connect_timeout(Duration::from_secs(5));
/// let client = Client::new(config)?;
/// # Ok::<(), wharf::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
// Each is a switch of its own, with the meaning that users of the reference know it by.
#[expect(clippy::struct_excessive_bools)]
pub struct ClientConfig {
    /// The version of the protocol to speak: 13, or 8 for servers of 2011. Default 13.
    ///
    /// They differ only in the header that names the origin: `Origin`, or `Sec-WebSocket-Origin`. From a number:
    /// [`Version::try_from`].
    #[doc(alias = "webSocketVersion")]
    pub websocket_version: Version,

    /// How long [`connect`](crate::Client::connect) may take, over all: name, TCP, proxy, TLS, opening handshake.
    /// Default 20 s.
    ///
    /// After it the attempt fails with [`ConnectError::Timeout`](crate::ConnectError::Timeout) and the socket is closed.
    /// The reference has no such limit: there a server that accepts TCP and says nothing is waited for without end.
    pub connect_timeout: Duration,

    /// Whether handshakes with the same host wait for each other, as RFC 6455 §4.1 demands. Default true.
    ///
    /// The time in the queue does not count towards [`connect_timeout`](Self::connect_timeout), which bounds each of those
    /// before. Without, any number are under way at once: for whoever loads a server of their own, or opens many
    /// connections over a long way.
    pub serialize_handshakes: bool,

    /// The HTTP proxy to connect through, `wss://` and `ws://` alike. Default none: the environment is not read.
    #[doc(alias = "requestOptions")]
    pub proxy: Option<Proxy>,

    /// Whom to believe on `wss://`. Default: whom the system believes.
    #[cfg(feature = "tls")]
    #[doc(alias = "tlsOptions")]
    pub tls: ClientTls,

    /// Longest body that is kept of an answer other than 101, in bytes. Default 65,536.
    ///
    /// What is longer is cut there, and the rest not waited for. Zero keeps none.
    pub max_response_body_size: usize,

    /// Longest payload of any one frame, in bytes. Default 1,048,576. As
    /// [`ServerConfig::max_received_frame_size`].
    #[doc(alias = "maxReceivedFrameSize")]
    pub max_received_frame_size: usize,

    /// Longest message that comes in fragments, in bytes over all of them. Default 8,388,608. As
    /// [`ServerConfig::max_received_message_size`].
    #[doc(alias = "maxReceivedMessageSize")]
    pub max_received_message_size: usize,

    /// Whether long messages go out in fragments. Default true. As [`ServerConfig::fragment_outgoing_messages`].
    #[doc(alias = "fragmentOutgoingMessages")]
    pub fragment_outgoing_messages: bool,

    /// Longest payload of a frame that goes out, in bytes. Default 16,384. As
    /// [`ServerConfig::fragmentation_threshold`].
    #[doc(alias = "fragmentationThreshold")]
    pub fragmentation_threshold: usize,

    /// Whether the server is pinged while it is silent. Default false.
    ///
    /// Without, the three options on pings and native keepalive are ignored, and a server that vanished is noticed only
    /// when something is sent to it.
    pub keepalive: bool,

    /// How long the server may be silent before it is pinged. Default 20 s. As [`ServerConfig::keepalive_interval`].
    #[doc(alias = "keepaliveInterval")]
    pub keepalive_interval: Duration,

    /// Whether a server that stays silent after a ping is given up. Default true. As
    /// [`ServerConfig::drop_connection_on_keepalive_timeout`].
    #[doc(alias = "dropConnectionOnKeepaliveTimeout")]
    pub drop_connection_on_keepalive_timeout: bool,

    /// How long after a ping something must arrive. Default 10 s. As [`ServerConfig::keepalive_grace_period`].
    #[doc(alias = "keepaliveGracePeriod")]
    pub keepalive_grace_period: Duration,

    /// Whether TCP's keepalive takes the place of WebSocket pings. Default false. As
    /// [`ServerConfig::use_native_keepalive`].
    #[doc(alias = "useNativeKeepalive")]
    pub use_native_keepalive: bool,

    /// Whether the fragments of a message are put together before the application sees it. Default true. As
    /// [`ServerConfig::assemble_fragments`].
    #[doc(alias = "assembleFragments")]
    pub assemble_fragments: bool,

    /// How long the server has to answer our Close frame, and then to end TCP, which is its part (RFC 6455 §7.1.1).
    /// Default 5 s.
    ///
    /// After it TCP is closed all the same. Zero does not wait at all.
    #[doc(alias = "closeTimeout")]
    pub close_timeout: Duration,

    /// Whether small writes go out at once (`TCP_NODELAY`). Default true. As
    /// [`ServerConfig::disable_nagle_algorithm`].
    #[doc(alias = "disableNagleAlgorithm")]
    pub disable_nagle_algorithm: bool,

    /// How many fragments a message may come in. Default 131,072. As [`ServerConfig::max_fragments`].
    pub max_fragments: u32,

    /// How much may wait to be sent on one connection, in bytes. Default 1,048,576. As
    /// [`ServerConfig::max_buffered_amount`].
    pub max_buffered_amount: usize,

    /// How many received messages may wait for `recv` on one connection. Default 256. As
    /// [`ServerConfig::max_unread_messages`].
    pub max_unread_messages: usize,

    /// Most bytes of messages that were received and not yet taken by `recv`. Default 1,048,576. As
    /// [`ServerConfig::max_unread_bytes`].
    pub max_unread_bytes: usize,

    /// How long output may stand still, not one byte of it taken by the server. Default 30 s. As
    /// [`ServerConfig::write_timeout`].
    pub write_timeout: Duration,

    /// How messages are compressed, permessage-deflate, with servers that take it (RFC 7692); `None`: it is not offered.
    /// Default [`Compression::default`], but with takeover at both ends, as browsers offer it: a client has few connections,
    /// and its `memory_limit` bounds what they keep. As [`ServerConfig::compression`].
    #[cfg(feature = "deflate")]
    pub compression: Option<Compression>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        let ServerConfig {
            fragment_outgoing_messages,
            fragmentation_threshold,
            keepalive_interval,
            drop_connection_on_keepalive_timeout,
            keepalive_grace_period,
            use_native_keepalive,
            assemble_fragments,
            close_timeout,
            disable_nagle_algorithm,
            max_fragments,
            max_buffered_amount,
            max_unread_messages,
            max_unread_bytes,
            write_timeout,
            #[cfg(feature = "deflate")]
            compression,
            ..
        } = ServerConfig::default();
        #[cfg(feature = "deflate")]
        let with_takeover = compression
            .map(|compression| compression.server_context_takeover(true).client_context_takeover(true));
        Self {
            websocket_version: Version::V13,
            connect_timeout: Duration::from_secs(20),
            serialize_handshakes: true,
            proxy: None,
            #[cfg(feature = "tls")]
            tls: ClientTls::default(),
            max_response_body_size: 64 * 1024,
            max_received_frame_size: 1024 * 1024,
            max_received_message_size: 8 * 1024 * 1024,
            fragment_outgoing_messages,
            fragmentation_threshold,
            keepalive: false,
            keepalive_interval,
            drop_connection_on_keepalive_timeout,
            keepalive_grace_period,
            use_native_keepalive,
            assemble_fragments,
            close_timeout,
            disable_nagle_algorithm,
            max_fragments,
            max_buffered_amount,
            max_unread_messages,
            max_unread_bytes,
            write_timeout,
            #[cfg(feature = "deflate")]
            compression: with_takeover,
        }
    }
}

/// One setter a field. A macro, because no function can name a field.
macro_rules! setters {
    ($($field:ident: $kind:ty),* $(,)?) => {
        /// Setters of the same names, to be chained. What each option means stands at its field.
        impl ClientConfig {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](ClientConfig#structfield.", stringify!($field), ").")]
                #[must_use]
                pub fn $field(mut self, $field: $kind) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}

setters! {
    websocket_version: Version,
    connect_timeout: Duration,
    serialize_handshakes: bool,
    proxy: Option<Proxy>,
    max_response_body_size: usize,
    max_received_frame_size: usize,
    max_received_message_size: usize,
    fragment_outgoing_messages: bool,
    fragmentation_threshold: usize,
    keepalive: bool,
    keepalive_interval: Duration,
    drop_connection_on_keepalive_timeout: bool,
    keepalive_grace_period: Duration,
    use_native_keepalive: bool,
    assemble_fragments: bool,
    close_timeout: Duration,
    disable_nagle_algorithm: bool,
    max_fragments: u32,
    max_buffered_amount: usize,
    max_unread_messages: usize,
    max_unread_bytes: usize,
    write_timeout: Duration,
}

impl ClientConfig {
    /// Sets [`tls`](ClientConfig#structfield.tls).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: impl Into<ClientTls>) -> Self {
        self.tls = tls.into();
        self
    }

    /// Sets [`compression`](ClientConfig#structfield.compression): a [`Compression`], or `None`.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compression(mut self, compression: impl Into<Option<Compression>>) -> Self {
        self.compression = compression.into();
        self
    }

    /// Looks for values without meaning, and names the first. [`Client::new`](crate::Client::new) does this by itself.
    ///
    /// # Errors
    /// A size, count or threshold of 0; a time of 0 where that means nothing; a time over
    /// [`LONGEST_TIME`](crate::LONGEST_TIME); a level or a window of compression out of its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        time("connect_timeout", self.connect_timeout, true)?;
        self.of_connections().validate()
    }

    /// What concerns connections, which have the same options at either end.
    pub(super) fn of_connections(&self) -> ServerConfig {
        ServerConfig {
            max_received_frame_size: self.max_received_frame_size,
            max_received_message_size: self.max_received_message_size,
            fragment_outgoing_messages: self.fragment_outgoing_messages,
            fragmentation_threshold: self.fragmentation_threshold,
            keepalive: self.keepalive,
            keepalive_interval: self.keepalive_interval,
            drop_connection_on_keepalive_timeout: self.drop_connection_on_keepalive_timeout,
            keepalive_grace_period: self.keepalive_grace_period,
            use_native_keepalive: self.use_native_keepalive,
            assemble_fragments: self.assemble_fragments,
            close_timeout: self.close_timeout,
            disable_nagle_algorithm: self.disable_nagle_algorithm,
            max_fragments: self.max_fragments,
            max_buffered_amount: self.max_buffered_amount,
            max_unread_messages: self.max_unread_messages,
            max_unread_bytes: self.max_unread_bytes,
            write_timeout: self.write_timeout,
            #[cfg(feature = "deflate")]
            compression: self.compression.clone(),
            ..ServerConfig::default()
        }
    }
}

#[cfg(all(test, feature = "deflate"))]
mod tests {
    use super::*;

    #[test]
    fn a_clients_compression_is_on_by_default_validated_and_that_of_its_connections() {
        let default = ClientConfig::default();
        let takeover = Compression::default().server_context_takeover(true).client_context_takeover(true);
        assert_eq!(default.compression, Some(takeover));
        let bad = default.clone().compression(Compression::default().memory_level(0));
        let error = bad.validate().unwrap_err();
        assert_eq!(error.to_string(), "compression.memory_level is 0, but must be 1 to 9");

        let fast = Compression::default().level(1);
        let config = default.compression(fast.clone());
        assert_eq!(config.of_connections().compression, Some(fast));
        assert_eq!(config.compression(None).of_connections().compression, None);
    }
}
