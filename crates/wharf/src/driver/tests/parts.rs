//! A message in parts that cannot be ended.

use std::io::ErrorKind;

use futures_util::FutureExt;
use tokio::io::AsyncWriteExt;

use super::{Pair, paused_runtime};
use crate::config::ServerConfig;
use crate::proto::MessageKind;

#[test]
fn a_message_that_lost_a_part_to_a_failed_compression_takes_no_more_and_closes_with_1011() {
    let runtime = paused_runtime();
    let _context = runtime.enter();
    let Pair { server, client, drivers: [servers_driver, clients_driver] } =
        Pair::open(ServerConfig::default(), 4096);
    let mut writer = server.message_writer(MessageKind::Binary);
    writer.write_all(b"begun").now_or_never().expect("room").expect("open");
    writer.flush().now_or_never().expect("room").expect("open");
    writer.fail_compression();
    let write = writer.write(b"more").now_or_never().expect("no room is waited for");
    let flush = writer.flush().now_or_never().expect("no room is waited for");
    let finish = writer.finish().now_or_never().expect("no room is waited for");
    for error in [write.unwrap_err(), flush.unwrap_err(), finish.unwrap_err()] {
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::Other, "the message could not be compressed".into())
        );
    }
    drop(writer);
    runtime.block_on(async { tokio::join!(servers_driver, clients_driver) });
    assert_eq!(client.ending().map(|ending| ending.code().get()), Some(1011));
}
