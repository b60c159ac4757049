use core::fmt;
use core::ops::{BitOr, BitOrAssign};

/// ar$afn: the family of NBMA addresses, an address family number of IANA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressFamily(pub u16);

impl AddressFamily {
    /// IPv4.
    pub const IPV4: Self = Self(1);
    /// IPv6.
    pub const IPV6: Self = Self(2);
}

/// ar$pro.type: the protocol whose addresses are resolved; from 0x600 on an Ethertype.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolType(pub u16);

impl ProtocolType {
    /// The long form: the protocol is in ar$pro.snap.
    pub const SNAP: Self = Self(0x0080);
    /// IPv4.
    pub const IPV4: Self = Self(0x0800);
    /// IPv6.
    pub const IPV6: Self = Self(0x86dd);
}

/// ar$op.type of version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketType(pub u8);

impl PacketType {
    /// Resolution Request (RFC 2332 §5.2.1).
    pub const RESOLUTION_REQUEST: Self = Self(1);
    /// Resolution Reply (§5.2.2).
    pub const RESOLUTION_REPLY: Self = Self(2);
    /// Registration Request (§5.2.3).
    pub const REGISTRATION_REQUEST: Self = Self(3);
    /// Registration Reply (§5.2.4).
    pub const REGISTRATION_REPLY: Self = Self(4);
    /// Purge Request (§5.2.5).
    pub const PURGE_REQUEST: Self = Self(5);
    /// Purge Reply (§5.2.6).
    pub const PURGE_REPLY: Self = Self(6);
    /// Error Indication (§5.2.7).
    pub const ERROR_INDICATION: Self = Self(7);
    /// Traffic Indication, Cisco's redirect (draft-detienne-dmvpn-01).
    pub const TRAFFIC_INDICATION: Self = Self(8);

    /// Its name, `None` if the type is unknown.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::RESOLUTION_REQUEST => Some("Resolution Request"),
            Self::RESOLUTION_REPLY => Some("Resolution Reply"),
            Self::REGISTRATION_REQUEST => Some("Registration Request"),
            Self::REGISTRATION_REPLY => Some("Registration Reply"),
            Self::PURGE_REQUEST => Some("Purge Request"),
            Self::PURGE_REPLY => Some("Purge Reply"),
            Self::ERROR_INDICATION => Some("Error Indication"),
            Self::TRAFFIC_INDICATION => Some("Traffic Indication"),
            Self(_) => None,
        }
    }
}

impl fmt::Display for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "packet type {}", self.0),
        }
    }
}

/// Code of a client information entry: 0, or why a request was refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CieCode(pub u8);

impl CieCode {
    /// No error.
    pub const SUCCESS: Self = Self(0);
    /// Administratively prohibited (RFC 2332 §5.2.4).
    pub const ADMINISTRATIVELY_PROHIBITED: Self = Self(4);
    /// Insufficient resources (§5.2.4).
    pub const INSUFFICIENT_RESOURCES: Self = Self(5);
    /// No internetworking layer address to NBMA address binding exists (§5.2.2).
    pub const NO_BINDING: Self = Self(12);
    /// A binding exists but is not unique (§5.2.2).
    pub const BINDING_NOT_UNIQUE: Self = Self(13);
    /// Unique internetworking layer address already registered (§5.2.4).
    pub const UNIQUE_ADDRESS_ALREADY_REGISTERED: Self = Self(14);

    /// What it says, `None` if the code is unknown.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::SUCCESS => Some("no error"),
            Self::ADMINISTRATIVELY_PROHIBITED => Some("administratively prohibited"),
            Self::INSUFFICIENT_RESOURCES => Some("insufficient resources"),
            Self::NO_BINDING => Some("no protocol to NBMA address binding"),
            Self::BINDING_NOT_UNIQUE => Some("binding not unique"),
            Self::UNIQUE_ADDRESS_ALREADY_REGISTERED => Some("unique address already registered"),
            Self(_) => None,
        }
    }
}

impl fmt::Display for CieCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name().unwrap_or("unknown"), self.0)
    }
}

/// Error Code of an error indication (RFC 2332 §5.2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub u16);

impl ErrorCode {
    /// An extension that must be understood is not.
    pub const UNRECOGNIZED_EXTENSION: Self = Self(1);
    /// The packet is being forwarded in a loop.
    pub const LOOP_DETECTED: Self = Self(3);
    /// The routed path ends before the protocol address.
    pub const PROTOCOL_ADDRESS_UNREACHABLE: Self = Self(6);
    /// Anything generic: version, protocol type, checksum.
    pub const PROTOCOL_ERROR: Self = Self(7);
    /// The packet is longer than the NBMA network carries.
    pub const SDU_SIZE_EXCEEDED: Self = Self(8);
    /// An extension that does not belong in this packet type.
    pub const INVALID_EXTENSION: Self = Self(9);
    /// A resolution reply that nobody asked for.
    pub const INVALID_RESOLUTION_REPLY: Self = Self(10);
    /// The authentication extension is wrong or absent.
    pub const AUTHENTICATION_FAILURE: Self = Self(11);
    /// No hop is left.
    pub const HOP_COUNT_EXCEEDED: Self = Self(15);

    /// What it says, `None` if the code is unknown.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::UNRECOGNIZED_EXTENSION => Some("unrecognized extension"),
            Self::LOOP_DETECTED => Some("loop detected"),
            Self::PROTOCOL_ADDRESS_UNREACHABLE => Some("protocol address unreachable"),
            Self::PROTOCOL_ERROR => Some("protocol error"),
            Self::SDU_SIZE_EXCEEDED => Some("SDU size exceeded"),
            Self::INVALID_EXTENSION => Some("invalid extension"),
            Self::INVALID_RESOLUTION_REPLY => Some("invalid resolution reply received"),
            Self::AUTHENTICATION_FAILURE => Some("authentication failure"),
            Self::HOP_COUNT_EXCEEDED => Some("hop count exceeded"),
            Self(_) => None,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name().unwrap_or("unknown"), self.0)
    }
}

/// Type of an extension, 14 bits: the compulsory and the unused bit are not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtensionType(pub(super) u16);

impl ExtensionType {
    /// The end of extensions (RFC 2332 §5.3.0).
    pub const END: Self = Self(0);
    /// Responder Address (§5.3.1).
    pub const RESPONDER_ADDRESS: Self = Self(3);
    /// Forward Transit NHS Record (§5.3.2).
    pub const FORWARD_TRANSIT_NHS_RECORD: Self = Self(4);
    /// Reverse Transit NHS Record (§5.3.3).
    pub const REVERSE_TRANSIT_NHS_RECORD: Self = Self(5);
    /// Authentication (§5.3.4).
    pub const AUTHENTICATION: Self = Self(7);
    /// Vendor-Private (§5.3.5).
    pub const VENDOR_PRIVATE: Self = Self(8);
    /// NAT Address, Cisco's. RFC 2735 gave the number to device capabilities.
    pub const NAT_ADDRESS: Self = Self(9);

    /// The type whose low 14 bits are those of `value`.
    #[must_use]
    pub const fn new(value: u16) -> Self {
        Self(value & 0x3fff)
    }

    /// Its value.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }

    /// Its name, `None` if the type is unknown.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::END => Some("End Of Extensions"),
            Self::RESPONDER_ADDRESS => Some("Responder Address"),
            Self::FORWARD_TRANSIT_NHS_RECORD => Some("Forward Transit NHS Record"),
            Self::REVERSE_TRANSIT_NHS_RECORD => Some("Reverse Transit NHS Record"),
            Self::AUTHENTICATION => Some("Authentication"),
            Self::VENDOR_PRIVATE => Some("Vendor-Private"),
            Self::NAT_ADDRESS => Some("NAT address"),
            Self(_) => None,
        }
    }
}

/// Security parameter index of an authentication extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecurityParameterIndex(pub u16);

impl SecurityParameterIndex {
    /// Cisco's: the data is the string itself, in clear text.
    pub const CLEAR_TEXT: Self = Self(1);
}

/// A request identifier: with the source address it names one request and its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u32);

impl RequestId {
    /// The identifier of the request after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Flags of a message; what a bit means depends on the packet type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flags(pub u16);

impl Flags {
    /// None.
    pub const NONE: Self = Self(0);
    /// Registration: the protocol address is unique (RFC 2332 §5.2.3).
    pub const UNIQUE: Self = Self(0x8000);
    /// Resolution: the requester is a router (§5.2.1).
    pub const ROUTER: Self = Self(0x8000);
    /// Resolution: authoritative (§5.2.1).
    pub const AUTHORITATIVE: Self = Self(0x4000);
    /// Resolution reply: the destination is stable (§5.2.2).
    pub const DESTINATION_STABLE: Self = Self(0x2000);
    /// Resolution: the binding is, or has to be, unique (§5.2.1).
    pub const RESOLUTION_UNIQUE: Self = Self(0x1000);
    /// Resolution: the source is stable (§5.2.1).
    pub const SOURCE_STABLE: Self = Self(0x0800);
    /// Purge: no reply is expected (§5.2.5).
    pub const NO_REPLY: Self = Self(0x8000);
    /// The sender knows Cisco's NAT address extension.
    pub const NAT: Self = Self(0x0002);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}
