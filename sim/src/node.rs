//! This suite's own router: a [`Node`] with the tunnels of a site.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use core::net::IpAddr;
use core::ops::Range;

use bytes::Bytes;
use chacha20::ChaCha8Rng;
use dmvpn_core::isakmp::crypto::{Group, HashAlgorithm, Provider};
use dmvpn_core::isakmp::{
    self, Encryption, EspProposal, Fragmentation, NatTraversal, Policy, PreSharedKey,
};
use dmvpn_core::nhrp::{self, NextHopServer, ServerState};
use dmvpn_core::{
    Config, Event, Instant, IpsecProfile, NextHop, Node, PeerId, Transmit, TunnelConfig, TunnelId,
    TunnelMode, Underlay, cisco, esp,
};
use rand_core::SeedableRng;

use crate::cloud::Factory;
use crate::dice::Dice;
use crate::null;
use crate::router::{BindingRow, Command, Notice, PeerRow, Router, Sizes, Tables};
use crate::scenario::{Crypto, Scenario};

/// Makes this suite's routers for every site.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nodes {
    /// Whether they keep debug output.
    pub debug: bool,
}

impl Factory for Nodes {
    fn build(
        &self,
        scenario: &Scenario,
        site: usize,
        address: IpAddr,
        seed: u64,
        now: Instant,
    ) -> Box<dyn Router> {
        Box::new(NodeRouter::new(scenario, site, address, seed, now, self.debug))
    }
}

/// A [`Node`] with the tunnels of a site.
#[derive(Debug)]
pub struct NodeRouter {
    node: Node,
    /// The tunnels, and the second octet of the addresses that each has.
    tunnels: BTreeMap<u8, TunnelId>,
    buffer: Vec<u8>,
}

/// How many debug records are kept between two polls.
const TRACE_CAPACITY: usize = 10_000;

impl NodeRouter {
    /// The router of a site.
    ///
    /// # Panics
    /// If the scenario's settings cannot be configured, which is a fault of the scenario's.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a scenario that cannot be built is no scenario")]
    pub fn new(
        scenario: &Scenario,
        site: usize,
        address: IpAddr,
        seed: u64,
        now: Instant,
        debug: bool,
    ) -> Self {
        let config = node_config(scenario, site, debug);
        let mut node = Node::new(Arc::new(config), Box::new(ChaCha8Rng::seed_from_u64(seed)), now);
        let mut tunnels = BTreeMap::new();
        for cloud in clouds(scenario, site) {
            let id = TunnelId(u32::from(cloud));
            let tunnel = tunnel_config(scenario, site, usize::from(cloud), address, debug);
            node.add_tunnel(now, id, tunnel).expect("each has a key of its own");
            tunnels.insert(cloud, id);
        }
        Self { node, tunnels, buffer: Vec::new() }
    }

    /// The node.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    fn tunnel_to(&self, next_hop: IpAddr) -> Option<TunnelId> {
        let IpAddr::V4(address) = next_hop else { return None };
        let [_, cloud, ..] = address.octets();
        self.tunnels.get(&cloud).copied()
    }

    fn send_to(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        next_hop: NextHop,
        packet: &[u8],
    ) -> Option<Transmit> {
        let range = Node::MAX_HEADROOM..Node::MAX_HEADROOM + packet.len();
        self.buffer.clear();
        self.buffer.resize(Node::MAX_HEADROOM, 0);
        self.buffer.extend_from_slice(packet);
        self.buffer.resize(range.end + Node::MAX_TAILROOM, 0);
        let sent = self.node.send(now, tunnel, next_hop, &mut self.buffer, range).ok()?;
        let packet = Bytes::copy_from_slice(self.buffer.get(sent.packet)?);
        Some(Transmit { underlay: sent.underlay, packet })
    }
}

impl Router for NodeRouter {
    fn handle_packet(
        &mut self,
        now: Instant,
        underlay: Underlay,
        data: &mut [u8],
    ) -> Option<Range<usize>> {
        // Why something was discarded is counted and traced by the node.
        self.node.handle_packet(now, underlay, data).ok()?.map(|inbound| inbound.packet)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.node.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.node.poll_timeout()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.node.poll_transmit()
    }

    fn poll_notice(&mut self) -> Option<Notice> {
        while let Some(event) = self.node.poll_event() {
            let Event::Nhrp { event, .. } = event else { continue };
            if let nhrp::Event::CacheAdded { target, nbma, link: Some(_) }
            | nhrp::Event::CacheUpdated { target, nbma, link: Some(_) } = event
            {
                return Some(Notice::Bound { address: target.address(), nbma });
            }
            if let nhrp::Event::CacheRemoved { target, link: Some(_), .. } = event {
                return Some(Notice::Unbound { address: target.address() });
            }
        }
        None
    }

    fn send(&mut self, now: Instant, next_hop: IpAddr, packet: &[u8]) -> Option<Transmit> {
        let tunnel = self.tunnel_to(next_hop)?;
        self.send_to(now, tunnel, NextHop::Protocol(next_hop), packet)
    }

    fn multicast(&mut self, now: Instant, packet: &[u8]) -> Vec<Transmit> {
        let mut copies = Vec::new();
        let tunnels: Vec<TunnelId> = self.tunnels.values().copied().collect();
        for tunnel in tunnels {
            let mut cursor = None;
            while let Some(peer) = self.node.multicast_after(tunnel, cursor) {
                copies.extend(self.send_to(now, tunnel, NextHop::Peer(peer), packet));
                cursor = Some(peer);
            }
        }
        copies
    }

    fn command(&mut self, now: Instant, command: Command) {
        let tunnels: Vec<TunnelId> = self.tunnels.values().copied().collect();
        match command {
            Command::Shutdown => {
                for tunnel in tunnels {
                    self.node.shutdown(now, tunnel);
                }
            }
            Command::NoShutdown => {
                for tunnel in tunnels {
                    self.node.no_shutdown(now, tunnel);
                }
            }
            Command::ClearSessions => {
                let peers: Vec<PeerId> = self.node.sessions().map(|session| session.peer).collect();
                for peer in peers {
                    self.node.clear_session(now, peer);
                }
            }
            Command::ClearNhrp => {
                for tunnel in tunnels {
                    self.node.clear_nhrp(now, tunnel, None);
                }
            }
        }
    }

    fn is_registered(&self) -> bool {
        self.tunnels.values().all(|tunnel| {
            self.node.nhrp_servers(*tunnel).all(|server| server.state == ServerState::Responding)
        })
    }

    fn sizes(&self) -> Sizes {
        let tables = self.node.table_sizes();
        let counters = self.node.counters();
        Sizes {
            peers: tables.peers,
            sessions: tables.sessions,
            inbound: tables.inbound,
            dropped: counters.transmits_dropped + counters.events_dropped,
        }
    }

    fn tables(&self) -> Tables {
        let node = &self.node;
        let mut current = BTreeMap::new();
        for pair in node.isakmp().phase2() {
            current.insert(pair.inbound_spi, pair.enabled && !pair.superseded);
        }
        let rows = node.sessions().zip(node.ipsec_sas()).map(|(session, sas)| PeerRow {
            number: session.peer.number(),
            remote: (session.remote, session.port).into(),
            current: sas.inbound.iter().filter(|sa| current.get(&sa.spi) == Some(&true)).count(),
            pairs: sas.inbound.len(),
            phase1: session.phase1.len(),
        });
        let bindings = self.tunnels.values().flat_map(|tunnel| node.nhrp_cache(*tunnel));
        let bindings = bindings.filter(|entry| entry.flags.registered).map(|entry| BindingRow {
            address: entry.target.address(),
            nbma: entry.nbma,
            peer: entry.link.map(|link| link.0),
        });
        let mut multicast = Vec::new();
        for tunnel in self.tunnels.values() {
            let mut cursor = None;
            while let Some(peer) = node.multicast_after(*tunnel, cursor) {
                multicast.push(peer.number());
                cursor = Some(peer);
            }
        }
        Tables {
            peers: rows.collect(),
            bindings: bindings.collect(),
            multicast,
            phase1: node.isakmp().phase1().count(),
        }
    }

    fn check(&self) -> Result<(), String> {
        let node = &self.node;
        let mut known = BTreeSet::new();
        let mut inbound = BTreeSet::new();
        let mut outbound = BTreeSet::new();
        for sas in node.ipsec_sas() {
            inbound.extend(sas.inbound.iter().map(|sa| sa.spi));
            outbound.extend(sas.outbound.iter().map(|sa| sa.spi));
        }
        let pairs: Vec<_> = node.isakmp().phase2().collect();
        let said: BTreeSet<u32> = pairs.iter().map(|pair| pair.inbound_spi).collect();
        if said != inbound || node.table_sizes().inbound != inbound.len() {
            return Err(format!("key management has inbound {said:x?}, esp has {inbound:x?}"));
        }
        let said: BTreeSet<u32> = pairs.iter().map(|pair| pair.outbound_spi).collect();
        if said != outbound {
            return Err(format!("key management has outbound {said:x?}, esp has {outbound:x?}"));
        }
        for session in node.sessions() {
            known.insert(session.peer.number());
            let open = session.socket == dmvpn_core::SocketState::Open;
            if open != (session.active_sas > 0) {
                return Err(format!(
                    "{} is {:?} with {} associations",
                    session.peer, session.socket, session.active_sas
                ));
            }
        }
        let tables = self.tables();
        let mut bound = BTreeSet::new();
        for binding in &tables.bindings {
            let Some(peer) = binding.peer else { continue };
            bound.insert(peer);
            if !known.contains(&peer) {
                return Err(format!("{} is bound to a peer that is not there", binding.address));
            }
        }
        let multicast: BTreeSet<u64> = tables.multicast.iter().copied().collect();
        let multipoint = node.dmvpn().any(|tunnel| tunnel.destination.is_none());
        if multipoint && multicast != bound {
            return Err(format!("multicast goes to {multicast:?}, bound are {bound:?}"));
        }
        Ok(())
    }

    fn poll_debug(&mut self) -> Option<String> {
        self.node.poll_trace().map(|traced| cisco::Debug(&traced).to_string())
    }
}

/// The clouds that a site is in.
fn clouds(scenario: &Scenario, site: usize) -> BTreeSet<u8> {
    let hubs = if site < scenario.hubs { site..site + 1 } else { 0..scenario.hubs };
    hubs.filter_map(|hub| u8::try_from(scenario.cloud(hub)).ok()).collect()
}

fn node_config(scenario: &Scenario, site: usize, debug: bool) -> Config {
    let settings = &scenario.settings;
    let trace = if debug { TRACE_CAPACITY } else { 0 };
    let (provider, policy): (Provider, Policy) = match settings.crypto {
        Crypto::Null => (null::ISAKMP, legacy(Encryption::TripleDes, settings.phase1_lifetime)),
        Crypto::Real => {
            let encryption = if settings.pfs { Encryption::Aes128 } else { Encryption::TripleDes };
            (Provider::rustcrypto(), legacy(encryption, settings.phase1_lifetime))
        }
    };
    let esp: Arc<dyn esp::crypto::Provider> = match settings.crypto {
        Crypto::Null => null::ESP.clone(),
        Crypto::Real => Arc::new(esp::crypto::RustCrypto),
    };
    let everybody = PreSharedKey::new(core::net::Ipv4Addr::UNSPECIFIED.into(), 0, b"simulated");
    let hub = site < scenario.hubs;
    let detection = if hub { settings.hub_detection } else { settings.spoke_detection };
    let isakmp = isakmp::Config::builder(provider, vec![everybody])
        .policies(vec![policy])
        .dead_peer_detection(Some(detection))
        .nat_traversal(Some(NatTraversal {
            force_encapsulation: settings.force_encapsulation,
            keepalive: settings.nat_keepalive,
        }))
        .fragmentation(settings.fragmentation.then_some(Fragmentation { packet_size: 576 }))
        .trace_capacity(trace);
    #[expect(clippy::expect_used, reason = "a scenario that cannot be built is no scenario")]
    let isakmp = isakmp.build().expect("a scenario's settings are valid");
    Config::builder(Arc::new(isakmp), esp).trace_capacity(trace).build()
}

const fn legacy(encryption: Encryption, lifetime: u32) -> Policy {
    Policy { priority: 1, encryption, hash: HashAlgorithm::SHA1, group: Group::MODP_768, lifetime }
}

/// A site's tunnel in one of the clouds.
fn tunnel_config(
    scenario: &Scenario,
    site: usize,
    cloud: usize,
    address: IpAddr,
    debug: bool,
) -> TunnelConfig {
    let settings = &scenario.settings;
    let hub = site < scenario.hubs;
    let own = scenario.tunnel_address(site, if hub { site } else { cloud });
    let authentication = nhrp::wire::AuthenticationString::new(b"SIMULATE");
    let servers: Vec<usize> = match (hub, settings.multipoint) {
        (true, _) => Vec::new(),
        (false, true) => (0..scenario.hubs).collect(),
        (false, false) => vec![cloud],
    };
    let servers = servers.into_iter().map(|server| NextHopServer {
        nbma: scenario.hub_address(server),
        ..NextHopServer::new(scenario.tunnel_address(server, server))
    });
    let nhrp = nhrp::Config::builder("Tunnel0", own, 16, address)
        .authentication(Some(authentication))
        .holding_time(settings.holding_time)
        .unique(settings.unique)
        .servers(servers.collect())
        .multicast_dynamic(hub)
        .trace_capacity(if debug { TRACE_CAPACITY } else { 0 });
    let mode = match scenario.hub_address(cloud) {
        Some(destination) if !hub && !settings.multipoint => {
            TunnelMode::PointToPoint { destination }
        }
        _ => TunnelMode::Multipoint,
    };
    // With real cryptography seeds vary it.
    let proposal = match Dice::of(scenario.seed, 3_000_000).below(3) {
        0 if settings.crypto == Crypto::Real => EspProposal::AES256_SHA256,
        _ => EspProposal::TRIPLE_DES_SHA1,
    };
    let profile = IpsecProfile {
        proposals: vec![proposal],
        mode: settings.mode,
        lifetime: settings.child_lifetime,
        pfs: settings.pfs.then_some(Group::MODP_768),
        ..IpsecProfile::new("SIMULATED")
    };
    #[expect(clippy::expect_used, reason = "a scenario that cannot be built is no scenario")]
    let nhrp = nhrp.build().expect("a scenario's settings are valid");
    let tunnel = TunnelConfig::builder(address, mode, Arc::new(nhrp))
        .key(u32::try_from(cloud).unwrap_or(0) + 1)
        .protection(profile);
    #[expect(clippy::expect_used, reason = "a scenario that cannot be built is no scenario")]
    tunnel.build().expect("a scenario's settings are valid")
}
