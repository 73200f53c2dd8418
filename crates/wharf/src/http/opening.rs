//! The short way of an opening handshake: where the first request of a connection is one, it is read, decided and answered
//! here, and never enters hyper. Everything else goes there, with the bytes that were read.

use std::future::{pending, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Poll, ready};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::Uri;
use httparse::Status;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;

use super::http2::PREFACE;
use super::limits::{DEFAULT_MAX_HEADERS, Limits};
use super::request::{HttpRequest, UpgradeRequest};
use super::stream::HttpStream;
use super::upgrade::{Arrival, Begin, Decided, asks_for_websocket};
use super::{Phase, Terms, turned_away};
use crate::date::imf_fixdate;
use crate::proto::handshake::Answer;
use crate::timer::by;

/// What is to become of a connection after its first request.
pub(super) enum Opened {
    /// HTTP/1 is to be served on it, beginning with what was read.
    Http(Bytes),
    /// HTTP/2 is to be served on it, beginning with what was read.
    Http2(Bytes),
    /// It is no longer HTTP. What came behind the handshake goes with it.
    Switched(Begin, Vec<u8>),
    /// It ends in order, with 408 where somebody waits for an answer.
    Over {
        owes_an_answer: bool,
    },
    Lost,
}

/// Answers the first request of a connection, if it is a handshake.
pub(super) async fn open<S>(
    stream: &mut HttpStream<S>,
    arrival: &Arrival,
    terms: &Terms,
    stop: &mut watch::Receiver<Phase>,
) -> Opened
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut read = BytesMut::new();
    let first = {
        let first = pin!(read_first(stream, &mut read, arrival, terms, stop));
        by(arrival.started + terms.limits.handshake_timeout, first).await
    };
    match first {
        Some(First::Handshake(handshake)) => answer(handshake, stream, &terms.limits).await,
        Some(First::Other) => Opened::Http(read.freeze()),
        Some(First::Http2) => Opened::Http2(read.freeze()),
        Some(First::Lost) => Opened::Lost,
        Some(First::Ended) => Opened::Over { owes_an_answer: false },
        // Nobody asked for an answer before there was a first byte.
        None => Opened::Over { owes_an_answer: !read.is_empty() },
    }
}

/// The first request of a connection.
enum First {
    Handshake(Handshake),
    /// Any other, or none that is right.
    Other,
    /// The client speaks HTTP/2, as ALPN or its own knowledge told it (RFC 9113 §3.2, §3.3).
    Http2,
    /// The client has ended its half, or the server is closing, before there was a request.
    Ended,
    Lost,
}

/// A handshake that its owner decides, and what was read behind it.
struct Handshake {
    decided: Pin<Box<dyn Future<Output = Decided> + Send>>,
    rest: BytesMut,
}

async fn read_first<S>(
    stream: &mut HttpStream<S>,
    read: &mut BytesMut,
    arrival: &Arrival,
    terms: &Terms,
    stop: &mut watch::Receiver<Phase>,
) -> First
where
    S: AsyncRead + Unpin,
{
    let patience = arrival.started + terms.limits.first_request_grace;
    loop {
        let former = read.len();
        let received = tokio::select! {
            biased;
            received = read_once(stream, read, terms.limits.max_header_size + 1 - former) => received,
            // One that has asked for nothing yet. Who has begun to is waited for.
            () = turned_away(stop, patience), if former == 0 => Ok(0),
        };
        match received {
            Ok(0) => return First::Ended,
            Ok(_) => {}
            Err(_) => return First::Lost,
        }
        if terms.limits.is_http2_spoken {
            if read.starts_with(PREFACE) {
                return First::Http2;
            }
            if PREFACE.starts_with(read) {
                continue;
            }
        }
        let is_over_limit = read.len() > terms.limits.max_header_size;
        // A head whose bytes drip is not read anew at each of them.
        if former > 0 && !is_over_limit && !has_empty_line(&read[former.saturating_sub(3)..]) {
            continue;
        }
        match Handshake::parse(read, arrival, terms) {
            Ok(Some(handshake)) => return First::Handshake(handshake),
            Ok(None) if !is_over_limit => {}
            Ok(None) | Err(NoHandshake) => return First::Other,
        }
    }
}

fn has_empty_line(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

/// hyper is to say what it is.
struct NoHandshake;

impl Handshake {
    /// Takes the handshake out of what was read, if it is there. `None`: more has to come.
    fn parse(read: &mut BytesMut, arrival: &Arrival, terms: &Terms) -> Result<Option<Self>, NoHandshake> {
        let bytes = std::mem::take(read).freeze();
        let parsed = parse_request(&bytes, &terms.limits);
        let owner = parsed.as_ref().ok().and_then(Option::as_ref).and_then(|_| terms.mount.owner());
        match (parsed, owner) {
            (Ok(Some((request, len))), Some(owner)) => {
                let decided = owner.upgrade(request, arrival.clone());
                Ok(Some(Self { decided, rest: BytesMut::from(&bytes[len..]) }))
            }
            (parsed, _) => {
                let is_partial = matches!(parsed, Ok(None));
                drop(parsed);
                *read = bytes.into();
                if is_partial { Ok(None) } else { Err(NoHandshake) }
            }
        }
    }
}

/// Has a handshake decided, and sends the answer.
async fn answer<S>(handshake: Handshake, stream: &mut HttpStream<S>, limits: &Limits) -> Opened
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Handshake { decided, mut rest } = handshake;
    let decided = tokio::select! {
        biased;
        decided = decided => decided,
        // A request whose client is gone is nobody's any more.
        () = read_ahead(stream, &mut rest, limits) => return Opened::Lost,
    };
    let head = match &decided {
        Decided::Switch(answer, _) => {
            let mut head = Vec::with_capacity(256);
            answer.write(&mut head);
            head
        }
        Decided::Refuse(answer) => refusal(answer),
    };
    match (stream.write_all(&head).await, decided) {
        (Ok(()), Decided::Switch(_, begin)) => Opened::Switched(begin, rest.into()),
        (Ok(()), Decided::Refuse(_)) => Opened::Over { owes_an_answer: false },
        (Err(_), _) => Opened::Lost,
    }
}

/// A request that may take the short way, and the length of its head. `None`: more has to come.
fn parse_request<'a>(
    bytes: &'a Bytes,
    limits: &Limits,
) -> Result<Option<(UpgradeRequest<'a>, usize)>, NoHandshake> {
    let mut slots = [const { MaybeUninit::uninit() }; DEFAULT_MAX_HEADERS];
    let slots = &mut slots[..limits.max_headers.min(DEFAULT_MAX_HEADERS)];
    let mut head = httparse::Request::new(&mut []);
    let len = match head.parse_with_uninit_headers(bytes, slots) {
        Ok(Status::Complete(len)) if len <= limits.max_header_size => len,
        Ok(Status::Complete(_)) | Err(_) => return Err(NoHandshake),
        Ok(Status::Partial) => return Ok(None),
    };
    let (Some("GET"), Some(target), Some(1)) = (head.method, head.path, head.version) else {
        return Err(NoHandshake);
    };
    if !is_handshake(head.headers) {
        return Err(NoHandshake);
    }
    let uri = Uri::from_maybe_shared(bytes.slice_ref(target.as_bytes())).map_err(|_| NoHandshake)?;
    let fields = head.headers.iter().map(|field| (field.name, field.value)).collect();
    Ok(Some((UpgradeRequest { fields, http: HttpRequest::of_head(bytes.slice(..len), uri) }, len)))
}

/// Whether these are the fields of a handshake, and hyper would have nothing to say to them.
fn is_handshake(fields: &[httparse::Header<'_>]) -> bool {
    let values = |name: &'static str| {
        fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    };
    let is_hypers = |field: &httparse::Header<'_>| {
        let is = |name| field.name.eq_ignore_ascii_case(name);
        is("Content-Length") || is("Transfer-Encoding") || is("Expect") || field.name.len() > LONGEST_NAME
    };
    let has = |name: &'static str| values(name).next().is_some();
    asks_for_websocket(values("Upgrade"), values("Connection"), || {
        has("Sec-WebSocket-Key") || has("Sec-WebSocket-Version")
    }) && !fields.iter().any(is_hypers)
}

/// Reads what the client sends before it has its answer, up to as much as HTTP would. Ends where the client does.
async fn read_ahead<S>(stream: &mut HttpStream<S>, rest: &mut BytesMut, limits: &Limits)
where
    S: AsyncRead + Unpin,
{
    loop {
        let room = limits.buffer_size().saturating_sub(rest.len());
        if room == 0 {
            return pending().await;
        }
        if !matches!(read_once(stream, rest, room).await, Ok(1..)) {
            return;
        }
    }
}

/// Reads no more than `room` bytes: how many. While nothing comes, it holds no buffer.
async fn read_once<S>(stream: &mut HttpStream<S>, read: &mut BytesMut, room: usize) -> io::Result<usize>
where
    S: AsyncRead + Unpin,
{
    poll_fn(|cx| {
        let mut buffer = [MaybeUninit::uninit(); READ_SIZE];
        let mut buffer = ReadBuf::uninit(&mut buffer[..room.min(READ_SIZE)]);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
        read.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
}

/// A refusal as it goes out: dated (RFC 9110 §6.6.1), and with the length of its empty body where it may have one (RFC 9110
/// §8.6).
fn refusal(answer: &Answer) -> Vec<u8> {
    let has = |name| answer.fields().iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    let mut head = Vec::with_capacity(256);
    answer.write(&mut head);
    head.truncate(head.len() - b"\r\n".len());
    if let Some(date) = imf_fixdate(SystemTime::now()).filter(|_| !has("Date")) {
        head.extend_from_slice(format!("Date: {date}\r\n").as_bytes());
    }
    if !has("Content-Length") && answer.status() != 304 {
        head.extend_from_slice(b"Content-Length: 0\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// What the name of a field may have in the types of the `http` crate, which can be less than the options allow.
const LONGEST_NAME: usize = u16::MAX as usize;

/// Most heads have room in so many bytes, cookies and all.
const READ_SIZE: usize = 4096;
