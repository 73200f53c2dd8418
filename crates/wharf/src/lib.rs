//! A WebSocket server for tokio and hyper.
