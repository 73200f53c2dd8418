//! What `wharf serve` listens on.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use wharf::{ListenError, Listener, LocalAddress};

/// Where to listen, as it is said in a flag or in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
    /// On the sockets that whoever started the program has passed on: those of this name, or all that are left.
    Inherited(Option<String>),
}

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "inherited" => Ok(Self::Inherited(None)),
            Some(("inherited", "")) => Err("expected a name behind inherited:"),
            Some(("inherited", name)) => Ok(Self::Inherited(Some(name.to_owned()))),
            Some(("unix", "")) => Err("expected a path behind unix:"),
            Some(("unix", path)) => Ok(Self::Unix(path.into())),
            _ => text.parse().map(Self::Tcp).map_err(|_| EXPECTED),
        }
    }
}

const EXPECTED: &str =
    "expected an address and a port, such as 127.0.0.1:9001, unix:PATH, inherited or inherited:NAME";

/// The permissions of a socket's file, in octal as `chmod` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Permissions(pub(crate) u32);

impl FromStr for Permissions {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match u32::from_str_radix(text, 8) {
            Ok(mode) if mode <= 0o777 && !text.starts_with('+') => Ok(Self(mode)),
            _ => Err("expected an octal number from 0 to 777, such as 660"),
        }
    }
}

/// Everything that is said of it.
#[derive(Debug, PartialEq)]
pub(super) struct Listening {
    pub(super) on: Vec<Listen>,
    pub(super) unix_permissions: Option<Permissions>,
    pub(super) reuse_port: bool,
    pub(super) proxy_protocol: bool,
}

impl Listening {
    /// An option that none of the listeners has, and why.
    pub(super) fn misplaced(&self) -> Option<(&'static str, &'static str)> {
        let has = |is: fn(&Listen) -> bool| self.on.iter().any(is);
        if self.reuse_port && !has(|on| matches!(on, Listen::Tcp(_))) {
            return Some(("reuse_port", "is for an address and a port, and there is none to listen on"));
        }
        if self.unix_permissions.is_some() && !has(|on| matches!(on, Listen::Unix(_))) {
            return Some(("unix_permissions", "is for unix:PATH, and there is none to listen on"));
        }
        None
    }

    /// The IP addresses that are listened on, as they are said.
    pub(super) fn ips(&self) -> impl Iterator<Item = IpAddr> {
        self.on.iter().filter_map(|on| match on {
            Listen::Tcp(addr) => Some(addr.ip()),
            Listen::Unix(_) | Listen::Inherited(_) => None,
        })
    }

    /// Whether nobody but this machine can connect, and nothing in front of it speaks for others.
    pub(super) fn is_local(&self) -> bool {
        let is_loopback = |on: &Listen| matches!(on, Listen::Tcp(addr) if addr.ip().is_loopback());
        !self.proxy_protocol && self.on.iter().all(is_loopback)
    }

    /// The library's listeners.
    ///
    /// # Errors
    /// In one line, what is wrong with the sockets that were passed on.
    pub(super) fn listeners(&self) -> Result<Vec<Listener>, String> {
        let inherits = self.on.iter().any(|on| matches!(on, Listen::Inherited(_)));
        let passed_on = if inherits { Listener::inherited() } else { Ok(Vec::new()) };
        let mut passed_on = passed_on.map_err(|error| error.to_string())?;
        let mut listeners = Vec::new();
        for on in &self.on {
            match on {
                Listen::Tcp(addr) => listeners.push(Listener::tcp(*addr).reuse_port(self.reuse_port)),
                Listen::Unix(path) => {
                    let listener = Listener::unix(path);
                    listeners.push(match self.unix_permissions {
                        Some(Permissions(mode)) => listener.permissions(mode),
                        None => listener,
                    });
                }
                Listen::Inherited(name) => {
                    let is_meant = |passed: &Listener| name.is_none() || passed.name() == name.as_deref();
                    let (meant, others): (Vec<_>, Vec<_>) = passed_on.into_iter().partition(is_meant);
                    passed_on = others;
                    if meant.is_empty() {
                        let name =
                            name.as_ref().map(|name| format!(" of the name {name:?}")).unwrap_or_default();
                        return Err(format!(
                            "LISTEN_FDS passes no socket{name} to this process, or none that is left"
                        ));
                    }
                    listeners.extend(meant);
                }
            }
        }
        Ok(listeners.into_iter().map(|listener| listener.proxy_protocol(self.proxy_protocol)).collect())
    }
}

/// Why it is not listened on, in one line.
pub(super) fn failure(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<ListenError>()) {
        Some(ListenError { address, source }) => format!("cannot listen on {address}: {}", in_words(source)),
        None => format!("cannot listen: {error}"),
    }
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => "the address is in use".to_owned(),
        ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        ErrorKind::NotFound => "there is no such folder".to_owned(),
        ErrorKind::PermissionDenied => "not permitted".to_owned(),
        _ => error.to_string(),
    }
}

/// An address as it is given to people: one of TCP to be followed.
pub(super) fn shown(scheme: &str, address: &LocalAddress) -> String {
    match address {
        LocalAddress::Tcp(addr) => format!("{scheme}://{addr}/"),
        address => address.to_string(),
    }
}

/// One place to listen on, or a list of them.
pub(super) struct Places(pub(super) Vec<Listen>);

impl<'de> Deserialize<'de> for Places {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlacesVisitor)
    }
}

struct PlacesVisitor;

impl<'de> Visitor<'de> for PlacesVisitor {
    type Value = Places;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of strings")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Places, E> {
        place(text).map(|place| Places(vec![place]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Places, A::Error> {
        let mut places = Vec::new();
        while let Some(text) = list.next_element::<String>()? {
            places.push(place(&text)?);
        }
        if places.is_empty() {
            return Err(de::Error::custom("listen is an empty list, but must have one entry or more"));
        }
        Ok(Places(places))
    }
}

fn place<E: de::Error>(text: &str) -> Result<Listen, E> {
    text.parse().map_err(|expected| de::Error::custom(format!("listen is {text:?}: {expected}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_address_a_path_or_what_is_inherited() {
        assert_eq!("[::1]:80".parse(), Ok(Listen::Tcp("[::1]:80".parse().unwrap())));
        assert_eq!("unix:/run/a b".parse(), Ok(Listen::Unix("/run/a b".into())));
        assert_eq!("unix:inherited".parse(), Ok(Listen::Unix("inherited".into())));
        assert_eq!("inherited".parse(), Ok(Listen::Inherited(None)));
        assert_eq!("inherited:web".parse(), Ok(Listen::Inherited(Some("web".to_owned()))));
        for bad in ["", "here", "127.0.0.1", "Unix:a", "unix", "Inherited"] {
            assert_eq!(bad.parse::<Listen>(), Err(EXPECTED), "{bad}");
        }
        assert_eq!("unix:".parse::<Listen>(), Err("expected a path behind unix:"));
        assert_eq!("inherited:".parse::<Listen>(), Err("expected a name behind inherited:"));
    }

    #[test]
    fn permissions_are_octal() {
        assert_eq!("660".parse(), Ok(Permissions(0o660)));
        assert_eq!("0777".parse(), Ok(Permissions(0o777)));
        for bad in ["", "668", "1777", "-1", "+660", "0o660", "rw"] {
            assert!(bad.parse::<Permissions>().is_err(), "{bad}");
        }
    }
}
