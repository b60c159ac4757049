//! NAT traversal in IKE (RFC 3947): which document the peers follow, and who is behind a NAT.
//!
//! ```text
//!   MM1, MM2   vendor ids: the responder answers with the one it chose
//!   MM3, MM4   NAT-D: hash of the receiver's address, then of the sender's
//!   MM5 on     UDP 4500 with the non-ESP marker, if a NAT was found
//!
//!   AM1, AM2   vendor ids
//!   AM2, AM3   NAT-D
//!   AM3 on     UDP 4500
//! ```

use alloc::vec::Vec;
use core::net::SocketAddr;

use bytes::Bytes;

use crate::crypto::{HashFunction, nat_detection_hash};
use crate::output::Output;
use crate::phase1::Negotiation;
use crate::wire::{
    Cookie, EncapsulationMode, NatNumbering, Payload, Payloads, Received, Vendor, VendorId,
};
use crate::{Config, Mode, Nat, Path, Trace, Transport};

/// The document that both sides follow, the preferred one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NatTraversalVersion {
    Rfc3947,
    Draft07,
    Draft03,
    Draft02,
}

impl NatTraversalVersion {
    /// In Cisco's order, which is also that of preference.
    pub(crate) const ALL: [Self; 4] = [Self::Rfc3947, Self::Draft07, Self::Draft03, Self::Draft02];

    pub(crate) const fn vendor_id(self) -> VendorId<'static> {
        match self {
            Self::Rfc3947 => VendorId::NAT_TRAVERSAL,
            Self::Draft07 => VendorId::NAT_TRAVERSAL_DRAFT_07,
            Self::Draft03 => VendorId::NAT_TRAVERSAL_DRAFT_03,
            Self::Draft02 => VendorId::NAT_TRAVERSAL_DRAFT_02,
        }
    }

    fn of(vendor_id: &VendorId<'_>) -> Option<Self> {
        let vendor = vendor_id.recognize()?;
        // Of draft 02 there are two, with and without a line feed: both are in use.
        [
            (Vendor::NatTraversal, Self::Rfc3947),
            (Vendor::NatTraversalDraft(7), Self::Draft07),
            (Vendor::NatTraversalDraft(3), Self::Draft03),
            (Vendor::NatTraversalDraft(2), Self::Draft02),
        ]
        .into_iter()
        .find_map(|(known, version)| (known == vendor).then_some(version))
    }

    /// The preferred one of those that the peer named.
    pub(crate) fn choose(payloads: &Payloads<'_>) -> Option<Self> {
        let named = payloads.iter().filter_map(|received| {
            let Payload::VendorId(vendor_id) = &received.payload else { return None };
            Self::of(vendor_id)
        });
        named.min()
    }

    pub(crate) const fn numbering(self) -> NatNumbering {
        match self {
            Self::Rfc3947 => NatNumbering::Rfc3947,
            Self::Draft07 => NatNumbering::Draft07,
            Self::Draft03 | Self::Draft02 => NatNumbering::Draft03,
        }
    }

    /// The encapsulation mode of ESP in UDP (RFC 3947 §5.1; drafts before 04 used private numbers).
    pub(crate) const fn encapsulation_mode(self, mode: Mode) -> EncapsulationMode {
        match (self, mode) {
            (Self::Rfc3947 | Self::Draft07, Mode::Transport) => EncapsulationMode::UDP_TRANSPORT,
            (Self::Rfc3947 | Self::Draft07, Mode::Tunnel) => EncapsulationMode::UDP_TUNNEL,
            (Self::Draft03 | Self::Draft02, Mode::Transport) => {
                EncapsulationMode::UDP_TRANSPORT_DRAFT
            }
            (Self::Draft03 | Self::Draft02, Mode::Tunnel) => EncapsulationMode::UDP_TUNNEL_DRAFT,
        }
    }
}

/// Our NAT-D payloads: the receiver's address first, then ours (RFC 3947 §3.2).
pub(crate) fn detection_payloads(
    version: NatTraversalVersion,
    hash: &dyn HashFunction,
    sa: &Negotiation,
    output: &mut Output,
) -> Vec<Payload<'static>> {
    let digest = |address: SocketAddr| {
        let (initiator, responder) = sa.cookies();
        nat_detection_hash(hash, initiator.0, responder.0, address.ip(), address.port())
            .as_bytes()
            .to_vec()
    };
    let theirs = digest(sa.path.remote);
    let mut ours = digest(sa.path.local);
    if sa.config.forces_encapsulation() {
        // A hash of nothing makes the peer believe in a NAT in front of us.
        output.rng.fill_bytes(&mut ours);
    }
    let numbering = version.numbering();
    [theirs, ours].map(|hash| Payload::NatDetection(numbering, hash.into())).into()
}

/// An exchange as it is seen from here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) cookies: (Cookie, Cookie),
    pub(crate) path: &'a Path,
    pub(crate) config: &'a Config,
}

/// What the peer's NAT-D payloads say.
#[derive(Debug)]
pub(crate) struct Detection {
    pub(crate) nat: Nat,
    /// Whether ESP goes in UDP: because of a NAT, or because we force it, or because IKE does.
    pub(crate) udp: bool,
    pub(crate) notes: Vec<Trace>,
}

/// Compares the peer's NAT-D payloads with what is seen from here (RFC 3947 §3.2): the first
/// describes us, the others the peer, which may have several addresses.
pub(crate) fn detect(
    version: Option<NatTraversalVersion>,
    payloads: &Payloads<'_>,
    hash: &dyn HashFunction,
    seen: &Seen<'_>,
) -> Detection {
    let mut notes = Vec::new();
    let Some(version) = version else {
        return Detection { nat: Nat::default(), udp: false, notes };
    };
    let expected = |address: SocketAddr| {
        let (initiator, responder) = seen.cookies;
        nat_detection_hash(hash, initiator.0, responder.0, address.ip(), address.port())
    };
    let payload = version.numbering().detection();
    let received: Vec<&[u8]> = payloads
        .iter()
        .filter(|received| received.payload.payload_type() == payload)
        .map(Received::body)
        .collect();
    let Some((ours, theirs)) = received.split_first() else {
        return Detection { nat: Nat::default(), udp: false, notes };
    };
    let local_matches = expected(seen.path.local).verify(ours);
    let remote = expected(seen.path.remote);
    let remote_matches = theirs.iter().any(|hash| remote.verify(hash));
    let nat = Nat { local: !local_matches, remote: !remote_matches };
    let udp =
        nat.found() || seen.config.forces_encapsulation() || seen.path.transport == Transport::NatT;
    let note = |index, matches, result| Trace::NatDetection { payload, index, matches, result };
    notes.push(note(0, local_matches, None));
    for (place, hash) in theirs.iter().enumerate() {
        let index = place.saturating_add(1);
        let last = index == theirs.len();
        notes.push(note(index, remote.verify(hash), last.then_some(nat)));
    }
    Detection { nat, udp, notes }
}

/// The path after the change to the NAT traversal ports (RFC 3947 §4).
pub(crate) fn floated(sa: &Negotiation) -> Path {
    let Path { mut local, mut remote, .. } = sa.path;
    if sa.path.transport == Transport::Isakmp {
        local.set_port(sa.config.ports.nat_t);
        remote.set_port(sa.config.ports.nat_t);
    }
    Path { local, remote, transport: Transport::NatT }
}

/// The vendor ids of a message, as records; `cookie` is its sender's.
pub(crate) fn vendor_id_notes(payloads: &Payloads<'_>, cookie: Cookie) -> Vec<Trace> {
    payloads
        .iter()
        .filter_map(|received| {
            let Payload::VendorId(vendor_id) = &received.payload else { return None };
            Some(Trace::VendorIdReceived {
                vendor_id: Bytes::copy_from_slice(vendor_id.as_bytes()),
                ios_box: vendor_id.is_ios(cookie),
            })
        })
        .collect()
}

/// Whether the message's sender does dead peer detection (RFC 3706 §5.1).
pub(crate) fn names_dead_peer_detection(payloads: &Payloads<'_>) -> bool {
    payloads.iter().any(|received| {
        matches!(&received.payload, Payload::VendorId(vendor_id)
            if matches!(vendor_id.recognize(), Some(Vendor::DeadPeerDetection { .. })))
    })
}
