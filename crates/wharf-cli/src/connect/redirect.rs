//! Where a redirect leads.

use http::Uri;

/// A URL, and whether the server there is another one than the redirect came from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Redirect {
    pub(super) url: String,
    pub(super) is_elsewhere: bool,
}

impl Redirect {
    /// What a `Location` means in an answer from `base` (RFC 9110 §10.2.2): absolute or relative, of HTTP or of
    /// WebSocket.
    ///
    /// # Errors
    /// In one sentence, why it is not followed.
    pub(super) fn new(base: &str, location: &str) -> Result<Self, String> {
        let base: Uri = base.parse().map_err(|_| "the URL cannot be read".to_owned())?;
        let (base_scheme, base_authority) = origin(&base).ok_or("the URL has no host")?;
        let location = location.split_once('#').map_or(location, |(location, _)| location).trim();
        let url = if location.contains("://") {
            location.to_owned()
        } else if location.starts_with("//") {
            format!("{base_scheme}:{location}")
        } else if location.starts_with('/') {
            format!("{base_scheme}://{base_authority}{location}")
        } else {
            let path = base.path();
            let folder = path.rfind('/').map_or("/", |slash| &path[..=slash]);
            format!("{base_scheme}://{base_authority}{folder}{location}")
        };
        let target: Uri = url.parse().map_err(|_| "the redirect leads to no URL".to_owned())?;
        let (scheme, authority) = origin(&target).ok_or("the redirect leads to no WebSocket")?;
        if base_scheme == "wss" && scheme == "ws" {
            return Err("the redirect leads away from TLS".to_owned());
        }
        let resource = target.path_and_query().map_or("/", |resource| resource.as_str());
        let is_elsewhere = scheme != base_scheme || authority != base_authority;
        Ok(Self { url: format!("{scheme}://{authority}{resource}"), is_elsewhere })
    }
}

/// The scheme as one of WebSocket, and the host with its port.
fn origin(uri: &Uri) -> Option<(&'static str, String)> {
    let scheme = match uri.scheme_str()? {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        _ => return None,
    };
    Some((scheme, uri.authority()?.as_str().to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "wss://example.com:8443/a/b?c=d";

    fn redirect(url: &str, is_elsewhere: bool) -> Redirect {
        Redirect { url: url.to_owned(), is_elsewhere }
    }

    #[test]
    fn a_relative_place_is_on_the_same_server() {
        for (location, url) in [
            ("/x?y", "wss://example.com:8443/x?y"),
            ("x", "wss://example.com:8443/a/x"),
            ("https://EXAMPLE.com:8443/x#fragment", "wss://example.com:8443/x"),
            ("//example.com:8443", "wss://example.com:8443/"),
        ] {
            assert_eq!(Redirect::new(BASE, location), Ok(redirect(url, false)), "{location}");
        }
        assert_eq!(Redirect::new("ws://host", "x"), Ok(redirect("ws://host/x", false)));
    }

    #[test]
    fn another_host_port_or_scheme_is_elsewhere() {
        for (base, location, url) in [
            (BASE, "wss://example.org:8443/", "wss://example.org:8443/"),
            (BASE, "//example.com/x", "wss://example.com/x"),
            ("ws://host/", "https://host/", "wss://host/"),
        ] {
            assert_eq!(Redirect::new(base, location), Ok(redirect(url, true)), "{location}");
        }
    }

    #[test]
    fn what_is_no_websocket_or_gives_tls_up_is_not_followed() {
        for location in
            ["ws://example.com:8443/", "http://example.com/", "ftp://example.com/", "wss://", "\u{7f}"]
        {
            assert!(Redirect::new(BASE, location).is_err(), "{location}");
        }
    }
}
