use super::Cookie;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

/// A vendor ID payload (RFC 2408 §3.16): opaque octets by which the sender says what it can do.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VendorId<'a>(Cow<'a, [u8]>);

/// A vendor ID that this codec recognises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Vendor {
    /// NAT traversal of RFC 3947.
    NatTraversal,
    /// NAT traversal of this revision of draft-ietf-ipsec-nat-t-ike.
    NatTraversalDraft(u8),
    /// Dead peer detection, RFC 3706 §5.1.
    DeadPeerDetection {
        /// Major and minor version.
        version: (u8, u8),
    },
    /// Cisco Unity.
    Unity {
        /// Major and minor version.
        version: (u8, u8),
    },
    /// Extended authentication within ISAKMP, XAUTH.
    Xauth,
    /// IKE fragmentation.
    Fragmentation {
        /// The bits that may follow: 0x80000000 main and aggressive mode, 0x40000000 base mode.
        capabilities: Option<u32>,
    },
}

const DEAD_PEER_DETECTION: [u8; 14] = *b"\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57";
const UNITY: [u8; 14] = *b"\x12\xf5\xf2\x8c\x45\x71\x68\xa9\x70\x2d\x9f\xe2\x74\xcc";
const FRAGMENTATION: [u8; 16] =
    *b"\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3";

/// In all captures of Cisco routers at hand, the router's own vendor ID starts with its cookie
/// exclusive-or this. What its other eight octets are is not known.
const IOS_MASK: u64 = 0xf5c7_a71d_0001_0000;

impl VendorId<'static> {
    /// RFC 3947: the MD5 of its title.
    pub const NAT_TRAVERSAL: Self =
        Self::of(b"\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f");
    /// draft-ietf-ipsec-nat-t-ike-07.
    pub const NAT_TRAVERSAL_DRAFT_07: Self =
        Self::of(b"\x43\x9b\x59\xf8\xba\x67\x6c\x4c\x77\x37\xae\x22\xea\xb8\xf5\x82");
    /// draft-ietf-ipsec-nat-t-ike-03.
    pub const NAT_TRAVERSAL_DRAFT_03: Self =
        Self::of(b"\x7d\x94\x19\xa6\x53\x10\xca\x6f\x2c\x17\x9d\x92\x15\x52\x9d\x56");
    /// draft-ietf-ipsec-nat-t-ike-02 as most implementations send it: the MD5 of the name and a
    /// line feed.
    pub const NAT_TRAVERSAL_DRAFT_02: Self =
        Self::of(b"\x90\xcb\x80\x91\x3e\xbb\x69\x6e\x08\x63\x81\xb5\xec\x42\x7b\x1f");
    /// draft-ietf-ipsec-nat-t-ike-02 as the draft has it.
    pub const NAT_TRAVERSAL_DRAFT_02_PLAIN: Self =
        Self::of(b"\xcd\x60\x46\x43\x35\xdf\x21\xf8\x7c\xfd\xb2\xfc\x68\xb6\xa4\x48");
    /// Dead peer detection 1.0, RFC 3706 §5.1.
    pub const DEAD_PEER_DETECTION: Self =
        Self::of(b"\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00");
    /// Cisco Unity 1.0.
    pub const UNITY: Self =
        Self::of(b"\x12\xf5\xf2\x8c\x45\x71\x68\xa9\x70\x2d\x9f\xe2\x74\xcc\x01\x00");
    /// XAUTH, eight octets only.
    pub const XAUTH: Self = Self::of(b"\x09\x00\x26\x89\xdf\xd6\xb7\x12");
    /// IKE fragmentation in main and aggressive mode, as strongSwan sends it. Cisco's routers set
    /// the bit of base mode as well.
    pub const FRAGMENTATION: Self = Self::of(
        b"\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3\x80\x00\x00\x00",
    );

    /// The same without capabilities, as some send it.
    pub const FRAGMENTATION_PLAIN: Self = Self::of(&FRAGMENTATION);

    const fn of(bytes: &'static [u8]) -> Self {
        Self(Cow::Borrowed(bytes))
    }

    /// The vendor ID by which a Cisco router tells others that it is one, for the sender's own
    /// cookie. Of `tail` only the length is known.
    #[must_use]
    pub fn ios(cookie: Cookie, tail: [u8; 8]) -> Self {
        let head = (u64::from_be_bytes(cookie.0) ^ IOS_MASK).to_be_bytes();
        Self(Cow::Owned(head.into_iter().chain(tail).collect::<Vec<_>>()))
    }
}

impl<'a> VendorId<'a> {
    /// A vendor ID of any octets.
    #[must_use]
    pub fn new(bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        Self(bytes.into())
    }

    /// Its octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whose it is, if it is known here. What carries a version is known by what comes before
    /// it; anything else must be equal.
    #[must_use]
    pub fn recognize(&self) -> Option<Vendor> {
        if let Some(version) = self.versioned(&DEAD_PEER_DETECTION) {
            return Some(Vendor::DeadPeerDetection { version });
        }
        if let Some(version) = self.versioned(&UNITY) {
            return Some(Vendor::Unity { version });
        }
        if let Some(rest) = self.0.strip_prefix(&FRAGMENTATION) {
            let capabilities = rest.try_into().ok().map(u32::from_be_bytes);
            return (rest.is_empty() || capabilities.is_some())
                .then_some(Vendor::Fragmentation { capabilities });
        }
        KNOWN.iter().find(|(known, _)| known.0 == self.0).map(|&(_, vendor)| vendor)
    }

    /// Whether the sender, whose cookie this is, says that it is a Cisco router.
    #[must_use]
    pub fn is_ios(&self, cookie: Cookie) -> bool {
        let head = (u64::from_be_bytes(cookie.0) ^ IOS_MASK).to_be_bytes();
        self.0.len() == 16 && self.0.starts_with(&head)
    }

    /// The octet that Cisco's routers print as the major version, the fifteenth, if there is one.
    #[must_use]
    pub fn major(&self) -> Option<u8> {
        self.0.get(14).copied()
    }

    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> VendorId<'static> {
        VendorId(Cow::Owned(self.0.into_owned()))
    }

    fn versioned(&self, prefix: &[u8]) -> Option<(u8, u8)> {
        match self.0.strip_prefix(prefix)? {
            &[major, minor] => Some((major, minor)),
            _ => None,
        }
    }
}

/// Hexadecimal digits.
impl fmt::Display for VendorId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for VendorId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VendorId({self})")
    }
}

/// What is known by all of its octets.
const KNOWN: [(VendorId<'static>, Vendor); 12] = [
    (VendorId::NAT_TRAVERSAL, Vendor::NatTraversal),
    (VendorId::NAT_TRAVERSAL_DRAFT_02, Vendor::NatTraversalDraft(2)),
    (VendorId::NAT_TRAVERSAL_DRAFT_02_PLAIN, Vendor::NatTraversalDraft(2)),
    (VendorId::NAT_TRAVERSAL_DRAFT_03, Vendor::NatTraversalDraft(3)),
    (VendorId::NAT_TRAVERSAL_DRAFT_07, Vendor::NatTraversalDraft(7)),
    (VendorId::XAUTH, Vendor::Xauth),
    (
        VendorId::of(b"\x44\x85\x15\x2d\x18\xb6\xbb\xcd\x0b\xe8\xa8\x46\x95\x79\xdd\xcc"),
        Vendor::NatTraversalDraft(0),
    ),
    (
        VendorId::of(b"\x16\xf6\xca\x16\xe4\xa4\x06\x6d\x83\x82\x1a\x0f\x0a\xea\xa8\x62"),
        Vendor::NatTraversalDraft(1),
    ),
    (
        VendorId::of(b"\x99\x09\xb6\x4e\xed\x93\x7c\x65\x73\xde\x52\xac\xe9\x52\xfa\x6b"),
        Vendor::NatTraversalDraft(4),
    ),
    (
        VendorId::of(b"\x80\xd0\xbb\x3d\xef\x54\x56\x5e\xe8\x46\x45\xd4\xc8\x5c\xe3\xee"),
        Vendor::NatTraversalDraft(5),
    ),
    (
        VendorId::of(b"\x4d\x1e\x0e\x13\x6d\xea\xfa\x34\xc4\xf3\xea\x9f\x02\xec\x72\x85"),
        Vendor::NatTraversalDraft(6),
    ),
    (
        VendorId::of(b"\x8f\x8d\x83\x82\x6d\x24\x6b\x6f\xc7\xa8\xa6\xa4\x28\xc1\x1d\xe8"),
        Vendor::NatTraversalDraft(8),
    ),
];
