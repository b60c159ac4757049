//! Lifetimes by volume (RFC 4301 §4.4.2.1). Lifetimes by time belong to IKE, which has the timers.

/// A number of bytes and a number of packets; `None` is no limit.
///
/// Bytes are those that the encryption algorithm is applied to, NULL included: payload, padding and
/// trailer, without header, IV and ICV (RFC 4301 §4.4.2.1). IKE's kilobyte is 1024 of them
/// (RFC 2407 §4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Bytes.
    pub bytes: Option<u64>,
    /// Packets.
    pub packets: Option<u64>,
}

/// How much an SA may protect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// Reached, it is time for a successor: [`OutboundSa::soft_expired`] says so.
    ///
    /// [`OutboundSa::soft_expired`]: crate::OutboundSa::soft_expired
    pub soft: Volume,
    /// Never exceeded: a packet that would is refused.
    pub hard: Volume,
}

/// What is left of the hard lifetime; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// Bytes.
    pub bytes: Option<u64>,
    /// Packets.
    pub packets: Option<u64>,
}

/// How much of its lifetime an SA has used. A limit of `u64::MAX` is none: no packet is beyond it.
#[derive(Clone, Debug)]
pub(crate) struct Usage {
    soft: Limits,
    hard: Limits,
    bytes: u64,
    packets: u64,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    bytes: u64,
    packets: u64,
}

impl Limits {
    fn new(volume: Volume) -> Self {
        let limit = |most: Option<u64>| most.unwrap_or(u64::MAX);
        Self { bytes: limit(volume.bytes), packets: limit(volume.packets) }
    }
}

impl Usage {
    pub(crate) fn new(lifetime: Lifetime) -> Self {
        let (soft, hard) = (Limits::new(lifetime.soft), Limits::new(lifetime.hard));
        Self { soft, hard, bytes: 0, packets: 0 }
    }

    /// Whether a packet of `bytes` bytes still fits in the hard lifetime.
    pub(crate) fn admits(&self, bytes: usize) -> bool {
        let (bytes, packets) = self.after(bytes);
        bytes <= self.hard.bytes && packets <= self.hard.packets
    }

    pub(crate) fn add(&mut self, bytes: usize) {
        (self.bytes, self.packets) = self.after(bytes);
    }

    pub(crate) const fn soft_expired(&self) -> bool {
        reached(self.bytes, self.soft.bytes) || reached(self.packets, self.soft.packets)
    }

    pub(crate) fn remaining(&self) -> Remaining {
        let left = |most: u64, used: u64| (most < u64::MAX).then(|| most.saturating_sub(used));
        Remaining {
            bytes: left(self.hard.bytes, self.bytes),
            packets: left(self.hard.packets, self.packets),
        }
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn after(&self, bytes: usize) -> (u64, u64) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        (self.bytes.saturating_add(bytes), self.packets.saturating_add(1))
    }
}

const fn reached(used: u64, most: u64) -> bool {
    used >= most && most < u64::MAX
}
