//! Streams in memory and a clock that only the tests move, so that every deadline is exact.

use std::future::pending;
use std::time::Duration;

use bytes::BufMut;
use http_body_util::Full;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep};

use super::super::service::{NotFound, ResponseBody};
use super::super::support::{
    HANDSHAKE, ORDINARY, answer, owner, read_head, read_rest, refused, service, undated,
};
use super::*;

struct Served {
    client: DuplexStream,
    server: JoinHandle<()>,
    mount: Arc<Mount>,
    stop: watch::Sender<Phase>,
    started: Instant,
}

/// A connection with the defaults and room for 1 KiB on its way.
fn served(service: Box<dyn ErasedService>) -> Served {
    let (client, stream) = duplex(1024);
    let (stop, stopped) = watch::channel(Phase::Serving);
    let mount = Arc::new(Mount::default());
    let started = Instant::now();
    let addr = "127.0.0.1:1".parse().unwrap();
    let arrival = Arrival { started, ..Arrival::of_peer(Some(addr)) };
    let terms = Arc::new(Terms { mount: Arc::clone(&mount), limits: Limits::default() });
    let server = tokio::spawn(serve(stream, arrival, service, terms, stopped, Slot::default()));
    Served { client, server, mount, stop, started }
}

impl Served {
    async fn send(&mut self, bytes: &str) {
        self.client.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// How long the connection has been there once the server has let go of it.
    async fn ended_after(self) -> Duration {
        self.server.await.unwrap();
        self.started.elapsed()
    }

    fn close(&self, deadline: Duration) {
        self.stop.send_replace(Phase::Closing { deadline: Instant::now() + deadline });
    }
}

/// A body that ends, with nothing in it, some time after its head.
struct LateBody(Pin<Box<Sleep>>);

impl Body for LateBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.as_mut().poll(cx).map(|()| None)
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The clock counts milliseconds, and rounds up.
#[track_caller]
fn assert_about(elapsed: Duration, expected: Duration) {
    let latest = expected + Duration::from_millis(10);
    assert!(expected <= elapsed && elapsed <= latest, "{elapsed:?}, not {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn a_head_whose_bytes_drip_gets_408_at_the_deadline_over_all_of_them() {
    let mut served = served(Box::new(NotFound));
    let (mut reader, mut writer) = tokio::io::split(served.client);
    let drip = tokio::spawn(async move {
        for byte in ORDINARY.as_bytes().chunks(1).cycle() {
            sleep(seconds(1)).await;
            if writer.write_all(byte).await.is_err() {
                return;
            }
        }
    });
    // 27 bytes at one a second: never complete within ten.
    let response = read_rest(&mut reader).await;
    assert_eq!(
        undated(&response),
        ["HTTP/1.1 408 Request Timeout", "Connection: close", "Content-Length: 0", ""]
    );
    assert!(response.contains("\r\nDate: "));
    assert_about(served.started.elapsed(), seconds(10));
    drip.abort();
    drop(reader);
    let _ = drip.await;
    (&mut served.server).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_closed_without_an_answer_at_the_deadline() {
    let mut served = served(Box::new(NotFound));
    assert_eq!(read_rest(&mut served.client).await, "");
    assert_about(served.started.elapsed(), seconds(10));
}

#[tokio::test(start_paused = true)]
async fn an_idle_kept_alive_connection_is_closed_at_the_deadline_after_its_last_response() {
    let mut served = served(Box::new(NotFound));
    sleep(seconds(9)).await;
    served.send(ORDINARY).await;
    let response = read_rest(&mut served.client).await;
    assert!(response.starts_with("HTTP/1.1 404 ") && response.ends_with("\r\n\r\nnot found\n"), "{response}");
    assert_about(served.started.elapsed(), seconds(19));
}

#[tokio::test(start_paused = true)]
async fn each_request_of_a_connection_has_its_own_time() {
    let mut served = served(service(|_| async {
        sleep(seconds(20)).await;
        answer(StatusCode::NO_CONTENT, ResponseBody::empty())
    }));
    for _ in 0..3 {
        sleep(seconds(9)).await;
        served.send(ORDINARY).await;
        assert!(read_head(&mut served.client).await.starts_with("HTTP/1.1 204 "));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshakes_clock_starts_with_the_connection_and_again_when_a_response_has_ended() {
    let (started, mut starts) = mpsc::unbounded_channel();
    let mut served =
        served(service(|_| async { answer(StatusCode::OK, LateBody(Box::pin(sleep(seconds(7))))) }));
    let refuser = owner(move |_, arrival| {
        started.send(arrival.started).unwrap();
        async { refused(403) }
    });
    served.mount.set(refuser).unwrap();

    sleep(seconds(2)).await;
    served.send(ORDINARY).await;
    sleep(seconds(9)).await;
    served.send(HANDSHAKE).await;
    let since_connection = starts.recv().await.unwrap() - served.started;
    assert_about(since_connection, seconds(2 + 7));
}

#[tokio::test(start_paused = true)]
async fn r11_7_a_refused_client_that_keeps_its_half_open_is_cut_at_the_deadline() {
    let mut served = served(Box::new(NotFound));
    served.mount.set(owner(|_, _| async { refused(403) })).unwrap();
    served.send(HANDSHAKE).await;
    assert_eq!(
        undated(&read_rest(&mut served.client).await),
        ["HTTP/1.1 403 Forbidden", "Connection: close", "Content-Length: 0", ""]
    );
    // The answer and the end of the server's half come at once, whatever the client does.
    assert_about(served.started.elapsed(), seconds(0));

    let (mut reader, mut writer) = tokio::io::split(served.client);
    let chatter = tokio::spawn(async move {
        while writer.write_all(&[0; 100]).await.is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
    });
    served.server.await.unwrap();
    assert_about(served.started.elapsed(), seconds(5));
    assert_eq!(read_rest(&mut reader).await, "");
    chatter.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_ends_its_half_too_is_not_waited_for() {
    let mut served = served(Box::new(NotFound));
    served.send("GET / HTTP/1.0\r\n\r\n").await;
    read_head(&mut served.client).await;
    served.client.shutdown().await.unwrap();
    assert_about(served.ended_after().await, seconds(0));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_response_is_dropped_at_the_write_timeout() {
    let mut served = served(service(|_| async { answer(StatusCode::OK, Full::from(vec![b'x'; 4096])) }));
    served.send(ORDINARY).await;
    let keep = served.client;
    served.server.await.unwrap();
    assert_about(served.started.elapsed(), seconds(30));
    drop(keep);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_gets_all_of_its_response() {
    let mut served = served(service(|_| async { answer(StatusCode::OK, Full::from(vec![b'x'; 4096])) }));
    served.send("GET / HTTP/1.0\r\n\r\n").await;
    let mut response = Vec::new();
    while served.client.read_buf(&mut (&mut response).limit(500)).await.unwrap() > 0 {
        sleep(seconds(25)).await;
    }
    assert!(response.ends_with(&[b'x'; 4096]));
    assert!(served.started.elapsed() > seconds(200));
}

#[tokio::test(start_paused = true)]
async fn a_408_never_goes_into_the_middle_of_a_response() {
    let mut served = served(service(|_| async { answer(StatusCode::OK, Full::from(vec![b'x'; 4096])) }));
    served.send(ORDINARY).await;
    served.send("GET / HT").await;
    tokio::select! {
        _ = &mut served.server => {}
        () = sleep(seconds(100)) => panic!("nothing ended the connection"),
    }
    let sent = read_rest(&mut served.client).await;
    assert!(!sent.contains("408"), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn a_closing_server_ends_an_idle_connection_at_once() {
    let mut served = served(Box::new(NotFound));
    served.send(ORDINARY).await;
    read_head(&mut served.client).await;
    served.close(seconds(60));
    assert_eq!(read_rest(&mut served.client).await, "not found\n");
    drop(served.client);
    served.server.await.unwrap();
    assert_about(served.started.elapsed(), seconds(0));
}

#[tokio::test(start_paused = true)]
async fn a_closing_server_waits_a_second_from_its_arrival_for_the_first_request_of_a_connection() {
    let mut silent = served(Box::new(NotFound));
    sleep(Duration::from_millis(400)).await;
    silent.close(seconds(60));
    assert_eq!(read_rest(&mut silent.client).await, "");
    drop(silent.client);
    silent.server.await.unwrap();
    assert_about(silent.started.elapsed(), seconds(1));

    let mut asking = served(Box::new(NotFound));
    asking.close(seconds(60));
    sleep(Duration::from_millis(900)).await;
    asking.send(ORDINARY).await;
    assert!(read_rest(&mut asking.client).await.starts_with("HTTP/1.1 404 "));

    let mut silent_for_long = served(Box::new(NotFound));
    sleep(seconds(3)).await;
    silent_for_long.close(seconds(60));
    assert_eq!(read_rest(&mut silent_for_long.client).await, "");
    assert_about(silent_for_long.started.elapsed(), seconds(3));

    let mut pressed = served(Box::new(NotFound));
    pressed.close(seconds(0));
    assert_eq!(read_rest(&mut pressed.client).await, "");
    assert_about(pressed.started.elapsed(), seconds(0));
}

#[tokio::test(start_paused = true)]
async fn a_closing_server_waits_for_a_request_that_has_begun() {
    let mut begun = served(Box::new(NotFound));
    let (first, last) = ORDINARY.split_at(10);
    begun.send(first).await;
    tokio::task::yield_now().await;
    begun.close(seconds(60));
    sleep(seconds(5)).await;
    begun.send(last).await;
    assert!(read_rest(&mut begun.client).await.starts_with("HTTP/1.1 404 "));
    assert_about(begun.started.elapsed(), seconds(5));
}

#[tokio::test(start_paused = true)]
async fn a_closing_server_answers_the_request_that_it_has_and_no_further_one() {
    let (decide, called) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (decided, calls) = (Arc::clone(&decide), Arc::clone(&called));
    let mut served = served(service(move |_| {
        let (decided, calls) = (Arc::clone(&decided), Arc::clone(&calls));
        async move {
            calls.notify_one();
            decided.notified().await;
            answer(StatusCode::NO_CONTENT, ResponseBody::empty())
        }
    }));
    served.send(ORDINARY).await;
    called.notified().await;
    served.close(seconds(60));
    tokio::task::yield_now().await;
    served.send(ORDINARY).await;
    decide.notify_one();
    assert_eq!(
        undated(&read_rest(&mut served.client).await),
        ["HTTP/1.1 204 No Content", "Connection: close", ""]
    );
}

#[tokio::test(start_paused = true)]
async fn a_closing_server_drops_what_is_left_at_its_deadline() {
    let mut served = served(service(|_| pending::<Response<ResponseBody>>()));
    served.send(ORDINARY).await;
    served.close(seconds(3));
    assert_eq!(read_rest(&mut served.client).await, "");
    assert_about(served.ended_after().await, seconds(3));
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_every_handle_is_gone_lets_go_of_its_connections() {
    let served = served(service(|_| pending::<Response<ResponseBody>>()));
    drop(served.stop);
    served.server.await.unwrap();
    assert_about(served.started.elapsed(), seconds(0));
}
