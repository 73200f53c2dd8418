//! Topics on many nodes: brokers that share what is published on the [hub](wharf::hub) of one with the hubs of others.
//!
//! Each is a [`Broker`](wharf::hub::Broker), given to a hub as it is made, and a Cargo feature of its own.

#[cfg(any(feature = "nats", feature = "redis"))]
mod backoff;
#[cfg(feature = "nats")]
pub mod nats;
#[cfg(feature = "redis")]
pub mod redis;
