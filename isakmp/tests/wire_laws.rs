//! What must hold for every message: parse and encode undo each other, lengths are foretold, and
//! no bytes do harm.

extern crate alloc;

use alloc::borrow::Cow;
use core::net::IpAddr;

use dmvpn_isakmp::wire::{
    Attribute, AttributeType, AttributeValue, Chain, Cookie, Delete, Doi, ExchangeType, Flags,
    Fragment, Header, IdType, Identification, LifeType, MAX_PAYLOADS, MAX_PROPOSALS, Message,
    MessageId, NatNumbering, NatOriginalAddress, Notification, NotifyType, ParseError, Payload,
    PayloadType, Payloads, Proposal, ProtocolId, Received, ResponderLifetime, SecurityAssociation,
    Situation, Transform, TransformId, VendorId, phase2,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn octets(longest: usize) -> impl Strategy<Value = Cow<'static, [u8]>> {
    vec(any::<u8>(), 0..=longest).prop_map(Cow::Owned)
}

fn attribute() -> impl Strategy<Value = Attribute<'static>> {
    let value = prop_oneof![
        any::<u16>().prop_map(AttributeValue::Basic),
        octets(12).prop_map(AttributeValue::Variable),
    ];
    (0..0x8000_u16, value).prop_map(|(attribute_type, value)| Attribute {
        attribute_type: AttributeType(attribute_type),
        value,
    })
}

prop_compose! {
    fn transform()(
        reserved in any::<u8>(),
        number in any::<u8>(),
        id in any::<u8>().prop_map(TransformId),
        reserved2 in any::<u16>(),
        attributes in vec(attribute(), 0..8),
    ) -> Transform<'static> {
        Transform { reserved, number, id, reserved2, attributes }
    }
}

prop_compose! {
    fn proposal()(
        reserved in any::<u8>(),
        number in any::<u8>(),
        protocol in any::<u8>().prop_map(ProtocolId),
        spi in octets(20),
        transforms in vec(transform(), 0..5),
    ) -> Proposal<'static> {
        Proposal { reserved, number, protocol, spi, transforms }
    }
}

/// Situation and its labels (RFC 2407 §4.6.1): lengths in octets, then in bits, and each value up
/// to a multiple of four octets.
fn situation() -> impl Strategy<Value = (Situation, Cow<'static, [u8]>)> {
    let plain = any::<u32>().prop_map(|bits| (Situation(bits & !6), Cow::Borrowed(&[][..])));
    let labeled = (any::<u32>(), 1..4_u32, any::<u32>(), vec(0..40_u16, 4), any::<u8>()).prop_map(
        |(bits, label, domain, lengths, fill)| {
            let mut labels = domain.to_be_bytes().to_vec();
            for (length, unit) in lengths.into_iter().zip([8, 1, 8, 1]) {
                labels.extend(length.to_be_bytes());
                labels.extend([fill, fill]);
                let words = (usize::from(length) * unit).div_ceil(32);
                labels.resize(labels.len() + 4 * words, fill);
            }
            (Situation(bits & !6 | label << 1), Cow::Owned(labels))
        },
    );
    prop_oneof![plain, labeled]
}

fn security_association() -> impl Strategy<Value = SecurityAssociation<'static>> {
    (situation(), vec(proposal(), 0..4)).prop_map(|((situation, labels), proposals)| {
        SecurityAssociation { situation, labels, proposals }
    })
}

fn numbering() -> impl Strategy<Value = NatNumbering> {
    prop_oneof![
        Just(NatNumbering::Rfc3947),
        Just(NatNumbering::Draft07),
        Just(NatNumbering::Draft03)
    ]
}

fn delete() -> impl Strategy<Value = Delete<'static>> {
    let sas = prop_oneof![
        vec(any::<u32>(), 0..9).prop_map(|spis| Delete::esp(&spis)),
        any::<[[u8; 8]; 2]>().prop_map(|[i, r]| Delete::isakmp(Cookie(i), Cookie(r))),
    ];
    (sas, any::<u32>()).prop_map(|(delete, doi)| delete.with_doi(Doi(doi)))
}

fn payload() -> impl Strategy<Value = Payload<'static>> {
    let identification = (any::<u8>(), any::<u8>(), any::<u16>(), octets(32)).prop_map(
        |(id_type, protocol, port, data)| {
            Payload::Identification(Identification {
                id_type: IdType(id_type),
                protocol,
                port,
                data,
            })
        },
    );
    let notification = (any::<u32>(), any::<u8>(), any::<u16>(), octets(20), octets(20)).prop_map(
        |(doi, protocol, notify_type, spi, data)| {
            Payload::Notification(Notification {
                doi: Doi(doi),
                protocol: ProtocolId(protocol),
                notify_type: NotifyType(notify_type),
                spi,
                data,
            })
        },
    );
    let original_address = (numbering(), any::<u8>(), any::<[u8; 3]>(), octets(16)).prop_map(
        |(numbering, id_type, reserved, data)| {
            let id_type = IdType(id_type);
            let address = NatOriginalAddress { id_type, reserved, data };
            Payload::NatOriginalAddress(numbering, address)
        },
    );
    let fragment = (any::<u16>(), any::<u8>(), any::<u8>(), octets(60)).prop_map(
        |(id, number, flags, data)| Payload::Fragment(Fragment { id, number, flags, data }),
    );
    let opaque = (any::<u8>(), octets(40)).prop_filter_map("has a structure", |(number, body)| {
        let structured = [0, 1, 4, 5, 8, 10, 11, 12, 13, 15, 16, 20, 21, 130, 131, 132];
        (!structured.contains(&number)).then_some(Payload::Opaque(PayloadType(number), body))
    });
    prop_oneof![
        security_association().prop_map(Payload::SecurityAssociation),
        octets(100).prop_map(Payload::KeyExchange),
        identification,
        octets(40).prop_map(Payload::Hash),
        octets(40).prop_map(Payload::Nonce),
        notification,
        delete().prop_map(Payload::Delete),
        octets(24).prop_map(|bytes| Payload::VendorId(VendorId::new(bytes))),
        (numbering(), octets(32)).prop_map(|(nat, hash)| Payload::NatDetection(nat, hash)),
        original_address,
        fragment,
        opaque,
    ]
}

prop_compose! {
    fn header()(
        cookies in any::<[[u8; 8]; 2]>(),
        exchange in any::<u8>(),
        flags in any::<u8>(),
        message_id in any::<u32>(),
    ) -> Header {
        let [initiator, responder] = cookies.map(Cookie);
        Header {
            flags: Flags(flags & !Flags::ENCRYPTION.0),
            message_id: MessageId(message_id),
            ..Header::new(initiator, responder, ExchangeType(exchange))
        }
    }
}

fn chain(payloads: &[Payload<'_>]) -> Chain {
    let mut chain = Chain::new();
    for payload in payloads {
        chain.push(payload);
    }
    chain
}

/// A message's error for each of its strict prefixes: too few octets, and exactly how many.
fn assert_prefixes_are_truncated(datagram: &[u8]) {
    for have in 0..datagram.len() {
        let (what, needed) =
            if have < Header::LEN { ("header", Header::LEN) } else { ("message", datagram.len()) };
        let error = ParseError::Truncated { what, offset: 0, needed, have };
        assert_eq!(Message::parse(&datagram[..have]), Err(error));
    }
}

proptest! {
    #[test]
    fn parse_undoes_encode(
        header in header(),
        payloads in vec(payload(), 0..6),
        padding in 0..16_usize,
        excess in octets(8),
    ) {
        let chain = chain(&payloads);
        let mut datagram = chain.message(header, padding).unwrap();
        prop_assert_eq!(datagram.len(), chain.encoded_len() + padding);
        assert_prefixes_are_truncated(&datagram);
        datagram.extend_from_slice(&excess);

        let message = Message::parse(&datagram).unwrap();
        prop_assert_eq!(message.excess, &*excess);
        prop_assert_eq!(message.encoded_len(), datagram.len());
        let length = u32::try_from(datagram.len() - excess.len()).unwrap();
        prop_assert_eq!(message.header, Header { next_payload: chain.first(), length, ..header });
        prop_assert_eq!(&message.header.encode()[..], &datagram[..Header::LEN]);

        let received = message.payloads().unwrap();
        prop_assert!(received.iter().map(|received| &received.payload).eq(&payloads));
        prop_assert_eq!(received.chain(), chain.bytes());
        prop_assert_eq!(received.trailing(), &vec![0; padding][..]);
        for received in received {
            let payload = &received.payload;
            prop_assert_eq!(payload.body_len(), received.body().len());
            prop_assert_eq!(&payload.body().unwrap()[..], received.body());
        }
        prop_assert_eq!(message.encode().unwrap(), datagram);
    }

    /// Whatever is accepted is built again byte for byte: damaged messages are the interesting ones.
    #[test]
    fn encode_undoes_parse(
        header in header(),
        payloads in vec(payload(), 1..4),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut datagram = chain(&payloads).message(header, 0).unwrap();
        for (index, value) in damage {
            let index = index.index(datagram.len());
            datagram[index] = value;
        }
        match Message::parse(&datagram) {
            Ok(message) => {
                prop_assert_eq!(message.encoded_len(), datagram.len());
                prop_assert_eq!(message.encode().unwrap(), datagram);
            }
            Err(error) => prop_assert!(error.offset() <= datagram.len(), "{}", error),
        }
    }

    /// The same for a decrypted body, cut at any octet: what is accepted is built again.
    #[test]
    fn any_octets_as_payloads(
        first in prop_oneof![Just(1_u8), Just(11), Just(12), Just(5), Just(131), any::<u8>()],
        octets in vec(prop_oneof![0..16_u8, any::<u8>()], 0..120),
    ) {
        if let Ok(payloads) = Payloads::parse(PayloadType(first), &octets, Header::LEN) {
            prop_assert_eq!(&payloads.encode().unwrap(), &octets);
            // Printing is total, too.
            let _ = format!("{payloads:?}");
        }
    }

    /// A chain says where it ends, so that each strict prefix is too short, and the error says by
    /// how much.
    #[test]
    fn prefixes_of_a_chain_are_truncated(payloads in vec(payload(), 1..4)) {
        let chain = chain(&payloads);
        for cut in 0..chain.bytes().len() {
            match Payloads::parse(chain.first(), &chain.bytes()[..cut], Header::LEN) {
                Err(ParseError::Truncated { offset, needed, have, .. }) => {
                    prop_assert_eq!(offset + have, Header::LEN + cut);
                    prop_assert!(needed > have);
                }
                other => prop_assert!(false, "cut at {}: {:?}", cut, other),
            }
        }
    }

    /// A protected message is built from its end.
    #[test]
    fn push_front_is_push_first(
        header in header(),
        hash in octets(32),
        payloads in vec(payload(), 0..4),
        last in payload(),
    ) {
        let hash = Payload::Hash(hash);
        let mut built = chain(&payloads);
        let covered = built.bytes().to_vec();
        built.push_front(&hash);
        let datagram = built.message(header, 0).unwrap();
        let message = Message::parse(&datagram).unwrap();
        prop_assert_eq!(message.payloads().unwrap().after_first(), &covered[..]);

        built.push(&last);
        let in_order: Vec<_> =
            [hash].into_iter().chain(payloads).chain([last]).collect();
        prop_assert_eq!(built.message(header, 0), chain(&in_order).message(header, 0));
    }

    #[test]
    fn padding_fills_blocks_with_at_least_one_octet(payloads in vec(payload(), 0..3)) {
        let chain = chain(&payloads);
        for block in [8, 16] {
            let padding = chain.padding(block);
            prop_assert!((1..=block).contains(&padding));
            prop_assert!((chain.bytes().len() + padding).is_multiple_of(block));
        }
    }
}

#[test]
fn either_format_of_a_number_is_read() {
    let duration = AttributeType(2);
    let number = |attribute: Attribute<'_>| attribute.number();
    assert_eq!(number(Attribute::basic(duration, 3600)), Some(3600));
    assert_eq!(number(Attribute::variable_u32(duration, 4_608_000)), Some(4_608_000));
    assert_eq!(number(Attribute::variable(duration, &[0x0e, 0x10][..])), Some(3600));
    assert_eq!(number(Attribute::variable(duration, &[0; 40][..])), Some(0));
    assert_eq!(number(Attribute::variable(duration, &[0xff; 8][..])), Some(u64::MAX));
    assert_eq!(number(Attribute::variable(duration, &[1; 9][..])), None);
    assert_eq!(number(Attribute::variable(duration, &[][..])), None);
}

#[test]
fn limits() {
    let vendor_id = Payload::VendorId(VendorId::XAUTH);
    let header = Header::new(Cookie::ZERO, Cookie::ZERO, ExchangeType::MAIN_MODE);
    let mut chain = Chain::new();
    for _ in 0..MAX_PAYLOADS {
        chain.push(&vendor_id);
    }
    assert!(Message::parse(&chain.message(header, 0).unwrap()).is_ok());
    chain.push(&vendor_id);
    assert_eq!(
        Message::parse(&chain.message(header, 0).unwrap()),
        Err(ParseError::TooMany { what: "payloads", offset: 28 + 12 * 64, limit: MAX_PAYLOADS })
    );

    let proposal = Proposal::new(1, ProtocolId::ESP, &[], vec![]);
    let sa = |count| SecurityAssociation::new(vec![proposal.clone(); count]);
    let body = Payload::SecurityAssociation(sa(MAX_PROPOSALS)).body().unwrap();
    assert_eq!(SecurityAssociation::parse(&body, 32), Ok(sa(MAX_PROPOSALS)));
    let body = Payload::SecurityAssociation(sa(MAX_PROPOSALS + 1)).body().unwrap();
    assert_eq!(
        SecurityAssociation::parse(&body, 32),
        Err(ParseError::TooMany { what: "proposals", offset: 40 + 8 * 64, limit: MAX_PROPOSALS })
    );
}

/// What a structure takes in memory against the fewest octets that announce it. A vector may have
/// twice the room, and at least that of four, which is the constant of the contract.
#[test]
fn memory_is_in_proportion_to_the_input() {
    let per_octet = [
        size_of::<Attribute<'_>>() / 4,
        size_of::<Transform<'_>>() / 8,
        size_of::<Proposal<'_>>() / 8,
        size_of::<Received<'_>>() / 4,
    ];
    assert!(per_octet.iter().all(|&bytes| bytes <= 32), "{per_octet:?}");
}

#[test]
fn what_does_not_fit_a_length_field_is_not_built() {
    let header = Header::new(Cookie::ZERO, Cookie::ZERO, ExchangeType::MAIN_MODE);
    let error = |payload: Payload<'_>| {
        let mut chain = Chain::new();
        chain.push(&payload).push(&Payload::VendorId(VendorId::XAUTH));
        let error = chain.message(header, 0).unwrap_err();
        (error.what, error.length, error.limit)
    };
    let long = vec![0; 65532];
    assert_eq!(error(Payload::Nonce((&long).into())), ("NONCE payload", 65536, 65535));
    let transforms = vec![Transform::new(1, TransformId(1), vec![]); 256];
    let proposal = Proposal::new(1, ProtocolId::ESP, &[], transforms);
    let sa = SecurityAssociation::new(vec![proposal]);
    assert_eq!(error(Payload::SecurityAssociation(sa)), ("number of transforms", 256, 255));
    let notification = Notification {
        spi: vec![0; 256].into(),
        ..Notification::esp(NotifyType::CONNECTED, 1, &[])
    };
    assert_eq!(error(Payload::Notification(notification)), ("SPI", 256, 255));
}

/// Proposal and transform structure, one fault each, in an SA body whose first octet is at 32.
#[test]
fn faults_inside_a_security_association() {
    let transform = Transform::new(1, TransformId(3), vec![Attribute::basic(AttributeType(4), 2)]);
    let proposal =
        Proposal::new(1, ProtocolId::ESP, &[1, 2, 3, 4], vec![transform.clone(), transform]);
    let body =
        Payload::SecurityAssociation(SecurityAssociation::new(vec![proposal])).body().unwrap();
    // 0 DOI, 4 situation, 8 proposal, 16 SPI, 20 first transform, 28 its attribute, 32 second.
    let with = |offset: usize, value: u8| {
        let mut body = body.clone();
        body[offset] = value;
        SecurityAssociation::parse(&body, 32).map(drop)
    };
    assert_eq!(with(3, 1), Ok(()));
    assert_eq!(with(3, 2), Err(ParseError::Doi { offset: 32, doi: Doi::GDOI }));
    let unexpected = |what, offset, found| {
        Err(ParseError::UnexpectedPayload { what, offset, found: PayloadType(found) })
    };
    assert_eq!(with(8, 3), unexpected("proposal", 40, 3));
    assert_eq!(with(20, 2), unexpected("transform", 52, 2));
    let truncated =
        |what, offset, needed, have| Err(ParseError::Truncated { what, offset, needed, have });
    assert_eq!(with(8, 2), truncated("proposal", 76, 8, 0));
    assert_eq!(with(32, 3), truncated("transform", 76, 8, 0));
    assert_eq!(with(11, 37), truncated("proposal", 40, 37, 36));
    assert_eq!(with(14, 29), truncated("SPI", 48, 29, 28));
    let small =
        |what, offset, length| Err(ParseError::LengthTooSmall { what, offset, length, minimum: 8 });
    assert_eq!(with(11, 7), small("proposal", 40, 7));
    assert_eq!(with(23, 0), small("transform", 52, 0));
    let excess = |what, offset, excess| Err(ParseError::Excess { what, offset, excess });
    assert_eq!(with(20, 0), excess("transform", 64, 12));
    let count = |announced, found| Err(ParseError::TransformCount { offset: 40, announced, found });
    assert_eq!(with(15, 1), count(1, 2));
    assert_eq!(with(15, 3), count(3, 2));
    // A variable attribute longer than its transform.
    assert_eq!(with(28, 0), truncated("attribute value", 64, 2, 0));

    let delete = |count| [0, 0, 0, 1, 3, 4, 0, count, 0xc4, 0xea, 0xd6, 0xac];
    assert_eq!(Delete::parse(&delete(1), 32).unwrap().spis32().collect::<Vec<_>>(), [0xc4ea_d6ac]);
    assert_eq!(Delete::parse(&delete(2), 32).map(drop), truncated("SPIs", 40, 8, 4));
    assert_eq!(Delete::parse(&delete(0), 32).map(drop), excess("DELETE payload", 40, 4));
    // A size of 0 times any number is nothing, and no division by zero.
    let none = Delete::parse(&[0, 0, 0, 1, 1, 0, 0xff, 0xff], 32).unwrap();
    assert_eq!((none.count(), none.spis().count()), (65535, 0));
}

/// A delete of ISAKMP SAs names them by both cookies, one of ESP SAs by four octets each.
#[test]
fn a_delete_names_what_it_deletes() {
    let (initiator, responder) = (Cookie([1; 8]), Cookie([2; 8]));
    let isakmp = Delete::isakmp(initiator, responder);
    assert_eq!((isakmp.protocol(), isakmp.spi_size(), isakmp.count()), (ProtocolId::ISAKMP, 16, 1));
    assert!(isakmp.names_isakmp(initiator, responder));
    assert!(!isakmp.names_isakmp(responder, initiator));
    assert!(!isakmp.names_isakmp(initiator, Cookie::ZERO));
    let esp = Delete::esp(&[7, 8]);
    assert_eq!((esp.protocol(), esp.spi_size(), esp.count()), (ProtocolId::ESP, 4, 2));
    // The same octets under another protocol are another SA.
    let mut body = Payload::Delete(isakmp).body().unwrap();
    body[4] = ProtocolId::ESP.0;
    assert!(!Delete::parse(&body, 32).unwrap().names_isakmp(initiator, responder));
}

/// Addresses are read by the type and the length that both say so.
#[test]
fn addresses_of_identities() {
    let [first, last]: [IpAddr; 2] = ["192.0.2.0", "192.0.2.255"].map(|a| a.parse().unwrap());
    let [first6, last6]: [IpAddr; 2] = ["2001:db8::", "2001:db8::ff"].map(|a| a.parse().unwrap());
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let id = |id_type, data| Identification { id_type, protocol: 0, port: 0, data };
    for (id_type, first, last) in [
        (IdType::IPV4_ADDR_SUBNET, first, last),
        (IdType::IPV4_ADDR_RANGE, first, last),
        (IdType::IPV6_ADDR_SUBNET, first6, last6),
        (IdType::IPV6_ADDR_RANGE, first6, last6),
    ] {
        let data = [octets(first), octets(last)].concat();
        let pair = id(id_type, data.clone().into());
        assert_eq!((pair.as_address_pair(), pair.as_address()), (Some((first, last)), None));
        assert_eq!(id(id_type, data[1..].to_vec().into()).as_address_pair(), None);
    }
    for address in [first, first6] {
        let original = NatOriginalAddress::new(address);
        assert_eq!(original.address(), Some(address));
        let short = NatOriginalAddress { data: original.data[1..].into(), ..original.clone() };
        assert_eq!(short.address(), None);
        let host = id(original.id_type, original.data);
        assert_eq!((host.as_address(), host.as_address_pair()), (Some(address), None));
    }
}

#[test]
fn the_last_fragment_says_so() {
    let with = |flags| Fragment { flags, ..Fragment::parse(&[0, 1, 1, 0, 7], 32).unwrap() };
    assert_eq!([0, 1, 2, 3].map(|flags| with(flags).is_last()), [false, true, false, true]);
}

#[test]
fn the_major_version_is_the_fifteenth_octet() {
    let octets: Vec<u8> = (1..=16).collect();
    assert_eq!(VendorId::new(octets.clone()).major(), Some(15));
    assert_eq!(VendorId::new(octets[..14].to_vec()).major(), None);
}

#[test]
fn an_error_says_where() {
    let error = Delete::parse(&[0, 0, 0, 1, 3, 4, 0, 2, 0xc4, 0xea, 0xd6, 0xac], 32).unwrap_err();
    assert_eq!(error.offset(), 40);
    let mut message = [0; 28];
    (message[17], message[27]) = (0x20, 28);
    assert_eq!(Message::parse(&message).unwrap_err().offset(), 17);
}

#[test]
fn a_cookie_is_zero_only_as_a_whole() {
    assert!(Cookie::ZERO.is_zero());
    for at in 0..8 {
        let mut cookie = [0; 8];
        cookie[at] = 1;
        assert!(!Cookie(cookie).is_zero());
    }
}

/// Every value of every code point has a text.
#[test]
fn names_are_total() {
    for value in 0..=u8::MAX {
        let texts = [
            PayloadType(value).to_string(),
            ExchangeType(value).to_string(),
            Flags(value).to_string(),
            ProtocolId(value).to_string(),
            IdType(value).to_string(),
            TransformId(value).to_string(),
        ];
        assert!(texts.iter().all(|text| !text.is_empty()));
    }
    for value in 0..=u16::MAX {
        assert!(!NotifyType(value).to_string().is_empty());
    }
    assert_eq!(PayloadType::KEY_EXCHANGE.to_string(), "KE payload");
    assert_eq!(PayloadType(99).to_string(), "payload 99");
    assert_eq!(NotifyType(14).to_string(), "NO-PROPOSAL-CHOSEN");
    assert_eq!(Flags(5).to_string(), "EA");
    assert_eq!(Flags(0x11).to_string(), "E+0x10");
    assert_eq!(TransformId(3).name(ProtocolId::ESP), Some("ESP_3DES"));
    assert_eq!(TransformId(3).name(ProtocolId::AH), Some("AH_SHA"));
    assert_eq!(TransformId(3).name(ProtocolId(9)), None);
}

proptest! {
    #[test]
    fn responder_lifetimes_are_lossless(attributes in vec(attribute(), 0..6)) {
        let lifetime = ResponderLifetime { attributes };
        let data = lifetime.encode().unwrap();
        prop_assert_eq!(data.len(), lifetime.encoded_len());
        prop_assert_eq!(&ResponderLifetime::parse(&data, 0).unwrap(), &lifetime);
        // Attributes have no common length: a prefix has fewer of them, or is cut short.
        for have in 0..data.len() {
            match ResponderLifetime::parse(&data[..have], 0) {
                Ok(fewer) => prop_assert!(fewer.attributes.len() < lifetime.attributes.len()),
                Err(error) => {
                    let cut = matches!(error, ParseError::Truncated { .. });
                    prop_assert!(cut, "{}", error);
                }
            }
        }
    }
}

/// As a Cisco router announces 3600 s and 4608000 kB, and a duration without its type.
#[test]
fn responder_lifetimes_say_how_long() {
    let data = b"\x80\x01\0\x01\x80\x02\x0e\x10\x80\x01\0\x02\0\x02\0\x04\0\x46\x50\0";
    let types = (phase2::LIFE_TYPE, phase2::LIFE_DURATION);
    let lifetime = ResponderLifetime::parse(data, 0).unwrap();
    assert_eq!(lifetime.duration(LifeType::SECONDS, types), Some(3600));
    assert_eq!(lifetime.duration(LifeType::KILOBYTES, types), Some(4_608_000));
    let untyped = ResponderLifetime::parse(&data[4..8], 0).unwrap();
    assert_eq!(untyped.duration(LifeType::SECONDS, types), None);
}
