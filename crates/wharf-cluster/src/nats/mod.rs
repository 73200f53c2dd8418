//! A broker on NATS.
