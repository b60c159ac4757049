use thiserror::Error;

/// Why octets are not an NHRP packet. Offsets count from the start of the fixed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// A structure ends after the octets that hold it.
    #[error("{what} at offset {offset} is cut short: needs {needed} bytes, has {have}")]
    Truncated {
        /// The structure.
        what: &'static str,
        /// Where it starts.
        offset: usize,
        /// The octets it needs.
        needed: usize,
        /// The octets there are.
        have: usize,
    },
    /// ar$op.version is not 1.
    #[error("version {version} at offset 16 is not 1")]
    Version {
        /// What it is.
        version: u8,
    },
    /// ar$op.type is none that RFC 2332 or Cisco define.
    #[error("packet type {packet_type} at offset 17 is unknown")]
    PacketType {
        /// What it is.
        packet_type: u8,
    },
    /// ar$pktsz counts less than the parts that every packet has.
    #[error("packet size {size} at offset 10 is less than {minimum}")]
    PacketSize {
        /// What it is.
        size: u16,
        /// The least it can be.
        minimum: usize,
    },
    /// ar$chksum is not the checksum of the packet.
    #[error("checksum {found:#06x} at offset 12 should be {computed:#06x}")]
    Checksum {
        /// What it is.
        found: u16,
        /// What it should be.
        computed: u16,
    },
    /// ar$extoff points before the end of what the packet must have, or past its last octet.
    #[error("extension offset {found} at offset 14 is not in {minimum}..{size}")]
    ExtensionOffset {
        /// What it is.
        found: u16,
        /// The least it can be, when it is not 0.
        minimum: usize,
        /// The packet size.
        size: u16,
    },
    /// Octets of the packet that no field accounts for.
    #[error("{what} at offset {offset} has {excess} bytes left over")]
    Excess {
        /// The structure.
        what: &'static str,
        /// Where the octets left over start.
        offset: usize,
        /// How many they are.
        excess: usize,
    },
}

impl ParseError {
    /// The structure or field that is at fault.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        match self {
            Self::Truncated { what, .. } | Self::Excess { what, .. } => what,
            Self::Version { .. } => "version",
            Self::PacketType { .. } => "packet type",
            Self::PacketSize { .. } => "packet size",
            Self::Checksum { .. } => "checksum",
            Self::ExtensionOffset { .. } => "extension offset",
        }
    }

    /// Where it is, in octets from the start of the fixed header: the Error Offset of an error
    /// indication (RFC 2332 §5.2.7).
    #[must_use]
    pub const fn offset(&self) -> usize {
        match self {
            Self::Truncated { offset, .. } | Self::Excess { offset, .. } => *offset,
            Self::PacketSize { .. } => 10,
            Self::Checksum { .. } => 12,
            Self::ExtensionOffset { .. } => 14,
            Self::Version { .. } => 16,
            Self::PacketType { .. } => 17,
        }
    }
}

/// Why a packet cannot be built: something in it is longer than its length field can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{what} of {length} bytes is longer than {maximum}")]
pub struct BuildError {
    /// What is too long.
    pub what: &'static str,
    /// Its length in octets.
    pub length: usize,
    /// The most its length field can say.
    pub maximum: usize,
}
