//! What the user decides.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::prefix::address_bits;
use crate::wire::{AuthenticationString, RequestId};
use crate::{Prefix, RegistrationPolicy};

/// A next hop server: `ip nhrp nhs ADDRESS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHopServer {
    /// Its protocol address.
    pub address: IpAddr,
    /// Where it is: `nbma ADDRESS`. `None` if a static map says so.
    pub nbma: Option<IpAddr>,
    /// Its priority in its cluster; 0 is the best.
    pub priority: u8,
    /// Its cluster.
    pub cluster: u8,
}

impl NextHopServer {
    /// A server of priority 0 in cluster 0, whose NBMA address a static map gives.
    #[must_use]
    pub const fn new(address: IpAddr) -> Self {
        Self { address, nbma: None, priority: 0, cluster: 0 }
    }
}

/// A static entry of the cache: `ip nhrp map ADDRESS [MASK] NBMA`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticMap {
    /// What it is about.
    pub target: Prefix,
    /// Where that is.
    pub nbma: IpAddr,
}

/// Bounds on what peers can make an endpoint hold or do. `LIMITS.md` in the repository says what
/// happens beyond each, and which counter and record tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries of the cache that peers registered.
    pub entries: usize,
    /// Of these, by one identity; without identities, from one NBMA address.
    pub entries_per_owner: usize,
    /// Registration and purge requests looked at within a second.
    pub registrations_per_second: u32,
    /// Of these, from one identity; without identities, from one NBMA address.
    pub registrations_per_second_per_owner: u32,
    /// Error indications sent within a second.
    pub errors_per_second: u32,
    /// Packets or events waiting to be polled, beyond which packets are refused, what is to be sent is
    /// dropped and events that have become meaningless go.
    pub queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 65_536,
            entries_per_owner: 256,
            registrations_per_second: 10_000,
            registrations_per_second_per_owner: 100,
            errors_per_second: 10,
            queue: 16_384,
        }
    }
}

/// The configuration of an endpoint; immutable, shared by `Arc`.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) interface: Arc<str>,
    pub(crate) protocol_address: IpAddr,
    pub(crate) prefix_length: u8,
    pub(crate) nbma: IpAddr,
    pub(crate) network_id: u32,
    pub(crate) authentication: Option<AuthenticationString>,
    pub(crate) holding_time: u16,
    pub(crate) registration_interval: Option<u16>,
    pub(crate) unique: bool,
    pub(crate) mtu: u16,
    pub(crate) servers: Vec<NextHopServer>,
    pub(crate) max_connections: BTreeMap<u8, usize>,
    pub(crate) static_maps: Vec<StaticMap>,
    pub(crate) local_networks: Vec<Prefix>,
    pub(crate) multicast_dynamic: bool,
    pub(crate) multicast_static: BTreeSet<IpAddr>,
    pub(crate) policy: RegistrationPolicy,
    pub(crate) first_request_id: Option<RequestId>,
    pub(crate) links_required: bool,
    pub(crate) limits: Limits,
    pub(crate) trace_capacity: usize,
}

impl Config {
    /// Starts a configuration from what has no default: the interface's name (`Tunnel0`), its
    /// protocol address and prefix length, and the NBMA address that its packets leave from.
    pub fn builder(
        interface: &str,
        protocol_address: IpAddr,
        prefix_length: u8,
        nbma: IpAddr,
    ) -> ConfigBuilder {
        ConfigBuilder {
            config: Self {
                interface: interface.into(),
                protocol_address,
                prefix_length,
                nbma,
                network_id: 1,
                authentication: None,
                holding_time: 7200,
                registration_interval: None,
                unique: true,
                mtu: 17_912,
                servers: Vec::new(),
                max_connections: BTreeMap::new(),
                static_maps: Vec::new(),
                local_networks: Vec::new(),
                multicast_dynamic: false,
                multicast_static: BTreeSet::new(),
                policy: RegistrationPolicy::open(),
                first_request_id: None,
                links_required: true,
                limits: Limits::default(),
                trace_capacity: 0,
            },
        }
    }

    /// Our protocol address: the tunnel's.
    #[must_use]
    pub const fn protocol_address(&self) -> IpAddr {
        self.protocol_address
    }

    /// The tunnel's network.
    #[must_use]
    pub fn network(&self) -> Prefix {
        Prefix::new(self.protocol_address, self.prefix_length)
    }

    /// Where a server is: as configured with it, or by the static map of its address.
    pub(crate) fn server_nbma(&self, server: &NextHopServer) -> Option<IpAddr> {
        server.nbma.or_else(|| {
            let host = Prefix::host(server.address);
            self.static_maps.iter().find(|map| map.target == host).map(|map| map.nbma)
        })
    }
}

/// Builds a [`Config`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ConfigBuilder {
    config: Config,
}

impl ConfigBuilder {
    /// `ip nhrp network-id`: a number with meaning for this router only; default 1.
    pub const fn network_id(mut self, id: u32) -> Self {
        self.config.network_id = id;
        self
    }

    /// `ip nhrp authentication`: the string that crosses the network in clear text; default none.
    pub fn authentication(mut self, string: Option<AuthenticationString>) -> Self {
        self.config.authentication = string;
        self
    }

    /// `ip nhrp holdtime`: seconds that what we say about ourselves holds; default 7200.
    pub const fn holding_time(mut self, seconds: u16) -> Self {
        self.config.holding_time = seconds;
        self
    }

    /// `ip nhrp registration timeout`: seconds after which we register again; default a third of
    /// the holding time, and never later than that.
    pub const fn registration_interval(mut self, seconds: u16) -> Self {
        self.config.registration_interval = Some(seconds);
        self
    }

    /// Whether our registrations are unique; default yes. `ip nhrp registration no-unique`.
    pub const fn unique(mut self, unique: bool) -> Self {
        self.config.unique = unique;
        self
    }

    /// The MTU that we announce, in octets; default 17912, as IOS with a tunnel key. Without it
    /// IOS announces 17916.
    pub const fn mtu(mut self, octets: u16) -> Self {
        self.config.mtu = octets;
        self
    }

    /// `ip nhrp nhs`: next hop servers; default none.
    pub fn servers(mut self, servers: Vec<NextHopServer>) -> Self {
        self.config.servers = servers;
        self
    }

    /// `ip nhrp nhs cluster CLUSTER max-connections SERVERS`: with how many servers of a cluster
    /// we register at a time, those of the lowest priority number first; default all.
    pub fn max_connections(mut self, cluster: u8, servers: usize) -> Self {
        self.config.max_connections.insert(cluster, servers);
        self
    }

    /// `ip nhrp map`: static entries; default none.
    pub fn static_maps(mut self, maps: Vec<StaticMap>) -> Self {
        self.config.static_maps = maps;
        self
    }

    /// Networks of ours that have entries in the cache; default none. Our own address needs none:
    /// nobody can register it.
    pub fn local_networks(mut self, networks: Vec<Prefix>) -> Self {
        self.config.local_networks = networks;
        self
    }

    /// `ip nhrp map multicast dynamic`: multicast goes to everybody who registers; default no.
    pub const fn multicast_dynamic(mut self, dynamic: bool) -> Self {
        self.config.multicast_dynamic = dynamic;
        self
    }

    /// `ip nhrp map multicast NBMA`: multicast goes to these NBMA addresses; default none.
    pub fn multicast_static(mut self, nbma: Vec<IpAddr>) -> Self {
        self.config.multicast_static = nbma.into_iter().collect();
        self
    }

    /// Which addresses an identity may register; default open.
    pub fn policy(mut self, policy: RegistrationPolicy) -> Self {
        self.config.policy = policy;
        self
    }

    /// The identifier of the first request; default drawn at random, so that a router that
    /// restarted does not use the same ones again.
    pub const fn first_request_id(mut self, id: RequestId) -> Self {
        self.config.first_request_id = Some(id);
        self
    }

    /// Whether registration waits for [`link_up`](crate::Endpoint::link_up); default yes.
    pub const fn links_required(mut self, required: bool) -> Self {
        self.config.links_required = required;
        self
    }

    /// Bounds on what peers can make the endpoint hold or do.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// Records the trace ring holds; 0, the default, is off.
    pub const fn trace_capacity(mut self, records: usize) -> Self {
        self.config.trace_capacity = records;
        self
    }

    /// Checks it all.
    ///
    /// # Errors
    /// The first thing that cannot work.
    pub fn build(self) -> Result<Config, ConfigError> {
        let config = self.config;
        if config.prefix_length > address_bits(config.protocol_address) {
            return Err(ConfigError::PrefixLength {
                address: config.protocol_address,
                length: config.prefix_length,
            });
        }
        if config.holding_time < 3 {
            return Err(ConfigError::HoldingTime { seconds: config.holding_time });
        }
        // IOS takes up to eight characters; an extension could hold more.
        if let Some(string) = &config.authentication
            && !(1..=255).contains(&string.len())
        {
            return Err(ConfigError::Authentication { octets: string.len() });
        }
        let mut addresses = BTreeSet::new();
        for server in &config.servers {
            let address = server.address;
            if address == config.protocol_address {
                return Err(ConfigError::OwnServer { address });
            }
            if address.is_ipv4() != config.protocol_address.is_ipv4() {
                return Err(ConfigError::AddressFamily { address });
            }
            if !addresses.insert(address) {
                return Err(ConfigError::DuplicateServer { address });
            }
        }
        let mut targets = BTreeSet::new();
        let statics = config.static_maps.iter().map(|map| map.target);
        for target in statics.chain(config.local_networks.iter().copied()) {
            if !targets.insert(target) {
                return Err(ConfigError::DuplicateMap { target });
            }
        }
        let nbma = config.static_maps.iter().map(|map| map.nbma);
        let nbma = nbma.chain(config.servers.iter().filter_map(|server| server.nbma));
        for address in nbma.chain(config.multicast_static.iter().copied()) {
            if address.is_ipv4() != config.nbma.is_ipv4() {
                return Err(ConfigError::AddressFamily { address });
            }
        }
        Ok(config)
    }
}

/// Why a configuration cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The prefix is longer than the address.
    #[error("{address} has prefix length {length}")]
    PrefixLength {
        /// The tunnel's address.
        address: IpAddr,
        /// Its prefix length.
        length: u8,
    },
    /// A third of the holding time must be at least a second.
    #[error("holding time of {seconds} s is less than 3 s")]
    HoldingTime {
        /// The holding time.
        seconds: u16,
    },
    /// An authentication string that is empty or too long.
    #[error("authentication string of {octets} bytes, 1 to 255 are allowed")]
    Authentication {
        /// Its length.
        octets: usize,
    },
    /// We are no next hop server of our own.
    #[error("{address} is our own address, not a next hop server's")]
    OwnServer {
        /// The address.
        address: IpAddr,
    },
    /// A next hop server named twice.
    #[error("next hop server {address} is configured twice")]
    DuplicateServer {
        /// Its address.
        address: IpAddr,
    },
    /// Two static entries about the same.
    #[error("two static entries are about {target}")]
    DuplicateMap {
        /// What they are about.
        target: Prefix,
    },
    /// An address of another family than the interface's.
    #[error("{address} is of another address family than the interface")]
    AddressFamily {
        /// The address.
        address: IpAddr,
    },
}
