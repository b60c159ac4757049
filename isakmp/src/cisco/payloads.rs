//! What the peer's payloads say.

use core::fmt;
use core::net::IpAddr;

use crate::Nat;
use crate::wire::{IdType, NotifyType, PayloadType, Vendor, VendorId};

pub(super) fn vendor_id_constructed(
    f: &mut fmt::Formatter<'_>,
    vendor_id: &VendorId<'_>,
) -> fmt::Result {
    match vendor_id.recognize() {
        Some(Vendor::NatTraversal) => f.write_str("NAT-T vendor-rfc3947 ID"),
        Some(Vendor::NatTraversalDraft(draft)) => write!(f, "NAT-T vendor-{draft:02} ID"),
        Some(Vendor::DeadPeerDetection { .. }) => f.write_str("DPD vendor ID"),
        Some(Vendor::Unity { .. }) => f.write_str("Unity vendor ID"),
        Some(Vendor::Xauth) => f.write_str("XAUTH vendor ID"),
        Some(Vendor::Fragmentation { .. }) | None => write!(f, "vendor ID {vendor_id}"),
    }
}

/// What comes after `processing vendor id payload`. An unknown vendor ID has nothing.
pub(super) fn vendor_id_received(
    f: &mut fmt::Formatter<'_>,
    id: u32,
    vendor_id: &VendorId<'_>,
    ios_box: bool,
) -> fmt::Result {
    if ios_box {
        return write!(f, "\nISAKMP:({id}): speaking to another IOS box!");
    }
    let Some(vendor) = vendor_id.recognize() else { return Ok(()) };
    // IOS takes the octet at 14 for a major version before it knows whose the vendor ID is. Of
    // XAUTH's eight octets it even reads what follows in the message, which is not to be copied.
    let nat_traversal = matches!(vendor, Vendor::NatTraversal | Vendor::NatTraversalDraft(_));
    if let (true, Some(major)) = (nat_traversal, vendor_id.major()) {
        write!(f, "\nISAKMP:({id}): vendor ID seems Unity/DPD but major {major} mismatch")?;
    }
    match vendor {
        Vendor::NatTraversal => write!(f, "\nISAKMP ({id}): vendor ID is NAT-T RFC 3947"),
        Vendor::NatTraversalDraft(draft @ 4..) => {
            write!(f, "\nISAKMP ({id}): vendor ID is NAT-T v{draft}")
        }
        Vendor::NatTraversalDraft(draft) => {
            write!(f, "\nISAKMP:({id}): vendor ID is NAT-T v{draft}")
        }
        Vendor::DeadPeerDetection { .. } => write!(f, "\nISAKMP:({id}): vendor ID is DPD"),
        Vendor::Unity { .. } => write!(f, "\nISAKMP:({id}): vendor ID is Unity"),
        Vendor::Xauth => write!(f, "\nISAKMP:({id}): vendor ID is XAUTH"),
        Vendor::Fragmentation { .. } => {
            write!(f, "\nISAKMP:({id}): vendor ID is IKE Fragmentation")
        }
    }
}

/// The first NAT-D payload is about us, the last one is followed by the result. The words for
/// "nothing between" are IOS's, odd as they are.
pub(super) fn nat_detection(
    f: &mut fmt::Formatter<'_>,
    id: u32,
    index: usize,
    matches: bool,
    result: Option<Nat>,
) -> fmt::Result {
    if index == 0 {
        f.write_str("\n")?;
        let whose = if matches {
            "His hash no match - this node outside NAT"
        } else {
            "My hash no match - this node inside NAT"
        };
        write!(f, "ISAKMP ({id}): {whose}")?;
    }
    let Some(nat) = result else { return Ok(()) };
    let found = match (nat.local, nat.remote) {
        (false, false) => "No NAT Found for self or peer",
        (true, false) => "NAT found, the node inside NAT",
        (false, true) => "NAT found, the peer inside NAT",
        (true, true) => "NAT found, both nodes inside NAT",
    };
    write!(f, "\nISAKMP ({id}): {found}")
}

/// The fields of an ID payload, a line each, each starting with a line feed.
pub(super) struct IdFields<'a> {
    pub(super) next_payload: PayloadType,
    pub(super) id_type: IdType,
    pub(super) data: &'a [u8],
    pub(super) protocol: u8,
    pub(super) port: u16,
}

impl fmt::Display for IdFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { next_payload, id_type, data, protocol, port } = *self;
        write!(f, "\n        next-payload : {}", next_payload.0)?;
        write!(f, "\n        type         : {}", id_type.0)?;
        match id_type {
            IdType::IPV4_ADDR | IdType::IPV6_ADDR => {
                f.write_str("\n        address      : ")?;
                match address(data) {
                    Some(address) => write!(f, "{address}")?,
                    None => hexadecimal(f, data)?,
                }
            }
            // What a peer calls itself reaches a terminal: no control characters.
            IdType::FQDN => write!(f, "\n        FQDN name    : {}", data.escape_ascii())?,
            IdType::USER_FQDN => write!(f, "\n        USER FQDN    : {}", data.escape_ascii())?,
            _ => {
                f.write_str("\n        data         : ")?;
                hexadecimal(f, data)?;
            }
        }
        write!(f, "\n        protocol     : {protocol}")?;
        write!(f, "\n        port         : {port}")?;
        write!(f, "\n        length       : {}", data.len().saturating_add(8))
    }
}

fn address(data: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(data).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(data).ok().map(IpAddr::from))
}

fn hexadecimal(f: &mut fmt::Formatter<'_>, data: &[u8]) -> fmt::Result {
    data.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
}

/// The names of RFC 2408 and 2407 with underscores, but for those that IOS names otherwise.
pub(super) struct Notify(pub(super) NotifyType);

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            NotifyType::R_U_THERE => "DPD/R_U_THERE",
            NotifyType::R_U_THERE_ACK => "DPD/R_U_THERE_ACK",
            NotifyType::NO_PROPOSAL_CHOSEN => "PROPOSAL_NOT_CHOSEN",
            other => match other.name() {
                Some(name) => name,
                None => return write!(f, "{}", other.0),
            },
        };
        let mut words = name.split('-');
        f.write_str(words.next().unwrap_or_default())?;
        words.try_for_each(|word| write!(f, "_{word}"))
    }
}
