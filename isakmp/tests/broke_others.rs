//! What broke other implementations, besides what `abuse.rs` tries: versions, payloads, groups, methods
//! and transforms that are not spoken here, and messages with a payload left out. `ABUSE.md` lists them.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod insider;
mod pair;

use dmvpn_isakmp::wire::{
    Attribute, AttributeType, Cookie, Delete, EncapsulationMode, ExchangeType, Header,
    Identification, Message, NotifyType, ParseError, Payload, PayloadType, Proposal, ProtocolId,
    SecurityAssociation, Situation, Transform, TransformId, Version, phase1, phase2,
};
use dmvpn_isakmp::{AggressiveAnswer, AggressiveMode, Deviation, Discard, Path, Trace};
use insider::{Insider, answer, clear, mm1, phase1_offer};
use pair::{Pair, guide_config, ip};

const MM: ExchangeType = ExchangeType::MAIN_MODE;

fn path_of(pair: &Pair) -> Path {
    Path { remote: (ip("192.0.2.1"), 500).into(), ..pair.path_to(1) }
}

/// Why the hub discards it; it answers nothing and has no more negotiations than before.
fn refused(pair: &mut Pair, path: Path, message: &[u8]) -> Discard {
    let before = (pair.hosts[1].sent.len(), pair.hosts[1].endpoint.phase1().count());
    let discards = pair.hosts[1].discards.len();
    pair.deliver(1, path, message);
    let after = (pair.hosts[1].sent.len(), pair.hosts[1].endpoint.phase1().count());
    assert_eq!(after, before);
    assert_eq!(pair.hosts[1].discards.len(), discards + 1, "it was accepted");
    pair.hosts[1].discards.last().unwrap().clone()
}

/// The guide's offer with one attribute of another value.
fn offer(attribute: AttributeType, value: u16) -> Payload<'static> {
    let mut offer = phase1_offer(1);
    let attributes = &mut offer.proposals[0].transforms[0].attributes;
    let at = attributes.iter().position(|found| found.attribute_type == attribute).unwrap();
    attributes[at] = Attribute::basic(attribute, value);
    Payload::SecurityAssociation(offer)
}

/// The hub answers this first message with nothing but NO-PROPOSAL-CHOSEN, and keeps nothing.
fn no_proposal_chosen(offer: Payload<'_>) {
    let mut pair = Pair::guide();
    let path = path_of(&pair);
    pair.deliver(1, path, &clear((Cookie([7; 8]), Cookie::ZERO), MM, &[offer]));
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 0);
    let [(_, sent)] = &pair.hosts[1].sent[..] else { panic!("one answer") };
    let message = Message::parse(&sent.payload).unwrap();
    let received = message.payloads().unwrap().find(PayloadType::NOTIFICATION).unwrap();
    let Payload::Notification(refusal) = &received.payload else { panic!("no notification") };
    assert_eq!(refusal.notify_type, NotifyType::NO_PROPOSAL_CHOSEN);
}

/// CVE-2013-4564: a small length together with no version, or with another major one. IKEv2 is one.
#[test]
fn other_versions_and_small_lengths() {
    let good = mm1([1; 8]);
    for version in (0..=u8::MAX).filter(|version| version >> 4 != 1) {
        for length in [0, 1, 27, 28, u32::try_from(good.len()).unwrap(), u32::MAX] {
            let mut message = good.clone();
            message[17] = version;
            message[24..28].copy_from_slice(&length.to_be_bytes());
            let mut pair = Pair::guide();
            let path = path_of(&pair);
            let error = ParseError::Version { version: Version(version) };
            assert_eq!(refused(&mut pair, path, &message), Discard::Malformed(error));
        }
    }
    for length in 0..Header::LEN {
        let mut message = good.clone();
        message[24..28].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        let mut pair = Pair::guide();
        let path = path_of(&pair);
        let (what, offset) = ("message", 0);
        let error = ParseError::LengthTooSmall { what, offset, length, minimum: Header::LEN };
        assert_eq!(refused(&mut pair, path, &message), Discard::Malformed(error));
    }
}

/// CVE-2015-3991: payloads of IKEv2 (33 to 53) in a message of IKEv1, and every other unknown one. They
/// mean nothing here, in front of what does and behind it.
#[test]
fn payloads_of_the_other_version() {
    for number in (33..=53).chain([17, 18, 19, 22, 127, 128, 129, 133, 255]) {
        let stranger = || Payload::Opaque(PayloadType(number), vec![0xff; 40].into());
        let known = || Payload::SecurityAssociation(phase1_offer(1));
        for payloads in [[known(), stranger()], [stranger(), known()]] {
            let mut pair = Pair::guide();
            let path = path_of(&pair);
            let first = clear((Cookie([1; 8]), Cookie::ZERO), MM, &payloads);
            match payloads[0].payload_type() {
                // RFC 2409 §5: the SA payload comes first.
                PayloadType::SECURITY_ASSOCIATION => {
                    answer(&mut pair, path, &first);
                }
                _ => {
                    pair.deliver(1, path, &first);
                }
            }
            let mut pair = Pair::guide();
            let alone = clear((Cookie([1; 8]), Cookie::ZERO), MM, &[stranger()]);
            let discard = refused(&mut pair, path, &alone);
            assert!(matches!(discard, Discard::MissingPayload(_)), "{number}: {discard}");
        }
    }
}

/// CVE-2014-9221 was a private number for a group on the wire (1025). A group is what IANA numbers, and
/// is spoken, or is not.
#[test]
fn groups_that_are_not_spoken() {
    for group in [0, 3, 4, 17, 25, 1023, 1024, 1025, 1040, 0x7fff, 0xffff] {
        no_proposal_chosen(offer(phase1::GROUP_DESCRIPTION, group));
    }
}

/// Signatures and public keys (CVE-2018-0131, CVE-2026-50721), XAUTH (CVE-2013-5018), GSSAPI
/// (CVE-2015-4047): nothing of them is spoken, as methods and as the exchange that they need.
#[test]
fn methods_and_exchanges_that_are_not_spoken() {
    for method in [0, 2, 3, 4, 5, 9, 10, 11, 64221, 65001, 65002, 65005, 65006, 65535] {
        no_proposal_chosen(offer(phase1::AUTHENTICATION_METHOD, method));
    }
    let mut pair = Pair::guide();
    let path = pair.path_to(1);
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    for exchange in [0, 1, 3, 6, 33, 34, 37, 240, 255].map(ExchangeType) {
        let message_id = insider.fresh();
        let attributes = Payload::Opaque(PayloadType::ATTRIBUTES, vec![1, 0, 0, 7].into());
        let message = insider.protected(exchange, message_id, &[attributes]);
        assert_eq!(refused(&mut pair, path, &message), Discard::Exchange(exchange));
    }
}

/// A quick mode of one transform.
fn qm1(insider: &mut Insider, transform: TransformId, mode: Option<EncapsulationMode>) -> Vec<u8> {
    let mode = mode.map(|mode| Attribute::basic(phase2::ENCAPSULATION_MODE, mode.0));
    let integrity = Attribute::basic(phase2::AUTHENTICATION_ALGORITHM, 2);
    let attributes = mode.into_iter().chain([integrity]).collect();
    let transforms = vec![Transform::new(1, transform, attributes)];
    let proposal = Proposal::new(1, ProtocolId::ESP, vec![7; 4], transforms);
    let own = |address| Payload::Identification(Identification::address(address, 47, 0));
    let payloads = [
        Payload::SecurityAssociation(SecurityAssociation::new(vec![proposal])),
        Payload::Nonce(vec![7; 20].into()),
        own(insider.path.remote.ip()),
        own(insider.path.local.ip()),
    ];
    let message_id = insider.fresh();
    insider.protected(ExchangeType::QUICK_MODE, message_id, &payloads)
}

/// The hub answers the quick mode with nothing but NO-PROPOSAL-CHOSEN, and has nothing of it.
fn refuses_quick_mode(pair: &mut Pair, insider: &Insider, qm1: &[u8]) {
    let before = pair.hosts[1].sent.len();
    pair.deliver(1, insider.path, qm1);
    let [(_, sent)] = &pair.hosts[1].sent[before..] else { panic!("one answer") };
    assert_eq!(insider.told(&sent.payload), NotifyType::NO_PROPOSAL_CHOSEN);
    assert_eq!(pair.hosts[1].endpoint.phase2().count(), 0);
}

/// CVE-2024-3652: AES-GMAC (23), and every other transform of ESP that is not spoken, in quick mode. The
/// peer is told, and the SA goes on.
#[test]
fn esp_transforms_that_are_not_spoken() {
    let mut pair = Pair::guide();
    let path = pair.path_to(1);
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    for transform in [0, 1, 2, 4, 7, 10, 13, 14, 15, 16, 22, 23, 249, 255].map(TransformId) {
        let qm1 = qm1(&mut insider, transform, Some(EncapsulationMode::TRANSPORT));
        refuses_quick_mode(&mut pair, &insider, &qm1);
    }
    let quick_mode = insider.quick_mode();
    insider.complete(&mut pair, &quick_mode);
    assert_eq!(pair.hosts[1].endpoint.phase2().count(), 1);
}

/// Modes that are not the profile's, that a NAT would have to be there for, or that there are not
/// (RFC 2407 §4.5, RFC 3947 §5.1): each is another proposal than ours.
#[test]
fn modes_that_do_not_fit() {
    let mut pair = Pair::guide();
    let path = pair.path_to(1);
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    for mode in [0, 1, 3, 4, 5, 61443, 61444, 65535].map(EncapsulationMode) {
        let qm1 = qm1(&mut insider, TransformId::ESP_3DES, Some(mode));
        refuses_quick_mode(&mut pair, &insider, &qm1);
    }
    let deviates = |pair: &Pair| {
        let deviation = |trace: &Trace| matches!(trace, Trace::Deviation(_));
        pair.hosts[1].traces.iter().filter(|traced| deviation(&traced.trace)).count()
    };
    let transport = Some(EncapsulationMode::TRANSPORT);
    let good = qm1(&mut insider, TransformId::ESP_3DES, transport);
    answer(&mut pair, path, &good);
    assert_eq!(deviates(&pair), 0);
    // Without the attribute it is whatever ours is, and that is noted.
    let none = qm1(&mut insider, TransformId::ESP_3DES, None);
    answer(&mut pair, path, &none);
    assert_eq!(deviates(&pair), 1);
    let noted = Trace::Deviation(Deviation::NoEncapsulationMode);
    assert!(pair.hosts[1].traces.iter().any(|traced| traced.trace == noted));
}

/// CVE-2005-3732: a payload that the exchange needs is left out, in every message that a responder gets
/// in clear; and a quick mode without each of its own.
#[test]
fn payloads_left_out() {
    let needed = [
        Payload::SecurityAssociation(phase1_offer(1)),
        Payload::KeyExchange(vec![2; 96].into()),
        Payload::Nonce(vec![7; 20].into()),
        Payload::Identification(Identification::address(ip("192.0.2.1"), 17, 500)),
    ];
    let anybody = AggressiveMode { answer: AggressiveAnswer::Anybody, ..AggressiveMode::default() };
    let aggressive = || {
        let hub = guide_config().aggressive_mode(anybody.clone()).build().unwrap();
        let mut pair = Pair::new(guide_config().build().unwrap(), hub);
        pair.protect_guide();
        pair
    };
    let without = |payloads: &[Payload<'static>], left_out: usize| {
        let mut payloads = payloads.to_vec();
        (payloads.remove(left_out).payload_type(), payloads)
    };
    let cookies = (Cookie([1; 8]), Cookie::ZERO);
    for left_out in 0..needed.len() {
        let mut pair = aggressive();
        let path = path_of(&pair);
        let (missing, payloads) = without(&needed, left_out);
        let am1 = clear(cookies, ExchangeType::AGGRESSIVE, &payloads);
        assert_eq!(refused(&mut pair, path, &am1), Discard::MissingPayload(missing));
    }
    let mut pair = aggressive();
    let path = path_of(&pair);
    answer(&mut pair, path, &clear(cookies, ExchangeType::AGGRESSIVE, &needed));

    let mut pair = Pair::guide();
    let path = path_of(&pair);
    let mm2 = answer(&mut pair, path, &mm1([1; 8]));
    let cookies = (Cookie([1; 8]), Message::parse(&mm2).unwrap().header.responder_cookie);
    for left_out in 0..2 {
        let (missing, payloads) = without(&needed[1..3], left_out);
        let discard = refused(&mut pair, path, &clear(cookies, MM, &payloads));
        assert_eq!(discard, Discard::MissingPayload(missing));
    }
    answer(&mut pair, path, &clear(cookies, MM, &needed[1..3]));
}

/// CVE-2015-3204: situations with bits that nobody assigned, and with labels that are cut short. The
/// peer is who sent them, and nothing prints what it does not know.
#[test]
fn situations_that_nobody_assigned() {
    for bit in 0..32 {
        let mut sa = phase1_offer(1);
        sa.situation = Situation(1 << bit | 1);
        let mut pair = Pair::guide();
        let path = path_of(&pair);
        let first = [Payload::SecurityAssociation(sa)];
        let Payload::SecurityAssociation(sa) = &first[0] else { unreachable!() };
        let first = clear((Cookie([7; 8]), Cookie::ZERO), MM, &first);
        if sa.situation.has_labels() {
            // The proposal is read as labels, which it is not.
            let discard = refused(&mut pair, path, &first);
            assert!(matches!(discard, Discard::Malformed(_)), "{bit}: {discard}");
        } else {
            answer(&mut pair, path, &first);
            assert_eq!(pair.hosts[1].endpoint.phase1().count(), 1, "{bit}");
        }
    }
}

/// A delete of more SPIs than there are octets, whose product overflows 16 bits, in an SA that is up.
#[test]
fn deletes_that_count_too_much() {
    let mut pair = Pair::guide();
    let path = pair.path_to(1);
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    let quick_mode = insider.quick_mode();
    insider.complete(&mut pair, &quick_mode);
    let delete = Payload::Delete(Delete::esp(&[0x1000])).body().unwrap();
    for (size, count) in [(255, 0xffff), (4, 0x4001), (16, 0x1000), (128, 0x0200), (4, 2)] {
        let mut body = delete.clone();
        body[5] = size;
        body[6..8].copy_from_slice(&u16::to_be_bytes(count));
        let payload = Payload::Opaque(PayloadType::DELETE, body.into());
        let message = insider.informational(&[payload]);
        let needed = usize::from(size) * usize::from(count);
        let discard = refused(&mut pair, path, &message);
        let Discard::Undecipherable(ParseError::Truncated { what: "SPIs", needed: found, .. }) =
            discard
        else {
            panic!("{discard}")
        };
        assert_eq!(found, needed);
    }
    assert_eq!(pair.hosts[1].endpoint.phase2().count(), 1);
}
