use alloc::vec::Vec;
use core::net::IpAddr;

use bytes::Bytes;

use super::reader::Reader;
use super::{
    Address, AddressFamily, BuildError, Cie, ErrorCode, ErrorIndication, Extension, ExtensionType,
    FixedHeader, Flags, Message, NbmaAddress, PacketType, ParseError, ProtocolType, RequestId,
    TrafficIndication, checksum,
};

/// A packet, decoded. [`encode`](Self::encode) gives the octets back that it was parsed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Family of the NBMA addresses.
    pub address_family: AddressFamily,
    /// Protocol of the protocol addresses.
    pub protocol_type: ProtocolType,
    /// The protocol in long form.
    pub protocol_snap: [u8; 5],
    /// How many next hop servers it may yet cross.
    pub hop_count: u8,
    /// NBMA address of who sent the request, or of who observed the error.
    pub source_nbma: NbmaAddress,
    /// Its NBMA subaddress.
    pub source_nbma_subaddress: NbmaAddress,
    /// Protocol address of who sent the request, or of who observed the error.
    pub source_protocol: Address,
    /// Protocol address towards which the request goes.
    pub destination_protocol: Address,
    /// What depends on the packet type.
    pub body: Body,
    /// Extensions, their end included; empty if there is no extensions part.
    pub extensions: Vec<Extension>,
}

/// What depends on the packet type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Type 1.
    ResolutionRequest(Message),
    /// Type 2.
    ResolutionReply(Message),
    /// Type 3.
    RegistrationRequest(Message),
    /// Type 4.
    RegistrationReply(Message),
    /// Type 5.
    PurgeRequest(Message),
    /// Type 6.
    PurgeReply(Message),
    /// Type 7.
    ErrorIndication(ErrorIndication),
    /// Type 8, Cisco's.
    TrafficIndication(TrafficIndication),
}

impl Body {
    /// The packet type.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::ResolutionRequest(_) => PacketType::RESOLUTION_REQUEST,
            Self::ResolutionReply(_) => PacketType::RESOLUTION_REPLY,
            Self::RegistrationRequest(_) => PacketType::REGISTRATION_REQUEST,
            Self::RegistrationReply(_) => PacketType::REGISTRATION_REPLY,
            Self::PurgeRequest(_) => PacketType::PURGE_REQUEST,
            Self::PurgeReply(_) => PacketType::PURGE_REPLY,
            Self::ErrorIndication(_) => PacketType::ERROR_INDICATION,
            Self::TrafficIndication(_) => PacketType::TRAFFIC_INDICATION,
        }
    }

    /// What requests and replies carry; `None` for the indications.
    #[must_use]
    pub const fn message(&self) -> Option<&Message> {
        match self {
            Self::ResolutionRequest(message)
            | Self::ResolutionReply(message)
            | Self::RegistrationRequest(message)
            | Self::RegistrationReply(message)
            | Self::PurgeRequest(message)
            | Self::PurgeReply(message) => Some(message),
            Self::ErrorIndication(_) | Self::TrafficIndication(_) => None,
        }
    }

    /// The two octets after the protocol address lengths and the four after those.
    const fn words(&self) -> ([u8; 2], [u8; 4]) {
        match self {
            Self::ResolutionRequest(message)
            | Self::ResolutionReply(message)
            | Self::RegistrationRequest(message)
            | Self::RegistrationReply(message)
            | Self::PurgeRequest(message)
            | Self::PurgeReply(message) => {
                (message.flags.0.to_be_bytes(), message.request_id.0.to_be_bytes())
            }
            Self::ErrorIndication(error) => {
                let [c0, c1] = error.code.0.to_be_bytes();
                let [o0, o1] = error.offset.to_be_bytes();
                (error.unused.to_be_bytes(), [c0, c1, o0, o1])
            }
            Self::TrafficIndication(traffic) => {
                let [c0, c1] = traffic.code.to_be_bytes();
                let [u0, u1] = traffic.unused_after_code.to_be_bytes();
                (traffic.unused.to_be_bytes(), [c0, c1, u0, u1])
            }
        }
    }

    /// Octets after the addresses.
    fn contents_len(&self) -> usize {
        match self {
            Self::ResolutionRequest(message)
            | Self::ResolutionReply(message)
            | Self::RegistrationRequest(message)
            | Self::RegistrationReply(message)
            | Self::PurgeRequest(message)
            | Self::PurgeReply(message) => message
                .entries
                .iter()
                .fold(0_usize, |length, entry| length.saturating_add(entry.encoded_len())),
            Self::ErrorIndication(error) => error.contents.len(),
            Self::TrafficIndication(traffic) => traffic.contents.len(),
        }
    }

    fn read(
        packet_type: u8,
        [w0, w1]: [u8; 2],
        [i0, i1, i2, i3]: [u8; 4],
        contents: Reader<'_>,
    ) -> Result<Self, ParseError> {
        let message = || {
            Ok(Message {
                flags: Flags(u16::from_be_bytes([w0, w1])),
                request_id: RequestId(u32::from_be_bytes([i0, i1, i2, i3])),
                entries: Cie::read_all(contents)?,
            })
        };
        Ok(match PacketType(packet_type) {
            PacketType::RESOLUTION_REQUEST => Self::ResolutionRequest(message()?),
            PacketType::RESOLUTION_REPLY => Self::ResolutionReply(message()?),
            PacketType::REGISTRATION_REQUEST => Self::RegistrationRequest(message()?),
            PacketType::REGISTRATION_REPLY => Self::RegistrationReply(message()?),
            PacketType::PURGE_REQUEST => Self::PurgeRequest(message()?),
            PacketType::PURGE_REPLY => Self::PurgeReply(message()?),
            PacketType::ERROR_INDICATION => Self::ErrorIndication(ErrorIndication {
                unused: u16::from_be_bytes([w0, w1]),
                code: ErrorCode(u16::from_be_bytes([i0, i1])),
                offset: u16::from_be_bytes([i2, i3]),
                contents: Bytes::copy_from_slice(contents.rest()),
            }),
            PacketType::TRAFFIC_INDICATION => Self::TrafficIndication(TrafficIndication {
                unused: u16::from_be_bytes([w0, w1]),
                code: u16::from_be_bytes([i0, i1]),
                unused_after_code: u16::from_be_bytes([i2, i3]),
                contents: Bytes::copy_from_slice(contents.rest()),
            }),
            PacketType(packet_type) => return Err(ParseError::PacketType { packet_type }),
        })
    }
}

/// A packet with what is to be seen of its octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The fixed header as it stands there.
    pub header: FixedHeader,
    /// Whether the checksum is right.
    pub checksum_ok: bool,
    /// The packet.
    pub packet: Packet,
    /// Octets after the packet, which its size does not count.
    pub trailing: &'a [u8],
}

impl<'a> Parsed<'a> {
    /// Parses a packet whatever its checksum.
    ///
    /// # Errors
    /// [`ParseError`] says what is wrong, and at which offset.
    pub fn parse(octets: &'a [u8]) -> Result<Self, ParseError> {
        let header = FixedHeader::parse(octets)?;
        if header.version != 1 {
            return Err(ParseError::Version { version: header.version });
        }
        let size = usize::from(header.packet_size);
        let minimum = Packet::MANDATORY_OFFSET.saturating_add(Packet::MANDATORY_FIXED_LEN);
        if size < minimum {
            return Err(ParseError::PacketSize { size: header.packet_size, minimum });
        }
        let (octets, trailing) = octets.split_at_checked(size).ok_or(ParseError::Truncated {
            what: "packet",
            offset: 0,
            needed: size,
            have: octets.len(),
        })?;
        Ok(Self {
            header,
            checksum_ok: checksum(octets) == 0,
            packet: Packet::read(&header, octets)?,
            trailing,
        })
    }
}

impl Packet {
    /// Where the mandatory part starts.
    const MANDATORY_OFFSET: usize = FixedHeader::LEN;
    /// Octets of the mandatory part before the addresses.
    const MANDATORY_FIXED_LEN: usize = 8;

    /// A packet for IP over IP, with hop count 255 as Cisco sends it and no extensions.
    #[must_use]
    pub fn new(nbma: IpAddr, source: IpAddr, destination: IpAddr, body: Body) -> Self {
        Self {
            address_family: match nbma {
                IpAddr::V4(_) => AddressFamily::IPV4,
                IpAddr::V6(_) => AddressFamily::IPV6,
            },
            protocol_type: match source {
                IpAddr::V4(_) => ProtocolType::IPV4,
                IpAddr::V6(_) => ProtocolType::IPV6,
            },
            protocol_snap: [0; 5],
            hop_count: 255,
            source_nbma: nbma.into(),
            source_nbma_subaddress: NbmaAddress::none(),
            source_protocol: source.into(),
            destination_protocol: destination.into(),
            body,
            extensions: Vec::new(),
        }
    }

    /// Parses a packet and verifies its checksum. Octets after the packet are ignored.
    ///
    /// # Errors
    /// [`ParseError`] says what is wrong, and at which offset.
    pub fn parse(octets: &[u8]) -> Result<Self, ParseError> {
        let Parsed { header, checksum_ok, packet, .. } = Parsed::parse(octets)?;
        if !checksum_ok {
            let computed = computed_checksum(octets, &header);
            return Err(ParseError::Checksum { found: header.checksum, computed });
        }
        Ok(packet)
    }

    /// The packet type.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        self.body.packet_type()
    }

    /// The first extension of a type.
    #[must_use]
    pub fn extension(&self, extension_type: ExtensionType) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.extension_type == extension_type)
    }

    /// Octets before the extensions.
    fn extensions_start(&self) -> usize {
        [
            Self::MANDATORY_OFFSET,
            Self::MANDATORY_FIXED_LEN,
            self.source_nbma.address.octets().len(),
            self.source_nbma_subaddress.address.octets().len(),
            self.source_protocol.octets().len(),
            self.destination_protocol.octets().len(),
            self.body.contents_len(),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    /// ar$extoff: octets before the extensions, 0 if there are none.
    #[must_use]
    pub fn extension_offset(&self) -> usize {
        if self.extensions.is_empty() { 0 } else { self.extensions_start() }
    }

    /// ar$pktsz: octets of the packet.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.extensions.iter().fold(self.extensions_start(), |length, extension| {
            length.saturating_add(extension.encoded_len())
        })
    }

    /// Builds the packet, checksum included.
    ///
    /// # Errors
    /// [`BuildError`] if an address, an extension or the packet is longer than its length field
    /// can say.
    pub fn encode(&self) -> Result<Bytes, BuildError> {
        let length = self.encoded_len();
        let maximum = usize::from(u16::MAX);
        let packet_size =
            u16::try_from(length).map_err(|_| BuildError { what: "packet", length, maximum })?;
        let length = self.extension_offset();
        let extension_offset = u16::try_from(length).map_err(|_| BuildError {
            what: "mandatory part",
            length,
            maximum,
        })?;
        let mut header = FixedHeader {
            address_family: self.address_family,
            protocol_type: self.protocol_type,
            protocol_snap: self.protocol_snap,
            hop_count: self.hop_count,
            packet_size,
            checksum: 0,
            extension_offset,
            version: 1,
            packet_type: self.packet_type().0,
            source_type_length: self.source_nbma.type_length("source NBMA address")?,
            source_subaddress_type_length: self
                .source_nbma_subaddress
                .type_length("source NBMA subaddress")?,
        };
        let mut out = Vec::with_capacity(usize::from(packet_size));
        out.extend_from_slice(&header.octets());
        out.push(self.source_protocol.length("source protocol address")?);
        out.push(self.destination_protocol.length("destination protocol address")?);
        let (first, second) = self.body.words();
        out.extend_from_slice(&first);
        out.extend_from_slice(&second);
        self.source_nbma.write(&mut out);
        self.source_nbma_subaddress.write(&mut out);
        out.extend_from_slice(self.source_protocol.octets());
        out.extend_from_slice(self.destination_protocol.octets());
        match &self.body {
            Body::ResolutionRequest(message)
            | Body::ResolutionReply(message)
            | Body::RegistrationRequest(message)
            | Body::RegistrationReply(message)
            | Body::PurgeRequest(message)
            | Body::PurgeReply(message) => {
                message.entries.iter().try_for_each(|entry| entry.write(&mut out))?;
            }
            Body::ErrorIndication(error) => out.extend_from_slice(&error.contents),
            Body::TrafficIndication(traffic) => out.extend_from_slice(&traffic.contents),
        }
        self.extensions.iter().try_for_each(|extension| extension.write(&mut out))?;
        header.checksum = checksum(&out);
        if let Some(start) = out.first_chunk_mut() {
            *start = header.octets();
        }
        Ok(Bytes::from(out))
    }

    /// Reads the packet that `octets` are, no more and no less.
    fn read(header: &FixedHeader, octets: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(octets, 0);
        FixedHeader::read(&mut reader)?;
        let [source_length, destination_length] = reader.array("mandatory part")?;
        let first = reader.array("mandatory part")?;
        let second = reader.array("mandatory part")?;
        let source_nbma =
            NbmaAddress::read(&mut reader, "source NBMA address", header.source_type_length)?;
        let source_nbma_subaddress = NbmaAddress::read(
            &mut reader,
            "source NBMA subaddress",
            header.source_subaddress_type_length,
        )?;
        let source_protocol =
            Address::read(&mut reader, "source protocol address", usize::from(source_length))?;
        let destination_protocol = Address::read(
            &mut reader,
            "destination protocol address",
            usize::from(destination_length),
        )?;
        let minimum = reader.offset();
        let contents_len = match usize::from(header.extension_offset) {
            0 => reader.remaining(),
            // An extensions part without even its end cannot be: then the offset is 0.
            offset if offset < octets.len() => {
                offset.checked_sub(minimum).ok_or(ParseError::ExtensionOffset {
                    found: header.extension_offset,
                    minimum,
                    size: header.packet_size,
                })?
            }
            _ => {
                return Err(ParseError::ExtensionOffset {
                    found: header.extension_offset,
                    minimum,
                    size: header.packet_size,
                });
            }
        };
        let contents = reader.take("mandatory part", contents_len)?;
        let body = Body::read(header.packet_type, first, second, contents)?;
        Ok(Self {
            address_family: header.address_family,
            protocol_type: header.protocol_type,
            protocol_snap: header.protocol_snap,
            hop_count: header.hop_count,
            source_nbma,
            source_nbma_subaddress,
            source_protocol,
            destination_protocol,
            body,
            extensions: Extension::read_all(reader)?,
        })
    }
}

/// What the checksum of the packet at the start of these octets should be.
fn computed_checksum(octets: &[u8], header: &FixedHeader) -> u16 {
    let mut zeroed = octets.get(..usize::from(header.packet_size)).unwrap_or(octets).to_vec();
    if let Some(start) = zeroed.first_chunk_mut() {
        *start = FixedHeader { checksum: 0, ..*header }.octets();
    }
    checksum(&zeroed)
}
