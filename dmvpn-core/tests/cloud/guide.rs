//! The routers of Cisco's guide.

use alloc::sync::Arc;
use core::net::IpAddr;
use core::time::Duration;

use dmvpn_core::isakmp::crypto::{Group, HashAlgorithm, Provider};
use dmvpn_core::isakmp::{
    self, DeadPeerDetection, Encryption, EspProposal, NatTraversal, Policy, PreSharedKey, Rekeying,
};
use dmvpn_core::nhrp::{self, NextHopServer, Prefix, StaticMap, wire};
use dmvpn_core::{Config, InterfaceState, IpsecProfile, TunnelConfig, TunnelId, TunnelMode, esp};

use super::{Blueprint, Cloud};

pub(crate) const TUNNEL: TunnelId = TunnelId(0);
pub(crate) const HUB: &str = "172.16.10.1";
pub(crate) const SPOKE: &str = "172.16.1.1";
pub(crate) const HUB_TUNNEL: &str = "10.1.1.254";
pub(crate) const SPOKE_TUNNEL: &str = "10.1.1.1";

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// What a test changes in the guide's configuration.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) key: &'static str,
    pub(crate) provider: Provider,
    pub(crate) policy: Policy,
    pub(crate) profile: Option<IpsecProfile>,
    pub(crate) dead_peer_detection: Option<DeadPeerDetection>,
    pub(crate) rekeying: Rekeying,
    pub(crate) nat_traversal: NatTraversal,
    pub(crate) nhrp_authentication: &'static str,
    pub(crate) holding_time: u16,
    pub(crate) unique: bool,
    pub(crate) jobs: isakmp::Jobs,
    pub(crate) trace: bool,
    pub(crate) queue: usize,
    pub(crate) key_log: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            key: "cisco123",
            provider: Provider::rustcrypto(),
            policy: Policy {
                priority: 1,
                encryption: Encryption::TripleDes,
                hash: HashAlgorithm::SHA1,
                group: Group::MODP_768,
                lifetime: 86_400,
            },
            profile: Some(IpsecProfile {
                proposals: vec![EspProposal::TRIPLE_DES_SHA1],
                ..IpsecProfile::new("DMVPN-IPSEC")
            }),
            dead_peer_detection: None,
            rekeying: Rekeying::default(),
            nat_traversal: NatTraversal::default(),
            nhrp_authentication: "NHRPAUTH",
            holding_time: 7200,
            unique: true,
            jobs: isakmp::Jobs::Inline,
            trace: true,
            queue: 16_384,
            key_log: false,
        }
    }
}

impl Settings {
    /// With periodic dead peer detection, so that a peer's restart is noticed.
    pub(crate) fn watchful() -> Self {
        Self { dead_peer_detection: Some(DeadPeerDetection::default()), ..Self::default() }
    }

    fn config(&self) -> Arc<Config> {
        let everybody =
            ["0.0.0.0", "::"].map(|any| PreSharedKey::new(ip(any), 0, self.key.as_bytes()));
        let trace = if self.trace { 100_000 } else { 0 };
        let isakmp = isakmp::Config::builder(self.provider, everybody.to_vec())
            .policies(vec![self.policy])
            .dead_peer_detection(self.dead_peer_detection)
            .rekeying(self.rekeying)
            .nat_traversal(Some(self.nat_traversal))
            .jobs(self.jobs)
            .trace_capacity(trace)
            .build()
            .expect("the guide's policy");
        let config = Config::builder(Arc::new(isakmp), Arc::new(esp::crypto::RustCrypto));
        let config = config.trace_capacity(trace).queue(self.queue);
        let config = if self.key_log { config.dangerous_key_log() } else { config };
        Arc::new(config.build())
    }

    fn nhrp(&self, tunnel: &str, nbma: IpAddr) -> nhrp::ConfigBuilder {
        let authentication = wire::AuthenticationString::new(self.nhrp_authentication.as_bytes());
        nhrp::Config::builder("Tunnel0", ip(tunnel), 24, nbma)
            .network_id(1)
            .authentication(Some(authentication))
            .holding_time(self.holding_time)
            .unique(self.unique)
            .links_required(true)
            .trace_capacity(if self.trace { 100_000 } else { 0 })
    }

    fn tunnel(&self, source: IpAddr, mode: TunnelMode, nhrp: nhrp::Config) -> TunnelConfig {
        let mut tunnel = TunnelConfig::builder(source, mode, Arc::new(nhrp))
            .key(1)
            .ip_mtu(1400)
            .adjust_mss(1360)
            .source_interface("Ethernet0/0");
        if let Some(profile) = &self.profile {
            tunnel = tunnel.protection(profile.clone());
        }
        tunnel.build().expect("the guide's tunnel")
    }

    /// Another tunnel between the same routers, with key 2.
    pub(crate) fn second_tunnel(
        &self,
        source: IpAddr,
        mode: TunnelMode,
        address: &str,
    ) -> TunnelConfig {
        let mut nhrp = self.nhrp(address, source).multicast_dynamic(true);
        if let TunnelMode::PointToPoint { destination } = mode {
            let server =
                NextHopServer { nbma: Some(destination), ..NextHopServer::new(ip("10.2.2.254")) };
            nhrp = nhrp.servers(vec![server]);
        }
        let nhrp = Arc::new(nhrp.build().expect("the second tunnel's NHRP"));
        let profile = self.profile.clone().expect("protected");
        let tunnel = TunnelConfig::builder(source, mode, nhrp).key(2).protection(profile);
        tunnel.build().expect("the second tunnel")
    }

    pub(crate) fn hub(&self) -> Blueprint {
        self.hub_at(HUB)
    }

    /// The hub at another address.
    pub(crate) fn hub_at(&self, nbma: &str) -> Blueprint {
        let nhrp = self.nhrp(HUB_TUNNEL, ip(nbma)).multicast_dynamic(true).build();
        let tunnel = self.tunnel(ip(nbma), TunnelMode::Multipoint, nhrp.expect("the hub's NHRP"));
        Blueprint {
            name: "Hub",
            address: ip(nbma),
            config: self.config(),
            tunnels: vec![(TUNNEL, tunnel)],
        }
    }

    pub(crate) fn spoke(&self) -> Blueprint {
        self.spoke_at("Spoke1", SPOKE, SPOKE_TUNNEL, HUB)
    }

    /// A spoke with addresses of its own, and a hub that it sees at `hub`.
    pub(crate) fn spoke_at(
        &self,
        name: &'static str,
        nbma: &str,
        tunnel_address: &str,
        hub: &str,
    ) -> Blueprint {
        let nhrp = self
            .nhrp(tunnel_address, ip(nbma))
            .servers(vec![NextHopServer::new(ip(HUB_TUNNEL))])
            .static_maps(vec![StaticMap { target: Prefix::host(ip(HUB_TUNNEL)), nbma: ip(hub) }])
            .first_request_id(wire::RequestId(65_540))
            .build()
            .expect("the spoke's NHRP");
        let mode = TunnelMode::PointToPoint { destination: ip(hub) };
        Blueprint {
            name,
            address: ip(nbma),
            config: self.config(),
            tunnels: vec![(TUNNEL, self.tunnel(ip(nbma), mode, nhrp))],
        }
    }
}

pub(crate) fn hub() -> Blueprint {
    Settings::default().hub()
}

pub(crate) fn spoke() -> Blueprint {
    Settings::default().spoke()
}

/// Whether a spoke's next hop server answers.
pub(crate) fn is_registered(cloud: &Cloud, spoke: usize) -> bool {
    let node = &cloud.routers[spoke].node;
    node.interface_state(TUNNEL) == Some(InterfaceState::Up)
        && node.nhrp_servers(TUNNEL).any(|server| server.state == nhrp::ServerState::Responding)
}

/// Hub and spoke of the guide, registered.
pub(crate) fn brought_up(settings: &Settings, seed: u64) -> (Cloud, usize, usize) {
    let mut cloud = Cloud::new(seed);
    let hub = cloud.add(settings.hub());
    let spoke = cloud.add(settings.spoke());
    let up = cloud.run_until(Duration::from_secs(10), |cloud| is_registered(cloud, spoke));
    assert!(up, "not registered:\n{}", cloud.routers[spoke].debug.join("\n"));
    cloud.run_for(Duration::from_secs(1));
    (cloud, hub, spoke)
}
