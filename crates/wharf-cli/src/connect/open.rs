//! The opening handshake: what is asked for, where redirects lead, and why there is no connection.

use std::fmt::Write;

use http::{Response, StatusCode, header};
use wharf::rustls::Error as RustlsError;
use wharf::{
    Client, ClientConfig, Compression, ConfigError, ConnectError, ConnectRequest, Proxy, ProxyError,
    TlsError, UrlError,
};

use super::display::quoted;
use super::incoming::incoming;
use super::options::Connect;
use super::redirect::Redirect;
use super::status::Status;
use super::{Failure, Session, say};
use crate::headers::{Header, login};

/// Headers of a refusal that say why, or what to do.
const TELLING: [&str; 3] = ["location", "www-authenticate", "x-websocket-reject-reason"];
/// Characters of a refusal's body that are shown.
const BODY_SHOWN: usize = 200;

/// Connects.
///
/// # Errors
/// Why there is no connection.
pub(super) async fn open(options: &Connect) -> Result<Session, Failure> {
    let client = Client::new(config(options)?).map_err(|error| Failure::usage(flag_of(&error)))?;
    let mut headers = options.credentials.to_headers().map_err(Failure::usage)?;
    let mut url = options.url.clone();
    let mut redirects = 0;
    loop {
        let (relay, incoming) = incoming();
        let request = request(&url, options, &headers)?;
        let response = match client.connect_with(request, relay).await {
            Ok(connection) => return Ok(Session { connection, incoming, received: 0 }),
            Err(ConnectError::HttpResponse(response)) => response,
            Err(error) => return Err(error.into()),
        };
        let Some(location) = location(&response).filter(|_| redirects < options.follow) else {
            return Err(refusal(&response));
        };
        let redirect = Redirect::new(&url, location).map_err(|error| {
            let mut failure = refusal(&response);
            let _ = write!(failure.text, "\n{error}");
            failure
        })?;
        redirects += 1;
        if redirect.is_elsewhere {
            // Whatever is secret in them was meant for the server that was named.
            headers.clear();
        }
        if !options.quiet {
            say(&format!("redirected to {}", redirect.url));
        }
        url = redirect.url;
    }
}

fn config(options: &Connect) -> Result<ClientConfig, Failure> {
    let config = ClientConfig::default()
        .connect_timeout(options.connect_timeout)
        .close_timeout(options.close_timeout)
        .max_received_frame_size(options.max_message_size)
        .max_received_message_size(options.max_message_size)
        .compression((!options.no_compression).then(Compression::default))
        .tls(options.trust.client_tls().map_err(Failure::usage)?)
        .proxy(proxy(options).map_err(Failure::usage)?);
    Ok(match options.ping_interval {
        Some(interval) => config.keepalive(true).keepalive_interval(interval),
        None => config,
    })
}

fn proxy(options: &Connect) -> Result<Option<Proxy>, String> {
    let Some(url) = &options.proxy else { return Ok(None) };
    let proxy = Proxy::new(url).map_err(|error| match error {
        UrlError::Credentials => "--proxy has credentials in it: --proxy-user takes them".to_owned(),
        error => format!("--proxy {}: {error}", quoted(url)),
    })?;
    let Some(user) = &options.proxy_user else { return Ok(Some(proxy)) };
    let (name, password) = login(user, "--proxy-user", "WHARF_PROXY_PASSWORD")?;
    Ok(Some(proxy.basic(name, password)))
}

fn request(url: &str, options: &Connect, headers: &[Header]) -> Result<ConnectRequest, Failure> {
    let mut request = ConnectRequest::new(url).map_err(|error| match error {
        UrlError::Credentials => {
            Failure::usage("the URL has credentials in it: --user takes them".to_owned())
        }
        error => Failure::usage(error.to_string()),
    })?;
    request = request.protocols(&options.protocols);
    if let Some(origin) = &options.origin {
        request = request.origin(origin);
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    Ok(request)
}

/// Where a redirect leads, if it is one that may be followed with the same method.
fn location<B>(response: &Response<B>) -> Option<&str> {
    let is_redirect = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    response.headers().get(header::LOCATION).filter(|_| is_redirect)?.to_str().ok()
}

impl Failure {
    const fn usage(text: String) -> Self {
        Self { status: Status::Usage, text }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let status = match &error {
            ConnectError::Url(_) | ConnectError::Request(_) => Status::Usage,
            ConnectError::HttpResponse(response) => return refusal(response),
            ConnectError::Malformed(_) | ConnectError::Verify(_) => Status::Refused,
            _ => Status::Unreachable,
        };
        let hint = match &error {
            ConnectError::Proxy(ProxyError::Refused(response))
                if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED =>
            {
                "; --proxy-user logs in"
            }
            ConnectError::Tls(TlsError::Rustls(RustlsError::InvalidCertificate(_))) => {
                "; --ca names whom to believe, --insecure believes anyone"
            }
            _ => "",
        };
        Self { status, text: format!("{error}{hint}") }
    }
}

/// What the server said instead of 101.
fn refusal<B: AsRef<[u8]>>(response: &Response<B>) -> Failure {
    let mut text = format!("the server answered with {}, not 101", response.status());
    for name in TELLING {
        for value in response.headers().get_all(name) {
            let _ = write!(text, "\n{name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
    }
    let body = String::from_utf8_lossy(response.body().as_ref());
    let body = body.trim();
    if !body.is_empty() {
        let _ = write!(text, "\nit says: {}", quoted(&body.chars().take(BODY_SHOWN).collect::<String>()));
    }
    Failure { status: Status::Refused, text }
}

/// The library names its option; here that is a flag.
fn flag_of(error: &ConfigError) -> String {
    let message = error.to_string();
    let (option, rest) = message.split_once(' ').unwrap_or((&message, ""));
    let flag = match option {
        "keepalive_interval" => "ping-interval".to_owned(),
        "max_received_frame_size" | "max_received_message_size" => "max-message-size".to_owned(),
        option => option.replace('_', "-"),
    };
    format!("--{flag} {rest}")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        connect: Connect,
    }

    #[test]
    fn compression_is_offered_unless_told_not_to() {
        for (arguments, expected) in [
            (&["wharf", "ws://host/"][..], Some(Compression::default())),
            (&["wharf", "ws://host/", "--no-compression"], None),
        ] {
            let options = Program::try_parse_from(arguments).unwrap().connect;
            let config = config(&options).unwrap_or_else(|failure| panic!("{}", failure.text));
            assert_eq!(config.compression, expected);
        }
    }
}
