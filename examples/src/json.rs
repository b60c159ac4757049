//! What the `show` commands show, as JSON: from the views, not from the text.
//!
//! Keys are stable; README.md lists them. Addresses and names are text, ages and what is left of a
//! life are whole seconds, what is not there is `null`.

use core::time::Duration;

use dmvpn_core::isakmp::{Mode, Phase1View, Role, Selectors};
use dmvpn_core::nhrp::{self, CacheKind, CacheView, ServerView};
use dmvpn_core::view::{
    CryptoSocketView, DmvpnPeerState, DmvpnPeerView, DmvpnView, IpsecView, LifeView, SaView,
    SessionStatus, SessionView,
};
use dmvpn_core::{Event, InterfaceState, Node, SocketState, TunnelId, esp};
use serde_json::{Value, json};

use crate::options::ShowCommand;

/// What a `show` command shows: an array, of one object for each block of the text.
#[must_use]
pub fn show(node: &Node, command: ShowCommand) -> Value {
    match command {
        ShowCommand::CryptoSockets => node.crypto_sockets().map(|view| socket(&view)).collect(),
        ShowCommand::CryptoSessionDetail => node.sessions().map(|view| session(&view)).collect(),
        ShowCommand::CryptoIsakmpSaDetail => node.isakmp_sas().map(|view| phase1(&view)).collect(),
        ShowCommand::CryptoIpsecSaDetail => node.ipsec_sas().map(|view| ipsec(&view)).collect(),
        ShowCommand::IpNhrp => {
            let entries = tunnels(node).flat_map(|id| node.nhrp_cache(id));
            entries.map(|view| cache(&view)).collect()
        }
        ShowCommand::IpNhrpNhs => {
            let with_tunnel =
                |id| node.nhrp_servers(id).map(move |view| server(id, &view)).collect::<Vec<_>>();
            tunnels(node).flat_map(with_tunnel).collect()
        }
        ShowCommand::Dmvpn => node.dmvpn().map(|view| dmvpn(&view)).collect(),
        ShowCommand::DmvpnDetail => {
            let sessions: Vec<SessionView> = node.sessions().collect();
            let with_sessions = |view: DmvpnView| {
                let own = sessions.iter().filter(|session| session.tunnel == view.tunnel);
                let mut value = dmvpn(&view);
                value["sessions"] = own.map(session).collect();
                value
            };
            node.dmvpn().map(with_sessions).collect()
        }
    }
}

fn tunnels(node: &Node) -> impl Iterator<Item = TunnelId> + '_ {
    node.dmvpn().map(|view| view.tunnel)
}

/// An object of some fields of a struct, each under its own name.
macro_rules! fields {
    ($of:expr, $($field:ident),+ $(,)?) => {
        serde_json::Value::from_iter([$((stringify!($field), serde_json::json!($of.$field))),+])
    };
}

/// An object of all fields of a struct of this crate: one that is forgotten does not compile.
macro_rules! all_fields {
    ($of:ident { $($field:ident),+ $(,)? } = $value:expr) => {{
        let $of { $($field),+ } = $value;
        serde_json::Value::from_iter([$((stringify!($field), serde_json::json!($field))),+])
    }};
}
pub(crate) use all_fields;

/// Counters and table sizes of a node, its children and its tunnels.
#[must_use]
pub fn counters(node: &Node) -> Value {
    let isakmp = node.isakmp().counters();
    let tunnels = tunnels(node).map(|id| {
        let tunnel = node.tunnel_counters(id).copied().unwrap_or_default();
        let nhrp = node.nhrp(id).map(nhrp::Endpoint::counters).unwrap_or_default();
        let mut value =
            fields!(tunnel, received, sent, unresolved, too_big, no_sa, congestion, mss_adjusted,);
        value["tunnel"] = json!(id.to_string());
        value["nhrp"] = fields!(
            nhrp,
            received,
            discarded,
            sent,
            retransmitted,
            registrations_accepted,
            registrations_refused,
            authentication_failures,
            errors_sent,
            errors_received,
            deviations,
            requests_limited,
            entries_refused,
            errors_suppressed,
            refused_for_queue,
            transmits_dropped,
            events_coalesced,
            traces_dropped,
        );
        value
    });
    json!({
        "node": fields!(
            node.counters(),
            received,
            discarded,
            unknown_spi,
            unprotected,
            no_tunnel,
            path_mtu_lowered,
            path_mtu_refused,
            transmits_dropped,
            events_coalesced,
            events_dropped,
            traces_dropped,
        ),
        "tables": fields!(node.table_sizes(), peers, places, sessions, inbound, timers),
        "isakmp": fields!(
            isakmp,
            received,
            discarded,
            sent,
            retransmitted,
            duplicates,
            deviations,
            aggressive_modes_refused,
            phase1_completed,
            failed,
            phase2_completed,
            half_open_refused,
            half_open_evicted,
            half_open_expired,
            aggressive_modes_limited,
            refusals_suppressed,
            oversized,
            repeats_refused,
            quick_modes_refused,
            quick_modes_forgotten,
            message_ids_forgotten,
            phase1_displaced,
            pairs_displaced,
            fragments_refused,
            reassemblies_displaced,
            reassemblies_expired,
            refused_for_queue,
            transmits_dropped,
            events_coalesced,
            traces_dropped,
        ),
        "tunnels": tunnels.collect::<Value>(),
    })
}

/// Counters as text: a heading for each object, by its key or by the tunnel that it is about, and under
/// it one counter a line, in columns.
#[must_use]
pub fn columns(counters: &Value) -> String {
    let mut text = String::new();
    block(&mut text, "", counters);
    text
}

fn block(text: &mut String, heading: &str, value: &Value) {
    const NAME: usize = 26;
    const NUMBER: usize = 14;
    if let Some(values) = value.as_array() {
        values.iter().for_each(|value| block(text, heading, value));
        return;
    }
    let Some(object) = value.as_object() else { return };
    let tunnel = object.get("tunnel").and_then(Value::as_str);
    let heading = match tunnel {
        Some(tunnel) => tunnel.to_owned(),
        None => heading.to_owned(),
    };
    let numbers = object.iter().filter_map(|(name, value)| Some((name, value.as_u64()?)));
    let lines: String =
        numbers.map(|(name, number)| format!("  {name:<NAME$}{number:>NUMBER$}\n")).collect();
    if !lines.is_empty() {
        *text += &format!("{heading}\n{lines}");
    }
    for (name, value) in object {
        let inner = if tunnel.is_some() { format!("{heading} {name}") } else { name.clone() };
        block(text, &inner, value);
    }
}

/// Something that a node told, so long ago.
#[must_use]
pub fn event(ago: Duration, event: &Event) -> Value {
    let mut value = match event {
        Event::InterfaceUp { tunnel } => {
            json!({ "event": "interface_up", "tunnel": tunnel.to_string() })
        }
        Event::InterfaceDown { tunnel } => {
            json!({ "event": "interface_down", "tunnel": tunnel.to_string() })
        }
        Event::PeerUp { peer, identity, remote } => json!({
            "event": "peer_up",
            "peer": peer.to_string(),
            "identity": identity.to_string(),
            "remote": remote.ip().to_string(),
            "port": remote.port(),
        }),
        Event::PeerMoved { peer, remote } => json!({
            "event": "peer_moved",
            "peer": peer.to_string(),
            "remote": remote.ip().to_string(),
            "port": remote.port(),
        }),
        Event::PeerDown { peer, reason } => json!({
            "event": "peer_down",
            "peer": peer.to_string(),
            "reason": reason.to_string(),
        }),
        Event::NegotiationFailed { peer, reason } => json!({
            "event": "negotiation_failed",
            "peer": peer.to_string(),
            "reason": reason.to_string(),
        }),
        Event::Nhrp { tunnel, event } => nhrp_event(*tunnel, event),
        Event::Keepalive { tunnel, remote } => json!({
            "event": "keepalive",
            "tunnel": tunnel.to_string(),
            "remote": remote.to_string(),
        }),
        // What a later version of the library tells and this one cannot name.
        _ => json!({ "event": "other" }),
    };
    value["ago"] = json!(ago.as_secs());
    value
}

fn nhrp_event(tunnel: TunnelId, event: &nhrp::Event) -> Value {
    use nhrp::Event;
    let mut value = match event {
        Event::NhsUp { address } => json!({ "event": "nhs_up", "address": address.to_string() }),
        Event::NhsDown { address } => {
            json!({ "event": "nhs_down", "address": address.to_string() })
        }
        Event::RegistrationRefused { address, code } => json!({
            "event": "registration_refused",
            "address": address.to_string(),
            "code": code.0,
        }),
        Event::CacheAdded { target, nbma, .. } => json!({
            "event": "cache_added",
            "target": target.to_string(),
            "nbma": nbma.to_string(),
        }),
        Event::CacheUpdated { target, nbma, .. } => json!({
            "event": "cache_updated",
            "target": target.to_string(),
            "nbma": nbma.to_string(),
        }),
        Event::CacheRemoved { target, nbma, .. } => json!({
            "event": "cache_removed",
            "target": target.to_string(),
            "nbma": nbma.to_string(),
        }),
        Event::MulticastAdded { .. } => json!({ "event": "multicast_added" }),
        Event::MulticastRemoved { .. } => json!({ "event": "multicast_removed" }),
        Event::AuthenticationFailed { nbma, .. } => {
            json!({ "event": "authentication_failed", "nbma": nbma.to_string() })
        }
        Event::ErrorReported { nbma, code } => json!({
            "event": "error_reported",
            "nbma": nbma.to_string(),
            "code": code.0,
        }),
        _ => json!({ "event": "other" }),
    };
    value["tunnel"] = json!(tunnel.to_string());
    value
}

fn text(value: Option<impl ToString>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn seconds(duration: Option<Duration>) -> Option<u64> {
    duration.map(|duration| duration.as_secs())
}

fn spi(spi: u32) -> String {
    format!("{spi:#010x}")
}

const fn socket_state(state: SocketState) -> &'static str {
    match state {
        SocketState::Opening => "opening",
        SocketState::Open => "open",
        SocketState::Closed => "closed",
    }
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Transport => "transport",
        Mode::Tunnel => "tunnel",
    }
}

fn socket(view: &CryptoSocketView) -> Value {
    json!({
        "tunnel": view.tunnel.to_string(),
        "peer": view.peer.to_string(),
        "local": view.local.to_string(),
        "remote": view.remote.to_string(),
        "profile": view.profile,
        "state": socket_state(view.state),
    })
}

fn life(view: Option<LifeView>) -> Value {
    view.map_or(Value::Null, |life| fields!(life, kilobytes, seconds))
}

fn session(view: &SessionView) -> Value {
    json!({
        "tunnel": view.tunnel.to_string(),
        "peer": view.peer.to_string(),
        "uptime": seconds(view.uptime),
        "status": match view.status {
            SessionStatus::UpActive => "up_active",
            SessionStatus::UpNoIke => "up_no_ike",
            SessionStatus::UpIdle => "up_idle",
            SessionStatus::DownNegotiating => "down_negotiating",
            SessionStatus::Down => "down",
        },
        "local": view.local.to_string(),
        "remote": view.remote.to_string(),
        "port": view.port,
        "identity": text(view.identity.as_ref()),
        "phase1": view.phase1.iter().map(phase1).collect::<Value>(),
        "active_sas": view.active_sas,
        "decrypted": view.decrypted,
        "inbound_dropped": view.inbound_dropped,
        "encrypted": view.encrypted,
        "outbound_dropped": view.outbound_dropped,
        "inbound_life": life(view.inbound_life),
        "outbound_life": life(view.outbound_life),
        "outbound_spi": view.outbound.map(|(ours, _)| spi(ours)),
        "transform": text(view.outbound.map(|(_, transform)| transform)),
        "socket": socket_state(view.socket),
    })
}

fn phase1(view: &Phase1View) -> Value {
    json!({
        "connection": view.connection,
        "role": match view.role {
            Role::Initiator => "initiator",
            Role::Responder => "responder",
        },
        "state": view.coarse.to_string(),
        "detailed_state": view.state.to_string(),
        "local": view.path.local.ip().to_string(),
        "local_port": view.path.local.port(),
        "remote": view.path.remote.ip().to_string(),
        "remote_port": view.path.remote.port(),
        "initiator_cookie": cookie(view.cookies.0.0),
        "responder_cookie": cookie(view.cookies.1.0),
        "encryption": text(view.suite.map(|suite| suite.encryption.code_point().0)),
        "key_length": view.suite.and_then(|suite| suite.encryption.code_point().1),
        "hash": text(view.suite.map(|suite| suite.hash)),
        "group": view.suite.map(|suite| suite.group.0),
        "remaining": seconds(view.remaining),
        "identity": text(view.identity.as_ref()),
        "dead_peer_detection": view.dead_peer_detection,
    })
}

fn cookie(octets: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(octets))
}

fn ipsec(view: &IpsecView) -> Value {
    json!({
        "tunnel": view.tunnel.to_string(),
        "crypto_map": view.crypto_map,
        "local": view.local.to_string(),
        "remote": view.remote.to_string(),
        "port": view.port,
        "selectors": view.selectors.as_ref().map(selectors),
        "path_mtu": view.path_mtu,
        "source_interface": view.source_interface,
        "pfs_group": view.pfs.map(|group| group.0),
        "current_outbound_spi":
            (view.current_outbound != 0).then(|| spi(view.current_outbound)),
        "inbound": view.inbound.iter().map(sa).collect::<Value>(),
        "outbound": view.outbound.iter().map(sa).collect::<Value>(),
        "counters": esp_counters(&view.counters),
    })
}

fn selectors(view: &Selectors) -> Value {
    json!({ "local": view.local.to_string(), "remote": view.remote.to_string() })
}

fn esp_counters(counters: &esp::Counters) -> Value {
    fields!(
        counters,
        encaps,
        encrypt,
        digest,
        decaps,
        decrypt,
        verify,
        no_sa_send,
        invalid_sa_receive,
        encaps_failed_send,
        decaps_failed_receive,
        invalid_protocol_receive,
        verify_failed,
        invalid_identity_receive,
        invalid_length_receive,
        replay_rollover_send,
        replay_rollover_receive,
        replay_failed_receive,
        internal_error_send,
        internal_error_receive,
        invalid_protocol_send,
        lifetime_expired_send,
        lifetime_expired_receive,
        dummies,
        odd_padding,
    )
}

fn sa(view: &SaView) -> Value {
    json!({
        "spi": spi(view.spi),
        "transform": view.transform.to_string(),
        "mode": mode(view.mode),
        "udp": view.udp,
        "connection": view.connection,
        "life": life(Some(view.life)),
        "replay_detection": view.replay_detection,
    })
}

fn cache(view: &CacheView) -> Value {
    json!({
        "tunnel": &*view.interface,
        "target": view.target.to_string(),
        "next_hop": view.next_hop.to_string(),
        "nbma": text(view.nbma),
        "claimed_nbma": text(view.claimed_nbma),
        "age": view.age.as_secs(),
        "expires": seconds(view.expires),
        "type": match view.kind {
            CacheKind::Static => "static",
            CacheKind::Dynamic => "dynamic",
            CacheKind::Incomplete => "incomplete",
        },
        "flags": fields!(view.flags, unique, registered, local, nat),
    })
}

fn server(tunnel: TunnelId, view: &ServerView) -> Value {
    json!({
        "tunnel": tunnel.to_string(),
        "address": view.address.to_string(),
        "nbma": text(view.nbma),
        "state": match view.state {
            nhrp::ServerState::Down => "down",
            nhrp::ServerState::Waiting => "waiting",
            nhrp::ServerState::Expecting => "expecting",
            nhrp::ServerState::Responding => "responding",
        },
        "priority": view.priority,
        "cluster": view.cluster,
        "outside_nbma": text(view.outside_nbma),
    })
}

fn dmvpn(view: &DmvpnView) -> Value {
    json!({
        "tunnel": view.tunnel.to_string(),
        "interface": match view.interface {
            InterfaceState::Up => "up",
            InterfaceState::Down => "down",
            InterfaceState::ShuttingDown => "shutting_down",
            InterfaceState::AdministrativelyDown => "administratively_down",
        },
        "address": view.address.to_string(),
        "source": view.source.to_string(),
        "destination": text(view.destination),
        "profile": view.profile,
        "servers": view.servers.iter().map(|nhs| server(view.tunnel, nhs)).collect::<Value>(),
        "peers": view.peers.iter().map(dmvpn_peer).collect::<Value>(),
    })
}

fn dmvpn_peer(view: &DmvpnPeerView) -> Value {
    json!({
        "entries": view.entries,
        "nbma": text(view.nbma),
        "next_hop": view.next_hop.to_string(),
        "state": match view.state {
            DmvpnPeerState::Up => "up",
            DmvpnPeerState::Nhrp => "nhrp",
            DmvpnPeerState::Ike => "ike",
        },
        "since": view.since.as_secs(),
        "target": view.entry.target.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_stand_in_columns_under_what_they_are_about() {
        let counters = json!({
            "node": { "received": 12, "discarded": 0 },
            "tunnels": [{ "tunnel": "Tunnel7", "sent": 3, "nhrp": { "received": 1_000_000 } }],
        });
        let lines = [
            "node",
            "  discarded                              0",
            "  received                              12",
            "Tunnel7",
            "  sent                                   3",
            "Tunnel7 nhrp",
            "  received                         1000000",
        ];
        assert_eq!(columns(&counters).lines().collect::<Vec<_>>(), lines);
    }
}
