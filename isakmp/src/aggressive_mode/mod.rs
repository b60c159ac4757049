//! Aggressive mode with pre-shared keys (RFC 2409 §5.4), NAT detection by RFC 3947 §3.2.
//!
//! ```text
//!   initiator                                        responder
//!   AM1  SA, KE, Ni, IDii, VID*                ─▶
//!                              ◀─    AM2  SA, KE, Nr, IDir, VID*, NAT-D, NAT-D, HASH_R
//!   AM3  { HASH_I, NAT-D, NAT-D, INITIAL-CONTACT }   ─▶
//! ```
//!
//! Neither hash takes a Diffie-Hellman result, so that AM2 is checked before the shared secret is
//! computed. AM3 may also come in clear. Nothing answers it: it is sent again until the responder
//! says anything in the SA.

pub(crate) mod initiator;
pub(crate) mod responder;

use alloc::vec::Vec;

use bytes::Bytes;

use crate::nat_traversal::NatTraversalVersion;
use crate::output::Output;
use crate::phase1::Negotiation;
use crate::wire::{Chain, Payload, VendorId};
use crate::{MajorInput, MinorInput, StateKind, Trace};

/// Our vendor ids: NAT traversal, dead peer detection, and fragments where they are taken.
fn push_vendor_ids(
    versions: &[NatTraversalVersion],
    fragments: bool,
    sa: &Negotiation,
    chain: &mut Chain,
    output: &mut Output,
) {
    for version in versions {
        let vendor_id = version.vendor_id();
        let bytes = Bytes::copy_from_slice(vendor_id.as_bytes());
        output.trace(sa, Trace::VendorIdConstructed { vendor_id: bytes });
        chain.push(&Payload::VendorId(vendor_id));
    }
    chain.push(&Payload::VendorId(VendorId::DEAD_PEER_DETECTION));
    if fragments {
        chain.push(&Payload::VendorId(VendorId::FRAGMENTATION));
    }
}

/// Records a message of the peer and the state that it leads to.
fn exchanged(sa: &Negotiation, old: StateKind, new: StateKind, output: &mut Output) {
    let input = (MajorInput::FromPeer, MinorInput::AggressiveModeExchange);
    output.transition(sa, input, old, new);
}

/// The body of an ID payload of ours.
fn body(id: &Payload<'_>) -> Vec<u8> {
    id.body().unwrap_or_default()
}
