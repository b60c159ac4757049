//! Capture files: reading pcap and pcapng frame by frame, writing pcap of raw IP.

use core::time::Duration;
use std::io::{self, Write};

use pcap_parser::nom;
use pcap_parser::pcap::{
    PcapHeader, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified, parse_pcap_header,
};
use pcap_parser::pcapng::{Block, parse_block_be, parse_block_le};
use pcap_parser::{PcapError, SHB_MAGIC};
use thiserror::Error;

/// What a frame starts with: the capture formats' `LINKTYPE_` number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkType(pub i32);

impl LinkType {
    /// Ethernet II.
    pub const ETHERNET: Self = Self(1);
    /// An IPv4 or IPv6 packet and nothing before it.
    pub const RAW: Self = Self(101);
    /// Linux "cooked", version 1: a header of 16 octets.
    pub const LINUX_SLL: Self = Self(113);
    /// An IPv4 packet and nothing before it.
    pub const IPV4: Self = Self(228);
    /// An IPv6 packet and nothing before it.
    pub const IPV6: Self = Self(229);
    /// Linux "cooked", version 2: a header of 20 octets.
    pub const LINUX_SLL2: Self = Self(276);
}

/// One frame of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Counted from 1, as Wireshark does.
    pub number: u64,
    /// What `data` starts with.
    pub link_type: LinkType,
    /// As much of the frame as was captured.
    pub data: &'a [u8],
    /// How long the frame was on the wire, in octets.
    pub original_length: u32,
}

impl<'a> Frame<'a> {
    /// What the link header announces, and the packet behind it with whatever padding the link put
    /// there; `None` for a link type unknown here, or a frame too short for its link header.
    #[must_use]
    pub fn network(&self) -> Option<(EtherType, &'a [u8])> {
        // 802.1Q, 802.1ad and the older QinQ.
        const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

        let u16_at = |at: usize| {
            self.data.get(at..)?.first_chunk().map(|octets| u16::from_be_bytes(*octets))
        };
        let (mut ether_type, mut at) = match self.link_type {
            LinkType::RAW => match self.data.first()? >> 4 {
                6 => (EtherType::IPV6.0, 0),
                _ => (EtherType::IPV4.0, 0),
            },
            LinkType::IPV4 => (EtherType::IPV4.0, 0),
            LinkType::IPV6 => (EtherType::IPV6.0, 0),
            LinkType::ETHERNET => (u16_at(12)?, 14),
            LinkType::LINUX_SLL => (u16_at(14)?, 16),
            LinkType::LINUX_SLL2 => (u16_at(0)?, 20),
            _ => return None,
        };
        while TAGS.contains(&ether_type) {
            ether_type = u16_at(at + 2)?;
            at += 4;
        }
        Some((EtherType(ether_type), self.data.get(at..)?))
    }
}

/// What a link carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4.
    pub const IPV4: Self = Self(0x0800);
    /// NHRP: not on an Ethernet, but in a cooked capture of a tunnel's inside.
    pub const NHRP: Self = Self(0x2001);
    /// IPv6.
    pub const IPV6: Self = Self(0x86dd);
}

/// Why a capture could not be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The file begins as neither pcap nor pcapng does.
    #[error("neither pcap nor pcapng")]
    NotACapture,
    /// The file ends inside the header, record or block that starts at this octet.
    #[error("the capture ends inside what starts at octet {offset}")]
    Truncated {
        /// Octets from the start of the file.
        offset: usize,
    },
    /// The block that starts at this octet is malformed.
    #[error("malformed block at octet {offset}")]
    Malformed {
        /// Octets from the start of the file.
        offset: usize,
    },
    /// A packet of an interface that no block describes.
    #[error("packet at octet {offset} of interface {interface}, which is not described")]
    UnknownInterface {
        /// Octets from the start of the file.
        offset: usize,
        /// The interface's number within its section.
        interface: u32,
    },
}

/// The frames of a capture file, in order. After an error there are no more.
#[derive(Debug)]
pub struct Frames<'a> {
    format: Format,
    file: &'a [u8],
    /// Octets of the file already read; at the end of the file, or after an error, all of them.
    offset: usize,
    number: u64,
}

#[derive(Debug)]
enum Format {
    Pcap(Record, LinkType),
    PcapNg { big_endian: bool, interfaces: Vec<LinkType> },
}

/// How the records of a pcap are laid out.
#[derive(Debug, Clone, Copy)]
enum Record {
    LittleEndian,
    BigEndian,
    Modified,
}

type Parsed<'a, T> = nom::IResult<&'a [u8], T, PcapError<&'a [u8]>>;

impl<'a> Frames<'a> {
    /// The frames of a file, all of which is in memory.
    ///
    /// # Errors
    ///
    /// [`CaptureError::NotACapture`], or `Truncated` within a pcap's first 24 octets.
    pub fn new(file: &'a [u8]) -> Result<Self, CaptureError> {
        let mut frames = Self {
            format: Format::PcapNg { big_endian: false, interfaces: Vec::new() },
            file,
            offset: 0,
            number: 0,
        };
        if file.first_chunk().is_none_or(|magic| u32::from_le_bytes(*magic) != SHB_MAGIC) {
            let header: PcapHeader = match frames.next_of(parse_pcap_header) {
                Err(CaptureError::Malformed { .. }) => return Err(CaptureError::NotACapture),
                header => header?,
            };
            let record = match (header.is_bigendian(), header.is_modified_format()) {
                (true, _) => Record::BigEndian,
                (false, true) => Record::Modified,
                (false, false) => Record::LittleEndian,
            };
            // The upper half holds how long the frame check sequences are.
            let link_type = LinkType(header.network.0 & 0xffff);
            frames.format = Format::Pcap(record, link_type);
        }
        Ok(frames)
    }

    fn next_of<T>(&mut self, parse: impl Fn(&'a [u8]) -> Parsed<'a, T>) -> Result<T, CaptureError> {
        let offset = self.offset;
        match parse(self.file.get(offset..).unwrap_or_default()) {
            Ok((rest, value)) if rest.len() < self.file.len() - offset => {
                self.offset = self.file.len() - rest.len();
                Ok(value)
            }
            Err(nom::Err::Incomplete(_)) => Err(CaptureError::Truncated { offset }),
            // Including a parser that read nothing, which would loop.
            _ => Err(CaptureError::Malformed { offset }),
        }
    }

    fn frame(&mut self, link_type: LinkType, data: &'a [u8], original_length: u32) -> Frame<'a> {
        self.number += 1;
        Frame { number: self.number, link_type, data, original_length }
    }

    /// Reads on to the next frame; `None` at the end of the file.
    fn read(&mut self) -> Result<Option<Frame<'a>>, CaptureError> {
        while self.offset < self.file.len() {
            let offset = self.offset;
            if let Format::Pcap(record, link_type) = self.format {
                let record = self.next_of(match record {
                    Record::LittleEndian => parse_pcap_frame,
                    Record::BigEndian => parse_pcap_frame_be,
                    Record::Modified => parse_pcap_frame_modified,
                })?;
                return Ok(Some(self.frame(link_type, record.data, record.origlen)));
            }
            let big_endian = matches!(self.format, Format::PcapNg { big_endian: true, .. });
            let block = self.next_of(if big_endian { parse_block_be } else { parse_block_le })?;
            let Format::PcapNg { big_endian, interfaces } = &mut self.format else { continue };
            let (interface, data, captured, original_length) = match block {
                Block::SectionHeader(section) => {
                    *big_endian = section.big_endian();
                    interfaces.clear();
                    continue;
                }
                Block::InterfaceDescription(interface) => {
                    interfaces.push(LinkType(interface.linktype.0));
                    continue;
                }
                Block::EnhancedPacket(packet) => {
                    (packet.if_id, packet.data, packet.caplen, packet.origlen)
                }
                // Always the first interface's, and its length is only the original one.
                Block::SimplePacket(packet) => (0, packet.data, packet.origlen, packet.origlen),
                Block::NameResolution(_)
                | Block::InterfaceStatistics(_)
                | Block::SystemdJournalExport(_)
                | Block::DecryptionSecrets(_)
                | Block::ProcessInformation(_)
                | Block::Custom(_)
                | Block::Unknown(_) => continue,
            };
            let index = usize::try_from(interface).unwrap_or(usize::MAX);
            let link_type = interfaces.get(index).copied();
            let link_type =
                link_type.ok_or(CaptureError::UnknownInterface { offset, interface })?;
            let captured = usize::try_from(captured).unwrap_or(usize::MAX).min(data.len());
            let data = data.get(..captured).unwrap_or(data);
            return Ok(Some(self.frame(link_type, data, original_length)));
        }
        Ok(None)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read();
        if next.is_err() {
            self.offset = self.file.len();
        }
        next.transpose()
    }
}

/// Writes a pcap whose frames are IP packets and nothing before them.
#[derive(Debug)]
pub struct PcapWriter<W: Write> {
    to: W,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the file's header.
    ///
    /// # Errors
    ///
    /// What `to` fails with.
    pub fn new(mut to: W) -> io::Result<Self> {
        to.write_all(&0xa1b2_c3d4_u32.to_le_bytes())?;
        // Version 2.4; the time zone and accuracy fields that nobody uses; snap length; link type.
        to.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
        to.write_all(&65_535_u32.to_le_bytes())?;
        to.write_all(&LinkType::RAW.0.to_le_bytes())?;
        Ok(Self { to })
    }

    /// Writes one packet, seen at a time since 1970.
    ///
    /// # Errors
    ///
    /// What the writer fails with, or `InvalidInput` for more than 65535 octets.
    pub fn packet(&mut self, since_epoch: Duration, packet: &[u8]) -> io::Result<()> {
        let length = u16::try_from(packet.len())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "longer than an IP packet"))?;
        // The format's seconds have 32 bits: they wrap in 2106.
        let seconds = since_epoch.as_secs() as u32;
        self.to.write_all(&seconds.to_le_bytes())?;
        self.to.write_all(&since_epoch.subsec_micros().to_le_bytes())?;
        self.to.write_all(&u32::from(length).to_le_bytes())?;
        self.to.write_all(&u32::from(length).to_le_bytes())?;
        self.to.write_all(packet)?;
        self.to.flush()
    }
}
