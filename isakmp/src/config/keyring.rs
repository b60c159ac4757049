//! Pre-shared keys: who has which.

use core::net::IpAddr;

use subtle::ConstantTimeEq as _;

use crate::Identity;
use crate::crypto::Secret;

use super::Config;

/// One key of the keyring: `crypto isakmp key KEY address ADDRESS MASK`, and bound to a name
/// `crypto isakmp key KEY hostname NAME`.
///
/// Which key is for a peer is found by what is known of it at that moment (RFC 2409 §5.4): of the
/// entries with the longest prefix for its address,
///
/// - where its identity is known as well, in **aggressive mode** and when we start main mode anew with
///   a peer that has proved it before, the one that is bound to the identity;
/// - else, as always in a first **main mode**, one that is bound to none; else the first.
///
/// So whoever is at an address that has a key of its own must hold that key: another's, under whatever
/// name, is no answer. A key that is in several entries may be used by each of their identities, as
/// far as the address of the peer fits the identity's entry.
#[derive(Clone, Debug)]
pub struct PreSharedKey {
    /// Network address.
    pub address: IpAddr,
    /// Length of the prefix in bits; 0 for everybody of the address family.
    pub prefix: u8,
    /// The key.
    pub key: Secret,
    /// The one identity that may use this key, of whatever type.
    ///
    /// When `None`, a peer that is not behind a NAT must identify by the address that it sends
    /// from; behind a NAT by any address that no other key is for, since the one it has is not ours
    /// to see. Peers behind different NATs may then have the same address inside: they are told
    /// apart by the address outside as well.
    pub identity: Option<Identity>,
}

impl PreSharedKey {
    /// A key for all peers in `address`/`prefix`.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8, key: &[u8]) -> Self {
        Self { address, prefix, key: Secret::new(key.to_vec()), identity: None }
    }

    /// The same key for this identity alone.
    #[must_use]
    pub fn bound_to(self, identity: Identity) -> Self {
        Self { identity: Some(identity), ..self }
    }

    fn matches(&self, peer: IpAddr) -> bool {
        match (self.address, peer) {
            (IpAddr::V4(network), IpAddr::V4(peer)) => {
                let differing = (u32::from(network) ^ u32::from(peer)).leading_zeros();
                differing >= u32::from(self.prefix)
            }
            (IpAddr::V6(network), IpAddr::V6(peer)) => {
                let differing = (u128::from(network) ^ u128::from(peer)).leading_zeros();
                differing >= u32::from(self.prefix)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Whether it is for all peers that the other is for, by address.
    fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.matches(other.address)
    }

    /// Whether both are for the same peers, by address.
    fn same_entry(&self, other: &Self) -> bool {
        self.prefix == other.prefix && self.covers(other)
    }
}

impl Config {
    fn keys_for(&self, peer: IpAddr) -> impl Iterator<Item = &PreSharedKey> {
        self.keyring.iter().filter(move |key| key.matches(peer))
    }

    /// The pre-shared key for a peer's address: the longest match, rather unbound than bound, rather
    /// the first than another.
    pub(crate) fn pre_shared_key(&self, peer: IpAddr) -> Option<&PreSharedKey> {
        // Of equals `max_by_key` takes the last.
        let rank = |key: &&PreSharedKey| (key.prefix, key.identity.is_none());
        let mut keys: alloc::vec::Vec<_> = self.keys_for(peer).collect();
        keys.reverse();
        keys.into_iter().max_by_key(rank)
    }

    /// The pre-shared key for who is called so and is at this address: of the entries with the
    /// longest prefix the one that is bound to the identity, else the one for the address.
    pub(crate) fn pre_shared_key_of(
        &self,
        peer: IpAddr,
        identity: &Identity,
    ) -> Option<&PreSharedKey> {
        let best = self.pre_shared_key(peer)?;
        let bound = |key: &&PreSharedKey| {
            key.prefix == best.prefix && key.identity.as_ref() == Some(identity)
        };
        self.keys_for(peer).find(bound).or(Some(best))
    }

    /// Whether the key is bound to the identity: by itself, or by another entry with the same key for
    /// the same addresses and perhaps more.
    pub(crate) fn is_bound(&self, key: &PreSharedKey, identity: &Identity) -> bool {
        let bytes = key.key.dangerous_bytes();
        self.keyring.iter().any(|other| {
            other.identity.as_ref() == Some(identity)
                && other.covers(key)
                && other.key.dangerous_bytes().ct_eq(bytes).into()
        })
    }

    /// Whether an unbound key may prove an address: no other key is for it, by a longer match or by
    /// being bound to it.
    pub(crate) fn may_prove(
        &self,
        key: &PreSharedKey,
        identity: &Identity,
        address: IpAddr,
    ) -> bool {
        self.keyring.iter().all(|other| other.identity.as_ref() != Some(identity))
            && self.pre_shared_key(address).is_none_or(|best| best.same_entry(key))
    }
}
