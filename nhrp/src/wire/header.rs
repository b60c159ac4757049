use super::reader::Reader;
use super::{AddressFamily, ParseError, ProtocolType};

/// The fixed header as it stands in the octets (RFC 2332 §5.1). Nothing of it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedHeader {
    /// ar$afn.
    pub address_family: AddressFamily,
    /// ar$pro.type.
    pub protocol_type: ProtocolType,
    /// ar$pro.snap.
    pub protocol_snap: [u8; 5],
    /// ar$hopcnt.
    pub hop_count: u8,
    /// ar$pktsz: octets of the packet.
    pub packet_size: u16,
    /// ar$chksum.
    pub checksum: u16,
    /// ar$extoff: where the extensions start, 0 if there are none.
    pub extension_offset: u16,
    /// ar$op.version.
    pub version: u8,
    /// ar$op.type; see [`PacketType`](super::PacketType).
    pub packet_type: u8,
    /// ar$shtl: format and length of the source NBMA address.
    pub source_type_length: u8,
    /// ar$sstl: format and length of the source NBMA subaddress.
    pub source_subaddress_type_length: u8,
}

impl FixedHeader {
    /// Its octets.
    pub const LEN: usize = 20;

    /// Reads the fixed header at the start of `octets`.
    ///
    /// # Errors
    /// [`ParseError::Truncated`] if there are fewer than 20.
    pub fn parse(octets: &[u8]) -> Result<Self, ParseError> {
        Self::read(&mut Reader::new(octets, 0))
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let [
            f0,
            f1,
            t0,
            t1,
            s0,
            s1,
            s2,
            s3,
            s4,
            hop_count, //
            p0,
            p1,
            c0,
            c1,
            e0,
            e1,
            version,
            packet_type,
            shtl,
            sstl,
        ] = reader.array::<{ Self::LEN }>("fixed header")?;
        Ok(Self {
            address_family: AddressFamily(u16::from_be_bytes([f0, f1])),
            protocol_type: ProtocolType(u16::from_be_bytes([t0, t1])),
            protocol_snap: [s0, s1, s2, s3, s4],
            hop_count,
            packet_size: u16::from_be_bytes([p0, p1]),
            checksum: u16::from_be_bytes([c0, c1]),
            extension_offset: u16::from_be_bytes([e0, e1]),
            version,
            packet_type,
            source_type_length: shtl,
            source_subaddress_type_length: sstl,
        })
    }

    pub(super) fn octets(&self) -> [u8; Self::LEN] {
        let [f0, f1] = self.address_family.0.to_be_bytes();
        let [t0, t1] = self.protocol_type.0.to_be_bytes();
        let [s0, s1, s2, s3, s4] = self.protocol_snap;
        let [p0, p1] = self.packet_size.to_be_bytes();
        let [c0, c1] = self.checksum.to_be_bytes();
        let [e0, e1] = self.extension_offset.to_be_bytes();
        [
            f0,
            f1,
            t0,
            t1,
            s0,
            s1,
            s2,
            s3,
            s4,
            self.hop_count,
            p0,
            p1,
            c0,
            c1,
            e0,
            e1,
            self.version,
            self.packet_type,
            self.source_type_length,
            self.source_subaddress_type_length,
        ]
    }
}
