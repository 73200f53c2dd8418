//! A stream of HTTP/2 on TCP.

use wharf::HttpServer;

use crate::http2_client::{Http2, Http2Stream};
use crate::support;
use crate::support::roads::{Http1, Road};

type Site = support::SiteOn<Http2Road>;
type Client = support::ClientOf<Http2Stream>;

/// hyper tells a stream that is cancelled as one that has ended.
const TELLS_RESETS: bool = false;

#[path = "closing.rs"]
mod closing;
#[path = "control_frames.rs"]
mod control_frames;
#[path = "send_frame.rs"]
mod send_frame;
#[path = "violations.rs"]
mod violations;

/// A stream of HTTP/2 on TCP.
pub(crate) struct Http2Road;

impl Road for Http2Road {
    type Peer = Http2Stream;

    const ACCEPTED: u16 = 200;

    async fn listen() -> HttpServer {
        Http1::listen().await
    }

    async fn ask(http: &HttpServer, lines: &str) -> Client {
        let stream = support::Client::connect(http).await.stream;
        Client::on(Http2::over(stream).await.ask("/", lines).await)
    }
}
