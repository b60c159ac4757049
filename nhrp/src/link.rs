use core::net::IpAddr;

use bytes::Bytes;

use crate::Identity;

/// The owner's handle of a peer on the NBMA network. Several links may share an NBMA address: two
/// spokes behind one NAT are two links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A peer on the NBMA network as the owner attests it. Nothing in it is taken from NHRP packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The owner's handle.
    pub id: LinkId,
    /// Where the peer is: the address that its packets come from, outside any NAT.
    pub nbma: IpAddr,
    /// Our address that they come to.
    pub local: IpAddr,
    /// The peer's UDP port, if its packets come in UDP.
    pub udp_port: Option<u16>,
    /// Whom the security association authenticated; `None` without one.
    pub identity: Option<Identity>,
}

/// Where a packet goes on the NBMA network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextHop {
    /// The NBMA address.
    pub nbma: IpAddr,
    /// The link, if one is known.
    pub link: Option<LinkId>,
}

/// An NHRP packet to send: the payload of GRE protocol type 0x2001.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: NextHop,
    /// The packet; a retransmission is the same octets.
    pub packet: Bytes,
}

/// Who registered a binding, and who alone may change or purge it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// Whom the security association authenticated.
    Identity(Identity),
    /// Without security associations nothing better is known.
    Nbma(IpAddr),
}

impl Owner {
    pub(crate) fn of(link: &Link) -> Self {
        match &link.identity {
            Some(identity) => Self::Identity(identity.clone()),
            None => Self::Nbma(link.nbma),
        }
    }
}
