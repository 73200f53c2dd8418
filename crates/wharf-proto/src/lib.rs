//! The WebSocket protocol (RFC 6455) as a state machine over bytes.

pub mod handshake;
