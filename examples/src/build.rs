//! From IOS configuration to the configuration of a node.

use alloc::sync::Arc;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use dmvpn_core::isakmp::crypto::{Group, Provider};
use dmvpn_core::isakmp::{
    self, AggressiveAnswer, AggressiveMode, ChildLifetime, DeadPeerDetection, EspProposal,
    Fragmentation, Identity, Mode, NatTraversal, Policy, PreSharedKey,
};
use dmvpn_core::{
    Config, IpsecProfile, TunnelConfig, TunnelConfigError, TunnelId, TunnelMode, esp, nhrp,
};

use dmvpn_core::nhrp::wire::{AuthenticationString, RequestId};
use dmvpn_core::nhrp::{NextHopServer, Prefix, StaticMap};

use crate::ios;

/// What the lab wants beside what the routers' configuration says.
#[derive(Clone, Copy, Debug)]
pub struct Wishes {
    /// How many trace records are kept between two turns; 0 for none.
    pub trace_capacity: usize,
    /// Whether session keys are handed out.
    pub key_log: bool,
    /// Whether ESP goes in UDP also where no NAT is found.
    pub force_encapsulation: bool,
    /// The identifier of the first NHRP request. Without one it is drawn, so that a router that
    /// restarted does not use those of before again (RFC 2332 §5.2.3).
    pub first_request_id: Option<u32>,
}

/// The configuration of a node, ready to be built.
#[derive(Debug)]
pub struct Built {
    /// The node's.
    pub config: Config,
    /// Its tunnels'.
    pub tunnels: Vec<(TunnelId, TunnelConfig)>,
    /// The NBMA address of the first tunnel's source.
    pub address: Ipv4Addr,
}

/// Why a configuration makes no node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is nothing to do.
    #[error("no tunnel interface is configured")]
    NoTunnel,
    /// A tunnel's name has no number.
    #[error("{0} is no tunnel interface")]
    TunnelName(String),
    /// `crypto isakmp identity hostname` on a router without a name.
    #[error("`crypto isakmp identity hostname` needs a `hostname` line")]
    NoHostname,
    /// Key management does not take it.
    #[error("isakmp: {0}")]
    Isakmp(#[from] isakmp::ConfigError),
    /// NHRP does not take it.
    #[error("nhrp: {0}")]
    Nhrp(#[from] nhrp::ConfigError),
    /// The tunnel does not take it.
    #[error("tunnel: {0}")]
    Tunnel(#[from] TunnelConfigError),
}

/// Builds the configuration of a node.
///
/// # Errors
///
/// [`BuildError`] says what does not fit together.
pub fn build(router: &ios::Router, wishes: Wishes) -> Result<Built, BuildError> {
    let isakmp = build_isakmp(router, wishes)?;
    let mut config = Config::builder(Arc::new(isakmp), Arc::new(esp::crypto::RustCrypto))
        .trace_capacity(wishes.trace_capacity);
    if wishes.key_log {
        config = config.dangerous_key_log();
    }
    let mut tunnels = Vec::new();
    let mut address = None;
    for tunnel in &router.tunnels {
        let number = tunnel.name.strip_prefix("Tunnel").and_then(|number| number.parse().ok());
        let id = TunnelId(number.ok_or_else(|| BuildError::TunnelName(tunnel.name.clone()))?);
        let source = router.tunnel_source(tunnel).ok_or(BuildError::NoTunnel)?;
        address.get_or_insert(source);
        tunnels.push((id, build_tunnel(router, tunnel, source, wishes)?));
    }
    let address = address.ok_or(BuildError::NoTunnel)?;
    Ok(Built { config: config.build(), tunnels, address })
}

fn build_isakmp(router: &ios::Router, wishes: Wishes) -> Result<isakmp::Config, BuildError> {
    let lines = &router.isakmp;
    let keys = lines.keys.iter().map(PreSharedKey::from);
    let keyring = keys.chain(lines.peers.iter().map(PreSharedKey::from)).collect();
    // Its first message leaves no choice of a group: the preferred policy's.
    let group = lines.policies.first().map_or(Policy::STRONG.group, |policy| policy.group.into());
    let aggressive_mode = AggressiveMode {
        initiate: lines.peers.iter().map(|peer| peer.in_group(group)).collect(),
        answer: if lines.aggressive_mode {
            AggressiveAnswer::Anybody
        } else {
            AggressiveAnswer::Nobody
        },
        ..AggressiveMode::default()
    };
    let mut nat_traversal =
        NatTraversal { force_encapsulation: wishes.force_encapsulation, ..NatTraversal::default() };
    if let Some(seconds) = lines.nat_keepalive {
        nat_traversal.keepalive = Duration::from_secs(seconds.into());
    }
    let mut config = isakmp::Config::builder(Provider::rustcrypto(), keyring)
        .trace_capacity(wishes.trace_capacity)
        .nat_traversal(Some(nat_traversal))
        .aggressive_mode(aggressive_mode)
        .dead_peer_detection(lines.keepalive.map(DeadPeerDetection::from))
        .fragmentation(lines.fragmentation.then(Fragmentation::default));
    if !lines.policies.is_empty() {
        config = config.policies(lines.policies.iter().map(Policy::from).collect());
    }
    match &lines.identity {
        ios::IsakmpIdentity::Address => {}
        ios::IsakmpIdentity::Hostname => {
            let name = router.qualified_name().ok_or(BuildError::NoHostname)?;
            config = config.identity(Identity::fqdn(&name));
        }
        ios::IsakmpIdentity::KeyId(name) => {
            config = config.identity(Identity::key_id(name.as_bytes()));
        }
    }
    Ok(config.build()?)
}

fn build_tunnel(
    router: &ios::Router,
    tunnel: &ios::Tunnel,
    source: Ipv4Addr,
    wishes: Wishes,
) -> Result<TunnelConfig, BuildError> {
    let source = IpAddr::V4(source);
    let nhrp = build_nhrp(tunnel, source, wishes)?;
    let mode = match tunnel.mode {
        ios::TunnelMode::Multipoint => TunnelMode::Multipoint,
        ios::TunnelMode::PointToPoint { destination } => {
            TunnelMode::PointToPoint { destination: IpAddr::V4(destination) }
        }
    };
    let source_interface = match &tunnel.source {
        ios::TunnelSource::Interface(name) => name.clone(),
        ios::TunnelSource::Address(address) => address.to_string(),
    };
    let mut config =
        TunnelConfig::builder(source, mode, Arc::new(nhrp)).source_interface(source_interface);
    if tunnel.checksum {
        config = config.checksum();
    }
    if tunnel.shutdown {
        config = config.shutdown();
    }
    if let Some(key) = tunnel.key {
        config = config.key(key);
    }
    if let Some(mtu) = tunnel.mtu {
        config = config.ip_mtu(mtu);
    }
    if let Some(mss) = tunnel.adjust_mss {
        config = config.adjust_mss(mss);
    }
    if let Some(profile) = router.tunnel_protection(tunnel) {
        config = config.protection(build_profile(router, profile));
    }
    Ok(config.build()?)
}

fn build_profile(router: &ios::Router, profile: &ios::IpsecProfile) -> IpsecProfile {
    // The reader saw to it that there is a set, and that all are of one mode.
    let mode = router.profile_sets(profile).next().map_or(Mode::Tunnel, |set| Mode::from(set.mode));
    IpsecProfile {
        proposals: router.profile_sets(profile).map(EspProposal::from).collect(),
        mode,
        replay_window: profile.replay.packets(),
        lifetime: ChildLifetime::from(profile),
        pfs: profile.pfs.map(Group::from),
        ..IpsecProfile::new(profile.name.clone())
    }
}

fn build_nhrp(
    tunnel: &ios::Tunnel,
    source: IpAddr,
    wishes: Wishes,
) -> Result<nhrp::Config, BuildError> {
    let address = IpAddr::V4(tunnel.address.address);
    let servers = tunnel.nhrp.nhs.iter().map(NextHopServer::from);
    let multicast_servers = tunnel.nhrp.nhs.iter().filter(|nhs| nhs.multicast);
    let multicast = multicast_servers.filter_map(|nhs| nhs.nbma);
    let multicast = multicast.chain(tunnel.nhrp.map_multicast.iter().copied()).map(IpAddr::V4);
    let maps = tunnel.nhrp.map.iter().map(|map| StaticMap {
        target: Prefix::host(IpAddr::V4(map.protocol)),
        nbma: IpAddr::V4(map.nbma),
    });
    let authentication = tunnel.nhrp.authentication.as_ref();
    let authentication =
        authentication.map(|text| AuthenticationString::new(text.dangerous_text().as_bytes()));
    let mut nhrp =
        nhrp::Config::builder(&tunnel.name, address, tunnel.address.prefix_length, source)
            .servers(servers.collect())
            .static_maps(maps.collect())
            .multicast_dynamic(tunnel.nhrp.map_multicast_dynamic)
            .multicast_static(multicast.collect())
            .authentication(authentication)
            .unique(!tunnel.nhrp.no_unique)
            // What IOS announces depends on the GRE header: with a key it is four octets less.
            .mtu(if tunnel.key.is_some() { 17_912 } else { 17_916 })
            .trace_capacity(wishes.trace_capacity);
    if let Some(id) = tunnel.nhrp.network_id {
        nhrp = nhrp.network_id(id);
    }
    if let Some(seconds) = tunnel.nhrp.holdtime {
        nhrp = nhrp.holding_time(seconds);
    }
    if let Some(seconds) = tunnel.nhrp.registration_timeout {
        nhrp = nhrp.registration_interval(seconds);
    }
    if let Some(id) = wishes.first_request_id {
        nhrp = nhrp.first_request_id(RequestId(id));
    }
    Ok(nhrp.build()?)
}
