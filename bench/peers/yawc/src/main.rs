//! yawc on hyper, as its documentation shows it.

use contract::{Ended, Mode, Options, Peer, Stream, echo_in_batches, run};
use futures_util::{SinkExt, StreamExt};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use yawc::{CompressionLevel, Frame, HttpWebSocket, OpCode, WebSocket, WebSocketError};

fn main() {
    let options = Options::of_this_process();
    options.refuse_broadcast("yawc");
    // Its limits are the first lengths that it refuses.
    let mut settings = yawc::Options::default().with_limits(LONGEST + 1, LONGEST + 1);
    if let Some(level) = options.deflate {
        settings = settings
            .with_compression_level(CompressionLevel::new(level.into()))
            .server_no_context_takeover()
            .client_no_context_takeover();
    }
    let is_batched = options.mode == Mode::Batched;
    if is_batched {
        settings = settings.with_read_buffer_capacity(READ_BUFFER).with_backpressure_boundary(BATCH);
    }
    run(&options, Yawc { settings, is_batched })
}

/// The longest message, in bytes.
const LONGEST: usize = 16 << 20;
/// What yawc's own benchmark has for batches: bytes to read at once, and bytes of answers to gather.
const READ_BUFFER: usize = 128 * 1024;
const BATCH: usize = 64 * 1024;

#[derive(Clone)]
struct Yawc {
    settings: yawc::Options,
    is_batched: bool,
}

impl Peer for Yawc {
    async fn serve<S: Stream>(self, stream: S) -> Ended {
        let service = service_fn(|request| {
            let upgraded = self.upgraded(request);
            async { upgraded }
        });
        Ok(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await?)
    }
}

impl Yawc {
    fn upgraded(&self, mut request: Request<Incoming>) -> yawc::Result<Response<Empty<Bytes>>> {
        let (response, socket) = WebSocket::upgrade_with_options(&mut request, self.settings.clone())?;
        let is_batched = self.is_batched;
        tokio::spawn(async move {
            let Ok(socket) = socket.await else { return };
            // How it ends is the client's affair.
            let _ = if is_batched {
                echo_in_batches(socket.map(Ok::<_, WebSocketError>), is_answered).await
            } else {
                echo(socket).await
            };
        });
        Ok(response)
    }
}

async fn echo(mut socket: HttpWebSocket) -> yawc::Result<()> {
    while let Some(frame) = socket.next().await {
        if is_answered(&frame) {
            socket.send(frame).await?;
        }
    }
    Ok(())
}

fn is_answered(frame: &Frame) -> bool {
    matches!(frame.opcode(), OpCode::Text | OpCode::Binary)
}
