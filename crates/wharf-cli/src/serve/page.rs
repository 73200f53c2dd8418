//! The page, and all that it is made of, out of the program itself.

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body_util::Full;

/// A file of the page.
struct File {
    path: &'static str,
    content_type: &'static str,
    content: &'static str,
}

macro_rules! files {
    ($($content_type:literal: $($name:literal)+;)+) => {
        &[$($(File {
            path: concat!("/", $name),
            content_type: $content_type,
            content: include_str!(concat!("../page/", $name)),
        }),+),+]
    };
}

const FILES: &[File] = files! {
    "text/html; charset=utf-8": "index.html";
    "text/css; charset=utf-8": "style.css";
    "text/javascript; charset=utf-8":
        "announce.js" "chat.js" "close.js" "copy.js" "echo.js" "format.js" "hub.js" "live.js" "log.js" "page.js"
        "socket.js" "trips.js" "hub-client.js";
};

/// For pages of other servers, too, to import.
const HUB_CLIENT: &str = "/hub-client.js";

/// Nothing but the page's own files and sockets: what a chat member types can never become code.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// What a browser gets that asks for a path.
pub(super) fn answer(method: &Method, path: &str) -> Response<Full<Bytes>> {
    let path = if path == "/" { "/index.html" } else { path };
    if method != Method::GET && method != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are served here.\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let Some(file) = FILES.iter().find(|file| file.path == path) else {
        return text(
            StatusCode::NOT_FOUND,
            "Not Found: the page is at /, the WebSockets at /echo, /chat and /hub.\n",
        );
    };
    let mut response = Response::new(Full::from(file.content));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // The files change only with the program, and a newer program must not meet an older page.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if file.path == HUB_CLIENT {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    response
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
