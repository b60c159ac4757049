use alloc::vec::Vec;

use super::{Cie, Flags, RequestId};

/// What requests and replies carry besides their addresses (RFC 2332 §5.2.0.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Flags, whose meaning depends on the packet type.
    pub flags: Flags,
    /// The request's identifier, which the reply repeats.
    pub request_id: RequestId,
    /// Client information entries.
    pub entries: Vec<Cie>,
}
