//! Debug lines.

use core::fmt;
use core::net::IpAddr;

use crate::trace::{Overflow, Record, Socket, SocketChange, System, Traced};

/// Renders a record as IOS prints it: one or more lines, no time, no line end.
#[derive(Clone, Copy, Debug)]
pub struct Debug<'a>(pub &'a Traced);

impl fmt::Display for Debug<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.record {
            Record::Isakmp(traced) => dmvpn_isakmp::cisco::Debug(traced).fmt(f),
            Record::Nhrp(_, traced) => dmvpn_nhrp::cisco::Debug(traced).fmt(f),
            Record::Socket(socket) => crypto_socket(socket, f),
            Record::System(message) => system(message, f),
            Record::Overflow(Overflow::TransmitDropped { remote, limit }) => {
                write!(f, "DMVPN: packet to {} dropped: {limit} wait to be sent", remote.ip())
            }
            Record::Overflow(Overflow::EventsCoalesced { total }) => {
                write!(f, "DMVPN: {total} events became meaningless before anybody asked")
            }
        }
    }
}

/// A host address with its mask: `172.16.1.1/255.255.255.255`.
struct Host(IpAddr);

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}/255.255.255.255"),
            IpAddr::V6(address) => write!(f, "{address}/128"),
        }
    }
}

fn crypto_socket(socket: &Socket, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Socket { tunnel, multipoint, local, remote, change } = socket;
    let kind = if *multipoint { "MGRE" } else { "GRE" };
    let prefix = |f: &mut fmt::Formatter<'_>| {
        write!(f, "IPSEC-IFC {kind}/Tu{}", tunnel.0)?;
        if let Some(remote) = remote {
            write!(f, "({local}/{remote})")?;
        }
        f.write_str(": ")
    };
    let open = |f: &mut fmt::Formatter<'_>, kind: &str| {
        write!(f, "CRYPTO_SS(TUNNEL SEC): {kind} open, socket info: ")?;
        write!(f, "local {local} {}/0, ", Host(*local))?;
        if let Some(remote) = remote {
            write!(f, "remote {remote} {}/0, ", Host(*remote))?;
        }
        write!(f, "prot 47, ifc Tu{}", tunnel.0)
    };
    match change {
        SocketChange::Opening { profile } => {
            prefix(f)?;
            write!(f, "Opening a socket with profile {profile}")
        }
        SocketChange::Listening => {
            f.write_str("CRYPTO_SS(TUNNEL SEC): Application started listening")
        }
        SocketChange::ActiveOpen => open(f, "Active"),
        SocketChange::PassiveOpen => open(f, "Passive"),
        SocketChange::Bound => {
            f.write_str("CRYPTO_SS(TUNNEL SEC): Completed binding of application to socket")
        }
        SocketChange::Up => {
            prefix(f)?;
            f.write_str("tunnel_protection_socket_up")
        }
        SocketChange::SignallingNhrp => {
            prefix(f)?;
            f.write_str("Signalling NHRP")
        }
        SocketChange::Mtu(mtu) => {
            prefix(f)?;
            write!(f, "Got MTU message mtu {mtu}")
        }
        SocketChange::Down => {
            prefix(f)?;
            f.write_str("tunnel_protection_socket_down")
        }
    }
}

fn system(message: &System, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let word = |up: bool| if up { "up" } else { "down" };
    match message {
        System::Link { tunnel, up } => write!(
            f,
            "%LINK-3-UPDOWN: Interface Tunnel{}, changed state to {}",
            tunnel.0,
            word(*up)
        ),
        System::LineProtocol { tunnel, up } => write!(
            f,
            "%LINEPROTO-5-UPDOWN: Line protocol on Interface Tunnel{}, changed state to {}",
            tunnel.0,
            word(*up)
        ),
        System::InvalidSpi { destination, spi, source } => write!(
            f,
            "%CRYPTO-4-RECVD_PKT_INV_SPI: decaps: rec'd IPSEC packet has invalid spi for \
             destaddr={destination}, prot=50, spi=0x{spi:X}({spi}), srcaddr={source}"
        ),
        System::NotIpsec { destination, source } => write!(
            f,
            "%CRYPTO-4-RECVD_PKT_NOT_IPSEC: Rec'd packet not an IPSEC packet. (ip) \
             vrf/dest_addr= /{destination}, src_addr= {source}, prot= 47"
        ),
    }
}
