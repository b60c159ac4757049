use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// Whom the security association that carried a packet authenticated: opaque octets, compared for
/// equality only. Cheap to clone: each entry of the cache has one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(Arc<[u8]>);

impl Identity {
    /// An identity of these octets, for example type and data of an IKE identification payload.
    #[must_use]
    pub fn new(octets: Vec<u8>) -> Self {
        Self(octets.into())
    }

    /// Its octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
        f.write_str(")")
    }
}
