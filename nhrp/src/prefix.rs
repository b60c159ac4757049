use alloc::collections::BTreeMap;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: an address and the number of its leading bits that count. The others are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// The network of `length` bits that `address` is in. A length beyond the address's own is
    /// taken as that.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Self {
        let length = length.min(address_bits(address));
        let address = match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(length.into())).unwrap_or(0);
                Ipv4Addr::from(u32::from(v4) & mask).into()
            }
            IpAddr::V6(v6) => {
                let shift = 128_u32.saturating_sub(length.into());
                let mask = u128::MAX.checked_shl(shift).unwrap_or(0);
                Ipv6Addr::from(u128::from(v6) & mask).into()
            }
        };
        Self { address, length }
    }

    /// One address: a prefix of all its bits.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        Self { address, length: address_bits(address) }
    }

    /// The address, bits beyond the length zero.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// The length in bits.
    #[must_use]
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// Whether it is one address.
    #[must_use]
    pub const fn is_host(&self) -> bool {
        self.length == address_bits(self.address)
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        Self::new(address, self.length) == *self
    }

    /// Whether all of `other` is in it.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.length <= other.length && self.contains(other.address)
    }

    /// Its last address, bits beyond the length one: of an IPv4 network the broadcast address.
    pub(crate) fn last(&self) -> IpAddr {
        let length = self.length.into();
        match self.address {
            IpAddr::V4(v4) => {
                let hosts = u32::MAX.checked_shr(length).unwrap_or(0);
                Ipv4Addr::from(u32::from(v4) | hosts).into()
            }
            IpAddr::V6(v6) => {
                let hosts = u128::MAX.checked_shr(length).unwrap_or(0);
                Ipv6Addr::from(u128::from(v6) | hosts).into()
            }
        }
    }

    /// Whether `address` is of the network but no host's: its own, in IPv6 the routers' anycast
    /// address (RFC 4291 §2.6.1), and IPv4's broadcast address. Networks of two addresses have
    /// none (RFC 3021, RFC 6164).
    pub(crate) fn is_no_host(&self, address: IpAddr) -> bool {
        let has_hosts_only = self.length >= address_bits(self.address).saturating_sub(1);
        !has_hosts_only
            && (address == self.address || (address.is_ipv4() && address == self.last()))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// Bits of an address of this family.
pub(crate) const fn address_bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// A map from prefixes with longest-prefix match: one ordered lookup for each prefix length that
/// occurs. Values lie beside the prefixes, where a search has just been: what is large and seldom
/// asked for belongs in a box of its own.
#[derive(Clone, Debug)]
pub(crate) struct PrefixMap<V> {
    entries: BTreeMap<Prefix, V>,
    lengths: BTreeMap<u8, usize>,
}

impl<V> Default for PrefixMap<V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), lengths: BTreeMap::new() }
    }
}

impl<V> PrefixMap<V> {
    pub(crate) fn insert(&mut self, prefix: Prefix, value: V) -> Option<V> {
        let before = self.entries.insert(prefix, value);
        if before.is_none() {
            let count = self.lengths.entry(prefix.length).or_default();
            *count = count.saturating_add(1);
        }
        before
    }

    pub(crate) fn remove(&mut self, prefix: &Prefix) -> Option<V> {
        let removed = self.entries.remove(prefix)?;
        if let Some(count) = self.lengths.get_mut(&prefix.length) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.lengths.remove(&prefix.length);
            }
        }
        Some(removed)
    }

    pub(crate) fn get(&self, prefix: &Prefix) -> Option<&V> {
        self.entries.get(prefix)
    }

    pub(crate) fn get_mut(&mut self, prefix: &Prefix) -> Option<&mut V> {
        self.entries.get_mut(prefix)
    }

    /// The prefixes that contain `address` and their values, the longest first.
    pub(crate) fn matches(&self, address: IpAddr) -> impl Iterator<Item = (Prefix, &V)> + '_ {
        self.lengths.keys().rev().filter_map(move |length| {
            let prefix = Prefix::new(address, *length);
            // A length beyond the family's own was clamped, and comes by itself.
            if prefix.length != *length {
                return None;
            }
            self.entries.get(&prefix).map(|value| (prefix, value))
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Prefix, &V)> + '_ {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::{Prefix, PrefixMap};
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;
    use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use proptest::prelude::*;

    /// Few different addresses, so that prefixes are within each other.
    fn address() -> impl Strategy<Value = IpAddr> {
        (any::<bool>(), 0u8..4, 0u8..4).prop_map(|(v4, network, host)| {
            if v4 {
                Ipv4Addr::new(10, network << 6, 0, host).into()
            } else {
                Ipv6Addr::from(u128::from(network) << 120 | u128::from(host)).into()
            }
        })
    }

    fn prefix() -> impl Strategy<Value = Prefix> {
        let length =
            prop_oneof![Just(0u8), Just(1), Just(9), Just(10), Just(31), Just(32), Just(128)];
        (address(), length).prop_map(|(address, length)| Prefix::new(address, length))
    }

    proptest! {
        // Interpreted, a case takes seconds.
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 256 }))]

        /// Beside a map that is searched from end to end.
        #[test]
        fn it_finds_all_that_contain_an_address_the_longest_first(
            changes in proptest::collection::vec((prefix(), any::<Option<u32>>()), 0..60),
            addresses in proptest::collection::vec(address(), 1..8),
        ) {
            let (mut map, mut model) = (PrefixMap::default(), BTreeMap::new());
            for (prefix, value) in changes {
                match value {
                    Some(value) => {
                        prop_assert_eq!(map.insert(prefix, value), model.insert(prefix, value));
                    }
                    None => prop_assert_eq!(map.remove(&prefix), model.remove(&prefix)),
                }
                prop_assert_eq!(map.get(&prefix), model.get(&prefix));
                prop_assert_eq!(map.get_mut(&prefix).copied(), model.get(&prefix).copied());
                for address in &addresses {
                    let mut expected: Vec<(Prefix, &u32)> = model
                        .iter()
                        .filter(|(prefix, _)| prefix.contains(*address))
                        .map(|(prefix, value)| (*prefix, value))
                        .collect();
                    expected.sort_by_key(|(prefix, _)| core::cmp::Reverse(prefix.length()));
                    prop_assert_eq!(map.matches(*address).collect::<Vec<_>>(), expected);
                }
            }
            prop_assert!(map.iter().eq(model.iter()));
        }
    }
}
