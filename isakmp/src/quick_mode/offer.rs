//! The SA and ID payloads of quick mode (RFC 2407 §4.4, §4.5, §4.6.2).

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::crypto::Group;
use crate::nat_traversal::NatTraversalVersion;
use crate::phase1::offer::{bearable, owned};
use crate::wire::phase2 as attribute;
use crate::wire::{
    Attribute, AttributeType, AuthenticationAlgorithm, EncapsulationMode, IdType, Identification,
    LifeType, Proposal, ProtocolId, ResponderLifetime, SecurityAssociation, Transform, TransformId,
};
use crate::{
    ChildLifetime, Deviation, Discard, EspEncryption, EspIntegrity, EspProposal, Mode, Protection,
    Selector, Trace,
};

/// The document by which ESP goes in UDP, if it does.
pub(crate) type Udp = Option<NatTraversalVersion>;

/// Our offer: a proposal for each transform set, attributes in Cisco's order.
pub(crate) fn offer(protection: &Protection, spi: u32, udp: Udp) -> SecurityAssociation<'static> {
    let proposals = (1..=u8::MAX).zip(&protection.proposals).map(|(number, set)| {
        let transform = transform(*set, protection, udp);
        let spi = spi.to_be_bytes().to_vec();
        Proposal::new(number, ProtocolId::ESP, spi, Vec::from([transform]))
    });
    SecurityAssociation::new(proposals.collect())
}

fn transform(set: EspProposal, protection: &Protection, udp: Udp) -> Transform<'static> {
    let mode = match (udp, protection.mode) {
        (Some(version), mode) => version.encapsulation_mode(mode),
        (None, Mode::Transport) => EncapsulationMode::TRANSPORT,
        (None, Mode::Tunnel) => EncapsulationMode::TUNNEL,
    };
    let (id, key_length) = encryption_code(set.encryption);
    let mut attributes = Vec::from([Attribute::basic(attribute::ENCAPSULATION_MODE, mode.0)]);
    attributes.extend(lifetime_attributes(protection.lifetime));
    attributes.extend(set.integrity.map(|integrity| {
        Attribute::basic(attribute::AUTHENTICATION_ALGORITHM, integrity_code(integrity).0)
    }));
    attributes.extend(key_length.map(|bits| Attribute::basic(attribute::KEY_LENGTH, bits)));
    attributes.extend(
        protection.pfs.map(|group| Attribute::basic(attribute::GROUP_DESCRIPTION, group.0)),
    );
    Transform::new(1, id, attributes)
}

/// Life types and durations as IOS writes them: seconds in the basic format if they fit, kilobytes
/// in four bytes.
pub(crate) fn lifetime_attributes(lifetime: ChildLifetime) -> Vec<Attribute<'static>> {
    let seconds = match u16::try_from(lifetime.seconds) {
        Ok(seconds) => Attribute::basic(attribute::LIFE_DURATION, seconds),
        Err(_) => Attribute::variable_u32(attribute::LIFE_DURATION, lifetime.seconds),
    };
    let mut attributes =
        Vec::from([Attribute::basic(attribute::LIFE_TYPE, LifeType::SECONDS.0), seconds]);
    if let Some(kilobytes) = lifetime.kilobytes {
        attributes.extend([
            Attribute::basic(attribute::LIFE_TYPE, LifeType::KILOBYTES.0),
            Attribute::variable_u32(attribute::LIFE_DURATION, kilobytes),
        ]);
    }
    attributes
}

const fn encryption_code(encryption: EspEncryption) -> (TransformId, Option<u16>) {
    match encryption {
        EspEncryption::TripleDes => (TransformId::ESP_3DES, None),
        EspEncryption::Aes128Cbc => (TransformId::ESP_AES, Some(128)),
        EspEncryption::Aes192Cbc => (TransformId::ESP_AES, Some(192)),
        EspEncryption::Aes256Cbc => (TransformId::ESP_AES, Some(256)),
        EspEncryption::Aes128Gcm16 => (TransformId::ESP_AES_GCM_16, Some(128)),
        EspEncryption::Aes192Gcm16 => (TransformId::ESP_AES_GCM_16, Some(192)),
        EspEncryption::Aes256Gcm16 => (TransformId::ESP_AES_GCM_16, Some(256)),
        EspEncryption::Null => (TransformId::ESP_NULL, None),
    }
}

const fn integrity_code(integrity: EspIntegrity) -> AuthenticationAlgorithm {
    match integrity {
        EspIntegrity::HmacMd5 => AuthenticationAlgorithm::HMAC_MD5,
        EspIntegrity::HmacSha1 => AuthenticationAlgorithm::HMAC_SHA,
        EspIntegrity::HmacSha256 => AuthenticationAlgorithm::HMAC_SHA2_256,
        EspIntegrity::HmacSha384 => AuthenticationAlgorithm::HMAC_SHA2_384,
        EspIntegrity::HmacSha512 => AuthenticationAlgorithm::HMAC_SHA2_512,
    }
}

/// A transform that fits.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) set: EspProposal,
    /// The SPI that the peer receives with.
    pub(crate) peer_spi: u32,
    /// What to answer: the proposal as it came, with this transform alone.
    pub(crate) proposal: Proposal<'static>,
    /// The shorter of both sides' lifetimes.
    pub(crate) lifetime: ChildLifetime,
    /// Whether ours is shorter in anything than what the peer asked for.
    pub(crate) announce_lifetime: bool,
    pub(crate) pfs: Option<Group>,
    pub(crate) deviations: Vec<Deviation>,
}

/// Compares an SA payload with a protection: the peer's proposals in its order, each with all our
/// transform sets.
pub(crate) fn choose(
    offered: &SecurityAssociation<'_>,
    protection: &Protection,
    udp: Udp,
    notes: &mut Vec<Trace>,
) -> Result<Choice, Discard> {
    let mut refusal = Discard::NoProposalChosen;
    for proposal in &offered.proposals {
        // Proposals of the same number are meant together (RFC 2408 §4.2); bundles are not for us.
        let bundled =
            offered.proposals.iter().filter(|other| other.number == proposal.number).count() > 1;
        for transform in &proposal.transforms {
            notes.push(Trace::CheckingProposal {
                proposal: proposal.number,
                transform: transform.number,
                protocol: proposal.protocol,
                id: transform.id,
                attributes: owned(&transform.attributes),
            });
            let compared = if bundled || proposal.protocol != ProtocolId::ESP {
                Err(Discard::NoProposalChosen)
            } else {
                compare(proposal, transform, protection, udp)
            };
            match compared {
                Ok(choice) => {
                    notes.push(Trace::ProposalAcceptable);
                    return Ok(choice);
                }
                Err(discard) => {
                    if discard != Discard::NoProposalChosen {
                        refusal = discard;
                    }
                    notes.push(Trace::ProposalNotAcceptable {
                        proposal: proposal.number,
                        transform: transform.number,
                    });
                }
            }
        }
    }
    Err(refusal)
}

fn compare(
    proposal: &Proposal<'_>,
    transform: &Transform<'_>,
    protection: &Protection,
    udp: Udp,
) -> Result<Choice, Discard> {
    let offer = Offer::read(transform).ok_or(Discard::NoProposalChosen)?;
    let set = protection
        .proposals
        .iter()
        .find(|set| {
            encryption_code(set.encryption) == (transform.id, offer.key_length)
                && set.integrity.map(integrity_code) == offer.integrity
        })
        .ok_or(Discard::NoProposalChosen)?;
    let mut deviations = Vec::new();
    check_mode(offer.mode, protection.mode, udp, &mut deviations)?;
    // Without the attribute there is no perfect forward secrecy (RFC 2409 §5.5). Required by us it
    // must be there; asked for by the peer alone it is granted.
    if let (Some(ours), peer) = (protection.pfs, offer.group)
        && peer != Some(ours)
    {
        return Err(Discard::PfsMismatch { peer, ours: Some(ours) });
    }
    let peer_spi = proposal.spi32().filter(|spi| *spi > 255).ok_or(Discard::Spi)?;
    let ours = protection.lifetime;
    // RFC 2407 §4.5.4: without an attribute the lifetime is eight hours.
    let seconds = offer.seconds.unwrap_or(28_800);
    let lifetime = ChildLifetime {
        seconds: bearable(seconds).min(ours.seconds),
        kilobytes: match (offer.kilobytes, ours.kilobytes) {
            (Some(peer), Some(ours)) => Some(peer.max(1).min(ours)),
            (Some(peer), None) => Some(peer.max(1)),
            (None, ours) => ours,
        },
    };
    let peer = ChildLifetime { seconds, kilobytes: offer.kilobytes };
    let Proposal { number, protocol, spi, .. } = proposal.clone().into_owned();
    let transform = transform.clone().into_owned();
    Ok(Choice {
        set: *set,
        peer_spi,
        proposal: Proposal::new(number, protocol, spi, Vec::from([transform])),
        lifetime,
        announce_lifetime: lifetime != peer,
        pfs: offer.group,
        deviations,
    })
}

/// The wrong variant is another proposal: with a NAT the mode must be one of UDP's, without it
/// must not be (RFC 3947 §5.1). Between the numbers of the RFC and of the drafts any will do.
fn check_mode(
    offered: Option<EncapsulationMode>,
    wanted: Mode,
    udp: Udp,
    deviations: &mut Vec<Deviation>,
) -> Result<(), Discard> {
    let Some(offered) = offered else {
        deviations.push(Deviation::NoEncapsulationMode);
        return Ok(());
    };
    let (mode, in_udp) = match offered {
        EncapsulationMode::TRANSPORT => (Mode::Transport, false),
        EncapsulationMode::TUNNEL => (Mode::Tunnel, false),
        EncapsulationMode::UDP_TRANSPORT | EncapsulationMode::UDP_TRANSPORT_DRAFT => {
            (Mode::Transport, true)
        }
        EncapsulationMode::UDP_TUNNEL | EncapsulationMode::UDP_TUNNEL_DRAFT => (Mode::Tunnel, true),
        _ => return Err(Discard::NoProposalChosen),
    };
    if mode != wanted || in_udp != udp.is_some() {
        return Err(Discard::NoProposalChosen);
    }
    if udp.is_some_and(|version| version.encapsulation_mode(mode) != offered) {
        deviations.push(Deviation::EncapsulationVariant);
    }
    Ok(())
}

/// The attributes of an ESP transform.
#[derive(Default)]
struct Offer {
    key_length: Option<u16>,
    integrity: Option<AuthenticationAlgorithm>,
    mode: Option<EncapsulationMode>,
    seconds: Option<u32>,
    kilobytes: Option<u32>,
    group: Option<Group>,
}

impl Offer {
    /// `None` if there is an attribute that changes what the transform does and is not known here.
    fn read(transform: &Transform<'_>) -> Option<Self> {
        let mut offer = Self::default();
        let mut life_type = None;
        for item in &transform.attributes {
            let number = item.number()?;
            let short = u16::try_from(number).ok();
            match item.attribute_type {
                attribute::LIFE_TYPE => life_type = short,
                // A duration belongs to the life type before it.
                attribute::LIFE_DURATION => {
                    let duration = Some(u32::try_from(number).unwrap_or(u32::MAX));
                    match life_type.map(LifeType) {
                        Some(LifeType::SECONDS) => offer.seconds = duration,
                        Some(LifeType::KILOBYTES) => offer.kilobytes = duration,
                        _ => return None,
                    }
                }
                attribute::GROUP_DESCRIPTION => offer.group = Some(Group(short?)),
                attribute::ENCAPSULATION_MODE => offer.mode = Some(EncapsulationMode(short?)),
                attribute::AUTHENTICATION_ALGORITHM => {
                    offer.integrity = Some(AuthenticationAlgorithm(short?));
                }
                attribute::KEY_LENGTH => offer.key_length = Some(short?),
                _ => return None,
            }
        }
        Some(offer)
    }
}

/// Seconds and kilobytes of a RESPONDER-LIFETIME notification's data (RFC 2407 §4.6.3.1), of the phase
/// whose attribute types are given. What cannot be read announces nothing.
pub(crate) fn announced_lifetime(
    data: &[u8],
    types: (AttributeType, AttributeType),
) -> (Option<u32>, Option<u32>) {
    let Ok(announced) = ResponderLifetime::parse(data, 0) else { return (None, None) };
    let duration = |unit| announced.duration(unit, types);
    (duration(LifeType::SECONDS), duration(LifeType::KILOBYTES))
}

/// The ID payload for a selector: Cisco's host form for hosts, a subnet otherwise.
pub(crate) fn identification(selector: &Selector) -> Identification<'static> {
    let Selector { address, prefix, protocol, port } = *selector;
    if selector.is_host() {
        return Identification::address(address, protocol, port);
    }
    let (id_type, data) = match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
            let network = u32::from(address) & mask;
            let data = [network.to_be_bytes(), mask.to_be_bytes()].concat();
            (IdType::IPV4_ADDR_SUBNET, data)
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
            let network = u128::from(address) & mask;
            let data = [network.to_be_bytes(), mask.to_be_bytes()].concat();
            (IdType::IPV6_ADDR_SUBNET, data)
        }
    };
    Identification { id_type, protocol, port, data: data.into() }
}

/// The selector of an ID payload; `None` for what is neither host nor subnet.
pub(crate) fn selector(id: &Identification<'_>) -> Option<Selector> {
    if let Some(address) = id.as_address() {
        return Some(Selector { port: id.port, ..Selector::host(address, id.protocol) });
    }
    if !matches!(id.id_type, IdType::IPV4_ADDR_SUBNET | IdType::IPV6_ADDR_SUBNET) {
        return None;
    }
    let (address, mask) = id.as_address_pair()?;
    let (ones, zeros, bits) = match mask {
        IpAddr::V4(mask) => {
            let mask = u32::from(mask);
            (mask.leading_ones(), mask.trailing_zeros(), 32)
        }
        IpAddr::V6(mask) => {
            let mask = u128::from(mask);
            (mask.leading_ones(), mask.trailing_zeros(), 128)
        }
    };
    // A mask with holes is no subnet.
    if ones.saturating_add(zeros) != bits {
        return None;
    }
    let prefix = u8::try_from(ones).ok()?;
    Some(Selector { address, prefix, protocol: id.protocol, port: id.port })
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{SecurityAssociation, choose, offer};
    use crate::{Discard, Protection, Remote};

    /// RFC 2408 §4.2: proposals of one number are accepted together or not at all.
    #[test]
    fn proposals_that_are_meant_together_are_not_for_us() {
        let local = "172.17.0.1".parse().expect("an address");
        let protection = Protection::gre(local, Remote::Any);
        let mut offered = offer(&protection, 0x1234_5678, None);
        let chosen =
            |offered: &SecurityAssociation<'_>| choose(offered, &protection, None, &mut Vec::new());
        assert!(chosen(&offered).is_ok());
        // Another number is an alternative.
        let mut other = offered.proposals[0].clone();
        other.number = 2;
        offered.proposals.push(other);
        assert!(chosen(&offered).is_ok());
        offered.proposals[1].number = 1;
        assert_eq!(chosen(&offered).err(), Some(Discard::NoProposalChosen));
    }
}
