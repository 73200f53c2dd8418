//! What the tests that all brokers pass ask of one, and of its server.

use std::net::SocketAddr;

use wharf::hub::Broker;

/// A broker's server, in a process of its own, on a port and with a directory of its own. Dropped, it ends.
pub trait Backend: Sized + Send + Sync + 'static {
    /// A server that takes connections.
    async fn start() -> Self;

    /// Where it is.
    fn address(&self) -> SocketAddr;

    /// Ends it at once, with SIGKILL.
    fn kill(&mut self);

    /// Starts it again where it was, with what it has kept; when it takes connections.
    async fn restart(&mut self);

    /// A broker that connects to the server at this address, which may be a proxy's. It connects again after 200 ms at the
    /// latest, and notices within a second or two that nothing comes from its server any more.
    fn broker(server: SocketAddr) -> impl Broker;

    /// How many subscriptions the server has to this topic or pattern, by this very name.
    async fn subscriptions(&self, pattern: &str) -> usize;

    /// Deletes the history of a topic, so that another begins.
    async fn delete_history(&self, topic: &str);

    /// Publishes as a program in any language does, that knows nothing of hubs.
    async fn publish(&self, topic: &str, payload: &[u8]);
}
