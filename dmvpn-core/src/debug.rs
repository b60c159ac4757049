//! What `debug …` turns on: switches and conditions, applied to trace records before rendering.

use alloc::collections::BTreeSet;
use core::fmt;
use core::net::IpAddr;

use crate::trace::{Record, Traced};

/// One debug switch of IOS, as `show debug` lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Switch {
    /// `debug nhrp packet` and its kin: packets sent and received.
    NhrpProtocol,
    /// `debug nhrp`: what the client and the server do.
    NhrpActivity,
    /// `debug nhrp extension`.
    NhrpExtension,
    /// `debug nhrp cache`.
    NhrpCache,
    /// `debug nhrp routing`.
    NhrpRouting,
    /// `debug nhrp rate`.
    NhrpRate,
    /// `debug nhrp error`.
    NhrpError,
    /// `debug crypto isakmp`.
    Isakmp,
    /// `debug crypto isakmp error`.
    IsakmpError,
    /// `debug crypto ipsec`.
    Ipsec,
    /// `debug crypto ipsec error`.
    IpsecError,
    /// `debug crypto socket`.
    SecureSocket,
    /// `debug tunnel protection`.
    TunnelProtection,
    /// `debug dmvpn error`.
    DmvpnError,
    /// `debug dmvpn tunnel`: sessions up and down.
    DmvpnUpDown,
    /// `debug dmvpn detail`.
    DmvpnDetail,
    /// `debug dmvpn packet`.
    DmvpnPacket,
}

impl Switch {
    const ALL: [Self; 17] = [
        Self::NhrpProtocol,
        Self::NhrpActivity,
        Self::NhrpExtension,
        Self::NhrpCache,
        Self::NhrpRouting,
        Self::NhrpRate,
        Self::NhrpError,
        Self::Isakmp,
        Self::IsakmpError,
        Self::Ipsec,
        Self::IpsecError,
        Self::SecureSocket,
        Self::TunnelProtection,
        Self::DmvpnError,
        Self::DmvpnUpDown,
        Self::DmvpnDetail,
        Self::DmvpnPacket,
    ];

    /// The heading of `show debug` under which it stands.
    const fn group(self) -> &'static str {
        match self {
            Self::NhrpProtocol
            | Self::NhrpActivity
            | Self::NhrpExtension
            | Self::NhrpCache
            | Self::NhrpRouting
            | Self::NhrpRate
            | Self::NhrpError => "NHRP:",
            Self::Isakmp
            | Self::IsakmpError
            | Self::Ipsec
            | Self::IpsecError
            | Self::SecureSocket => "Cryptographic Subsystem:",
            Self::TunnelProtection => "Tunnel Protection Debugs:",
            Self::DmvpnError | Self::DmvpnUpDown | Self::DmvpnDetail | Self::DmvpnPacket => {
                "DMVPN:"
            }
        }
    }

    const fn phrase(self) -> &'static str {
        match self {
            Self::NhrpProtocol => "NHRP protocol",
            Self::NhrpActivity => "NHRP activity",
            Self::NhrpExtension => "NHRP extension processing",
            Self::NhrpCache => "NHRP cache operations",
            Self::NhrpRouting => "NHRP routing",
            Self::NhrpRate => "NHRP rate limiting",
            Self::NhrpError => "NHRP errors",
            Self::Isakmp => "Crypto ISAKMP",
            Self::IsakmpError => "Crypto ISAKMP Error",
            Self::Ipsec => "Crypto IPSEC",
            Self::IpsecError => "Crypto IPSEC Error",
            Self::SecureSocket => "Crypto secure socket events",
            Self::TunnelProtection => "Generic Tunnel Protection",
            Self::DmvpnError => "DMVPN error",
            Self::DmvpnUpDown => "DMVPN UP/DOWN event",
            Self::DmvpnDetail => "DMVPN detail",
            Self::DmvpnPacket => "DMVPN packet",
        }
    }
}

/// What is being debugged, and for whom.
///
/// Without a condition every peer is; with conditions only records of a peer that meets one, and
/// records that belong to no peer. Filtering reads records and drops none from the ring.
#[derive(Clone, Debug, Default)]
pub struct Debug {
    switches: BTreeSet<Switch>,
    nbma: BTreeSet<IpAddr>,
    tunnel: BTreeSet<IpAddr>,
    crypto: BTreeSet<IpAddr>,
}

impl Debug {
    /// Nothing is debugged.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// `debug dmvpn all all`.
    #[must_use]
    pub fn dmvpn_all() -> Self {
        Self { switches: Switch::ALL.into_iter().collect(), ..Self::default() }
    }

    /// Turns one switch on.
    pub fn on(&mut self, switch: Switch) -> &mut Self {
        self.switches.insert(switch);
        self
    }

    /// Turns one switch off (`no debug …`).
    pub fn turn_off(&mut self, switch: Switch) -> &mut Self {
        self.switches.remove(&switch);
        self
    }

    /// `debug dmvpn condition peer nbma ADDR`.
    pub fn condition_nbma(&mut self, address: IpAddr) -> &mut Self {
        self.nbma.insert(address);
        self
    }

    /// `debug dmvpn condition peer tunnel ADDR`.
    pub fn condition_tunnel(&mut self, address: IpAddr) -> &mut Self {
        self.tunnel.insert(address);
        self
    }

    /// `debug crypto condition peer ipv4 ADDR`.
    pub fn condition_crypto(&mut self, address: IpAddr) -> &mut Self {
        self.crypto.insert(address);
        self
    }

    /// Removes every condition.
    pub fn unconditional(&mut self) -> &mut Self {
        self.nbma.clear();
        self.tunnel.clear();
        self.crypto.clear();
        self
    }

    /// Whether `record` is to be shown.
    #[must_use]
    pub fn shows(&self, traced: &Traced) -> bool {
        let on = match traced.record.switch() {
            Some(switch) => self.switches.contains(&switch),
            // System messages (`%LINK-3-UPDOWN`) are no debug output: they always show.
            None => true,
        };
        on && self.meets_a_condition(traced)
    }

    fn meets_a_condition(&self, traced: &Traced) -> bool {
        let peer = traced.peer();
        let crypto = matches!(traced.record, Record::Isakmp(_));
        let unconditional =
            self.nbma.is_empty() && self.tunnel.is_empty() && (!crypto || self.crypto.is_empty());
        if unconditional || (peer.nbma.is_none() && peer.tunnel.is_none()) {
            return true;
        }
        peer.nbma.is_some_and(|address| {
            self.nbma.contains(&address) || (crypto && self.crypto.contains(&address))
        }) || peer.tunnel.is_some_and(|address| self.tunnel.contains(&address))
    }
}

/// The output of `show debug`.
impl fmt::Display for Debug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut group = "";
        for switch in &self.switches {
            if switch.group() != group {
                if !group.is_empty() {
                    writeln!(f)?;
                }
                group = switch.group();
                writeln!(f, "{group}")?;
            }
            writeln!(f, "  {} debugging is on", switch.phrase())?;
        }
        if Switch::ALL.iter().all(|switch| self.switches.contains(switch)) {
            writeln!(f, "  DMVPN all level debugging is on")?;
        }
        Ok(())
    }
}
