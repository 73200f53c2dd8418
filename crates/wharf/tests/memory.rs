//! What a peer must not be able to make the server hold, measured as the system sees it.
#![cfg(target_os = "linux")]

mod support;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use support::{Client, Site, binary, bytes_of, close, continuation, ping, pong, text, within};
use wharf::{CloseCode, Connection, ServerConfig, UNLIMITED};

const MIB: usize = 1024 * 1024;

/// Runs a test while no other of this process does, because the memory measured is the process's.
fn alone(test: impl Future<Output = ()>) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

/// A figure of this process in bytes, such as `VmRSS` for what it holds and `VmPeak` for the most it ever asked for.
fn measure(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("such a figure");
    let kib = line.trim_start_matches(':').trim().trim_end_matches(" kB");
    kib.parse::<usize>().expect("a number") * 1024
}

fn grown(name: &str, before: usize) -> usize {
    measure(name).saturating_sub(before)
}

async fn pair(config: ServerConfig) -> (Site, Client, Connection) {
    let site = Site::with(config).await;
    let (client, connection) = site.pair().await;
    (site, client, connection)
}

#[test]
fn c5_9_40_mib_after_our_close_leave_memory_as_it_was() {
    alone(async {
        let config = ServerConfig::default().close_timeout(Duration::from_secs(3600));
        let (_site, mut client, connection) = pair(config).await;
        client.send([binary(b"begun before").more_follows(), ping("")]).await;
        assert_eq!(client.frame().await, pong(""));
        connection.close(CloseCode::NORMAL, Some("")).unwrap();
        assert_eq!(client.frame().await, close(1000, ""));
        let fragment = continuation(vec![7; MIB]).more_follows().masked();
        let before = measure("VmRSS");
        for _ in 0..40 {
            client.write(&fragment).await;
        }
        // But for what the kernel's buffers hold, all of it has been read by now.
        assert!(grown("VmRSS", before) < 4 * MIB, "{} bytes", grown("VmRSS", before));
        client.send([continuation(""), text("whole"), close(1000, "")]).await;
        client.sees_end().await;
        assert_eq!(within(connection.recv()).await, None);
    });
}

#[test]
fn c9_14_an_announced_length_takes_no_memory() {
    alone(async {
        for length in [(1_u64 << 32) - 1, 1 << 32, 1 << 40, (1 << 63) - 1] {
            let header = [&[0x82, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat();
            let before = measure("VmPeak");
            let (_site, mut refused, _connection) = pair(ServerConfig::default()).await;
            refused.write(&header).await;
            assert_eq!(refused.frame().await.payload[..2], 1009_u16.to_be_bytes());
            let unlimited = ServerConfig::default().max_received_frame_size(UNLIMITED);
            let (_site, mut allowed, connection) = pair(unlimited).await;
            allowed.write([&header[..], b"the first of its bytes"].concat()).await;
            // By the second of these turns of the server's it has read them.
            for _ in 0..3 {
                connection.ping("").unwrap();
                assert_eq!(allowed.frame().await, ping(""));
            }
            assert!(grown("VmPeak", before) < 512 * MIB, "{} bytes", grown("VmPeak", before));
        }
    });
}

#[test]
fn c9_18_a_hundred_thousand_empty_fragments_take_no_lasting_memory() {
    alone(async {
        let site = Site::open().await;
        let empty = bytes_of((0..100_000).map(|_| continuation("").more_follows()));
        let mut open = Vec::new();
        let before = measure("VmRSS");
        for _ in 0..20 {
            let (mut client, connection) = site.pair().await;
            client.send([text("begun").more_follows()]).await;
            client.write(&empty).await;
            client.send([ping("")]).await;
            assert_eq!(client.frame().await, pong(""), "all of them have been read");
            open.push((client, connection));
        }
        // Two bytes a fragment would show.
        assert!(grown("VmRSS", before) < 4 * MIB, "{} bytes", grown("VmRSS", before));
        for (client, connection) in &mut open {
            client.send([continuation(" and ended")]).await;
            assert_eq!(within(connection.recv()).await, Some("begun and ended".into()));
        }
    });
}

#[cfg(feature = "deflate")]
#[test]
fn the_first_byte_of_a_compressed_message_does_not_make_the_server_hold_an_inflater() {
    use std::sync::Arc;
    use std::time::Instant;

    use wharf_proto::connection::{Config, Connection, Input};
    use wharf_proto::deflate::{self, ContextMemory};

    const CONNECTIONS: usize = 2000;
    alone(async {
        let now = Instant::now();
        let config = Arc::new(Config { deflate: Some(deflate::Config::default()), ..Config::default() });
        let memory = Arc::new(ContextMemory::new(0));
        let offers = deflate::offers(&deflate::Config::default(), &memory);
        let (mut scratch, mut output) = (Vec::new(), Vec::new());
        let before = measure("VmRSS");
        let connections: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let negotiated = deflate::negotiate(&offers, &deflate::Config::default(), &memory);
                let mut connection =
                    Connection::server(config.clone(), now).with_deflate(negotiated.expect("an agreement"));
                // Of a fragment of 100 bytes the first.
                let mut begun = [0x41, 0xe4, 0, 0, 0, 0, 0xf2];
                let mut input = Input::new(&mut begun);
                assert_eq!(connection.receive(&mut input, &mut scratch, &mut output, now), None);
                connection
            })
            .collect();
        let each = grown("VmRSS", before) / connections.len();
        assert!(each < 2048, "{each} bytes a connection");
    });
}
