//! Histories: streams of JetStream, one for each topic that has one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::context::{RequestError, RequestErrorKind};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{
    Config, DirectGetErrorKind, Info, RawMessageErrorKind, Republish, StorageType, Stream,
};
use async_nats::jetstream::{Context, Error, ErrorCode};
use futures_util::StreamExt;
use wharf::hub::{
    Arrived, BrokerError, HistoryOptions, HistoryRead, HistoryRequest, Position, Publication, Topic,
    TopicPattern,
};

use super::builder::Options;
use super::envelope::Envelope;
use super::names::Names;

/// The streams that a connection has to do with.
pub(super) struct Streams {
    jetstream: Context,
    names: Names,
    options: Arc<Options>,
    known: Mutex<HashMap<Topic, Known>>,
}

/// What is known of a stream.
#[derive(Debug, Default)]
struct Known {
    epoch: u64,
    /// It was made for, or changed to.
    history: Option<HistoryOptions>,
    /// The offsets of the last message that was acknowledged, and of those that came, by the pattern that brought it: a
    /// smaller one is another stream's, which has taken its place.
    acknowledged: u64,
    arrived: Vec<(TopicPattern, u64)>,
}

/// How many messages are asked for at once.
const AT_ONCE: usize = 512;

/// The shortest time that JetStream keeps something for.
const SHORTEST: Duration = Duration::from_millis(100);

impl Streams {
    pub(super) fn new(jetstream: Context, names: Names, options: Arc<Options>) -> Self {
        Self { jetstream, names, options, known: Mutex::default() }
    }

    pub(super) const fn jetstream(&self) -> &Context {
        &self.jetstream
    }

    /// Makes sure that there is a stream that keeps so much.
    pub(super) async fn ensure(&self, topic: &Topic, history: HistoryOptions) -> Result<(), BrokerError> {
        if self.lock().get(topic).is_some_and(|known| known.history == Some(history)) {
            return Ok(());
        }
        self.look(topic, history).await.map(|_| ())
    }

    /// The stream is not there any more, or may be another.
    pub(super) fn forget(&self, topic: &Topic) {
        self.lock().remove(topic);
    }

    /// The position of a message of this node that was acknowledged; `is_repeated`, if it had been before.
    pub(super) async fn acknowledged(
        &self,
        topic: &Topic,
        offset: u64,
        is_repeated: bool,
    ) -> Result<Position, BrokerError> {
        self.place(topic, offset, |known| {
            let fits = is_repeated || offset > known.acknowledged;
            known.acknowledged = offset.max(known.acknowledged);
            fits
        })
        .await
    }

    /// The position of a message that came by a pattern.
    pub(super) async fn arrived(
        &self,
        topic: &Topic,
        offset: u64,
        via: &TopicPattern,
    ) -> Result<Position, BrokerError> {
        self.place(topic, offset, |known| {
            let Some((_, last)) = known.arrived.iter_mut().find(|(pattern, _)| pattern == via) else {
                known.arrived.push((via.clone(), offset));
                // Of what began only now, the epoch may be known from before.
                return offset > 1;
            };
            let fits = offset > *last;
            *last = offset;
            fits
        })
        .await
    }

    /// What is kept of a topic.
    pub(super) async fn read(&self, request: &HistoryRequest) -> Result<HistoryRead, BrokerError> {
        let HistoryRequest { topic, history, after, .. } = request;
        // Reading makes none: whoever may subscribe could otherwise fill the server with them.
        let Some(info) = self.info(topic).await? else { return Ok(HistoryRead::empty()) };
        let info = self.change(info, topic, *history).await?;
        self.learn(topic, &info)?;
        let last = info.state.last_sequence;
        let first = if info.state.messages == 0 { last + 1 } else { info.state.first_sequence };
        let mut read = HistoryRead::new(epoch_of(&info)?, first, last, Vec::new());
        let Some(after) = after else { return Ok(read) };
        let epoch = read.epoch;
        let stream = self.stream(topic)?;
        let stream = &stream;
        let mut kept = futures_util::stream::iter(first.max(after.saturating_add(1))..=last)
            .map(|offset| async move { (offset, self.message(stream, offset).await) })
            .buffered(AT_ONCE);
        while let Some((offset, message)) = kept.next().await {
            if let Some(StreamMessage { headers, payload, .. }) = message? {
                let position = Position { epoch, offset };
                let Envelope { message, id, key } = Envelope::open(Some(&headers), payload);
                let mut publication = Publication::new(topic.clone(), message);
                (publication.key, publication.position) = (key, Some(position));
                read.messages.push(Arrived::new(publication, id, None));
            } else {
                // It went meanwhile: what lies before it does not count as kept.
                read.messages.clear();
                read.first = offset + 1;
            }
        }
        Ok(read)
    }

    /// A message of a stream, if it is kept.
    async fn message(&self, stream: &Stream<()>, offset: u64) -> Result<Option<StreamMessage>, BrokerError> {
        match stream.direct_get(offset).await {
            Ok(message) => return Ok(Some(message)),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => {}
            Err(error) if error.kind() == DirectGetErrorKind::TimedOut => return Err(self.timed_out()),
            Err(error) => return Err(BrokerError::Away(error.to_string().into())),
        }
        // The server that said so may be behind the one that leads the stream.
        match stream.get_raw_message(offset).await {
            Ok(message) => Ok(Some(message)),
            Err(error) => match error.kind() {
                RawMessageErrorKind::NoMessageFound => Ok(None),
                RawMessageErrorKind::JetStream(error) if error.code() == NOT_FOUND => Ok(None),
                _ => Err(BrokerError::Away(error.to_string().into())),
            },
        }
    }

    /// Finds a place by what is known of the stream, or what the server says where it does not fit.
    async fn place(
        &self,
        topic: &Topic,
        offset: u64,
        fits: impl FnOnce(&mut Known) -> bool,
    ) -> Result<Position, BrokerError> {
        let epoch = {
            let mut known = self.lock();
            let known = known.entry(topic.clone()).or_default();
            (fits(known) && known.epoch != 0).then_some(known.epoch)
        };
        let epoch = match epoch {
            Some(epoch) => epoch,
            None => match self.info(topic).await? {
                Some(info) => self.learn(topic, &info)?,
                None => return Err(BrokerError::Away("the stream is gone".into())),
            },
        };
        Ok(Position { epoch, offset })
    }

    /// Looks at the stream of a topic; there is one afterwards that keeps so much.
    async fn look(&self, topic: &Topic, history: HistoryOptions) -> Result<Info, BrokerError> {
        let info = match self.info(topic).await? {
            Some(info) => info,
            None => self.create(topic, history).await?,
        };
        let info = self.change(info, topic, history).await?;
        self.learn(topic, &info)?;
        if let Some(known) = self.lock().get_mut(topic) {
            known.history = Some(history);
        }
        Ok(info)
    }

    /// Remembers which history it is.
    fn learn(&self, topic: &Topic, info: &Info) -> Result<u64, BrokerError> {
        let epoch = epoch_of(info)?;
        let mut known = self.lock();
        let known = known.entry(topic.clone()).or_default();
        if known.epoch != epoch {
            *known = Known { epoch, ..Known::default() };
        }
        Ok(epoch)
    }

    async fn info(&self, topic: &Topic) -> Result<Option<Info>, BrokerError> {
        let subject = format!("STREAM.INFO.{}", self.names.stream(topic)?);
        match self.jetstream.request(subject, &()).await {
            Ok(Response::Ok(info)) => Ok(Some(info)),
            Ok(Response::Err { error }) if error.code() == NOT_FOUND => Ok(None),
            Ok(Response::Err { error }) => Err(refused(&error)),
            Err(error) => Err(self.failed(&error)),
        }
    }

    async fn create(&self, topic: &Topic, history: HistoryOptions) -> Result<Info, BrokerError> {
        let name = self.names.stream(topic)?;
        let subject = format!("STREAM.CREATE.{name}");
        let storage = if self.options.in_memory { StorageType::Memory } else { StorageType::File };
        let mut config =
            Config { name, storage, num_replicas: self.options.replicas, max_bytes: -1, ..Config::default() };
        self.configure(&mut config, topic, history);
        match self.jetstream.request(subject, &config).await {
            Ok(Response::Ok(info)) => Ok(info),
            // Another node was quicker, whose options are others.
            Ok(Response::Err { error }) if error.error_code() == ErrorCode::STREAM_NAME_EXIST => {
                self.info(topic).await?.ok_or_else(|| BrokerError::Away("the stream is gone".into()))
            }
            Ok(Response::Err { error }) => Err(refused(&error)),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Changes what a stream keeps, if that is something else.
    async fn change(&self, info: Info, topic: &Topic, history: HistoryOptions) -> Result<Info, BrokerError> {
        let mut config = info.config.clone();
        self.configure(&mut config, topic, history);
        if config == info.config {
            return Ok(info);
        }
        let subject = format!("STREAM.UPDATE.{}", config.name);
        match self.jetstream.request(subject, &config).await {
            Ok(Response::Ok(info)) => Ok(info),
            Ok(Response::Err { error }) => Err(refused(&error)),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn configure(&self, config: &mut Config, topic: &Topic, history: HistoryOptions) {
        config.subjects = vec![self.names.kept(topic)];
        config.max_messages = i64::try_from(history.max_messages).unwrap_or(i64::MAX);
        config.max_age = history.max_age.max(SHORTEST);
        config.duplicate_window = self.options.duplicate_window.clamp(SHORTEST, config.max_age);
        config.allow_direct = true;
        config.republish = Some(Republish {
            source: self.names.kept(topic),
            destination: self.names.live(topic),
            headers_only: false,
        });
    }

    fn stream(&self, topic: &Topic) -> Result<Stream<()>, BrokerError> {
        // The name is one that a stream can have; nobody is asked.
        let name = self.names.stream(topic)?;
        futures_util::FutureExt::now_or_never(self.jetstream.get_stream_no_info(&name))
            .and_then(Result::ok)
            .ok_or_else(|| BrokerError::Refused(format!("{name:?} is not the name of a stream").into()))
    }

    fn failed(&self, error: &RequestError) -> BrokerError {
        match error.kind() {
            RequestErrorKind::NoResponders => BrokerError::NoHistory,
            RequestErrorKind::TimedOut => self.timed_out(),
            _ => BrokerError::Away(error.to_string().into()),
        }
    }

    fn timed_out(&self) -> BrokerError {
        BrokerError::TimedOut(self.options.request_timeout)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Topic, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of JetStream's errors.
const NOT_FOUND: usize = 404;

/// A stream's epoch is when it was made.
fn epoch_of(info: &Info) -> Result<u64, BrokerError> {
    u64::try_from(info.created.unix_timestamp_nanos())
        .map_err(|_| BrokerError::Refused(format!("a stream that was made on {}", info.created).into()))
}

fn refused(error: &Error) -> BrokerError {
    match error.error_code() {
        ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
            BrokerError::NoHistory
        }
        _ => BrokerError::Refused(error.to_string().into()),
    }
}
