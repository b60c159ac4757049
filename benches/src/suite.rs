//! The routers: one hub, many spokes, configured as in Cisco's guide but for their number.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use chacha20::ChaCha20Rng;
use dmvpn_core::isakmp::crypto::{Group, HashAlgorithm, Provider};
use dmvpn_core::isakmp::{
    self, DeadPeerDetection, Encryption, EspEncryption, EspProposal, Policy, PreSharedKey,
};
use dmvpn_core::nhrp::{self, NextHopServer, wire};
use dmvpn_core::{Config, Instant, IpsecProfile, Node, TunnelConfig, TunnelId, TunnelMode, esp};
use rand_core::SeedableRng;

/// The only tunnel of every router.
pub const TUNNEL: TunnelId = TunnelId(0);
/// The hub's address in the underlay.
pub const HUB: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 10, 1));
/// The hub's address in the tunnel.
pub const HUB_TUNNEL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// How packets are protected; phase 1 is always the guide's (3DES, SHA-1, group 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// `esp-3des esp-sha-hmac`, the guide's.
    Guide,
    /// `esp-gcm 128`.
    Gcm,
}

impl Suite {
    /// As the tables call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guide => "3des+sha1",
            Self::Gcm => "aes128-gcm",
        }
    }

    const fn proposal(self) -> EspProposal {
        match self {
            Self::Guide => EspProposal::TRIPLE_DES_SHA1,
            Self::Gcm => EspProposal { encryption: EspEncryption::Aes128Gcm16, integrity: None },
        }
    }
}

/// A spoke's address in the underlay.
pub fn nbma(spoke: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x6440_0000 + spoke))
}

/// A spoke's address in the tunnel.
pub fn tunnel_address(spoke: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0a01_0000 + spoke))
}

/// What routers share: made once, so that a hundred thousand spokes are cheap to make.
pub struct Routers {
    suite: Suite,
    hub: Arc<Config>,
    spoke: Arc<Config>,
}

impl Routers {
    /// Dead peer detection asks after five minutes of silence on the hub and after two on a spoke.
    pub fn new(suite: Suite) -> Self {
        Self { suite, hub: config(300), spoke: config(120) }
    }

    /// A hub that takes everybody.
    pub fn hub(&self, now: Instant) -> Node {
        // Those that are measured renew their registrations in one instant of virtual time.
        let limits = nhrp::Limits {
            entries: 1_000_000,
            registrations_per_second: 1_000_000,
            ..nhrp::Limits::default()
        };
        let nhrp = interface(HUB_TUNNEL, HUB).multicast_dynamic(true).limits(limits);
        self.node(&self.hub, HUB, TunnelMode::Multipoint, nhrp, 0, now)
    }

    /// A spoke, up and about to negotiate.
    pub fn spoke(&self, number: u32, now: Instant) -> Node {
        let server = NextHopServer { nbma: Some(HUB), ..NextHopServer::new(HUB_TUNNEL) };
        let nhrp = interface(tunnel_address(number), nbma(number))
            .registration_interval(200)
            .servers(vec![server]);
        let mode = TunnelMode::PointToPoint { destination: HUB };
        self.node(&self.spoke, nbma(number), mode, nhrp, u64::from(number) + 1, now)
    }

    fn node(
        &self,
        config: &Arc<Config>,
        source: IpAddr,
        mode: TunnelMode,
        nhrp: nhrp::ConfigBuilder,
        seed: u64,
        now: Instant,
    ) -> Node {
        let nhrp = nhrp.build().expect("a valid interface");
        let profile =
            IpsecProfile { proposals: vec![self.suite.proposal()], ..IpsecProfile::new("BENCH") };
        let tunnel = TunnelConfig::builder(source, mode, Arc::new(nhrp))
            .key(1)
            .ip_mtu(1400)
            .protection(profile)
            .build()
            .expect("a valid tunnel");
        let rng = Box::new(ChaCha20Rng::seed_from_u64(seed));
        let mut node = Node::new(Arc::clone(config), rng, now);
        node.add_tunnel(now, TUNNEL, tunnel).expect("the first tunnel");
        node
    }
}

fn config(silence: u64) -> Arc<Config> {
    let everybody = PreSharedKey::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0, b"a key for everybody");
    let policy = Policy {
        priority: 1,
        encryption: Encryption::TripleDes,
        hash: HashAlgorithm::SHA1,
        group: Group::MODP_768,
        lifetime: 86_400,
    };
    let detection = DeadPeerDetection {
        interval: Duration::from_secs(silence),
        ..DeadPeerDetection::default()
    };
    let isakmp = isakmp::Config::builder(Provider::rustcrypto(), vec![everybody])
        .policies(vec![policy])
        .dead_peer_detection(Some(detection))
        .build()
        .expect("the guide's policy");
    let config = Config::builder(Arc::new(isakmp), Arc::new(esp::crypto::RustCrypto));
    Arc::new(config.queue(1 << 20).build())
}

fn interface(address: IpAddr, nbma: IpAddr) -> nhrp::ConfigBuilder {
    let authentication = wire::AuthenticationString::new(b"NHRPAUTH");
    nhrp::Config::builder("Tunnel0", address, 8, nbma)
        .authentication(Some(authentication))
        .links_required(true)
}
