use super::notification::cookie_pair;
use super::reader::Reader;
use super::{Cookie, Doi, ParseError, ProtocolId};
use alloc::borrow::Cow;
use alloc::vec::Vec;

/// A delete payload (RFC 2408 §3.15): SAs that the sender no longer has. The SPIs should be those
/// that the sender chose, its inbound ones; some peers name the receiver's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delete<'a> {
    doi: Doi,
    protocol: ProtocolId,
    spi_size: u8,
    count: u16,
    /// `count` times `spi_size` octets.
    spis: Cow<'a, [u8]>,
}

impl<'a> Delete<'a> {
    const FIXED: usize = 8;

    /// Deletes the ISAKMP SA of these cookies.
    #[must_use]
    pub fn isakmp(initiator: Cookie, responder: Cookie) -> Self {
        Self {
            doi: Doi::IPSEC,
            protocol: ProtocolId::ISAKMP,
            spi_size: 16,
            count: 1,
            spis: Cow::Owned(cookie_pair((initiator, responder))),
        }
    }

    /// Deletes ESP SAs. Of more than 65535 the rest is left out.
    #[must_use]
    pub fn esp(spis: &[u32]) -> Self {
        let count = u16::try_from(spis.len()).unwrap_or(u16::MAX);
        let spis = spis.iter().take(usize::from(count)).flat_map(|spi| spi.to_be_bytes());
        Self {
            doi: Doi::IPSEC,
            protocol: ProtocolId::ESP,
            spi_size: 4,
            count,
            spis: spis.collect(),
        }
    }

    /// The same in another domain. Some peers delete ISAKMP SAs in [`Doi::ISAKMP`].
    #[must_use]
    pub fn with_doi(self, doi: Doi) -> Self {
        Self { doi, ..self }
    }

    /// The domain of interpretation.
    #[must_use]
    pub const fn doi(&self) -> Doi {
        self.doi
    }

    /// The protocol of the SAs.
    #[must_use]
    pub const fn protocol(&self) -> ProtocolId {
        self.protocol
    }

    /// The octets of each SPI: 16 (both cookies) for ISAKMP, 4 for ESP and AH.
    #[must_use]
    pub const fn spi_size(&self) -> u8 {
        self.spi_size
    }

    /// The number of SPIs.
    #[must_use]
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// The SPIs. None at all if their size is 0, whatever their number.
    pub fn spis(&self) -> impl Iterator<Item = &[u8]> {
        // Without octets there are no chunks, so that 1 is as good as 0 and never panics.
        self.spis.chunks(usize::from(self.spi_size).max(1))
    }

    /// The SPIs that have four octets, as those of ESP and AH do.
    pub fn spis32(&self) -> impl Iterator<Item = u32> {
        self.spis().filter_map(|spi| spi.try_into().ok().map(u32::from_be_bytes))
    }

    /// Whether it names the ISAKMP SA of these cookies.
    #[must_use]
    pub fn names_isakmp(&self, initiator: Cookie, responder: Cookie) -> bool {
        let pair = cookie_pair((initiator, responder));
        self.protocol == ProtocolId::ISAKMP && self.spis().any(|spi| spi == pair)
    }

    /// Reads the body of a payload, which starts at `offset` of its message.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if it is shorter than its fixed part and SPIs,
    /// [`ParseError::Excess`] if it is longer.
    pub fn parse(body: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        let mut reader = Reader::new(body, offset);
        let mut fixed = reader.take("DELETE payload", Self::FIXED)?;
        let doi = Doi(fixed.u32("DOI")?);
        let protocol = ProtocolId(fixed.u8("protocol")?);
        let spi_size = fixed.u8("SPI size")?;
        let count = fixed.u16("number of SPIs")?;
        let size = usize::from(spi_size).saturating_mul(usize::from(count));
        let spis = Cow::Borrowed(reader.take("SPIs", size)?.remaining());
        reader.finish("DELETE payload")?;
        Ok(Self { doi, protocol, spi_size, count, spis })
    }

    /// The octets of the body on the wire.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.spis.len().saturating_add(Self::FIXED)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.doi.0.to_be_bytes());
        out.extend([self.protocol.0, self.spi_size]);
        out.extend(self.count.to_be_bytes());
        out.extend_from_slice(&self.spis);
    }
}
