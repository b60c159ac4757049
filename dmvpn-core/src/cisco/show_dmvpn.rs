//! `show dmvpn`, `show ip nhrp`, `show ip nhrp nhs`.

use core::fmt;

use super::Clock;
use super::show_crypto::{flow, ike_sas, socket_word, status_word};
use crate::node::Node;
use crate::tunnel::TunnelId;
use crate::view::{DmvpnPeerState, DmvpnPeerView, DmvpnView, SessionView};

const LEGEND: &str = "\
Legend: Attrb --> S - Static, D - Dynamic, I - Incomplete
        N - NATed, L - Local, X - No Socket
        # Ent --> Number of NHRP entries with same NBMA peer
        NHS Status: E --> Expecting Replies, R --> Responding, W --> Waiting
        UpDn Time --> Up or Down Time for a Tunnel
==========================================================================
";

/// `show ip nhrp`.
#[derive(Clone, Copy, Debug)]
pub struct IpNhrp<'a>(pub &'a Node);

impl fmt::Display for IpNhrp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for tunnel in self.0.tunnels() {
            for entry in self.0.nhrp_cache(tunnel) {
                write!(f, "{}", dmvpn_nhrp::cisco::ShowCache(&entry))?;
            }
        }
        Ok(())
    }
}

/// `show ip nhrp nhs`.
#[derive(Clone, Copy, Debug)]
pub struct IpNhrpNhs<'a>(pub &'a Node);

impl fmt::Display for IpNhrpNhs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Legend: E=Expecting replies, R=Responding, W=Waiting")?;
        for tunnel in self.0.tunnels() {
            let mut servers = self.0.nhrp_servers(tunnel).peekable();
            if servers.peek().is_some() {
                writeln!(f, "{tunnel}:")?;
            }
            for server in servers {
                writeln!(f, "{}", dmvpn_nhrp::cisco::ShowServer(&server))?;
            }
        }
        Ok(())
    }
}

/// `show dmvpn`, or `show dmvpn detail`.
#[derive(Clone, Copy, Debug)]
pub struct Dmvpn<'a> {
    /// The node.
    pub node: &'a Node,
    /// With next hop servers, target networks and crypto sessions.
    pub detail: bool,
}

impl fmt::Display for Dmvpn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(LEGEND)?;
        for tunnel in self.node.dmvpn() {
            writeln!(f)?;
            if self.detail {
                detail(&tunnel, f)?;
            } else {
                brief(&tunnel, f)?;
            }
        }
        if self.detail {
            writeln!(f, "\nCrypto Session Details:")?;
            writeln!(f, "{}", "-".repeat(80))?;
            for session in self.node.sessions() {
                writeln!(f)?;
                crypto_session(&session, f)?;
            }
            writeln!(f, "\nPending DMVPN Sessions:")?;
        }
        Ok(())
    }
}

const fn role(tunnel: &DmvpnView) -> &'static str {
    if tunnel.servers.is_empty() { "Hub" } else { "Spoke" }
}

fn brief(tunnel: &DmvpnView, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let DmvpnView { tunnel: id, peers, .. } = tunnel;
    let family = if tunnel.address.is_ipv4() { "IPv4" } else { "IPv6" };
    writeln!(f, "Interface: {id}, {family} NHRP Details")?;
    writeln!(f, "Type:{}, NHRP Peers:{},\n", role(tunnel), peers.len())?;
    writeln!(f, " # Ent  Peer NBMA Addr Peer Tunnel Add State  UpDn Tm Attrb")?;
    writeln!(f, " ----- --------------- --------------- ----- -------- -----")?;
    for peer in peers {
        row(peer, f)?;
        writeln!(f)?;
    }
    Ok(())
}

fn detail(tunnel: &DmvpnView, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let DmvpnView { tunnel: id, interface, address, source, servers, peers, .. } = tunnel;
    writeln!(f, "Interface {id} is {}, Addr. is {address}, VRF \"\"", interface.words())?;
    write!(f, "   Tunnel Src./Dest. addr: {source}/")?;
    match tunnel.destination {
        Some(destination) => write!(f, "{destination}")?,
        None => f.write_str("MGRE")?,
    }
    writeln!(f, ", Tunnel VRF \"\"")?;
    let protocol = if tunnel.destination.is_some() { "GRE/IP" } else { "multi-GRE/IP" };
    let profile = tunnel.profile.as_deref().unwrap_or_default();
    writeln!(f, "   Protocol/Transport: \"{protocol}\", Protect \"{profile}\"")?;
    writeln!(f, "   Interface State Control: Disabled")?;
    if !servers.is_empty() {
        writeln!(f, "\nIPv4 NHS:")?;
        for server in servers {
            writeln!(f, "{}", dmvpn_nhrp::cisco::ShowServer(server))?;
        }
    }
    let count = |v4: bool| {
        peers.iter().filter(|peer| peer.nbma.is_some_and(|nbma| nbma.is_ipv4() == v4)).count()
    };
    write!(f, "Type:{}, Total NBMA Peers (v4/v6): {}", role(tunnel), count(true))?;
    match count(false) {
        0 => writeln!(f, "\n")?,
        v6 => writeln!(f, "/{v6}\n")?,
    }
    writeln!(f, "# Ent  Peer NBMA Addr Peer Tunnel Add State  UpDn Tm Attrb    Target Network")?;
    writeln!(f, "----- --------------- --------------- ----- -------- ----- -----------------")?;
    for peer in peers {
        row(peer, f)?;
        writeln!(f, " {:>17}", dmvpn_nhrp::cisco::Target(&peer.entry))?;
    }
    Ok(())
}

fn row(peer: &DmvpnPeerView, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let state = match peer.state {
        DmvpnPeerState::Up => "UP",
        DmvpnPeerState::Nhrp => "NHRP",
        DmvpnPeerState::Ike => "IKE",
    };
    let nbma = peer.nbma.map_or_else(|| "UNKNOWN".into(), |nbma| alloc::format!("{nbma}"));
    let (hop, since) =
        (alloc::format!("{}", peer.next_hop), alloc::format!("{}", Clock(peer.since)));
    let attributes = dmvpn_nhrp::cisco::Attributes(&peer.entry);
    write!(f, "{:>6} {nbma:>15} {hop:>15} {state:>5} {since:>8} {attributes:>5}", peer.entries)
}

/// The crypto session as `show dmvpn detail` has it: shorter, with the outbound index.
fn crypto_session(session: &SessionView, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "Interface: {}", session.tunnel)?;
    // IOS prints the address of its own structure; ours is the number of the peer.
    writeln!(f, "Session: [0x{:08X}]", session.peer.0)?;
    ike_sas(session, f)?;
    writeln!(f, "  Crypto Session Status: {}", status_word(session.status))?;
    write!(f, "  fvrf: (none), Phase1_id: ")?;
    match &session.identity {
        Some(identity) => writeln!(f, "{identity}")?,
        None => writeln!(f, "(none)")?,
    }
    flow(session, f)?;
    if let Some((spi, transform)) = session.outbound {
        writeln!(f, "   Outbound SPI : 0x{spi:>8X}, transform : {transform}")?;
    }
    writeln!(f, "    Socket State: {}", socket_word(session.socket))
}

/// The tunnels of a node, which the `show ip nhrp` commands walk.
impl Node {
    fn tunnels(&self) -> alloc::vec::Vec<TunnelId> {
        self.dmvpn().map(|view| view.tunnel).collect()
    }
}
