//! What a message of any length costs on its way through. A test binary of its own, because it measures the process.

#![cfg(target_os = "linux")]

mod support;

use std::time::Duration;

use support::{Client, Site, binary, bytes_of, continuation};
use wharf::{MessageKind, ServerConfig};

const FRAME: usize = 60 * 1024;
/// Written again and again, so that the client need not hold the message.
const FRAMES_A_ROUND: usize = 16;
const ROUND: usize = FRAMES_A_ROUND * FRAME;
const ROUNDS: usize = 280;
const ROUNDS_AS_A_STREAM: usize = 40;
const LIMIT: usize = 1024 * 1024;
/// Both limits on either connection, and what vectors that grow have to spare; most of it was there before.
const HELD: usize = 16 * 1024 * 1024;

/// The most memory that this process ever had, in bytes.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak is told");
    1024 * line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number")
}

fn numbered(number: usize) -> Vec<u8> {
    let mut payload = vec![7; FRAME];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    payload
}

/// Sends one message that never seems to end, in frames that are numbered within each round.
async fn upload(client: &mut Client, rounds: usize) {
    let round = |first: bool, last: bool| {
        let mut frames: Vec<_> =
            (0..FRAMES_A_ROUND).map(|number| continuation(numbered(number)).more_follows()).collect();
        if first {
            frames[0] = binary(numbered(0)).more_follows();
        }
        if last {
            frames[FRAMES_A_ROUND - 1].fin = true;
        }
        bytes_of(frames)
    };
    client.write(round(true, false)).await;
    let middle = round(false, false);
    for _ in 2..rounds {
        client.write(&middle).await;
    }
    client.write(round(false, true)).await;
}

#[tokio::test]
async fn c11_6_a_message_of_256_mib_is_relayed_frame_by_frame_and_as_a_stream_within_a_few_mib() {
    const { assert!(ROUNDS * ROUND > 256 * 1024 * 1024 && ROUNDS_AS_A_STREAM * ROUND > 2 * HELD) };
    let config = ServerConfig::default()
        .assemble_fragments(false)
        .max_buffered_amount(LIMIT)
        .max_unread_bytes(LIMIT)
        .max_received_message_size(LIMIT)
        .max_fragments(10)
        // A ping among the frames would be taken for one of them.
        .keepalive(false);
    let site = Site::with(config).await;
    let (mut sending, from) = site.pair().await;
    let (mut receiving, to) = site.pair().await;
    let before = peak_memory();

    let relaying = async {
        let mut most = 0;
        loop {
            let frame = from.recv_frame().await.expect("a frame");
            let is_last = frame.header.fin;
            to.send_frame(frame).await.expect("the connection lives");
            most = most.max(to.buffered_amount());
            if is_last {
                return most;
            }
        }
    };
    let mut uploading = Box::pin(upload(&mut sending, ROUNDS));
    let mut relaying = Box::pin(relaying);
    // First nobody reads at the end: everything must come to a stand.
    let stand = async { tokio::join!(uploading.as_mut(), relaying.as_mut()) };
    let stood = tokio::time::timeout(Duration::from_millis(500), stand).await;
    assert!(stood.is_err(), "the peer is held back");
    let downloading = async {
        for number in 0..ROUNDS * FRAMES_A_ROUND {
            let frame = receiving.frame().await;
            assert_eq!(frame.fin, number + 1 == ROUNDS * FRAMES_A_ROUND);
            assert!(frame.payload == numbered(number % FRAMES_A_ROUND), "frame {number} is as it was sent");
        }
    };
    let ((), most, ()) = tokio::join!(uploading, relaying, downloading);
    assert!(most <= LIMIT + FRAME + 1024, "{most} bytes waited to be sent");

    let streaming = async {
        let reader = from.recv_reader().await.expect("a message");
        to.send_reader(MessageKind::Binary, reader).await.expect("both connections live")
    };
    let downloading = async {
        let mut len = 0;
        loop {
            let frame = receiving.frame().await;
            len += frame.payload.len();
            if frame.fin {
                return len;
            }
        }
    };
    let ((), sent, received) = tokio::join!(upload(&mut sending, ROUNDS_AS_A_STREAM), streaming, downloading);
    assert_eq!((sent, received), ((ROUNDS_AS_A_STREAM * ROUND) as u64, ROUNDS_AS_A_STREAM * ROUND));

    let held = peak_memory() - before;
    assert!(held <= HELD, "{held} bytes were held at once");
}
