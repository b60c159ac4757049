//! What the user decides about a tunnel interface.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use dmvpn_isakmp::crypto::Group;
use dmvpn_isakmp::{ChildLifetime, EspProposal, Mode};
use thiserror::Error;

use crate::node::esp_transform;

/// The number of a tunnel interface: `TunnelId(0)` is `Tunnel0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelId(pub u32);

impl fmt::Display for TunnelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tunnel{}", self.0)
    }
}

/// `tunnel mode gre …`: whether the tunnel has one other end or many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelMode {
    /// `tunnel destination`: a spoke of phase 1.
    PointToPoint {
        /// The NBMA address of the other end.
        destination: IpAddr,
    },
    /// `tunnel mode gre multipoint`: a hub.
    Multipoint,
}

/// `crypto ipsec profile`: how phase 2 protects a tunnel.
///
/// Tunnels with the same source address share one profile's security associations, as with
/// `tunnel protection … shared`; the GRE key tells them apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpsecProfile {
    /// Its name, for the `show` commands.
    pub name: String,
    /// Transform sets, the preferred one first.
    pub proposals: Vec<EspProposal>,
    /// Transport mode, which DMVPN uses, or tunnel mode.
    pub mode: Mode,
    /// Lifetime of the security associations.
    pub lifetime: ChildLifetime,
    /// `set pfs`.
    pub pfs: Option<Group>,
    /// Width of the anti-replay window in packets, 0 for none, at most 1024.
    pub replay_window: u16,
}

impl IpsecProfile {
    /// AES-256 and HMAC-SHA-256 in transport mode, one hour, a replay window of 64.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            proposals: Vec::from([EspProposal::AES256_SHA256]),
            mode: Mode::Transport,
            lifetime: ChildLifetime::default(),
            pfs: None,
            replay_window: 64,
        }
    }
}

/// A tunnel interface, as the operator configured it.
#[derive(Clone, Debug)]
pub struct TunnelConfig {
    pub(crate) source: IpAddr,
    pub(crate) mode: TunnelMode,
    pub(crate) nhrp: Arc<dmvpn_nhrp::Config>,
    pub(crate) key: Option<u32>,
    pub(crate) checksum: bool,
    pub(crate) protection: Option<IpsecProfile>,
    pub(crate) ip_mtu: u16,
    pub(crate) adjust_mss: Option<u16>,
    pub(crate) source_interface: String,
    pub(crate) shutdown: bool,
}

/// A tunnel configuration that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TunnelConfigError {
    /// Tunnel source and destination are of different address families.
    #[error(
        "tunnel source {source_address} and destination {destination} are of different families"
    )]
    MixedFamilies {
        /// The tunnel's source.
        source_address: IpAddr,
        /// Its destination.
        destination: IpAddr,
    },
    /// A protected tunnel without a transform set.
    #[error("ipsec profile {profile} has no transform set")]
    NoProposal {
        /// The profile's name.
        profile: String,
    },
    /// A transform set that ESP does not have: encryption without integrity, or both in one and
    /// another integrity beside it.
    #[error("ipsec profile {profile} has a transform set that does not authenticate once")]
    Transform {
        /// The profile's name.
        profile: String,
    },
    /// `ip mtu` below what IPv4 requires of every link (RFC 791 §3.2).
    #[error("ip mtu {mtu} is below 68")]
    MtuTooSmall {
        /// The value.
        mtu: u16,
    },
    /// A replay window beyond 1024 packets.
    #[error("replay window {window} is above 1024")]
    ReplayWindow {
        /// The value.
        window: u16,
    },
}

impl TunnelConfig {
    /// A tunnel from `source`, the NBMA address that packets leave from; `nhrp` holds the tunnel
    /// address and everything that NHRP needs.
    pub const fn builder(
        source: IpAddr,
        mode: TunnelMode,
        nhrp: Arc<dmvpn_nhrp::Config>,
    ) -> TunnelConfigBuilder {
        TunnelConfigBuilder(Self {
            source,
            mode,
            nhrp,
            key: None,
            checksum: false,
            protection: None,
            ip_mtu: 1400,
            adjust_mss: None,
            source_interface: String::new(),
            shutdown: false,
        })
    }

    /// Whether the tunnel has many other ends.
    #[must_use]
    pub const fn is_multipoint(&self) -> bool {
        matches!(self.mode, TunnelMode::Multipoint)
    }

    /// The name of IOS's internal crypto map: `Tunnel0-head-0`.
    pub(crate) fn crypto_map(tunnel: TunnelId) -> String {
        format!("{tunnel}-head-0")
    }
}

/// Collects the settings of a [`TunnelConfig`].
#[derive(Clone, Debug)]
#[must_use]
pub struct TunnelConfigBuilder(TunnelConfig);

impl TunnelConfigBuilder {
    /// `tunnel key`: GRE's key field (RFC 2890 §2.1).
    pub const fn key(mut self, key: u32) -> Self {
        self.0.key = Some(key);
        self
    }

    /// `tunnel checksum`: GRE's checksum (RFC 2784 §2.1).
    pub const fn checksum(mut self) -> Self {
        self.0.checksum = true;
        self
    }

    /// `tunnel protection ipsec profile`: from here on nothing leaves in clear.
    pub fn protection(mut self, profile: IpsecProfile) -> Self {
        self.0.protection = Some(profile);
        self
    }

    /// `ip mtu`: the largest packet that may enter the tunnel, in octets; 1400 by default.
    pub const fn ip_mtu(mut self, mtu: u16) -> Self {
        self.0.ip_mtu = mtu;
        self
    }

    /// `ip tcp adjust-mss`: the largest segment that TCP may agree on through the tunnel, in octets.
    pub const fn adjust_mss(mut self, mss: u16) -> Self {
        self.0.adjust_mss = Some(mss);
        self
    }

    /// The name of the interface that owns the tunnel source, for the `show` commands.
    pub fn source_interface(mut self, name: impl Into<String>) -> Self {
        self.0.source_interface = name.into();
        self
    }

    /// `shutdown`: the tunnel is added but stays down.
    pub const fn shutdown(mut self) -> Self {
        self.0.shutdown = true;
        self
    }

    /// Checks the settings against each other.
    ///
    /// # Errors
    ///
    /// [`TunnelConfigError`] names the setting that cannot work.
    pub fn build(self) -> Result<TunnelConfig, TunnelConfigError> {
        let config = self.0;
        if let TunnelMode::PointToPoint { destination } = config.mode
            && destination.is_ipv4() != config.source.is_ipv4()
        {
            return Err(TunnelConfigError::MixedFamilies {
                source_address: config.source,
                destination,
            });
        }
        if let Some(profile) = &config.protection {
            if profile.proposals.is_empty() {
                return Err(TunnelConfigError::NoProposal { profile: profile.name.clone() });
            }
            if profile.proposals.iter().any(|proposal| esp_transform(*proposal).is_none()) {
                return Err(TunnelConfigError::Transform { profile: profile.name.clone() });
            }
            if profile.replay_window > 1024 {
                return Err(TunnelConfigError::ReplayWindow { window: profile.replay_window });
            }
        }
        if config.ip_mtu < 68 {
            return Err(TunnelConfigError::MtuTooSmall { mtu: config.ip_mtu });
        }
        Ok(config)
    }
}
