//! permessage-deflate on a connection (RFC 7692 §6, §7.2).

mod ends;
mod received;
mod round_trip;
mod sent;
#[path = "../support/mod.rs"]
mod support;
