//! The SA payload of phase 1: policies on the wire (RFC 2409 §5 and appendix A).

use alloc::vec::Vec;

use bytes::Bytes;

use crate::config::{Config, Suite};
use crate::nat_traversal::{self, NatTraversalVersion};
use crate::wire::phase1 as attribute;
use crate::wire::{
    Attribute, AttributeType, AttributeValue, AuthenticationMethod, LifeType, Payload, PayloadType,
    Payloads, Proposal, ProtocolId, SecurityAssociation, Transform, TransformId,
};
use crate::{Discard, Fragmentation, Policy, Trace, fragmentation};

/// What both sides agreed on by MM2.
#[derive(Clone, Debug)]
pub(crate) struct Agreed {
    /// Body of the initiator's SA payload, as it was on the wire: both hashes cover it.
    pub(crate) sai_b: Bytes,
    pub(crate) policy: Policy,
    pub(crate) suite: Suite,
    /// The shorter of both sides' lifetimes, in seconds.
    pub(crate) lifetime: u32,
    /// Whether it is ours, and the initiator does not know.
    pub(crate) announce_lifetime: bool,
    pub(crate) nat_version: Option<NatTraversalVersion>,
    /// Whether the peer named dead peer detection in its first message. IOS does so in MM3 and
    /// MM4, most others only here.
    pub(crate) dead_peer_detection: bool,
    /// How long messages are cut from MM3 on, if both sides take fragments.
    pub(crate) fragments: Option<Fragmentation>,
}

/// A lifetime that a peer asks for or announces, in seconds: at least a minute. In main mode nothing
/// authenticates it, and nobody is made to negotiate without pause.
pub(crate) fn bearable(seconds: u32) -> u32 {
    seconds.max(60)
}

/// Our offer: one proposal, a transform for each policy, attributes in Cisco's order.
pub(crate) fn offer(policies: &[Policy]) -> SecurityAssociation<'static> {
    let transforms = (1..=u8::MAX).zip(policies).map(|(number, policy)| {
        let (algorithm, key_length) = policy.encryption.code_point();
        let mut attributes =
            Vec::from([Attribute::basic(attribute::ENCRYPTION_ALGORITHM, algorithm.0)]);
        attributes.extend(key_length.map(|bits| Attribute::basic(attribute::KEY_LENGTH, bits)));
        attributes.extend([
            Attribute::basic(attribute::HASH_ALGORITHM, policy.hash.0),
            Attribute::basic(attribute::GROUP_DESCRIPTION, policy.group.0),
            Attribute::basic(
                attribute::AUTHENTICATION_METHOD,
                AuthenticationMethod::PRE_SHARED_KEY.0,
            ),
        ]);
        attributes.extend(lifetime_attributes(policy.lifetime));
        Transform::new(number, TransformId::KEY_IKE, attributes)
    });
    let proposal = Proposal::new(1, ProtocolId::ISAKMP, &[][..], transforms.collect());
    SecurityAssociation::new(Vec::from([proposal]))
}

/// Life type and duration in seconds, in four octets as from Cisco's routers.
pub(crate) fn lifetime_attributes(seconds: u32) -> [Attribute<'static>; 2] {
    [
        Attribute::basic(attribute::LIFE_TYPE, LifeType::SECONDS.0),
        Attribute::variable_u32(attribute::LIFE_DURATION, seconds),
    ]
}

/// Whether a transform of ours came back unchanged (RFC 2409 §5): each attribute is there with its
/// value, and no other. Of the lifetime, which some responders lower, the shorter counts.
pub(crate) fn is_offered(offered: &SecurityAssociation<'_>, answered: &Transform<'_>) -> bool {
    let values = |transform: &Transform<'_>| {
        let lifetime = [attribute::LIFE_TYPE, attribute::LIFE_DURATION];
        let others = transform.attributes.iter().filter(|a| !lifetime.contains(&a.attribute_type));
        let mut values: Vec<_> = others.map(|a| (a.attribute_type, a.number())).collect();
        values.sort_unstable();
        (transform.id, values)
    };
    let mut transforms = offered.proposals.iter().flat_map(|proposal| &proposal.transforms);
    transforms.any(|transform| values(transform) == values(answered))
}

/// Checks the initiator's offer, for the responder. Besides what is agreed on, this is what goes back:
/// the chosen transform as it came.
pub(crate) fn check_offer(
    payloads: &Payloads<'_>,
    config: &Config,
    notes: &mut Vec<Trace>,
) -> Result<(Agreed, SecurityAssociation<'static>), Discard> {
    let received = super::one(payloads, PayloadType::SECURITY_ASSOCIATION)?;
    let Payload::SecurityAssociation(offered) = &received.payload else {
        return Err(Discard::OfferShape);
    };
    let choice = choose(offered, &config.policies, config, notes)?;
    let ours = choice.policy.lifetime;
    let peer_lifetime = choice.peer_lifetime.unwrap_or(ours);
    // RFC 2409 §5: the chosen transform goes back unchanged; what we keep for ourselves, the
    // lower lifetime, is announced by RESPONDER-LIFETIME (RFC 2407 §4.6.3.1).
    let transform: Transform<'static> = choice.transform.clone().into_owned();
    let Proposal { number, protocol, spi, .. } = choice.proposal.clone().into_owned();
    let proposal = Proposal::new(number, protocol, spi, Vec::from([transform]));
    let agreed = Agreed {
        sai_b: Bytes::copy_from_slice(received.body()),
        policy: choice.policy,
        suite: choice.suite,
        lifetime: bearable(peer_lifetime).min(ours),
        announce_lifetime: ours < peer_lifetime,
        nat_version: config.nat_traversal.and_then(|_| NatTraversalVersion::choose(payloads)),
        dead_peer_detection: nat_traversal::names_dead_peer_detection(payloads),
        fragments: config.fragmentation.filter(|_| fragmentation::named(payloads)),
    };
    Ok((agreed, SecurityAssociation::new(Vec::from([proposal]))))
}

/// Checks the responder's answer to an offer of `policies`, for the initiator.
pub(crate) fn check_answer(
    payloads: &Payloads<'_>,
    (policies, sai_b): (&[Policy], &Bytes),
    config: &Config,
    notes: &mut Vec<Trace>,
) -> Result<Agreed, Discard> {
    let received = super::one(payloads, PayloadType::SECURITY_ASSOCIATION)?;
    let Payload::SecurityAssociation(answer) = &received.payload else {
        return Err(Discard::OfferShape);
    };
    // RFC 2409 §5: one of the transforms offered, and nothing else.
    match answer.proposals.as_slice() {
        [proposal] if proposal.transforms.len() == 1 => {}
        _ => return Err(Discard::OfferShape),
    }
    let choice = choose(answer, policies, config, notes).map_err(|discard| {
        if discard == Discard::NoProposalChosen { Discard::ChoiceNotOffered } else { discard }
    })?;
    if !is_offered(&offer(policies), choice.transform) {
        return Err(Discard::ChoiceNotOffered);
    }
    let ours = choice.policy.lifetime;
    Ok(Agreed {
        sai_b: sai_b.clone(),
        policy: choice.policy,
        suite: choice.suite,
        lifetime: choice.peer_lifetime.map_or(ours, |theirs| bearable(theirs).min(ours)),
        announce_lifetime: false,
        nat_version: config.nat_traversal.and_then(|_| NatTraversalVersion::choose(payloads)),
        dead_peer_detection: nat_traversal::names_dead_peer_detection(payloads),
        fragments: config.fragmentation.filter(|_| fragmentation::named(payloads)),
    })
}

/// A policy that fits, with the transform it fits.
#[derive(Debug)]
pub(crate) struct Choice<'m, 'a> {
    pub(crate) policy: Policy,
    pub(crate) suite: Suite,
    pub(crate) proposal: &'m Proposal<'a>,
    pub(crate) transform: &'m Transform<'a>,
    /// The peer's lifetime in seconds, if it named one.
    pub(crate) peer_lifetime: Option<u32>,
}

/// Compares an SA payload with our policies, ours in order of priority and the peer's transforms
/// in its order within each. What was looked at goes to `notes`.
pub(crate) fn choose<'m, 'a>(
    offered: &'m SecurityAssociation<'a>,
    policies: &[Policy],
    config: &Config,
    notes: &mut Vec<Trace>,
) -> Result<Choice<'m, 'a>, Discard> {
    // RFC 2409 §5: one proposal; alternatives are transforms. Others are looked at as well, since
    // nothing is lost by it.
    if !offered.proposals.iter().any(|proposal| proposal.protocol == ProtocolId::ISAKMP) {
        return Err(Discard::OfferShape);
    }
    for policy in policies {
        for proposal in &offered.proposals {
            let mut transforms = proposal.transforms.iter().peekable();
            while let Some(transform) = transforms.next() {
                let next_payload = match transforms.peek() {
                    Some(_) => PayloadType::TRANSFORM,
                    None => PayloadType::NONE,
                };
                notes.push(Trace::CheckingTransform {
                    transform: transform.number,
                    priority: policy.priority,
                    attributes: owned(&transform.attributes),
                });
                match compare(proposal, transform, policy) {
                    Ok(life) => {
                        // `Config` was built with this provider: the suite is there.
                        let Some(suite) = Suite::of(policy, &config.provider) else { continue };
                        notes.push(Trace::TransformAcceptable {
                            next_payload,
                            duration_len: life.duration_len,
                            seconds: life.seconds.unwrap_or(policy.lifetime),
                            actual: life
                                .seconds
                                .map_or(policy.lifetime, |s| s.min(policy.lifetime)),
                        });
                        let peer_lifetime = life.seconds;
                        let policy = *policy;
                        return Ok(Choice { policy, suite, proposal, transform, peer_lifetime });
                    }
                    Err(attribute) => {
                        notes.push(Trace::TransformNotAcceptable { next_payload, attribute });
                    }
                }
            }
        }
    }
    notes.push(Trace::NoTransformAcceptable);
    Err(Discard::NoProposalChosen)
}

/// The peer's lifetime.
struct Life {
    seconds: Option<u32>,
    duration_len: Option<usize>,
}

/// Whether the transform is what the policy says; if not, the first attribute that differs.
fn compare(
    proposal: &Proposal<'_>,
    transform: &Transform<'_>,
    policy: &Policy,
) -> Result<Life, AttributeType> {
    if proposal.protocol != ProtocolId::ISAKMP || transform.id != TransformId::KEY_IKE {
        return Err(AttributeType(0));
    }
    let value = |wanted: AttributeType| {
        let found = transform.attributes.iter().find(|a| a.attribute_type == wanted);
        found.and_then(Attribute::number)
    };
    let (algorithm, key_length) = policy.encryption.code_point();
    let wanted = [
        (attribute::ENCRYPTION_ALGORITHM, Some(u64::from(algorithm.0))),
        (attribute::KEY_LENGTH, key_length.map(u64::from)),
        (attribute::HASH_ALGORITHM, Some(u64::from(policy.hash.0))),
        (attribute::GROUP_DESCRIPTION, Some(u64::from(policy.group.0))),
        (attribute::AUTHENTICATION_METHOD, Some(u64::from(AuthenticationMethod::PRE_SHARED_KEY.0))),
        // A prf of its own is not spoken here; without one it is the HMAC of the hash.
        (attribute::PRF, None),
    ];
    for (attribute, wanted) in wanted {
        if value(attribute) != wanted {
            return Err(attribute);
        }
    }
    let mut life = Life { seconds: None, duration_len: None };
    let mut seconds_follow = false;
    for attribute in &transform.attributes {
        match attribute.attribute_type {
            attribute::LIFE_TYPE => {
                seconds_follow = attribute.number() == Some(u64::from(LifeType::SECONDS.0));
            }
            // A duration belongs to the life type before it.
            attribute::LIFE_DURATION if seconds_follow => {
                let seconds = attribute.number().unwrap_or(u64::MAX);
                life.seconds = Some(u32::try_from(seconds).unwrap_or(u32::MAX));
                life.duration_len = match &attribute.value {
                    AttributeValue::Basic(_) => None,
                    AttributeValue::Variable(bytes) => Some(bytes.len()),
                };
            }
            _ => {}
        }
    }
    Ok(life)
}

pub(crate) fn owned(attributes: &[Attribute<'_>]) -> Vec<Attribute<'static>> {
    attributes.iter().cloned().map(Attribute::into_owned).collect()
}
