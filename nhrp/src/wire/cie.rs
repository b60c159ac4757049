use alloc::vec::Vec;
use core::net::IpAddr;

use super::reader::Reader;
use super::{Address, BuildError, CieCode, NbmaAddress, ParseError};

/// A client information entry (RFC 2332 §5.2.0.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cie {
    /// 0, or why it was refused.
    pub code: CieCode,
    /// Length in bits of the prefix that the entry speaks for; 0 and 255 mean the address itself.
    pub prefix_length: u8,
    /// Unused.
    pub unused: u16,
    /// Maximum transmission unit of the client in octets, 0 for the default.
    pub mtu: u16,
    /// For how many seconds the information holds.
    pub holding_time: u16,
    /// Preference among entries; higher is preferred.
    pub preference: u8,
    /// The client's NBMA address.
    pub nbma: NbmaAddress,
    /// The client's NBMA subaddress.
    pub nbma_subaddress: NbmaAddress,
    /// The client's protocol address.
    pub protocol: Address,
}

impl Cie {
    /// Octets of an entry without addresses.
    pub const FIXED_LEN: usize = 12;

    /// An entry without addresses: it speaks of the packet's source (§5.2.3).
    #[must_use]
    pub fn bare(prefix_length: u8, mtu: u16, holding_time: u16) -> Self {
        Self {
            code: CieCode::SUCCESS,
            prefix_length,
            unused: 0,
            mtu,
            holding_time,
            preference: 0,
            nbma: NbmaAddress::none(),
            nbma_subaddress: NbmaAddress::none(),
            protocol: Address::none(),
        }
    }

    /// The same entry, speaking of the client at `nbma` whose protocol address is `protocol`.
    #[must_use]
    pub fn of(self, nbma: IpAddr, protocol: IpAddr) -> Self {
        Self { nbma: nbma.into(), protocol: protocol.into(), ..self }
    }

    /// Octets that it takes in a packet.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        Self::FIXED_LEN
            .saturating_add(self.nbma.address.octets().len())
            .saturating_add(self.nbma_subaddress.address.octets().len())
            .saturating_add(self.protocol.octets().len())
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let what = "client information entry";
        let [code, prefix_length, u0, u1, m0, m1, h0, h1, nbma, subaddress, protocol, preference] =
            reader.array::<{ Self::FIXED_LEN }>(what)?;
        Ok(Self {
            code: CieCode(code),
            prefix_length,
            unused: u16::from_be_bytes([u0, u1]),
            mtu: u16::from_be_bytes([m0, m1]),
            holding_time: u16::from_be_bytes([h0, h1]),
            preference,
            nbma: NbmaAddress::read(reader, "client NBMA address", nbma)?,
            nbma_subaddress: NbmaAddress::read(reader, "client NBMA subaddress", subaddress)?,
            protocol: Address::read(reader, "client protocol address", usize::from(protocol))?,
        })
    }

    /// All entries up to the end of `reader`.
    pub(super) fn read_all(mut reader: Reader<'_>) -> Result<Vec<Self>, ParseError> {
        let mut entries = Vec::new();
        while !reader.is_empty() {
            entries.push(Self::read(&mut reader)?);
        }
        Ok(entries)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), BuildError> {
        out.extend([self.code.0, self.prefix_length]);
        out.extend(self.unused.to_be_bytes());
        out.extend(self.mtu.to_be_bytes());
        out.extend(self.holding_time.to_be_bytes());
        out.push(self.nbma.type_length("client NBMA address")?);
        out.push(self.nbma_subaddress.type_length("client NBMA subaddress")?);
        out.push(self.protocol.length("client protocol address")?);
        out.push(self.preference);
        self.nbma.write(out);
        self.nbma_subaddress.write(out);
        out.extend_from_slice(self.protocol.octets());
        Ok(())
    }
}
