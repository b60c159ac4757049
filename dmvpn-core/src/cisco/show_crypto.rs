//! `show crypto …`.

use core::fmt;
use core::net::IpAddr;

use dmvpn_isakmp::{Mode, Phase1View};

use super::Clock;
use crate::node::Node;
use crate::peer::SocketState;
use crate::view::{CryptoSocketView, IpsecView, LifeView, SaView, SessionStatus, SessionView};

/// `show crypto sockets`.
#[derive(Clone, Copy, Debug)]
pub struct CryptoSockets<'a>(pub &'a Node);

impl fmt::Display for CryptoSockets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Number of Crypto Socket connections {}", self.0.crypto_sockets().count())?;
        for socket in self.0.crypto_sockets() {
            writeln!(f)?;
            crypto_socket(&socket, f)?;
        }
        writeln!(f, "\nCrypto Sockets in Listen state:")?;
        for (profile, map) in self.0.listening_sockets() {
            writeln!(f, "Client: \"TUNNEL SEC\" Profile: \"{profile}\" Map-name: \"{map}\"")?;
        }
        Ok(())
    }
}

fn crypto_socket(socket: &CryptoSocketView, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let CryptoSocketView { tunnel, local, remote, profile, state, .. } = socket;
    let mask = full_mask(*local);
    writeln!(f, "   Tu{} Peers (local/remote): {local}/{remote}", tunnel.0)?;
    writeln!(f, "       Local Ident  (addr/mask/port/prot): ({local}/{mask}/0/47)")?;
    writeln!(f, "       Remote Ident (addr/mask/port/prot): ({remote}/{mask}/0/47)")?;
    writeln!(f, "       IPSec Profile: \"{profile}\"")?;
    writeln!(f, "       Socket State: {}", socket_word(*state))?;
    writeln!(f, "       Client: \"TUNNEL SEC\" (Client State: Active)")
}

pub(super) const fn socket_word(state: SocketState) -> &'static str {
    match state {
        SocketState::Open => "Open",
        SocketState::Opening => "Opening",
        SocketState::Closed => "Closed",
    }
}

const fn full_mask(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "255.255.255.255",
        IpAddr::V6(_) => "128",
    }
}

/// `show crypto isakmp sa detail`.
#[derive(Clone, Copy, Debug)]
pub struct CryptoIsakmpSa<'a>(pub &'a Node);

impl fmt::Display for CryptoIsakmpSa<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: alloc::vec::Vec<Phase1View> = self.0.isakmp_sas().collect();
        fmt::Display::fmt(&dmvpn_isakmp::cisco::IsakmpSaDetail(&rows), f)
    }
}

/// `show crypto session detail`.
#[derive(Clone, Copy, Debug)]
pub struct CryptoSession<'a>(pub &'a Node);

impl fmt::Display for CryptoSession<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Crypto session current status\n")?;
        writeln!(f, "Code: C - IKE Configuration mode, D - Dead Peer Detection")?;
        writeln!(f, "K - Keepalives, N - NAT-traversal, T - cTCP encapsulation")?;
        writeln!(f, "X - IKE Extended Authentication, F - IKE Fragmentation")?;
        for session in self.0.sessions() {
            writeln!(f)?;
            self::session(&session, f)?;
        }
        Ok(())
    }
}

fn session(session: &SessionView, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "Interface: {}", session.tunnel)?;
    if let Some(uptime) = session.uptime {
        writeln!(f, "Uptime: {}", Clock(uptime))?;
    }
    writeln!(f, "Session status: {}", status_word(session.status))?;
    writeln!(f, "Peer: {} port {} fvrf: (none) ivrf: (none)", session.remote, session.port)?;
    if let Some(identity) = &session.identity {
        writeln!(f, "      Phase1_id: {identity}")?;
    }
    writeln!(f, "      Desc: (none)")?;
    ike_sas(session, f)?;
    flow(session, f)
}

pub(super) fn ike_sas(session: &SessionView, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for phase1 in &session.phase1 {
        let state = if phase1.identity.is_some() { "Active" } else { "Inactive" };
        let (local, remote) = (phase1.path.local, phase1.path.remote);
        writeln!(
            f,
            "  IKEv1 SA: local {}/{} remote {}/{} {state}",
            local.ip(),
            local.port(),
            remote.ip(),
            remote.port()
        )?;
        write!(f, "          Capabilities:{} connid:{}", Capabilities(phase1), phase1.connection)?;
        writeln!(f, " lifetime:{}", Clock(phase1.remaining.unwrap_or_default()))?;
    }
    Ok(())
}

/// The letters behind `Capabilities:`, or `(none)`.
struct Capabilities<'a>(&'a Phase1View);

impl fmt::Display for Capabilities<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.dead_peer_detection, self.0.nat.found()) {
            (false, false) => f.write_str("(none)"),
            (true, false) => f.write_str("D"),
            (false, true) => f.write_str("N"),
            (true, true) => f.write_str("DN"),
        }
    }
}

pub(super) const fn status_word(status: SessionStatus) -> &'static str {
    match status {
        SessionStatus::UpActive => "UP-ACTIVE",
        SessionStatus::UpNoIke => "UP-NO-IKE",
        SessionStatus::UpIdle => "UP-IDLE",
        SessionStatus::DownNegotiating => "DOWN-NEGOTIATING",
        SessionStatus::Down => "DOWN",
    }
}

pub(super) fn flow(session: &SessionView, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let SessionView { local, remote, .. } = session;
    writeln!(f, "  IPSEC FLOW: permit 47 host {local} host {remote}")?;
    writeln!(f, "        Active SAs: {}, origin: crypto map", session.active_sas)?;
    writeln!(
        f,
        "        Inbound:  #pkts dec'ed {} drop {} life (KB/Sec) {}",
        session.decrypted,
        session.inbound_dropped,
        Life(session.inbound_life)
    )?;
    writeln!(
        f,
        "        Outbound: #pkts enc'ed {} drop {} life (KB/Sec) {}",
        session.encrypted,
        session.outbound_dropped,
        Life(session.outbound_life)
    )
}

/// What is left: kilobytes and seconds, `0/0` without an association, `KB Vol Rekey Disabled`
/// without a limit by volume.
struct Life(Option<LifeView>);

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("0/0"),
            Some(LifeView { kilobytes: Some(kilobytes), seconds }) => {
                write!(f, "{kilobytes}/{seconds}")
            }
            Some(LifeView { kilobytes: None, seconds }) => {
                write!(f, "KB Vol Rekey Disabled/{seconds}")
            }
        }
    }
}

/// `show crypto ipsec sa detail`.
#[derive(Clone, Copy, Debug)]
pub struct CryptoIpsecSa<'a>(pub &'a Node);

impl fmt::Display for CryptoIpsecSa<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for view in self.0.ipsec_sas() {
            if last != Some(view.tunnel) {
                writeln!(f, "\ninterface: {}", view.tunnel)?;
                write!(f, "    Crypto map tag: {}, ", view.crypto_map)?;
                writeln!(f, "local addr {}", view.local)?;
                last = Some(view.tunnel);
            }
            protection(&view, f)?;
        }
        Ok(())
    }
}

fn protection(view: &IpsecView, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let IpsecView { local, remote, counters, .. } = view;
    let (local_ident, remote_ident) = view
        .selectors
        .map_or((*local, *remote), |selectors| (selectors.local.address, selectors.remote.address));
    let mask = full_mask(*local);
    writeln!(f, "\n   protected vrf: (none)")?;
    writeln!(f, "   local  ident (addr/mask/prot/port): ({local_ident}/{mask}/47/0)")?;
    writeln!(f, "   remote ident (addr/mask/prot/port): ({remote_ident}/{mask}/47/0)")?;
    writeln!(f, "   current_peer {remote} port {}", view.port)?;
    writeln!(f, "     PERMIT, flags={{origin_is_acl,}}")?;
    let c = counters;
    writeln!(
        f,
        "    #pkts encaps: {}, #pkts encrypt: {}, #pkts digest: {}",
        c.encaps, c.encrypt, c.digest
    )?;
    writeln!(
        f,
        "    #pkts decaps: {}, #pkts decrypt: {}, #pkts verify: {}",
        c.decaps, c.decrypt, c.verify
    )?;
    // There is no IP compression in this suite; the lines are IOS's.
    writeln!(f, "    #pkts compressed: 0, #pkts decompressed: 0")?;
    writeln!(f, "    #pkts not compressed: 0, #pkts compr. failed: 0")?;
    writeln!(f, "    #pkts not decompressed: 0, #pkts decompress failed: 0")?;
    writeln!(
        f,
        "    #pkts no sa (send) {}, #pkts invalid sa (rcv) {}",
        c.no_sa_send, c.invalid_sa_receive
    )?;
    writeln!(
        f,
        "    #pkts encaps failed (send) {}, #pkts decaps failed (rcv) {}",
        c.encaps_failed_send, c.decaps_failed_receive
    )?;
    writeln!(
        f,
        "    #pkts invalid prot (rcv) {}, #pkts verify failed: {}",
        c.invalid_protocol_receive, c.verify_failed
    )?;
    writeln!(
        f,
        "    #pkts invalid identity (rcv) {}, #pkts invalid len (rcv) {}",
        c.invalid_identity_receive, c.invalid_length_receive
    )?;
    writeln!(
        f,
        "    #pkts replay rollover (send): {}, #pkts replay rollover (rcv) {}",
        c.replay_rollover_send, c.replay_rollover_receive
    )?;
    writeln!(f, "    ##pkts replay failed (rcv): {}", c.replay_failed_receive)?;
    writeln!(
        f,
        "    #pkts internal err (send): {}, #pkts internal err (rcv) {}",
        c.internal_error_send, c.internal_error_receive
    )?;
    writeln!(f, "\n     local crypto endpt.: {local}, remote crypto endpt.: {remote}")?;
    let mtu = view.path_mtu;
    write!(f, "     path mtu {mtu}, ip mtu {mtu}")?;
    if view.source_interface.is_empty() {
        writeln!(f)?;
    } else {
        writeln!(f, ", ip mtu idb {}", view.source_interface)?;
    }
    let spi = view.current_outbound;
    writeln!(f, "     current outbound spi: 0x{spi:X}({spi})")?;
    match view.pfs {
        None => writeln!(f, "     PFS (Y/N): N, DH group: none")?,
        Some(group) => writeln!(f, "     PFS (Y/N): Y, DH group: group{}", group.0)?,
    }
    associations("inbound", &view.inbound, &view.crypto_map, f)?;
    associations("outbound", &view.outbound, &view.crypto_map, f)
}

fn associations(
    direction: &str,
    sas: &[SaView],
    crypto_map: &str,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    writeln!(f, "\n     {direction} esp sas:")?;
    for sa in sas {
        let SaView { spi, transform, connection, .. } = sa;
        let mode = match (sa.mode, sa.udp) {
            (Mode::Transport, false) => "Transport, ",
            (Mode::Tunnel, false) => "Tunnel, ",
            (Mode::Transport, true) => "Transport UDP-Encaps, ",
            (Mode::Tunnel, true) => "Tunnel UDP-Encaps, ",
        };
        writeln!(f, "      spi: 0x{spi:X}({spi})")?;
        writeln!(f, "        transform: {transform} ,")?;
        writeln!(f, "        in use settings ={{{mode}}}")?;
        writeln!(
            f,
            "        conn id: {connection}, flow_id: SW:{connection}, sibling_flags 80000006, \
             crypto map: {crypto_map}"
        )?;
        writeln!(
            f,
            "        sa timing: remaining key lifetime (k/sec): ({})",
            Life(Some(sa.life))
        )?;
        // IOS says 16 for 3DES as well; on the wire its IV has 8 octets.
        writeln!(f, "        IV size: 16 bytes")?;
        let replay = if sa.replay_detection { "Y" } else { "N" };
        writeln!(f, "        replay detection support: {replay}")?;
        writeln!(f, "        Status: ACTIVE")?;
    }
    writeln!(f, "\n     {direction} ah sas:")?;
    writeln!(f, "\n     {direction} pcp sas:")
}
