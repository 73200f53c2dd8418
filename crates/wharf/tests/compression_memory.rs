//! What a message costs that is small on the wire and huge once inflated. A test binary of its own, because it measures
//! the process.

#![cfg(all(target_os = "linux", feature = "deflate"))]

mod support;

use support::{Site, close};
use wharf::{Accept, ServerConfig};
use wharf_proto::deflate::{self, PartsCompressor};

const MIB: usize = 1024 * 1024;

/// The memory of this process, as `key` of its status tells, in bytes.
fn memory(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("it is told");
    1024 * line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number")
}

/// About 1 MiB that inflates to 1 GiB: 1 MiB of zeros, compressed by itself, again and again.
fn bomb() -> Vec<u8> {
    let config = deflate::Config { level: 6, ..deflate::Config::default() };
    let mut compressor = PartsCompressor::new(&config, 15).expect("a compressor");
    compressor.compress(&vec![0; MIB], false).expect("compressed zeros").repeat(1024)
}

async fn is_refused(limit: usize, frame: &[u8]) {
    let config = ServerConfig::default().max_received_frame_size(2 * MIB).max_received_message_size(limit);
    let site = Site::with(config).await;
    let (mut client, request) = site.ask("Sec-WebSocket-Extensions: permessage-deflate\r\n").await;
    request.accept(Accept::new()).expect("nobody else decides");
    site.connected().await;
    client.head().await;
    client.write_until_held(frame).await;
    assert_eq!(client.frame().await, close(1009, "Maximum message size exceeded."));
    assert_eq!(site.close_event().await.0, 1009);
}

#[tokio::test]
async fn a_bomb_is_closed_with_1009_and_memory_moves_by_less_than_the_message_limit_and_1_mib() {
    let bomb = bomb();
    assert!((MIB..2 * MIB).contains(&bomb.len()), "{}", bomb.len());
    let mut frame = vec![0xc2, 0xff];
    frame.extend((bomb.len() as u64).to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(&bomb);
    // What code and buffers take once and for all is not the bomb's.
    is_refused(2 * MIB, &frame).await;
    let (before, limit) = (memory("VmRSS:"), 8 * MIB);
    is_refused(limit, &frame).await;
    let moved = memory("VmHWM:").saturating_sub(before);
    assert!(moved < limit + MIB, "{moved} bytes");
}
