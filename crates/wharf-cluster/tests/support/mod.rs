//! Nodes, the broker between them, and what can befall them.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this module")]

pub mod backend;
#[cfg(feature = "nats")]
pub mod nats;
pub mod node;
pub mod process;
pub mod proxy;
pub mod suite;

use std::time::Duration;

/// Longer than anything here takes, so that a test that waits in vain fails instead of hanging.
const LONG: Duration = Duration::from_secs(30);

pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future).await.expect("what is awaited happens")
}

/// Waits for what no event tells, such as what another process knows.
pub async fn until<F: Future<Output = bool>>(is_met: impl Fn() -> F) {
    within(async {
        while !is_met().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
