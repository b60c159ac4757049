//! What the `show` commands print, as plain structs. Views may walk everything.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use dmvpn_esp::Counters as SaCounters;
use dmvpn_isakmp::{Identity, Mode, Phase1View, Phase2View, Selectors};

use crate::interface::InterfaceState;
use crate::node::Node;
use crate::peer::{Outbound, Peer, PeerId, SocketState};
use crate::tunnel::{TunnelConfig, TunnelId, TunnelMode};

/// A crypto socket: a block of `show crypto sockets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CryptoSocketView {
    /// The tunnel.
    pub tunnel: TunnelId,
    /// The peer.
    pub peer: PeerId,
    /// Our NBMA address.
    pub local: IpAddr,
    /// The peer's NBMA address.
    pub remote: IpAddr,
    /// The name of the IPsec profile.
    pub profile: String,
    /// Its state.
    pub state: SocketState,
}

/// The state of a crypto session, in IOS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    /// `UP-ACTIVE`: phase 1 and phase 2.
    UpActive,
    /// `UP-NO-IKE`: phase 2 alone, after phase 1 expired.
    UpNoIke,
    /// `UP-IDLE`: phase 1 alone.
    UpIdle,
    /// `DOWN-NEGOTIATING`: phase 1 is under way.
    DownNegotiating,
    /// `DOWN`: nothing.
    Down,
}

/// A crypto session: a block of `show crypto session detail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// The first tunnel that it carries.
    pub tunnel: TunnelId,
    /// The peer.
    pub peer: PeerId,
    /// How long it has been up.
    pub uptime: Option<Duration>,
    /// Its state.
    pub status: SessionStatus,
    /// Our NBMA address.
    pub local: IpAddr,
    /// The peer's NBMA address.
    pub remote: IpAddr,
    /// The UDP port of the peer's key management.
    pub port: u16,
    /// Whom the peer authenticated as.
    pub identity: Option<Identity>,
    /// The phase 1 associations with the peer.
    pub phase1: Vec<Phase1View>,
    /// How many ESP associations there are.
    pub active_sas: usize,
    /// Packets decrypted.
    pub decrypted: u64,
    /// Packets dropped coming in.
    pub inbound_dropped: u64,
    /// Packets encrypted.
    pub encrypted: u64,
    /// Packets dropped going out.
    pub outbound_dropped: u64,
    /// What is left of the current inbound association.
    pub inbound_life: Option<LifeView>,
    /// What is left of the current outbound association.
    pub outbound_life: Option<LifeView>,
    /// Index and transform of the current outbound association.
    pub outbound: Option<(u32, dmvpn_esp::Transform)>,
    /// The state of the crypto socket.
    pub socket: SocketState,
}

/// What is left of an association: the guide's `(k/sec)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifeView {
    /// Kilobytes of 1024 octets; none without a limit.
    pub kilobytes: Option<u64>,
    /// Seconds.
    pub seconds: u64,
}

/// The protection of one peer: a block of `show crypto ipsec sa detail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpsecView {
    /// The first tunnel that it protects.
    pub tunnel: TunnelId,
    /// The internal crypto map's name.
    pub crypto_map: String,
    /// Our NBMA address.
    pub local: IpAddr,
    /// The peer's NBMA address.
    pub remote: IpAddr,
    /// The UDP port of the peer's key management.
    pub port: u16,
    /// The proxy identities; none before the first negotiation.
    pub selectors: Option<Selectors>,
    /// Counters over all associations that there were.
    pub counters: SaCounters,
    /// The path MTU, in octets.
    pub path_mtu: u16,
    /// The interface of the tunnel source.
    pub source_interface: String,
    /// The group of perfect forward secrecy.
    pub pfs: Option<dmvpn_isakmp::crypto::Group>,
    /// The current outbound index, 0 without one.
    pub current_outbound: u32,
    /// The associations that packets come in on.
    pub inbound: Vec<SaView>,
    /// The associations that packets go out on.
    pub outbound: Vec<SaView>,
}

/// One ESP association of `show crypto ipsec sa detail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaView {
    /// Its security parameters index.
    pub spi: u32,
    /// Its algorithms.
    pub transform: dmvpn_esp::Transform,
    /// Its mode.
    pub mode: Mode,
    /// Whether it is UDP-encapsulated.
    pub udp: bool,
    /// IOS's running number.
    pub connection: u32,
    /// What is left of it.
    pub life: LifeView,
    /// Whether there is an anti-replay window.
    pub replay_detection: bool,
}

/// A tunnel: a block of `show dmvpn detail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DmvpnView {
    /// The tunnel.
    pub tunnel: TunnelId,
    /// Its state.
    pub interface: InterfaceState,
    /// Its address.
    pub address: IpAddr,
    /// Its source.
    pub source: IpAddr,
    /// Its destination; none on a multipoint tunnel.
    pub destination: Option<IpAddr>,
    /// The name of the IPsec profile.
    pub profile: Option<String>,
    /// Its next hop servers.
    pub servers: Vec<dmvpn_nhrp::ServerView>,
    /// The peers that NHRP knows.
    pub peers: Vec<DmvpnPeerView>,
}

/// A row of `show dmvpn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DmvpnPeerView {
    /// How many cache entries have the same NBMA peer.
    pub entries: usize,
    /// The peer's NBMA address.
    pub nbma: Option<IpAddr>,
    /// The peer's tunnel address.
    pub next_hop: IpAddr,
    /// Its state.
    pub state: DmvpnPeerState,
    /// Since when it is in this state.
    pub since: Duration,
    /// The cache entry behind it.
    pub entry: dmvpn_nhrp::CacheView,
}

/// The state of a DMVPN peer, in IOS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DmvpnPeerState {
    /// `UP`.
    Up,
    /// `NHRP`: the crypto session is there, registration is under way.
    Nhrp,
    /// `IKE`: the crypto session is under way.
    Ike,
}

impl Node {
    /// `show crypto sockets`.
    pub fn crypto_sockets(&self) -> impl Iterator<Item = CryptoSocketView> + '_ {
        self.protected_peers().filter(|(_, peer, _, _)| peer.socket != SocketState::Closed).map(
            |(id, peer, tunnel, config)| CryptoSocketView {
                tunnel,
                peer: id,
                local: peer.whereabouts.local,
                remote: peer.whereabouts.remote,
                profile: profile_name(config).unwrap_or_default(),
                state: peer.socket,
            },
        )
    }

    /// The profiles and crypto maps of the tunnels that listen for peers, the other half of
    /// `show crypto sockets`.
    pub fn listening_sockets(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.tunnel_configs()
            .filter(|(_, _, state)| *state != InterfaceState::AdministrativelyDown)
            .filter_map(|(id, config, _)| {
                Some((profile_name(config)?, TunnelConfig::crypto_map(id)))
            })
    }

    /// `show crypto session detail`.
    pub fn sessions(&self) -> impl Iterator<Item = SessionView> + '_ {
        let mut phase1: BTreeMap<dmvpn_isakmp::PeerId, Vec<Phase1View>> = BTreeMap::new();
        for view in self.isakmp().phase1() {
            // A responder knows its peer once it is authenticated.
            if let Some(peer) = view.peer {
                phase1.entry(peer).or_default().push(view);
            }
        }
        self.protected_peers().filter(|(_, peer, _, _)| !peer.is_idle()).map(
            move |(id, peer, tunnel, _)| {
                let phase1 = peer.ike.and_then(|ike| phase1.get(&ike)).cloned().unwrap_or_default();
                self.session(id, peer, tunnel, phase1)
            },
        )
    }

    /// `show crypto ipsec sa detail`.
    pub fn ipsec_sas(&self) -> impl Iterator<Item = IpsecView> + '_ {
        let mut phase2: BTreeMap<u32, Phase2View> = BTreeMap::new();
        for view in self.isakmp().phase2() {
            phase2.insert(view.inbound_spi, view);
        }
        self.protected_peers().filter(|(_, peer, _, _)| !peer.is_idle()).map(
            move |(_, peer, tunnel, config)| self.protection_view(peer, tunnel, config, &phase2),
        )
    }

    /// `show crypto isakmp sa detail`.
    pub fn isakmp_sas(&self) -> impl Iterator<Item = Phase1View> + '_ {
        self.isakmp().phase1()
    }

    /// `show ip nhrp`, one tunnel's cache.
    pub fn nhrp_cache(&self, tunnel: TunnelId) -> impl Iterator<Item = dmvpn_nhrp::CacheView> + '_ {
        self.nhrp(tunnel).into_iter().flat_map(|nhrp| nhrp.cache(self.now()))
    }

    /// `show ip nhrp nhs`, one tunnel's next hop servers.
    pub fn nhrp_servers(
        &self,
        tunnel: TunnelId,
    ) -> impl Iterator<Item = dmvpn_nhrp::ServerView> + '_ {
        self.nhrp(tunnel).into_iter().flat_map(dmvpn_nhrp::Endpoint::servers)
    }

    /// `show dmvpn detail`, without the crypto sessions.
    pub fn dmvpn(&self) -> impl Iterator<Item = DmvpnView> + '_ {
        self.tunnel_configs().map(|(id, config, interface)| DmvpnView {
            tunnel: id,
            interface,
            address: config.nhrp.protocol_address(),
            source: config.source,
            destination: match config.mode {
                TunnelMode::PointToPoint { destination } => Some(destination),
                TunnelMode::Multipoint => None,
            },
            profile: profile_name(config),
            servers: self.nhrp_servers(id).collect(),
            peers: self.dmvpn_peers(id),
        })
    }

    fn session(
        &self,
        id: PeerId,
        peer: &Peer,
        tunnel: TunnelId,
        phase1: Vec<Phase1View>,
    ) -> SessionView {
        let counters = self.peer_counters(peer);
        let established = phase1.iter().any(|view| view.identity.is_some());
        let protected = peer.outbound.is_some() || !peer.inbound.is_empty();
        let newest = self.newest_inbound(peer);
        SessionView {
            tunnel,
            peer: id,
            uptime: peer.up_since.map(|since| self.now().saturating_duration_since(since)),
            status: match (established, protected) {
                (true, true) => SessionStatus::UpActive,
                (false, true) => SessionStatus::UpNoIke,
                (true, false) => SessionStatus::UpIdle,
                (false, false) if phase1.is_empty() => SessionStatus::Down,
                (false, false) => SessionStatus::DownNegotiating,
            },
            local: peer.whereabouts.local,
            remote: peer.whereabouts.remote,
            port: port_of(peer, &phase1),
            identity: peer.identity.clone(),
            phase1,
            active_sas: peer
                .inbound
                .len()
                .saturating_add(peer.waiting.len())
                .saturating_add(usize::from(peer.outbound.is_some())),
            decrypted: counters.decrypt,
            inbound_dropped: dropped_inbound(&counters),
            encrypted: counters.encrypt,
            outbound_dropped: dropped_outbound(&counters),
            inbound_life: newest.map(|inbound| {
                self.life(inbound.association.expires, inbound.sa.remaining().bytes)
            }),
            outbound_life: peer.outbound.as_ref().map(|outbound| {
                self.life(outbound.association.expires, outbound.sa.remaining().bytes)
            }),
            outbound: peer
                .outbound
                .as_ref()
                .map(|outbound| (outbound.spi(), outbound.sa.key().transform())),
            socket: peer.socket,
        }
    }

    fn protection_view(
        &self,
        peer: &Peer,
        tunnel: TunnelId,
        config: &TunnelConfig,
        phase2: &BTreeMap<u32, Phase2View>,
    ) -> IpsecView {
        let by_outbound = |spi: u32| {
            peer.inbound
                .keys()
                .filter_map(|inbound| phase2.get(inbound))
                .find(|view| view.outbound_spi == spi)
        };
        let window = config.protection.as_ref().map_or(0, |profile| profile.replay_window);
        let inbound: Vec<SaView> = peer
            .inbound
            .keys()
            .filter_map(|spi| Some((*spi, self.inbound_sa(*spi)?)))
            .map(|(spi, inbound)| SaView {
                spi,
                transform: inbound.sa.key().transform(),
                mode: inbound.association.mode,
                udp: inbound.association.udp.is_some(),
                connection: phase2.get(&spi).map_or(0, |view| view.conn_ids.0),
                life: self.life(inbound.association.expires, inbound.sa.remaining().bytes),
                replay_detection: window > 0,
            })
            .collect();
        let outbound: Vec<SaView> = peer
            .outbounds()
            .map(|outbound| SaView {
                spi: outbound.spi(),
                transform: outbound.sa.key().transform(),
                mode: outbound.association.mode,
                udp: outbound.association.udp.is_some(),
                connection: by_outbound(outbound.spi()).map_or(0, |view| view.conn_ids.1),
                life: self.life(outbound.association.expires, outbound.sa.remaining().bytes),
                replay_detection: window > 0,
            })
            .collect();
        let phase1: Vec<Phase1View> = peer
            .ike
            .map(|ike| self.isakmp().phase1().filter(|view| view.peer == Some(ike)).collect())
            .unwrap_or_default();
        IpsecView {
            tunnel,
            crypto_map: TunnelConfig::crypto_map(tunnel),
            local: peer.whereabouts.local,
            remote: peer.whereabouts.remote,
            port: port_of(peer, &phase1),
            selectors: peer.outbound.as_ref().map(|outbound| outbound.association.selectors),
            counters: self.peer_counters(peer),
            path_mtu: peer.path_mtu,
            source_interface: config.source_interface.clone(),
            pfs: peer.inbound.keys().find_map(|spi| phase2.get(spi)).and_then(|view| view.pfs),
            current_outbound: peer.outbound.as_ref().map_or(0, Outbound::spi),
            inbound,
            outbound,
        }
    }

    fn dmvpn_peers(&self, id: TunnelId) -> Vec<DmvpnPeerView> {
        let cache: Vec<dmvpn_nhrp::CacheView> =
            self.nhrp_cache(id).filter(|entry| !entry.is_local()).collect();
        cache
            .iter()
            .map(|entry| {
                let peer = self.peer_of_entry(id, entry);
                let (state, since) = self.dmvpn_state(peer, entry);
                DmvpnPeerView {
                    entries: cache.iter().filter(|other| other.nbma == entry.nbma).count(),
                    nbma: entry.nbma,
                    next_hop: entry.next_hop,
                    state,
                    since,
                    entry: entry.clone(),
                }
            })
            .collect()
    }

    fn dmvpn_state(
        &self,
        peer: Option<&Peer>,
        entry: &dmvpn_nhrp::CacheView,
    ) -> (DmvpnPeerState, Duration) {
        match peer {
            Some(peer) if peer.whereabouts.protection.is_some() => match peer.up_since {
                None => (DmvpnPeerState::Ike, entry.age),
                Some(since) => {
                    let up = self.now().saturating_duration_since(since);
                    (DmvpnPeerState::Up, up.min(entry.age))
                }
            },
            _ => (DmvpnPeerState::Up, entry.age),
        }
    }
}

fn profile_name(config: &TunnelConfig) -> Option<String> {
    config.protection.as_ref().map(|profile| profile.name.clone())
}

/// The port that the peer's key management uses: the guide's `port 500`.
fn port_of(peer: &Peer, phase1: &[Phase1View]) -> u16 {
    let ike = phase1.first().map(|view| view.path.remote.port());
    ike.unwrap_or(if peer.whereabouts.port == 0 { 500 } else { peer.whereabouts.port })
}

fn dropped_inbound(counters: &SaCounters) -> u64 {
    [
        counters.invalid_sa_receive,
        counters.decaps_failed_receive,
        counters.invalid_protocol_receive,
        counters.verify_failed,
        counters.invalid_identity_receive,
        counters.invalid_length_receive,
        counters.replay_rollover_receive,
        counters.replay_failed_receive,
        counters.internal_error_receive,
        counters.lifetime_expired_receive,
    ]
    .into_iter()
    .fold(0, u64::saturating_add)
}

fn dropped_outbound(counters: &SaCounters) -> u64 {
    [
        counters.no_sa_send,
        counters.encaps_failed_send,
        counters.replay_rollover_send,
        counters.internal_error_send,
        counters.invalid_protocol_send,
        counters.lifetime_expired_send,
    ]
    .into_iter()
    .fold(0, u64::saturating_add)
}
