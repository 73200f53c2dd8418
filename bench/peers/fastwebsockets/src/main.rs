//! fastwebsockets, as its `examples/echo_server.rs` shows it.

use contract::{Corked, Ended, Mode, Options, Peer, Stream, run};
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket, WebSocketError};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::task::unconstrained;

fn main() {
    let options = Options::of_this_process();
    options.refuse_deflate("fastwebsockets");
    options.refuse_broadcast("fastwebsockets");
    let corked = match options.mode {
        Mode::Batched => Some(BATCH),
        // Its echo never flushes, and TLS keeps what the socket does not take until somebody does.
        _ if options.is_tls() => Some(0),
        _ => None,
    };
    run(&options, FastWebSockets { corked })
}

#[derive(Clone, Copy)]
struct FastWebSockets {
    /// How many bytes of answers to gather.
    corked: Option<usize>,
}

/// Bytes of answers that are written at once.
const BATCH: usize = 64 * 1024;

impl Peer for FastWebSockets {
    async fn serve<S: Stream>(self, stream: S) -> Ended {
        let service = service_fn(|request| async move { self.upgraded(request) });
        Ok(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await?)
    }
}

impl FastWebSockets {
    fn upgraded(self, mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, WebSocketError> {
        let (response, socket) = upgrade(&mut request)?;
        tokio::spawn(unconstrained(async move {
            match self.corked {
                Some(limit) => echo_corked(socket, limit).await,
                None => echo(socket.await?).await.1,
            }
        }));
        Ok(response)
    }
}

/// Answers until the connection ends. Gives the stream back.
async fn echo<S: Stream>(socket: WebSocket<S>) -> (S, Result<(), WebSocketError>) {
    let mut socket = FragmentCollector::new(socket);
    let ended = loop {
        let answered = match socket.read_frame().await {
            Ok(frame) if matches!(frame.opcode, OpCode::Text | OpCode::Binary) => {
                socket.write_frame(frame).await
            }
            Ok(frame) if frame.opcode == OpCode::Close => break Ok(()),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if answered.is_err() {
            break answered;
        }
    };
    (socket.into_inner(), ended)
}

async fn echo_corked(socket: UpgradeFut, limit: usize) -> Result<(), WebSocketError> {
    let stream = Corked::new(socket.await?.into_inner(), limit);
    let (mut stream, ended) = echo(WebSocket::after_handshake(stream, Role::Server)).await;
    stream.shutdown().await?;
    ended
}
