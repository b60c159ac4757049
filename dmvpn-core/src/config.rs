//! What the user decides about a node as a whole.

use alloc::sync::Arc;

/// The configuration of a node. Tunnels are added one by one, see
/// [`TunnelConfig`](crate::TunnelConfig).
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) isakmp: Arc<dmvpn_isakmp::Config>,
    pub(crate) esp: Arc<dyn dmvpn_esp::crypto::Provider>,
    pub(crate) path_mtu: u16,
    pub(crate) queue: usize,
    pub(crate) trace_capacity: usize,
    pub(crate) key_log: bool,
}

impl Config {
    /// Key management as `isakmp` says, ESP by `esp`'s algorithms.
    ///
    /// For `debug` output give both `isakmp` and the tunnels' NHRP a trace capacity too: their
    /// records are moved into the node's ring after each call.
    pub const fn builder(
        isakmp: Arc<dmvpn_isakmp::Config>,
        esp: Arc<dyn dmvpn_esp::crypto::Provider>,
    ) -> ConfigBuilder {
        ConfigBuilder(Self {
            isakmp,
            esp,
            path_mtu: crate::mtu::DEFAULT_PATH_MTU,
            queue: 16_384,
            trace_capacity: 0,
            key_log: false,
        })
    }
}

/// Collects the settings of a [`Config`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ConfigBuilder(Config);

impl ConfigBuilder {
    /// The path MTU towards a peer until [`Node::set_path_mtu`](crate::Node::set_path_mtu) says
    /// otherwise, in octets; 1500 by default.
    pub const fn path_mtu(mut self, mtu: u16) -> Self {
        self.0.path_mtu = mtu;
        self
    }

    /// How many transmits and how many events wait for an owner that does not poll; 16,384 of each
    /// by default. Transmits on top of it are dropped; events that have become meaningless go, and so
    /// does news on which nothing hangs. All is counted.
    pub const fn queue(mut self, limit: usize) -> Self {
        self.0.queue = limit;
        self
    }

    /// How many trace records are kept for an owner that has not polled them; 0, the default, turns
    /// tracing off.
    pub const fn trace_capacity(mut self, records: usize) -> Self {
        self.0.trace_capacity = records;
        self
    }

    /// Hands session keys out through
    /// [`Node::dangerous_poll_key`](crate::Node::dangerous_poll_key), so that a capture can be
    /// decrypted. For debugging only.
    pub const fn dangerous_key_log(mut self) -> Self {
        self.0.key_log = true;
        self
    }

    /// The configuration. Every combination is valid.
    #[must_use]
    pub fn build(self) -> Config {
        self.0
    }
}
