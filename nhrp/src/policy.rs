use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::prefix::PrefixMap;
use crate::{Identity, Prefix};

/// Which addresses an identity may register.
///
/// An identity that was granted something may register that and nothing else. Nobody else may
/// register it then. What is left is for everybody in an open policy, and for nobody in a closed
/// one.
#[derive(Clone, Debug)]
pub struct RegistrationPolicy {
    by_identity: BTreeMap<Identity, Vec<Prefix>>,
    granted: PrefixMap<()>,
    open: bool,
}

impl RegistrationPolicy {
    /// Whoever was granted nothing may register any address of the tunnel's network that nobody
    /// was granted.
    #[must_use]
    pub fn open() -> Self {
        Self { by_identity: BTreeMap::new(), granted: PrefixMap::default(), open: true }
    }

    /// Whoever was granted nothing may register nothing.
    #[must_use]
    pub fn closed() -> Self {
        Self { open: false, ..Self::open() }
    }

    /// Grants the addresses in `prefix` to `identity`.
    #[must_use]
    pub fn grant(mut self, identity: Identity, prefix: Prefix) -> Self {
        self.by_identity.entry(identity).or_default().push(prefix);
        self.granted.insert(prefix, ());
        self
    }

    /// Whether `identity` may register `address`; `network` is the tunnel's.
    pub(crate) fn permits(
        &self,
        identity: Option<&Identity>,
        address: IpAddr,
        network: Prefix,
    ) -> bool {
        match identity.and_then(|identity| self.by_identity.get(identity)) {
            Some(granted) => granted.iter().any(|prefix| prefix.contains(address)),
            None => {
                self.open
                    && network.contains(address)
                    && self.granted.matches(address).next().is_none()
            }
        }
    }
}

impl Default for RegistrationPolicy {
    fn default() -> Self {
        Self::open()
    }
}
