//! HTTP: where handshakes arrive.

pub(crate) mod client_address;
pub(crate) mod socket;
