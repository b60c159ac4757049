//! Debug lines.

use core::fmt;
use core::net::IpAddr;

use super::PacketFields;
use crate::{Prefix, RemovalCause, Trace, Traced};

/// Renders a record as IOS prints it: one or more lines, no time, no line end after the last.
///
/// Records of what the guide does not show come in words of our own, in the same form.
#[derive(Clone, Copy, Debug)]
pub struct Debug<'a>(pub &'a Traced);

impl fmt::Display for Debug<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate_limiting = matches!(
            self.0.trace,
            Trace::RegistrationInitial { .. } | Trace::RegistrationRetransmit { .. }
        );
        f.write_str(if rate_limiting { "NHRP-RATE: " } else { "NHRP: " })?;
        line(&self.0.trace, &self.0.interface, f)
    }
}

/// What follows the name of the debug switch.
fn line(trace: &Trace, interface: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match trace {
        Trace::InterfaceUp => write!(f, "if_up: {interface} proto 0"),
        Trace::InterfaceDown => write!(f, "if_down: {interface} proto 0"),

        Trace::SendAttempt { destination } => {
            write!(f, "Attempting to send packet via DEST {destination}")
        }
        Trace::Resolved { address, nbma } => {
            write!(f, "NHRP successfully resolved {address} to NBMA {nbma}")
        }
        Trace::Encapsulated { nbma } => {
            write!(f, "Encapsulation succeeded.  Tunnel IP addr {nbma}")
        }
        Trace::PacketSent { source, destination, packet } => {
            write!(f, "Send {} via {interface} vrf 0, ", packet.packet_type())?;
            writeln!(f, "packet size: {}", packet.encoded_len())?;
            writeln!(f, "  src: {source}, dst: {destination}")?;
            write!(f, "{}", PacketFields(packet))
        }
        Trace::PacketReceived { packet } => {
            write!(f, "Receive {} via {interface} vrf 0, ", packet.packet_type())?;
            writeln!(f, "packet size: {}", packet.encoded_len())?;
            write!(f, "{}", PacketFields(packet))
        }
        Trace::Network { incoming, to_us } => {
            write!(f, "netid_in = {incoming}, to_us = {}", u8::from(*to_us))
        }

        Trace::CacheAdd { target, next_hop, nbma } => {
            let entry = CacheEntry { target, next_hop, nbma, cause: None };
            write!(f, "{interface}: Cache add for {entry}")
        }
        Trace::CacheUpdate { target, next_hop, nbma } => {
            let entry = CacheEntry { target, next_hop, nbma, cause: None };
            write!(f, "{interface}: Cache update for {entry}")
        }
        Trace::CacheDelete { target, next_hop, nbma, cause } => {
            let entry = CacheEntry { target, next_hop, nbma, cause: Some(*cause) };
            write!(f, "{interface}: Cache delete for {entry}")
        }
        Trace::EndpointsAdding { protocol, nbma } => {
            write!(f, "Adding Tunnel Endpoints (VPN: {protocol}, NBMA: {nbma})")
        }
        Trace::EndpointsAttached { protocol, nbma } => {
            f.write_str("Successfully attached NHRP subblock for ")?;
            write!(f, "Tunnel Endpoints (VPN: {protocol}, NBMA: {nbma})")
        }
        Trace::SubblockInserted { target, next_hop } => {
            write!(f, "Inserted subblock node for cache: Target {target} nhop {next_hop}")
        }
        Trace::ConvertedToExternal { target } => {
            f.write_str("Converted internal dynamic cache entry for ")?;
            write!(f, "{target} interface {interface} to external")
        }
        Trace::MulticastCreating { nbma } => {
            let interface = ShortName(interface);
            write!(f, "{interface}: Creating dynamic multicast mapping NBMA: {nbma}")
        }
        Trace::MulticastAdded { nbma } => {
            write!(f, "Added dynamic multicast mapping for NBMA: {nbma}")
        }
        Trace::MulticastRemoved { nbma } => {
            write!(f, "Removed dynamic multicast mapping for NBMA: {nbma}")
        }

        Trace::OurNbma { nbma, alternate } => {
            write!(f, "Updating our cache with NBMA: {nbma}, NBMA_ALT: {alternate}")
        }
        Trace::NatDetected { claimed, outside } => {
            write!(f, "NAT detected: client claims NBMA {claimed}, its packets come from {outside}")
        }
        Trace::MandatoryLength { octets } => write!(f, "New mandatory length: {octets}"),
        Trace::RegistrationRefused { target, code } => {
            write!(f, "Registration of {target} refused: {code}")
        }

        Trace::NoServers => f.write_str("Unable to send Registration - no NHSes configured"),
        Trace::ServerTransition { address, cluster, priority, to, from } => {
            write!(f, "NHS {address} {interface} vrf 0 Cluster {cluster} Priority {priority} ")?;
            write!(f, "Transitioned to '{}' from '{}'", to.letters(), from.letters())
        }
        Trace::RegistrationInitial { address, request_id } => {
            write!(f, "Sending initial Registration Request for {address}, reqid {request_id}")
        }
        Trace::RegistrationRetransmit { address, request_id, interval } => {
            f.write_str("Retransmitting Registration Request ")?;
            let seconds = interval.as_secs();
            write!(f, "for {address}, reqid {request_id}, (retrans ivl {seconds} sec)")
        }
        Trace::NhsUp { address } => write!(f, "NHS-UP: {address}"),
        Trace::NhsDown { address } => write!(f, "NHS-DOWN: {address}"),
        Trace::RefusalReceived { address, code } => {
            write!(f, "NHS {address} refuses our registration: {code}")
        }
        Trace::BehindNat { outside } => {
            write!(f, "NAT detected: our packets arrive from NBMA {outside}")
        }

        Trace::AuthenticationFailed => f.write_str("Authentication failed"),
        Trace::ErrorReported { code, offset } => {
            write!(f, "Error Indication from peer: {code}, offset {offset}")
        }
        Trace::TransmitDropped { limit } => write!(f, "Packet lost: {limit} wait to be sent"),
        Trace::EventsCoalesced { total } => {
            write!(f, "{total} events became meaningless before anybody asked")
        }
        Trace::Discarded(reason) => write!(f, "Packet dropped: {reason}"),
        Trace::Deviation(deviation) => write!(f, "Accepted although forbidden: {deviation:?}"),
    }
}

/// `target 10.1.1.1/32 next-hop 10.1.1.1` and, below, where that is.
struct CacheEntry<'a> {
    target: &'a Prefix,
    next_hop: &'a IpAddr,
    nbma: &'a Option<IpAddr>,
    cause: Option<RemovalCause>,
}

impl fmt::Display for CacheEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "target {} next-hop {}", self.target, self.next_hop)?;
        f.write_str(match self.cause {
            None => "",
            Some(RemovalCause::Expired) => " (expired)",
            Some(RemovalCause::Purged) => " (purged)",
            Some(RemovalCause::Moved) => " (moved)",
            Some(RemovalCause::InterfaceDown) => " (interface down)",
            Some(RemovalCause::Unconfigured) => " (no longer configured)",
            Some(RemovalCause::Cleared) => " (cleared)",
        })?;
        match self.nbma {
            Some(nbma) => write!(f, "\n           {nbma}"),
            None => Ok(()),
        }
    }
}

/// An interface as IOS shortens its name: two letters and the number, `Tu0`.
struct ShortName<'a>(&'a str);

impl fmt::Display for ShortName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
        let number = self.0.strip_prefix(name).unwrap_or_default();
        name.chars().take(2).chain(number.chars()).try_for_each(|c| fmt::Write::write_char(f, c))
    }
}
