//! From IOS configuration to the configuration of a node.

use alloc::sync::Arc;
use core::net::{IpAddr, Ipv4Addr};

use dmvpn_core::isakmp::crypto::{Group, Provider};
use dmvpn_core::isakmp::{self, ChildLifetime, EspProposal, Mode, Policy, PreSharedKey};
use dmvpn_core::{
    Config, IpsecProfile, TunnelConfig, TunnelConfigError, TunnelId, TunnelMode, esp, nhrp,
};

use dmvpn_core::nhrp::wire::{AuthenticationString, RequestId};
use dmvpn_core::nhrp::{NextHopServer, Prefix, StaticMap};

use crate::ios;

/// The first request id of the guide's spoke.
const FIRST_REQUEST: u32 = 65_540;

/// What the lab wants beside what the routers' configuration says.
#[derive(Clone, Copy, Debug)]
pub struct Wishes {
    /// How many trace records are kept between two turns; 0 for none.
    pub trace_capacity: usize,
    /// Whether session keys are handed out.
    pub key_log: bool,
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
    let keyring = router.isakmp_keys.iter().map(PreSharedKey::from).collect();
    let mut isakmp = isakmp::Config::builder(Provider::rustcrypto(), keyring)
        .trace_capacity(wishes.trace_capacity);
    if !router.isakmp_policies.is_empty() {
        isakmp = isakmp.policies(router.isakmp_policies.iter().map(Policy::from).collect());
    }
    let mut config = Config::builder(Arc::new(isakmp.build()?), Arc::new(esp::crypto::RustCrypto))
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
    let mut config =
        TunnelConfig::builder(source, mode, Arc::new(nhrp)).source_interface(tunnel.source.clone());
    if let Some(key) = tunnel.key {
        config = config.key(key);
    }
    if let Some(mtu) = tunnel.mtu {
        config = config.ip_mtu(mtu);
    }
    if let Some(mss) = tunnel.adjust_mss {
        config = config.adjust_mss(mss);
    }
    if let Some((profile, set)) = router.tunnel_protection(tunnel) {
        config = config.protection(build_profile(profile, set));
    }
    Ok(config.build()?)
}

fn build_profile(profile: &ios::IpsecProfile, set: &ios::TransformSet) -> IpsecProfile {
    IpsecProfile {
        proposals: vec![EspProposal::from(set)],
        mode: Mode::from(set.mode),
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
    let servers = tunnel.nhrp.nhs.iter().map(|nhs| NextHopServer::new(IpAddr::V4(*nhs)));
    let maps = tunnel.nhrp.map.iter().map(|map| StaticMap {
        target: Prefix::host(IpAddr::V4(map.protocol)),
        nbma: IpAddr::V4(map.nbma),
    });
    let authentication = tunnel.nhrp.authentication.as_deref();
    let mut nhrp =
        nhrp::Config::builder(&tunnel.name, address, tunnel.address.prefix_length, source)
            .servers(servers.collect())
            .static_maps(maps.collect())
            .multicast_dynamic(tunnel.nhrp.map_multicast_dynamic)
            .authentication(authentication.map(|text| AuthenticationString::new(text.as_bytes())))
            // What IOS announces depends on the GRE header: with a key it is four octets less.
            .mtu(if tunnel.key.is_some() { 17_912 } else { 17_916 })
            .first_request_id(RequestId(FIRST_REQUEST))
            .trace_capacity(wishes.trace_capacity);
    if let Some(id) = tunnel.nhrp.network_id {
        nhrp = nhrp.network_id(id);
    }
    Ok(nhrp.build()?)
}
