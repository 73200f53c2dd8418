//! What `wharf serve` goes by: its flags, then its file, then the defaults.

use std::num::NonZero;
use std::path::Path;
use std::time::Duration;
use std::{fmt, fs, io};

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use wharf::ServerConfig;

use super::broker::BrokerUrl;
use super::hub::HubOptions;
use super::listen::{Listen, Listening, Permissions, Places};
use super::tls::{OptionName, Source, TlsOptions, TlsSettings};
use crate::args::Serve;
use crate::options::flag;

/// Everything that is to be known before it serves.
#[derive(Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) listening: Listening,
    pub(super) shutdown_timeout: Duration,
    pub(super) http2: bool,
    pub(super) workers: Option<NonZero<usize>>,
    /// `None`: it serves without TLS.
    pub(super) tls: Option<TlsSettings>,
    pub(super) hub: HubOptions,
    /// `None`: its topics are its own.
    pub(super) broker: Option<BrokerUrl>,
    pub(super) server: ServerConfig,
}

impl Settings {
    /// Reads the file, if there is one, and lets the flags win over it.
    ///
    /// # Errors
    /// In one line, what is wrong: the flag, or the file with its line, and the option.
    pub(super) fn read(args: &Serve) -> Result<Self, String> {
        let file = args.config.as_deref().map(File::read).transpose()?;
        Self::of(args, file.as_ref())
    }

    fn of(args: &Serve, file: Option<&File<'_>>) -> Result<Self, String> {
        let said = file.map_or_else(Options::default, |file| file.options.clone());
        let server = args.server.over(said.server);
        if let Err(error) = server.validate() {
            return Err(match file {
                Some(file) if !args.server.is_given(error.option) => file.blame(error.option, &error),
                Some(_) | None => error.to_string().replacen(error.option, &flag(error.option), 1),
            });
        }
        let listening = Listening {
            on: match (args.listen.as_slice(), said.listen) {
                ([], None) => vec![Serve::LISTEN],
                ([], Some(said)) => said,
                (given, _) => given.to_vec(),
            },
            unix_permissions: args.unix_permissions.or(said.unix_permissions),
            reuse_port: args.reuse_port.or(said.reuse_port).unwrap_or(false),
            proxy_protocol: args.proxy_protocol.or(said.proxy_protocol).unwrap_or(false),
        };
        if let Some((option, why)) = listening.misplaced() {
            let is_given = match option {
                "reuse_port" => args.reuse_port.is_some(),
                _ => args.unix_permissions.is_some(),
            };
            return Err(match file {
                Some(file) if !is_given => file.blame(option, &format!("{option} {why}")),
                Some(_) | None => format!("{} {why}", flag(option)),
            });
        }
        let tls = args.tls.over(&said.tls).map_err(|error| match (error.source, file) {
            (Source::File, Some(file)) => file.blame(error.option.text(), &error.message),
            _ => error.message,
        })?;
        let broker = args.broker.clone().or(said.broker);
        let hub = said.hub.unwrap_or_else(|| HubOptions::to_try(broker.is_some()));
        if hub.cookie.is_some() && server.allowed_origins.is_empty() {
            let message =
                "a cookie is sent along by the pages of any site, so that hub.cookie needs allowed_origins";
            return Err(file.map_or_else(|| message.to_owned(), |file| file.blame("cookie", &message)));
        }
        if hub.lets_take_names() {
            let message = "names lets clients without a token appear under any name, also one that comes with a token: with \
                           hub.jwt, or tokens that have a name, it has to be false";
            return Err(file.map_or_else(|| message.to_owned(), |file| file.blame("names", &message)));
        }
        Ok(Self {
            listening,
            shutdown_timeout: args
                .shutdown_timeout
                .or(said.shutdown_timeout)
                .unwrap_or(Serve::SHUTDOWN_TIMEOUT),
            http2: args.http2.or(said.http2).unwrap_or(true),
            workers: args.workers.or(said.workers),
            tls,
            hub,
            broker,
            server,
        })
    }
}

/// A file, and what it says.
struct File<'a> {
    path: &'a Path,
    text: String,
    options: Options,
}

impl<'a> File<'a> {
    fn read(path: &'a Path) -> Result<Self, String> {
        let format = Format::of(path)?;
        let text = fs::read_to_string(path);
        let text = text.map_err(|error| format!("cannot read {}: {}", path.display(), in_words(&error)))?;
        Self::parse(path, format, text)
    }

    fn parse(path: &'a Path, format: Format, text: String) -> Result<Self, String> {
        let parsed = match format {
            Format::Toml => from_toml(&text),
            Format::Json => from_json(&text),
        };
        let name = path.display();
        match parsed {
            Ok(options) => Ok(Self { path, text, options }),
            Err((Some(line), message)) => Err(format!("{name}:{line}: {message}")),
            Err((None, message)) => Err(format!("{name}: {message}")),
        }
    }

    /// What is wrong with an option's value, with the line that names it.
    fn blame(&self, option: &str, error: &dyn fmt::Display) -> String {
        let name = self.path.display();
        match line_naming(&self.text, option) {
            Some(line) => format!("{name}:{line}: {error}"),
            // It has its default there, which another option makes meaningless.
            None => format!("{name}: {error}"),
        }
    }
}

/// How a file is written, which its name says.
#[derive(Clone, Copy, Debug)]
enum Format {
    Toml,
    Json,
}

impl Format {
    fn of(path: &Path) -> Result<Self, String> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Ok(Self::Toml),
            Some("json") => Ok(Self::Json),
            _ => {
                Err(format!("{}: the name of a configuration file ends with .toml or .json", path.display()))
            }
        }
    }
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "not permitted".to_owned(),
        io::ErrorKind::InvalidData => "it is not text".to_owned(),
        _ => error.to_string(),
    }
}

/// A message, and the line it is about.
type AtLine = (Option<usize>, String);

fn from_toml(text: &str) -> Result<Options, AtLine> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
        (line, error.message().lines().collect::<Vec<_>>().join(", "))
    })
}

fn from_json(text: &str) -> Result<Options, AtLine> {
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        // serde_json writes the place behind the message, too.
        let place = format!(" at line {} column {}", error.line(), error.column());
        (Some(error.line()), message.trim_end_matches(&place).to_owned())
    })
}

/// The first line, comments apart, where an option is named, by either of its names. One in a table is looked for from
/// where the table is named.
fn line_naming(text: &str, option: &str) -> Option<usize> {
    let mut lines =
        text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#')).peekable();
    let mut found = None;
    for name in option.split('.') {
        let reference = in_camel_case(name);
        while !names(lines.peek()?.1, [name, &reference]) {
            lines.next();
        }
        found = lines.peek().map(|(at, _)| at + 1);
    }
    found
}

fn names(line: &str, names: [&str; 2]) -> bool {
    let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.any(|word| names.contains(&word))
}

fn in_camel_case(option: &str) -> String {
    let mut words = option.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(1);
        name.push_str(&first.to_ascii_uppercase());
        name.push_str(rest);
    }
    name
}

/// What a file says: the options of the server, and those of the program beside them.
#[derive(Clone, Debug, Default)]
struct Options {
    listen: Option<Vec<Listen>>,
    unix_permissions: Option<Permissions>,
    reuse_port: Option<bool>,
    proxy_protocol: Option<bool>,
    shutdown_timeout: Option<Duration>,
    http2: Option<bool>,
    workers: Option<NonZero<usize>>,
    tls: TlsOptions,
    hub: Option<HubOptions>,
    broker: Option<BrokerUrl>,
    server: ServerConfig,
}

impl<'de> Deserialize<'de> for Options {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OptionsVisitor)
    }
}

struct OptionsVisitor;

impl<'de> Visitor<'de> for OptionsVisitor {
    type Value = Options;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("options")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Options, A::Error> {
        let mut own = Options::default();
        let server =
            ServerConfig::deserialize(MapAccessDeserializer::new(ServersPart { map, own: &mut own }))?;
        Ok(Options { server, ..own })
    }
}

/// A map without the program's own options, which are read on the way.
struct ServersPart<'a, A> {
    map: A,
    own: &'a mut Options,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for ServersPart<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, mut seed: K) -> Result<Option<K::Value>, A::Error> {
        loop {
            match self.map.next_key_seed(NameOf(seed))? {
                None => return Ok(None),
                Some(Name::Servers(name)) => return Ok(Some(name)),
                Some(Name::Own(own, unused)) => {
                    self.read(own)?;
                    seed = unused;
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

impl<'de, A: MapAccess<'de>> ServersPart<'_, A> {
    fn read(&mut self, own: Own) -> Result<(), A::Error> {
        let Self { map, own: options } = self;
        match own {
            Own::Listen => once(map, "listen", &mut options.listen, |Places(places)| places),
            Own::UnixPermissions => {
                once(map, "unix_permissions", &mut options.unix_permissions, |Octal(permissions)| permissions)
            }
            Own::ReusePort => once(map, "reuse_port", &mut options.reuse_port, |reuse| reuse),
            Own::ProxyProtocol => {
                once(map, "proxy_protocol", &mut options.proxy_protocol, |expected| expected)
            }
            Own::ShutdownTimeout => {
                once(map, "shutdown_timeout", &mut options.shutdown_timeout, |ShutdownTimeout(time)| time)
            }
            Own::Http2 => once(map, "http2", &mut options.http2, |http2| http2),
            Own::Workers => once(map, "workers", &mut options.workers, |Workers(count)| count),
            Own::Hub => once(map, "hub", &mut options.hub, |hub| hub),
            Own::Broker => once(map, "broker", &mut options.broker, |url| url),
            Own::Tls(option) => options.tls.read(option, map),
        }
    }
}

/// Reads the value of an option that has none yet.
fn once<'de, A: MapAccess<'de>, W: Deserialize<'de>, T>(
    map: &mut A,
    name: &'static str,
    option: &mut Option<T>,
    meant: impl FnOnce(W) -> T,
) -> Result<(), A::Error> {
    if option.is_some() {
        return Err(de::Error::duplicate_field(name));
    }
    *option = Some(meant(map.next_value()?));
    Ok(())
}

/// An option of the program's own.
#[derive(Clone, Copy, Debug)]
enum Own {
    Listen,
    UnixPermissions,
    ReusePort,
    ProxyProtocol,
    ShutdownTimeout,
    Http2,
    Workers,
    Hub,
    Broker,
    Tls(OptionName),
}

/// A name, and whose it is. The seed comes back where it was not for its owner.
enum Name<S, V> {
    Own(Own, S),
    Servers(V),
}

struct NameOf<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for NameOf<S> {
    type Value = Name<S, S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for NameOf<S> {
    type Value = Name<S, S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an option")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        match text {
            "listen" => Ok(Name::Own(Own::Listen, self.0)),
            "unix_permissions" => Ok(Name::Own(Own::UnixPermissions, self.0)),
            "reuse_port" => Ok(Name::Own(Own::ReusePort, self.0)),
            "proxy_protocol" => Ok(Name::Own(Own::ProxyProtocol, self.0)),
            "shutdown_timeout" => Ok(Name::Own(Own::ShutdownTimeout, self.0)),
            "http2" => Ok(Name::Own(Own::Http2, self.0)),
            "workers" => Ok(Name::Own(Own::Workers, self.0)),
            "hub" => Ok(Name::Own(Own::Hub, self.0)),
            "broker" => Ok(Name::Own(Own::Broker, self.0)),
            _ => match OptionName::of(text) {
                Some(option) => Ok(Name::Own(Own::Tls(option), self.0)),
                None => self.0.deserialize(text.into_deserializer()).map(Name::Servers),
            },
        }
    }
}

/// Permissions, as `chmod` has them.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Octal(Permissions);

impl TryFrom<String> for Octal {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let permissions = text.parse().map(Self);
        permissions.map_err(|expected| format!("unix_permissions is {text:?}: {expected}"))
    }
}

/// A time with its unit.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct ShutdownTimeout(Duration);

impl TryFrom<String> for ShutdownTimeout {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let time = humantime::parse_duration(&text).map(Self);
        time.map_err(|_| {
            format!("shutdown_timeout is {text:?}, but must be a time with its unit, such as 10s")
        })
    }
}

/// A number of threads.
#[derive(Deserialize)]
#[serde(try_from = "usize")]
struct Workers(NonZero<usize>);

impl TryFrom<usize> for Workers {
    type Error = &'static str;

    fn try_from(count: usize) -> Result<Self, Self::Error> {
        NonZero::new(count).map(Self).ok_or("workers is 0, but must be at least 1")
    }
}

#[cfg(test)]
mod tests;
