use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};

/// Feeds the answers to all messages that are there, then flushes once. `is_answered` tells messages from pings and the like.
///
/// # Errors
/// Those of the socket.
pub async fn echo_in_batches<S, M, E>(mut socket: S, is_answered: impl Fn(&M) -> bool) -> Result<(), E>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    while let Some(first) = socket.next().await {
        let mut here = Some(Some(first));
        while let Some(next) = here {
            let Some(message) = next.transpose()? else {
                return socket.flush().await;
            };
            if is_answered(&message) {
                socket.feed(message).await?;
            }
            here = socket.next().now_or_never();
        }
        socket.flush().await?;
    }
    Ok(())
}
