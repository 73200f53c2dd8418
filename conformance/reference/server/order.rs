//! What the run asks of the server.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Map, Value};
use wharf::{Accept, CloseCode, Frame, Message, Opcode, RawFrame, Rejection, ServerConfig, SetCookie};

use crate::Failure;

#[derive(Deserialize)]
#[serde(tag = "order", rename_all = "camelCase")]
pub(crate) enum Order {
    Start(Start),
    Act(Act),
    Stop,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Start {
    pub(crate) options: Options,
    pub(crate) program: Program,
    pub(crate) http_servers: usize,
    pub(crate) mounted: bool,
    /// Whether anybody decides requests.
    pub(crate) handled: bool,
}

/// What to do whenever something happens, and what to tell beyond what is always told.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Program {
    pub(crate) request: Vec<Action>,
    pub(crate) connect: Vec<Action>,
    pub(crate) message: Vec<Action>,
    pub(crate) ping: Vec<Action>,
    pub(crate) close: Vec<Action>,
    pub(crate) also: Vec<String>,
}

/// Something to do now, on a request or connection by its number, or on the server.
#[derive(Deserialize)]
pub(crate) struct Act {
    pub(crate) request: Option<usize>,
    pub(crate) connection: Option<usize>,
    pub(crate) actions: Vec<Action>,
}

#[derive(Deserialize, Clone)]
#[serde(tag = "action", rename_all = "camelCase")]
pub(crate) enum Action {
    Describe,
    Accept {
        protocol: Option<String>,
        origin: Option<String>,
        #[serde(default)]
        cookies: Vec<Cookie>,
    },
    Reject {
        status: Option<u16>,
        reason: Option<String>,
        #[serde(default)]
        headers: Vec<(String, String)>,
    },

    Send(Payload),
    Echo,
    Ping(Payload),
    Pong(Payload),
    Cancel,
    SendFrame(ComposedFrame),
    Close {
        code: Option<u16>,
        description: Option<String>,
    },
    Drop {
        code: Option<u16>,
        description: Option<String>,
        #[serde(default)]
        silent: bool,
    },
    Pause,
    Resume,
    State,

    Broadcast(Payload),
    List,
    Mount {
        on: Vec<usize>,
        #[serde(default)]
        options: Options,
    },
    Unmount,
    CloseAll,
    ShutDown,
}

/// What to send: `text` or `bytes`, so many `times`.
#[derive(Deserialize, Clone)]
pub(crate) struct Payload {
    text: Option<String>,
    #[serde(default)]
    bytes: Vec<u8>,
    times: usize,
}

impl Payload {
    pub(crate) fn message(&self) -> Message {
        match &self.text {
            Some(text) => Message::from(text.repeat(self.times)),
            None => Message::from(self.bytes.repeat(self.times)),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        match &self.text {
            Some(text) => text.repeat(self.times).into_bytes(),
            None => self.bytes.repeat(self.times),
        }
    }
}

/// A frame composed by hand; `raw` goes out whatever rule it breaks.
#[derive(Deserialize, Clone)]
pub(crate) struct ComposedFrame {
    fin: bool,
    reserved: u8,
    opcode: u8,
    /// Of a Close with its code.
    payload: Vec<u8>,
    pub(crate) raw: bool,
}

impl ComposedFrame {
    /// None where wharf's frames have no such opcode.
    pub(crate) fn frame(&self) -> Option<Frame<'static>> {
        let mut frame = Frame::new(self.fin, Opcode::from_bits(self.opcode).ok()?, self.payload.clone());
        frame.header.reserved = self.reserved;
        Some(frame)
    }

    pub(crate) fn raw_frame(&self) -> RawFrame {
        let payload = self.payload.clone().into();
        RawFrame { fin: self.fin, reserved: self.reserved, opcode: self.opcode, payload }
    }
}

#[derive(Deserialize, Clone)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
pub(crate) struct Cookie {
    name: String,
    value: String,
    path: Option<String>,
    domain: Option<String>,
    /// Milliseconds since 1970.
    expires: Option<u64>,
    /// Seconds.
    maxage: Option<f64>,
    secure: bool,
    httponly: bool,
}

impl Cookie {
    fn set_cookie(&self) -> Result<SetCookie, Failure> {
        let mut cookie = SetCookie::new(&self.name, &self.value).secure(self.secure).http_only(self.httponly);
        if let Some(path) = &self.path {
            cookie = cookie.path(path);
        }
        if let Some(domain) = &self.domain {
            cookie = cookie.domain(domain);
        }
        if let Some(expires) = self.expires {
            cookie = cookie.expires(SystemTime::UNIX_EPOCH + Duration::from_millis(expires));
        }
        if let Some(seconds) = self.maxage {
            cookie = cookie.max_age(Duration::try_from_secs_f64(seconds)?);
        }
        Ok(cookie)
    }
}

/// # Errors
/// A cookie that wharf's types have no room for.
pub(crate) fn accept(
    protocol: Option<String>,
    origin: Option<String>,
    cookies: &[Cookie],
) -> Result<Accept, Failure> {
    let mut accept = Accept::new();
    if let Some(protocol) = protocol {
        accept = accept.protocol(protocol);
    }
    if let Some(origin) = origin {
        accept = accept.origin(origin);
    }
    for cookie in cookies {
        accept = accept.cookie(cookie.set_cookie()?);
    }
    Ok(accept)
}

pub(crate) fn rejection(
    status: Option<u16>,
    reason: Option<String>,
    headers: Vec<(String, String)>,
) -> Rejection {
    let mut rejection = status.map_or_else(Rejection::default, Rejection::new);
    if let Some(reason) = reason {
        rejection = rejection.reason(reason);
    }
    for (name, value) in headers {
        rejection = rejection.header(name, value);
    }
    rejection
}

pub(crate) fn code(code: Option<u16>, default: CloseCode) -> CloseCode {
    code.map_or(default, CloseCode::new)
}

/// The options under the names that the npm package has for them.
#[derive(Deserialize, Clone, Default)]
pub(crate) struct Options(Map<String, Value>);

impl Options {
    pub(crate) fn config(&self) -> Result<ServerConfig, Failure> {
        let mut config = ServerConfig::default();
        for (name, value) in &self.0 {
            let flag = || value.as_bool().ok_or_else(|| format!("{name} must be true or false"));
            let count = || value.as_u64().ok_or_else(|| format!("{name} must be a number"));
            let size = || -> Result<usize, Failure> { Ok(usize::try_from(count()?)?) };
            let time = || count().map(Duration::from_millis);
            match name.as_str() {
                "maxReceivedFrameSize" => config.max_received_frame_size = size()?,
                "maxReceivedMessageSize" => config.max_received_message_size = size()?,
                "fragmentOutgoingMessages" => config.fragment_outgoing_messages = flag()?,
                "fragmentationThreshold" => config.fragmentation_threshold = size()?,
                "keepalive" => config.keepalive = flag()?,
                "keepaliveInterval" => config.keepalive_interval = time()?,
                "dropConnectionOnKeepaliveTimeout" => {
                    config.drop_connection_on_keepalive_timeout = flag()?;
                }
                "keepaliveGracePeriod" => config.keepalive_grace_period = time()?,
                "useNativeKeepalive" => config.use_native_keepalive = flag()?,
                "assembleFragments" => config.assemble_fragments = flag()?,
                "autoAcceptConnections" => config.auto_accept_connections = flag()?,
                "closeTimeout" => config.close_timeout = time()?,
                "disableNagleAlgorithm" => config.disable_nagle_algorithm = flag()?,
                "ignoreXForwardedFor" => config.ignore_x_forwarded_for = flag()?,
                "parseExtensions" => config.parse_extensions = flag()?,
                "parseCookies" => config.parse_cookies = flag()?,
                _ => return Err(format!("there is no option {name}").into()),
            }
        }
        Ok(config)
    }
}
