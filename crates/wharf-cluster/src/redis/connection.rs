//! One connection to Redis: requests out, replies in.

use std::io;
use std::sync::Arc;

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryFutureExt};
use redis::{Cmd, RedisResult, ServerError, ServerErrorKind, Value, cmd};
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use wharf::hub::BrokerError;

use super::builder::Options;
use super::progress::Progress;

/// What comes over a connection: replies, and what is published on channels that were subscribed to.
pub(super) type Replies = BoxStream<'static, RedisResult<Value>>;

/// A connection on which nothing is awaited.
pub(super) struct Connection {
    pub(super) replies: Replies,
    pub(super) writer: OwnedWriteHalf,
    pub(super) progress: Progress,
}

impl Connection {
    /// Connects and logs in, to a server that is ready: one that has loaded its data.
    pub(super) async fn open(options: &Options) -> Result<Self, BrokerError> {
        let stream = TcpStream::connect((options.host.as_str(), options.port))
            .await
            .map_err(|error| away(format!("not to be reached: {error}")))?;
        stream.set_nodelay(true).map_err(failed)?;
        // What it was given and has not sent when it is taken for dead must not arrive behind what the next one sends.
        stream.set_zero_linger().map_err(failed)?;
        let (reader, writer) = stream.into_split();
        let progress = Progress::new();
        let replies = replies(progress.watch(reader));
        let mut connection = Self { replies, writer, progress };
        connection.log_in(options).await?;
        Ok(connection)
    }

    async fn log_in(&mut self, options: &Options) -> Result<(), BrokerError> {
        if let Some(password) = options.login.password() {
            let mut auth = cmd("AUTH");
            auth.arg(options.login.username()).arg(password);
            self.request(&auth).await?;
        }
        if options.login.db() != 0 {
            self.request(cmd("SELECT").arg(options.login.db())).await?;
        }
        self.request(&cmd("PING")).await?;
        Ok(())
    }

    /// Asks, and waits for the answer.
    ///
    /// Not cancel safe: afterwards the connection is of no use.
    pub(super) async fn request(&mut self, command: &Cmd) -> Result<Value, BrokerError> {
        self.writer.write_all(&command.get_packed_command()).map_err(failed).await?;
        answer(next_reply(&mut self.replies).await?)
    }
}

#[expect(clippy::default_trait_access, reason = "the decoder is of a crate that nothing else is needed of")]
fn replies(reader: impl AsyncRead + Send + Unpin + 'static) -> Replies {
    let replies = stream::unfold((Default::default(), reader), |(mut decoder, mut reader)| async move {
        let reply = redis::parse_redis_value_async(&mut decoder, &mut reader).await;
        Some((reply, (decoder, reader)))
    });
    replies.boxed()
}

/// The next reply.
///
/// Cancel safe.
///
/// # Errors
/// [`BrokerError::Away`]: the connection is lost, and is not to be asked again.
pub(super) async fn next_reply(replies: &mut Replies) -> Result<Value, BrokerError> {
    match replies.next().await {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(away(format!("connection lost: {error}"))),
        None => Err(lost()),
    }
}

/// What a reply answers.
pub(super) fn answer(reply: Value) -> Result<Value, BrokerError> {
    match reply {
        Value::ServerError(error) if may_pass(&error) => Err(away(text(&error))),
        Value::ServerError(error) => Err(BrokerError::Refused(text(&error))),
        value => Ok(value),
    }
}

/// Whether it speaks of the server, or of the connection, rather than of the request.
fn may_pass(error: &ServerError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, NoScript, ReadOnly, TryAgain};
    matches!(error.kind(), Some(BusyLoading | ClusterDown | MasterDown | NoScript | ReadOnly | TryAgain))
}

fn text(error: &ServerError) -> Arc<str> {
    format!("{} {}", error.code(), error.details().unwrap_or_default()).trim_end().into()
}

pub(super) fn away(reason: impl Into<Arc<str>>) -> BrokerError {
    BrokerError::Away(reason.into())
}

/// The connection failed.
#[expect(clippy::needless_pass_by_value, reason = "errors are mapped with it")]
pub(super) fn failed(error: io::Error) -> BrokerError {
    away(format!("connection lost: {error}"))
}

/// The connection is no more.
pub(super) fn lost() -> BrokerError {
    away("connection lost")
}
