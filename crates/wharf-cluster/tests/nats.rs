//! The broker on NATS, with a real nats-server.

mod support;
