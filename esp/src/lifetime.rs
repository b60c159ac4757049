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

/// How much of its lifetime an SA has used.
#[derive(Clone, Debug)]
pub(crate) struct Usage {
    lifetime: Lifetime,
    bytes: u64,
    packets: u64,
}

impl Usage {
    pub(crate) const fn new(lifetime: Lifetime) -> Self {
        Self { lifetime, bytes: 0, packets: 0 }
    }

    /// Whether a packet of `bytes` bytes still fits in the hard lifetime.
    pub(crate) fn admits(&self, bytes: usize) -> bool {
        let (bytes, packets) = self.after(bytes);
        let Volume { bytes: most_bytes, packets: most_packets } = self.lifetime.hard;
        most_bytes.is_none_or(|most| bytes <= most)
            && most_packets.is_none_or(|most| packets <= most)
    }

    pub(crate) fn add(&mut self, bytes: usize) {
        (self.bytes, self.packets) = self.after(bytes);
    }

    pub(crate) fn soft_expired(&self) -> bool {
        self.lifetime.soft.bytes.is_some_and(|most| self.bytes >= most)
            || self.lifetime.soft.packets.is_some_and(|most| self.packets >= most)
    }

    pub(crate) fn remaining(&self) -> Remaining {
        let Volume { bytes, packets } = self.lifetime.hard;
        Remaining {
            bytes: bytes.map(|most| most.saturating_sub(self.bytes)),
            packets: packets.map(|most| most.saturating_sub(self.packets)),
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
