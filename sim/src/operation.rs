//! What happens to a cloud: faults, operators, traffic, strangers.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use crate::router::Command;
use crate::underlay::Weather;

/// Something that happens at one moment. Sites are numbered: the hubs first, then the spokes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The link of a site, or of all sites, gets worse for a while.
    Weather {
        /// Which site; all for `None`.
        site: Option<usize>,
        /// How it is.
        weather: Weather,
        /// For how long.
        lasts: Duration,
    },
    /// Two sites do not reach each other for a while.
    Partition {
        /// One.
        one: usize,
        /// The other; everybody for `None`.
        other: Option<usize>,
        /// Whether the other is still heard by the one.
        one_way: bool,
        /// For how long.
        lasts: Duration,
    },
    /// A router stands still for a while and comes back with its memory.
    Suspend {
        /// Which.
        site: usize,
        /// For how long.
        lasts: Duration,
    },
    /// A router loses its memory.
    Restart {
        /// Which.
        site: usize,
        /// Whether it draws the same random numbers again, as a restored snapshot does.
        same_dice: bool,
        /// How long it takes.
        lasts: Duration,
    },
    /// A spoke goes for good.
    Leave {
        /// Which.
        spoke: usize,
    },
    /// A spoke gets another NBMA address, and restarts with it.
    Move {
        /// Which.
        spoke: usize,
        /// The address.
        to: IpAddr,
    },
    /// A translator forgets its mappings.
    Rebind {
        /// Which.
        nat: usize,
        /// Its new address, if it gets one.
        to: Option<IpAddr>,
    },
    /// An operator shuts a router's tunnels down for a while.
    Shutdown {
        /// Which.
        site: usize,
        /// For how long.
        lasts: Duration,
    },
    /// An operator does something.
    Operator {
        /// At which router.
        site: usize,
        /// What.
        command: Command,
    },
    /// Traffic.
    Send {
        /// From which site.
        from: usize,
        /// To which.
        to: usize,
        /// How many packets, a millisecond apart.
        packets: u16,
        /// Octets of each, at least a header's.
        octets: u16,
    },
    /// A hub sends to everybody.
    Multicast {
        /// Which.
        hub: usize,
    },
    /// Somebody on the path sends an old packet of a site again.
    Replay {
        /// Whose packet.
        site: usize,
        /// How many packets of it back.
        back: u64,
        /// Whether it comes from an address of the stranger's.
        forged: bool,
    },
    /// A stranger sends something to a site.
    Noise {
        /// Which.
        site: usize,
        /// What it is made from.
        dice: u64,
    },
}

impl Operation {
    /// How long it goes on.
    #[must_use]
    pub const fn lasts(&self) -> Duration {
        match self {
            Self::Weather { lasts, .. }
            | Self::Partition { lasts, .. }
            | Self::Suspend { lasts, .. }
            | Self::Restart { lasts, .. }
            | Self::Shutdown { lasts, .. } => *lasts,
            Self::Send { packets, .. } => Duration::from_millis(*packets as u64),
            Self::Leave { .. }
            | Self::Move { .. }
            | Self::Rebind { .. }
            | Self::Operator { .. }
            | Self::Multicast { .. }
            | Self::Replay { .. }
            | Self::Noise { .. } => Duration::ZERO,
        }
    }

    /// The sites that it needs.
    #[must_use]
    pub fn sites(&self) -> Vec<usize> {
        match self {
            Self::Weather { site, .. } => site.iter().copied().collect(),
            Self::Partition { one, other, .. } => core::iter::once(*one).chain(*other).collect(),
            Self::Suspend { site, .. }
            | Self::Restart { site, .. }
            | Self::Shutdown { site, .. }
            | Self::Operator { site, .. }
            | Self::Replay { site, .. }
            | Self::Noise { site, .. } => vec![*site],
            Self::Leave { spoke } | Self::Move { spoke, .. } => vec![*spoke],
            Self::Send { from, to, .. } => vec![*from, *to],
            Self::Multicast { hub } => vec![*hub],
            Self::Rebind { .. } => Vec::new(),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
