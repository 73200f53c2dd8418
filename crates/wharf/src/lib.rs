//! A WebSocket server for tokio and hyper.

mod config;
#[allow(dead_code, reason = "the server that uses it comes next")]
mod cookie;
mod date;
#[allow(dead_code, reason = "the server that uses it comes next")]
mod http;
mod network;

pub use self::http::{HttpServer, HttpServerBuilder};
pub use config::{ConfigError, LONGEST_TIME, ServerConfig, UNLIMITED};
pub use cookie::{CookieError, CookieField, Cookies, SetCookie};
pub use network::{IpNetwork, NetworkError};
