//! What a server allows, promises and waits for: every option, its default and its limits.

#[cfg(feature = "serde")]
mod file;

use std::time::Duration;

use crate::client_address_header::ClientAddressHeader;
#[cfg(feature = "deflate")]
use crate::compression::Compression;
use crate::network::IpNetwork;
use crate::origin::OriginRule;

/// Says of a limit in bytes that there is none.
///
/// ```
/// use wharf::{ServerConfig, UNLIMITED};
///
/// let config = ServerConfig::default().max_received_frame_size(UNLIMITED);
/// assert!(config.validate().is_ok());
/// ```
pub const UNLIMITED: usize = usize::MAX;

/// The options of a server, plain data with a default for each.
///
/// Start from [`Default`], change what should differ, by field or in a chain, and give it to the server. It is
/// validated once, when the server is mounted, and holds for the connections accepted under it from then on.
///
/// ```
/// use std::time::Duration;
/// use wharf::ServerConfig;
///
/// let config = ServerConfig::default()
///     .max_received_frame_size(1 << 20)
///     .keepalive_interval(Duration::from_secs(60));
/// ```
///
/// Sizes are in bytes; where a size may be [`UNLIMITED`], that has to be said. Every time is a [`Duration`].
///
/// With the feature `serde` it can be read from a file, of TOML, JSON or any other format that serde has, and written to
/// one:
///
/// ```toml
/// max_received_frame_size = 1048576    # or "unlimited"
/// keepalive_interval = "1m 30s"
/// trusted_proxies = ["10.0.0.0/8"]
/// allowed_origins = ["same-origin", "https://*.example.com"]
/// closeTimeout = 5000                  # the reference's name, and there a number counts milliseconds
/// compression = true                   # or false, or a table of its options
/// ```
///
/// What is left out has its default, and an unknown name is an error that suggests the nearest known one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
// Each is a switch of its own, with the meaning that users of the reference know it by.
#[expect(clippy::struct_excessive_bools)]
pub struct ServerConfig {
    /// Longest payload of any one frame, in bytes. Default 65,536.
    ///
    /// A frame that announces one byte more ends the connection with close code 1009, before any of its payload
    /// is read. Browsers send a message as one frame, so this is the limit that their users meet first: raise it
    /// together with [`max_received_message_size`](Self::max_received_message_size) where large messages come
    /// from browsers. A higher limit lets each peer make the server hold that much.
    #[doc(alias = "maxReceivedFrameSize")]
    pub max_received_frame_size: usize,

    /// Longest message that comes in fragments, in bytes over all of them. Default 1,048,576.
    ///
    /// The fragment that passes the limit ends the connection with close code 1009. A message in one frame is
    /// bound by [`max_received_frame_size`](Self::max_received_frame_size) alone, and without
    /// [`assemble_fragments`](Self::assemble_fragments) this option has no effect. A higher limit lets each peer
    /// make the server hold that much.
    ///
    /// A compressed message counts as it is inflated, and inflating stops at the limit: this one, or
    /// [`max_received_frame_size`](Self::max_received_frame_size) where that is larger and the message came in one frame.
    #[doc(alias = "maxReceivedMessageSize")]
    pub max_received_message_size: usize,

    /// Whether messages longer than [`fragmentation_threshold`](Self::fragmentation_threshold) go out in
    /// fragments. Default true.
    ///
    /// Without, every message is one frame, whatever its length, and a ping cannot pass between.
    #[doc(alias = "fragmentOutgoingMessages")]
    pub fragment_outgoing_messages: bool,

    /// Longest payload of a frame that goes out, in bytes. Default 16,384.
    ///
    /// A longer message is sent as frames of exactly this length and a last one with the rest. Smaller frames let
    /// control frames pass sooner and cost more headers.
    #[doc(alias = "fragmentationThreshold")]
    pub fragmentation_threshold: usize,

    /// Whether silent connections are pinged. Default true.
    ///
    /// Without, a peer that vanished is noticed only when something is sent to it, and the three options on pings
    /// and native keepalive are ignored.
    pub keepalive: bool,

    /// How long a connection may be silent before it is pinged. Default 20 s.
    ///
    /// Whatever is received starts it anew. With [`use_native_keepalive`](Self::use_native_keepalive) it is the
    /// idle time of TCP's keepalive instead. Shorter finds dead peers sooner and wakes phones more often.
    #[doc(alias = "keepaliveInterval")]
    pub keepalive_interval: Duration,

    /// Whether a connection that stays silent after a ping is dropped. Default true.
    ///
    /// Without, there is a ping every [`keepalive_interval`](Self::keepalive_interval) and no drop.
    #[doc(alias = "dropConnectionOnKeepaliveTimeout")]
    pub drop_connection_on_keepalive_timeout: bool,

    /// How long after a ping something must arrive. Default 10 s.
    ///
    /// After it the connection is dropped without a Close frame, close code 1006, "Peer not responding.". The
    /// time starts when the ping has left for the socket, and does not run while the application holds reading.
    /// Ignored without [`keepalive`](Self::keepalive), without
    /// [`drop_connection_on_keepalive_timeout`](Self::drop_connection_on_keepalive_timeout) and with
    /// [`use_native_keepalive`](Self::use_native_keepalive).
    #[doc(alias = "keepaliveGracePeriod")]
    pub keepalive_grace_period: Duration,

    /// Whether TCP's keepalive takes the place of WebSocket pings. Default false.
    ///
    /// With it the kernel probes the peer, which costs no frames and reaches no further than the next proxy.
    /// Without [`keepalive`](Self::keepalive) there is neither.
    #[doc(alias = "useNativeKeepalive")]
    pub use_native_keepalive: bool,

    /// Whether the fragments of a message are put together before the application sees it. Default true.
    ///
    /// Without, every frame is handed over as it comes, a message in one frame also as a message, and
    /// [`max_received_message_size`](Self::max_received_message_size) has no effect.
    ///
    /// A compressed message is inflated frame by frame, and its frames are handed over as if they had not been compressed:
    /// without RSV1, `payload_len` the inflated length, each bound by
    /// [`max_received_frame_size`](Self::max_received_frame_size) once more. A frame that is sent on goes out as it is.
    #[doc(alias = "assembleFragments")]
    pub assemble_fragments: bool,

    /// Whether every valid handshake is accepted without asking. Default false.
    ///
    /// With it the first offered subprotocol is taken, the client's origin is echoed and no path is looked at: pages of
    /// any of the [`allowed_origins`](Self::allowed_origins) may connect, in the name of whoever reads them.
    #[doc(alias = "autoAcceptConnections")]
    pub auto_accept_connections: bool,

    /// How long the peer has to answer our Close frame. Default 5 s.
    ///
    /// After it TCP is closed all the same, and the connection ends with our code. Zero does not wait at all.
    #[doc(alias = "closeTimeout")]
    pub close_timeout: Duration,

    /// Whether small writes go out at once (`TCP_NODELAY`). Default true.
    ///
    /// Without, the kernel may hold a small write back until what went before it is acknowledged: fewer packets,
    /// and up to 40 ms more for a message on its own.
    #[doc(alias = "disableNagleAlgorithm")]
    pub disable_nagle_algorithm: bool,

    /// Whether `X-Forwarded-For` is left unread. Default false: the header counts.
    ///
    /// Any client can send the header. Where no proxy sets it, turn this on, or name the proxies in
    /// [`trusted_proxies`](Self::trusted_proxies): otherwise the remote address is whatever the client says.
    #[doc(alias = "ignoreXForwardedFor")]
    pub ignore_x_forwarded_for: bool,

    /// Whether the offered extensions are parsed. Default true.
    ///
    /// Without, a request lists none, and no offer of compression is taken.
    #[doc(alias = "parseExtensions")]
    pub parse_extensions: bool,

    /// Whether the cookies of a request are parsed. Default true.
    ///
    /// Without, a request lists none.
    #[doc(alias = "parseCookies")]
    pub parse_cookies: bool,

    /// The proxies that are believed on whom they speak for. Default none named.
    ///
    /// Where any is named, the client is looked for from the socket's peer on. As long as an address is in one of these
    /// networks, the next one is what it says: first the source in a PROXY header, on a listener that reads them, then the
    /// entries of [`client_address_header`](Self::client_address_header), from the last to the first, for each proxy appends
    /// the address that it sees. The first one that is no named proxy is the remote address, and what stands before it was
    /// written by the client. An entry that is no address ends the search at the proxy that sent it; `unknown`, and in
    /// `Forwarded` a name that a proxy made up, is taken as its answer.
    ///
    /// Nothing else is believed: not the other of the two headers, nothing from a peer that is not named, and no header behind a
    /// PROXY header whose source is not named or that tells none. The peer on a Unix socket, which has no address, counts as
    /// named, for only those reach it who may open the socket.
    ///
    /// Where none is named, anybody is believed: the remote address is the first entry of `X-Forwarded-For`, unless
    /// [`ignore_x_forwarded_for`](Self::ignore_x_forwarded_for) is on. A listener that reads PROXY headers believes whoever
    /// connects to it, and there the remote address is their source, whatever other headers say.
    ///
    /// A network's text that is none fails to parse, before it gets here.
    pub trusted_proxies: Vec<IpNetwork>,

    /// The header in which the proxies write whom they speak for. Default `X-Forwarded-For`.
    ///
    /// It is one of the two, because a proxy writes one and hands the other on as the client sent it. Name the one that all
    /// of the [`trusted_proxies`](Self::trusted_proxies) append to. `Forwarded` counts from named proxies only, so that
    /// naming none is an error with it; [`ignore_x_forwarded_for`](Self::ignore_x_forwarded_for) has no effect on it.
    pub client_address_header: ClientAddressHeader,

    /// The origins whose pages may connect, by any of these rules. Default none listed: any may.
    ///
    /// A page of any site can open a WebSocket to any server, and the browser sends the server's cookies with it: no
    /// same-origin policy and no CORS stands before it, only what the server makes of the origin (RFC 6455 §10.2). So a server
    /// that goes by cookies, by the client's address or by the network that it is in lists here whose pages may speak to
    /// it, or others act in the name of their visitors (known as cross-site WebSocket hijacking).
    ///
    /// A handshake of any other origin is refused with 403 and a reason, before the application hears of it: no event is
    /// told, and it counts in [`Counters::refused`](crate::Counters::refused). One without an origin is let through: browsers
    /// always send theirs and let no page change it (RFC 6454 §7.3, RFC 6455 §4.1 item 8), and a client that is no browser can
    /// say what it likes. So this keeps pages out, not people.
    ///
    /// ```
    /// use wharf::{OriginRule, ServerConfig};
    ///
    /// let own_pages = ServerConfig::default().allowed_origins([OriginRule::SAME_ORIGIN]);
    /// let named = ServerConfig::default().allowed_origins(["https://example.com".parse()?, "https://*.example.com".parse()?]);
    /// # Ok::<(), wharf::OriginRuleError>(())
    /// ```
    pub allowed_origins: Vec<OriginRule>,

    /// How long an opening handshake may take, over all: from the TCP connection, or from the end of the previous
    /// response on it, until the application has accepted or rejected the request. Default 10 s.
    ///
    /// A request head that is not complete by then is answered with 408, a request that is not decided with 503.
    /// Longer serves slow links and slow decisions, and lets idle sockets wait longer at our cost.
    pub handshake_timeout: Duration,

    /// How many requests may wait for the application to decide, at once. Default 1,024.
    ///
    /// Those beyond are answered with 503, before the application hears of them.
    pub max_pending_requests: usize,

    /// How many connections may be open at once. Default 1,000,000.
    ///
    /// Handshakes beyond are answered with 503, before the application hears of them.
    pub max_connections: usize,

    /// How many fragments a message may come in. Default 131,072.
    ///
    /// One more ends the connection with close code 1008. Each fragment costs time and, while none has a payload,
    /// no limit in bytes would ever bite. Without [`assemble_fragments`](Self::assemble_fragments) this option has no
    /// effect: then whoever takes the frames holds the peer back.
    pub max_fragments: u32,

    /// How much may wait to be sent on one connection, in bytes. Default 1,048,576.
    ///
    /// With that much waiting, `send` waits until the peer has taken some, and `try_send` hands the message back.
    /// A message longer than the whole is taken where nothing waits. More smooths bursts, and is what each peer
    /// that does not read can make the server hold.
    pub max_buffered_amount: usize,

    /// How many received messages, or frames where they are not assembled, may wait for `recv` on one connection.
    /// Default 256.
    ///
    /// With that many waiting, reading stops until `recv` has taken some, and TCP holds the peer back.
    pub max_unread_messages: usize,

    /// Most bytes of messages that were received on a connection and not yet taken by
    /// [`recv`](crate::Connection::recv). Default 1,048,576.
    ///
    /// At it nothing more is read, as at [`max_unread_messages`](Self::max_unread_messages); one message may pass it, so
    /// that a message larger than it can be received at all.
    pub max_unread_bytes: usize,

    /// How long output may stand still, not one byte of it taken by the peer. Default 30 s.
    ///
    /// After it the connection is dropped without a Close frame, close code 1006. Longer waits for peers that
    /// sleep, and lets those that never read hold their memory longer.
    pub write_timeout: Duration,

    /// How many events may wait for the server's event stream. Default 4,096.
    ///
    /// With that many waiting, further handshakes are answered with 503 and invalid ones are not told any more, so that
    /// an application that falls behind does so on its clients and not in memory.
    pub max_pending_events: usize,

    /// How messages are compressed, permessage-deflate, with clients that offer it (RFC 7692); `None`: never. Default
    /// [`Compression::default`].
    ///
    /// It is on because browsers offer it by themselves, and users of servers that have it expect that it is taken. Those
    /// that leave it off name memory as the reason; here an idle connection keeps none for it, unless it is told to by
    /// [`Compression::server_context_takeover`] or [`Compression::client_context_takeover`].
    ///
    /// Do not compress messages that hold a secret beside text that others choose: who sees the length of the encrypted
    /// message can guess the secret byte by byte (known as CRIME and BREACH).
    #[cfg(feature = "deflate")]
    pub compression: Option<Compression>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_received_frame_size: 64 * 1024,
            max_received_message_size: 1024 * 1024,
            fragment_outgoing_messages: true,
            fragmentation_threshold: 16 * 1024,
            keepalive: true,
            keepalive_interval: Duration::from_secs(20),
            drop_connection_on_keepalive_timeout: true,
            keepalive_grace_period: Duration::from_secs(10),
            use_native_keepalive: false,
            assemble_fragments: true,
            auto_accept_connections: false,
            close_timeout: Duration::from_secs(5),
            disable_nagle_algorithm: true,
            ignore_x_forwarded_for: false,
            parse_extensions: true,
            parse_cookies: true,
            trusted_proxies: Vec::new(),
            client_address_header: ClientAddressHeader::XForwardedFor,
            allowed_origins: Vec::new(),
            handshake_timeout: Duration::from_secs(10),
            max_pending_requests: 1024,
            max_connections: 1_000_000,
            max_fragments: 128 * 1024,
            max_buffered_amount: 1024 * 1024,
            max_unread_messages: 256,
            max_unread_bytes: 1024 * 1024,
            write_timeout: Duration::from_secs(30),
            max_pending_events: 4096,
            #[cfg(feature = "deflate")]
            compression: Some(Compression::default()),
        }
    }
}

/// One setter a field. A macro, because no function can name a field, and twenty-five bodies that must not differ
/// are better written once.
macro_rules! setters {
    ($($field:ident: $kind:ty),* $(,)?) => {
        /// Setters of the same names, to be chained. What each option means stands at its field.
        impl ServerConfig {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](ServerConfig#structfield.", stringify!($field), ").")]
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
    auto_accept_connections: bool,
    close_timeout: Duration,
    disable_nagle_algorithm: bool,
    ignore_x_forwarded_for: bool,
    parse_extensions: bool,
    parse_cookies: bool,
    trusted_proxies: Vec<IpNetwork>,
    client_address_header: ClientAddressHeader,
    handshake_timeout: Duration,
    max_pending_requests: usize,
    max_connections: usize,
    max_fragments: u32,
    max_buffered_amount: usize,
    max_unread_messages: usize,
    max_unread_bytes: usize,
    write_timeout: Duration,
    max_pending_events: usize,
}

impl ServerConfig {
    /// Sets [`allowed_origins`](ServerConfig#structfield.allowed_origins).
    #[must_use]
    pub fn allowed_origins(mut self, allowed_origins: impl IntoIterator<Item = OriginRule>) -> Self {
        self.allowed_origins = allowed_origins.into_iter().collect();
        self
    }

    /// Sets [`compression`](ServerConfig#structfield.compression): a [`Compression`], or `None`.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compression(mut self, compression: impl Into<Option<Compression>>) -> Self {
        self.compression = compression.into();
        self
    }

    /// Looks for values without meaning, and names the first.
    ///
    /// Mounting a server does this by itself. A zero in an option that the others leave without effect (the grace
    /// period of a keepalive that is off) is no error.
    ///
    /// # Errors
    /// A size, count or threshold of 0; a time of 0 where that means nothing; a time over [`LONGEST_TIME`]; a level or
    /// a window of compression out of its range; a header that counts from named proxies only, and none named.
    pub fn validate(&self) -> Result<(), ConfigError> {
        at_least_one("max_received_frame_size", self.max_received_frame_size)?;
        at_least_one("max_received_message_size", self.max_received_message_size)?;
        at_least_one("fragmentation_threshold", self.fragmentation_threshold)?;

        let pings = self.keepalive && !self.use_native_keepalive;
        let drops = pings && self.drop_connection_on_keepalive_timeout;
        time("keepalive_interval", self.keepalive_interval, self.keepalive)?;
        time("keepalive_grace_period", self.keepalive_grace_period, drops)?;
        time("close_timeout", self.close_timeout, false)?;
        time("handshake_timeout", self.handshake_timeout, true)?;
        time("write_timeout", self.write_timeout, true)?;

        if self.client_address_header == ClientAddressHeader::Forwarded && self.trusted_proxies.is_empty() {
            let allowed = "at least one network where client_address_header is Forwarded";
            return Err(ConfigError { option: "trusted_proxies", value: "empty".to_owned(), allowed });
        }
        at_least_one("max_pending_requests", self.max_pending_requests)?;
        at_least_one("max_connections", self.max_connections)?;
        at_least_one("max_fragments", self.max_fragments)?;
        at_least_one("max_buffered_amount", self.max_buffered_amount)?;
        at_least_one("max_unread_messages", self.max_unread_messages)?;
        at_least_one("max_unread_bytes", self.max_unread_bytes)?;
        at_least_one("max_pending_events", self.max_pending_events)?;
        #[cfg(feature = "deflate")]
        self.compression.as_ref().map_or(Ok(()), Compression::validate)?;
        Ok(())
    }
}

/// The longest time that an option may name: a year.
///
/// A deadline must be a moment that the clock can reach.
pub const LONGEST_TIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// An option with a value that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option} is {value}, but must be {allowed}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The option's name, as the field is called; of one within another both, as `compression.level`.
    pub option: &'static str,
    /// The value that came.
    pub value: String,
    /// What would be allowed.
    pub allowed: &'static str,
}

fn at_least_one<N: Copy + PartialEq + From<u8>>(option: &'static str, count: N) -> Result<(), ConfigError> {
    if count == N::from(0) {
        return Err(ConfigError { option, value: "0".to_owned(), allowed: "at least 1" });
    }
    Ok(())
}

pub(crate) fn time(
    option: &'static str,
    time: Duration,
    zero_is_meaningless: bool,
) -> Result<(), ConfigError> {
    let allowed = match (zero_is_meaningless && time.is_zero(), time > LONGEST_TIME) {
        (false, false) => return Ok(()),
        (true, _) => "longer than 0",
        (false, true) => "at most 365 days",
    };
    Err(ConfigError { option, value: format!("{time:?}"), allowed })
}

#[cfg(test)]
mod tests;
