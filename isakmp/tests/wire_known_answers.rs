//! The codec against messages that others made: the seed's, Cisco's, strongSwan's, and those that
//! broke somebody's parser.

use std::{fs, path::Path};

use dmvpn_isakmp::wire::{
    Attribute, AuthenticationMethod, Chain, Content, Cookie, Doi, ExchangeType, Flags, Header,
    LifeType, Message, NatNumbering, NotifyType, ParseError, Payload, PayloadType, Payloads,
    Proposal, ProtocolId, Received, SecurityAssociation, Transform, TransformId, Vendor, VendorId,
    Version, phase1,
};
use hex_literal::hex;

/// The transform of a Cisco router's policy: attributes in its order, the lifetime of a day in the
/// variable format, all other values in the basic one.
fn cisco_security_association(
    encryption: &[(dmvpn_isakmp::wire::AttributeType, u16)],
) -> Payload<'static> {
    let mut attributes: Vec<_> =
        encryption.iter().map(|&(name, value)| Attribute::basic(name, value)).collect();
    attributes.extend([
        Attribute::basic(phase1::HASH_ALGORITHM, 2),
        Attribute::basic(phase1::GROUP_DESCRIPTION, 1),
        Attribute::basic(phase1::AUTHENTICATION_METHOD, AuthenticationMethod::PRE_SHARED_KEY.0),
        Attribute::basic(phase1::LIFE_TYPE, LifeType::SECONDS.0),
        Attribute::variable_u32(phase1::LIFE_DURATION, 86400),
    ]);
    let transform = Transform::new(1, TransformId::KEY_IKE, attributes);
    let proposal = Proposal::new(1, ProtocolId::ISAKMP, &[], vec![transform]);
    Payload::SecurityAssociation(SecurityAssociation::new(vec![proposal]))
}

fn main_mode(initiator: Cookie, responder: Cookie, payloads: &[Payload<'_>]) -> Vec<u8> {
    let mut chain = Chain::new();
    for payload in payloads {
        chain.push(payload);
    }
    let header = Header::new(initiator, responder, ExchangeType::MAIN_MODE);
    let message = chain.message(header, 0).unwrap();
    assert_eq!(message.len(), chain.encoded_len());
    message
}

fn test_data(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[track_caller]
fn unhex(digits: &str) -> Vec<u8> {
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// Parses, builds again from the decoded values, and compares.
#[track_caller]
fn assert_lossless(datagram: &[u8]) {
    let message = Message::parse(datagram).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(message.encode().unwrap(), datagram);
    assert_eq!(message.encoded_len(), datagram.len());
    if let Some(payloads) = message.payloads() {
        let raw: Vec<u8> = payloads.iter().flat_map(Received::raw).copied().collect();
        assert_eq!(raw, payloads.chain());
        for received in payloads {
            assert_eq!(received.payload.body().unwrap(), received.body());
            assert_eq!(&datagram[received.offset()..][..received.raw().len()], received.raw());
        }
    }
}

const SEED_3DES: [(dmvpn_isakmp::wire::AttributeType, u16); 1] =
    [(phase1::ENCRYPTION_ALGORITHM, 5)];
const AES_128: [(dmvpn_isakmp::wire::AttributeType, u16); 2] =
    [(phase1::ENCRYPTION_ALGORITHM, 7), (phase1::KEY_LENGTH, 128)];

#[test]
fn main_mode_1_and_2_of_the_seed() {
    let mm1 = test_data("seed/mm1.bin");
    let mm2 = test_data("seed/mm2.bin");
    let header = Message::parse(&mm2).unwrap().header;
    let (initiator, responder) = (header.initiator_cookie, header.responder_cookie);

    let built = main_mode(
        initiator,
        Cookie::ZERO,
        &[
            cisco_security_association(&SEED_3DES),
            Payload::VendorId(VendorId::NAT_TRAVERSAL),
            Payload::VendorId(VendorId::NAT_TRAVERSAL_DRAFT_07),
            Payload::VendorId(VendorId::NAT_TRAVERSAL_DRAFT_03),
            Payload::VendorId(VendorId::NAT_TRAVERSAL_DRAFT_02),
        ],
    );
    assert_eq!(built, mm1);
    let built = main_mode(
        initiator,
        responder,
        &[cisco_security_association(&SEED_3DES), Payload::VendorId(VendorId::NAT_TRAVERSAL)],
    );
    assert_eq!(built, mm2);
    assert_lossless(&mm1);
    assert_lossless(&mm2);
}

/// Main mode 1 to 4 between two routers of IOS 12.4: `ISAKMP_sa_setup.pcap` of the tcpdump group's
/// tests, frames 1 to 4 without their lower headers.
const CISCO_MM1: [u8; 148] = hex!(
    "cf02326f14a95b930000000000000000 0110020000000000 00000094"
    "0d00003c0000000100000001000000300101000100000028010100008001000780"
    "0e0080800200028004000180030001800b0001000c000400015180"
    "0d000014439b59f8ba676c4c7737ae22eab8f582"
    "0d0000147d9419a65310ca6f2c179d9215529d56"
    "0000001490cb80913ebb696e086381b5ec427b1f"
);
const CISCO_MM2: [u8; 108] = hex!(
    "cf02326f14a95b9318a109f89219e8df 0110020000000000 0000006c"
    "0d00003c0000000100000001000000300101000100000028010100008001000780"
    "0e0080800200028004000180030001800b0001000c000400015180"
    "00000014439b59f8ba676c4c7737ae22eab8f582"
);
const CISCO_MM3: [u8; 272] = hex!(
    "cf02326f14a95b9318a109f89219e8df 0410020000000000 00000110"
    "0a0000643bce03faae189d2b151a4d527d6122a23b87fb1344d4084bd6e2605cd5615d09"
    "6d56f31a96c700ee4f21da4fb1f05503d775bf4f392bf1580ab2f7e3fb34616b0312308b"
    "bd098e0c2982513f8e72fc32af003ec1136fd7ac6ff6bae8cf7108b1"
    "0d0000186ea7c7ed3ca3383538801b4b32a5aba161807765"
    "0d00001412f5f28c457168a9702d9fe274cc0100"
    "0d000014afcad71368a1f1c96b8696fc77570100"
    "0d0000143ac5957214a85b93db6a509869fdb330"
    "0f00000c09002689dfd6b712"
    "0f000018d5664a6fcbc7d769f693d4d83ce125b1415827ae"
    "000000186db4442c1af0b63d93334e3a0cb5ac19f804eca4"
);
const CISCO_MM4: [u8; 272] = hex!(
    "cf02326f14a95b9318a109f89219e8df 0410020000000000 00000110"
    "0a000064babc863ab198bd0c0c94a5c79eb31579948fcdc79cb31656543534c228b6da5f"
    "f1c57a2be3062c1bd329d5ef1a7fa214b27045af8084dfbf759feb8dbe10f372d7fb303d"
    "b3decd854ff565a0e521034c3a32fc1aeafe3547d97650ab80b05e62"
    "0d00001878 1a7f836ed8f1231b779d24ca0a366cad029684"
    "0d00001412f5f28c457168a9702d9fe274cc0100"
    "0d000014afcad71368a1f1c96b8696fc77570100"
    "0d000014ed66aee59218e8dfbe01a135a2ad8994"
    "0f00000c09002689dfd6b712"
    "0f0000186db4442c1af0b63d93334e3a0cb5ac19f804eca4"
    "00000018d5664a6fcbc7d769f693d4d83ce125b1415827ae"
);

#[test]
fn main_mode_1_to_4_of_two_cisco_routers() {
    let initiator = Cookie(0xcf02_326f_14a9_5b93_u64.to_be_bytes());
    let responder = Cookie(0x18a1_09f8_9219_e8df_u64.to_be_bytes());
    let vendor = |vendor_id| Payload::VendorId(vendor_id);

    let mm1 = main_mode(
        initiator,
        Cookie::ZERO,
        &[
            cisco_security_association(&AES_128),
            vendor(VendorId::NAT_TRAVERSAL_DRAFT_07),
            vendor(VendorId::NAT_TRAVERSAL_DRAFT_03),
            vendor(VendorId::NAT_TRAVERSAL_DRAFT_02),
        ],
    );
    assert_eq!(mm1, CISCO_MM1);
    let mm2 = main_mode(
        initiator,
        responder,
        &[cisco_security_association(&AES_128), vendor(VendorId::NAT_TRAVERSAL_DRAFT_07)],
    );
    assert_eq!(mm2, CISCO_MM2);

    // The hash of the peer's address and port comes first, so that one's first is the other's
    // second.
    let responder_hash = hex!("d5664a6fcbc7d769f693d4d83ce125b1415827ae");
    let initiator_hash = hex!("6db4442c1af0b63d93334e3a0cb5ac19f804eca4");
    let third_or_fourth = |sender, public: &[u8], nonce: &[u8], tail, hashes: [&[u8]; 2]| {
        main_mode(
            initiator,
            responder,
            &[
                Payload::KeyExchange(public.into()),
                Payload::Nonce(nonce.into()),
                vendor(VendorId::UNITY),
                vendor(VendorId::DEAD_PEER_DETECTION),
                vendor(VendorId::ios(sender, tail)),
                vendor(VendorId::XAUTH),
                Payload::NatDetection(NatNumbering::Draft07, hashes[0].into()),
                Payload::NatDetection(NatNumbering::Draft07, hashes[1].into()),
            ],
        )
    };
    let mm3 = third_or_fourth(
        initiator,
        &CISCO_MM3[32..128],
        &hex!("6ea7c7ed3ca3383538801b4b32a5aba161807765"),
        hex!("db6a509869fdb330"),
        [&responder_hash, &initiator_hash],
    );
    assert_eq!(mm3, CISCO_MM3);
    let mm4 = third_or_fourth(
        responder,
        &CISCO_MM4[32..128],
        &hex!("781a7f836ed8f1231b779d24ca0a366cad029684"),
        hex!("be01a135a2ad8994"),
        [&initiator_hash, &responder_hash],
    );
    assert_eq!(mm4, CISCO_MM4);

    for datagram in [&CISCO_MM1[..], &CISCO_MM2, &CISCO_MM3, &CISCO_MM4] {
        assert_lossless(datagram);
    }
    let message = Message::parse(&CISCO_MM4).unwrap();
    let vendors = message.payloads().unwrap().iter().filter_map(|received| {
        let Payload::VendorId(vendor_id) = &received.payload else { return None };
        Some((vendor_id.recognize(), vendor_id.is_ios(responder)))
    });
    assert_eq!(
        vendors.collect::<Vec<_>>(),
        [
            (Some(Vendor::Unity { version: (1, 0) }), false),
            (Some(Vendor::DeadPeerDetection { version: (1, 0) }), false),
            (None, true),
            (Some(Vendor::Xauth), false),
        ]
    );
}

/// Every message of every recorded scenario, as sent and, where it was encrypted, as decrypted.
#[test]
fn recorded_scenarios_of_strongswan() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/charon");
    let (mut datagrams, mut decrypted, mut reassembled) = (0, 0, 0);
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for section in text.split("\n[message ").skip(1) {
            let field = |name: &str| {
                let prefix = format!("\n{name} = ");
                let start = section.find(&prefix)? + prefix.len();
                section[start..].lines().next()
            };
            if field("kind") != Some("ike") {
                continue;
            }
            let raw = unhex(field("raw").unwrap());
            assert_lossless(&raw);
            datagrams += 1;
            let whole = field("reassembled").map_or(raw, |whole| {
                reassembled += 1;
                let whole = unhex(whole);
                assert_lossless(&whole);
                whole
            });
            let message = Message::parse(&whole).unwrap();
            let payloads = match (field("plaintext"), &message.content) {
                (None, Content::Clear(payloads)) => payloads.encode().unwrap(),
                (None, Content::Encrypted(_)) => {
                    assert!(field("retransmit_of").is_some(), "no plaintext recorded");
                    continue;
                }
                (Some(_), Content::Clear(_)) => panic!("clear, but recorded as encrypted"),
                (Some(plaintext), Content::Encrypted(bytes)) => {
                    let plaintext = unhex(plaintext);
                    assert_eq!(plaintext.len(), bytes.len());
                    let first = message.header.next_payload;
                    let parsed = Payloads::parse(first, &plaintext, Header::LEN);
                    if field("undecryptable").is_some() {
                        // Deciphered with the wrong key: noise, and seen to be noise.
                        assert!(matches!(parsed, Err(ParseError::Truncated { offset: 28, .. })));
                        continue;
                    }
                    let payloads = parsed.unwrap();
                    assert_eq!(payloads.encode().unwrap(), plaintext);
                    assert_eq!(payloads.encoded_len(), plaintext.len());
                    assert!(payloads.trailing().iter().all(|&octet| octet == 0));
                    decrypted += 1;
                    plaintext
                }
            };
            // The recorder's own reading of the same bytes.
            if let Some(recorded) = field("payloads") {
                let first = message.header.next_payload;
                let payloads = Payloads::parse(first, &payloads, Header::LEN).unwrap();
                let read: Vec<_> =
                    payloads.iter().map(|received| received.payload.payload_type()).collect();
                let recorded: Vec<_> = recorded.split_whitespace().map(recorded_type).collect();
                assert_eq!(read, recorded);
            }
        }
    }
    assert_eq!((datagrams, decrypted, reassembled), (256, 157, 5));
}

fn recorded_type(name: &str) -> PayloadType {
    match name {
        "SA" => PayloadType::SECURITY_ASSOCIATION,
        "KE" => PayloadType::KEY_EXCHANGE,
        "ID" => PayloadType::IDENTIFICATION,
        "HASH" => PayloadType::HASH,
        "NONCE" => PayloadType::NONCE,
        "N" => PayloadType::NOTIFICATION,
        "D" => PayloadType::DELETE,
        "VID" => PayloadType::VENDOR_ID,
        "NAT-D" => PayloadType::NAT_DETECTION,
        "NAT-OA" => PayloadType::NAT_ORIGINAL_ADDRESS,
        name => panic!("recorded payload {name}"),
    }
}

/// Openswan, OpenSwan with certificates, Android with XAUTH: captures of tcpdump's and Wireshark's
/// tests, beside the repository.
#[test]
fn captured_messages() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/isakmp_messages.json");
    let Ok(text) = fs::read_to_string(&path) else {
        println!("SKIP: ../shared/vectors/isakmp_messages.json is not here");
        return;
    };
    let messages: serde_json::Value = serde_json::from_str(&text).unwrap();
    let messages = messages.as_array().unwrap();
    let mut refused = Vec::new();
    for message in messages {
        let (file, frame) = (message["file"].as_str().unwrap(), message["frame"].as_u64().unwrap());
        let datagram = unhex(message["isakmp"].as_str().unwrap());
        match Message::parse(&datagram) {
            Ok(_) => assert_lossless(&datagram),
            Err(error) => refused.push((file, frame, error)),
        }
    }
    assert_eq!((messages.len(), refused), (35, Vec::new()));
}

/// What the fuzzers of tcpdump found, and a message edited by hand for zeek's tests: each is
/// refused, and the error says where it goes wrong.
#[test]
fn messages_that_broke_other_parsers() {
    // ipsec-ikev1-payload-bad-length.pcap: the first vendor ID says 3 octets.
    let bad_length = hex!(
        "e47a591fd057587f0000000000000000 0110020000000000 000000a8"
        "0d00003c0000000100000001000000300101000100000028010100008001000780"
        "0e0080800200028004000280030001800b0001000c000400015180"
        "0d0000034a131c81070358455c5728f20e95452f0d000014439b59f8ba676c4c7737ae22eab8f582"
        "0d0000147d9419a65310ca6f2c179d9215529d560000001490cb80913ebb696e086381b5ec427b1f"
    );
    assert_captured("ipsec-ikev1-payload-bad-length.pcap", &[&bad_length]);
    assert_eq!(
        Message::parse(&bad_length),
        Err(ParseError::LengthTooSmall {
            what: "vendor id payload",
            offset: 88,
            length: 3,
            minimum: 4
        })
    );
    // isakmp-pointer-loop.pcap: a HASH payload of length 0, which a careless reader never leaves,
    // in a message of length 0.
    let mut pointer_loop = hex!("00000000000000000000000000000000 0810010000000000 00000000 0a00");
    assert_captured("isakmp-pointer-loop.pcap", &[&pointer_loop]);
    let (what, offset) = ("message", 0);
    let error = ParseError::LengthTooSmall { what, offset, length: 0, minimum: 28 };
    assert_eq!(Message::parse(&pointer_loop), Err(error));
    pointer_loop[27] = 30;
    let (what, offset) = ("HASH payload", 28);
    let error = ParseError::Truncated { what, offset, needed: 4, have: 2 };
    assert_eq!(Message::parse(&pointer_loop), Err(error));

    // The others are refused for their version or length already; with a header that makes sense
    // they get to what broke the printer.
    let found: [(&[u8], ParseError, ParseError); 4] = [
        (
            // isakmp-delete-segfault.pcap
            &hex!(
                "1b9310c2fc3d7afe4f39819b21e859fd 0cbebe2e1b9a1d57 4321979a"
                "05ca02205d12e35950ffffff0000000000000000"
            ),
            ParseError::Version { version: Version(0xbe) },
            truncated("DELETE payload", 28, 0x220, 20),
        ),
        (
            // isakmp-ikev1_n_print-oobr.pcap, three packets
            &hex!(
                "3c003d809b0000fdf2f3ff7f7f0110ee 0b2c231010101010 ff000000"
                "7efb00050000000080006001041b"
            ),
            ParseError::Version { version: Version(0x2c) },
            truncated("NOTIFY payload", 32, 8, 1),
        ),
        (
            &hex!(
                "3c001b809b0000fdf2f3ff7f850110f9 0b2c23101010100b 25000000"
                "7efb00050000df0100016001041b"
            ),
            ParseError::Version { version: Version(0x2c) },
            truncated("NOTIFY payload", 32, 8, 1),
        ),
        (
            &hex!(
                "3c0037809b0000fdf2f3ff7f7f0110f9 0b2c23101010100b 25000000"
                "7efb00050000000110016001041b"
            ),
            ParseError::Version { version: Version(0x2c) },
            truncated("NOTIFY payload", 32, 8, 1),
        ),
    ];
    let [delete, notify_1, notify_2, notify_3] = found.map(|(datagram, ..)| datagram);
    assert_captured("isakmp-delete-segfault.pcap", &[delete]);
    assert_captured("isakmp-ikev1_n_print-oobr.pcap", &[notify_1, notify_2, notify_3]);
    for (datagram, as_found, with_header_mended) in found {
        assert_eq!(Message::parse(datagram), Err(as_found));
        let mut mended = datagram.to_vec();
        mended[17] = Version::V1_0.0;
        mended[19] = Flags::NONE.0;
        mended[24..28].copy_from_slice(&u32::try_from(datagram.len()).unwrap().to_be_bytes());
        assert_eq!(Message::parse(&mended), Err(with_header_mended));
    }
    // isakmpv1-attr-oobr.pcap: a length of 4 GB, and a transform with attributes that is in no proposal. With
    // the length mended it is a payload that means nothing.
    let mut attribute = hex!(
        "00ff7f05ffff05772c9d0fe00080ffe8 03102800 2200af01 ffef7f20"
        "00000010f3f1fa0025000002061918a61f"
    );
    assert_captured("isakmpv1-attr-oobr.pcap", &[&attribute]);
    assert_eq!(Message::parse(&attribute), Err(truncated("message", 0, 0xffef_7f20, 45)));
    attribute[24..28].copy_from_slice(&45_u32.to_be_bytes());
    assert_lossless(&attribute);
    let message = Message::parse(&attribute).unwrap();
    let payloads = message.payloads().unwrap().iter().map(|received| received.payload.clone());
    let body = attribute[32..44].into();
    assert!(payloads.eq([Payload::Opaque(PayloadType::TRANSFORM, body)]));
    // isakmp-3948-oobr-2.pcap: an empty datagram to port 4500.
    assert_captured("isakmp-3948-oobr-2.pcap", &[&[]]);
    assert_eq!(Message::parse(&[]), Err(truncated("header", 0, 28, 0)));
}

/// The datagrams of a capture beside the repository start with these octets, one to each.
#[track_caller]
fn assert_captured(name: &str, expected: &[&[u8]]) {
    let Some(file) = beside(name) else { return };
    let mut rest = &file[24..];
    let mut seen = 0;
    while rest.len() >= 16 {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        // Ethernet, IPv4 with options, UDP, whatever lengths they claim.
        let packet = &rest[16 + 14..16 + length];
        rest = &rest[16 + length..];
        let datagram = &packet[usize::from(packet[0] & 15) * 4 + 8..];
        assert!(datagram.starts_with(expected[seen]), "{name}");
        seen += 1;
    }
    assert_eq!(seen, expected.len(), "{name}");
}

/// A third-party file, which this repository does not contain.
fn beside(name: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures").join(name);
    let file = fs::read(path).ok();
    if file.is_none() {
        println!("SKIP: ../shared/captures/{name} is not here");
    }
    file
}

/// What Check Point, ScreenOS and ike-scan itself say, from the tests of ike-scan (royhills/ike-scan,
/// `pkt-*.dat`): each is understood, and built again octet by octet.
#[test]
fn datagrams_of_ike_scan() {
    // An offer that asks for every corner: reserved octets that are not zero, transforms of three kinds.
    let custom_proposal = hex!(
        "deadbeefdeadbeef0000000000000000 0110020000000000 000000a4"
        "0dff00780000000100000001 00ff006c01010003"
        "03ff00180101ffff 80010001800200018003000180040001"
        "03ff001c0201ffff 80010007800e0080800200018003000380040005"
        "00ff00300301ffff 80010005800200028003000380040002800b0001000c000400007080"
        "800b0002000c000400100000"
        "0dff0008deadbeef 00ff000800010203"
    );
    let main_mode_response = hex!(
        "deadbeefdeadbeef636fa075dcf8ba90 0110020000000000 00000080"
        "0d0000380000000100000001 0000002c01010001"
        "0000002401010000 80010005800200028003000380040002800b0001000c000400007080"
        "0000002cf4ed19e0c114eb516faaac0ee37daf2807b4381f000000010000138d459becd7"
        "0000000018000000"
    );
    let notify_response = hex!(
        "deadbeefdeadbeef0000000000000000 0b10050041a8534e 00000028"
        "0000000c000000000100000e"
    );
    for (name, datagram) in [
        ("pkt-custom-proposal.dat", &custom_proposal[..]),
        ("pkt-main-mode-response.dat", &main_mode_response),
        ("pkt-notify-response.dat", &notify_response),
    ] {
        if let Some(file) = beside(name) {
            assert_eq!(file, datagram, "{name}");
        }
        assert_lossless(datagram);
        for length in 0..datagram.len() {
            let error = Message::parse(&datagram[..length]).map(drop).unwrap_err();
            assert!(matches!(error, ParseError::Truncated { .. }), "{name}, {length}: {error}");
        }
    }

    let message = Message::parse(&custom_proposal).unwrap();
    let payloads = message.payloads().unwrap();
    let Payload::SecurityAssociation(offer) = &payloads.iter().next().unwrap().payload else {
        panic!("no SA payload")
    };
    let lengths = offer.proposals[0].transforms.iter().map(|transform| transform.attributes.len());
    assert_eq!(lengths.collect::<Vec<_>>(), [4, 5, 8]);
    let vendor_ids: Vec<_> = payloads
        .iter()
        .filter_map(|received| {
            let Payload::VendorId(vendor_id) = &received.payload else { return None };
            Some(vendor_id.as_bytes().to_vec())
        })
        .collect();
    assert_eq!(vendor_ids, [hex!("deadbeef"), hex!("00010203")]);

    let message = Message::parse(&notify_response).unwrap();
    assert_eq!(message.header.exchange, ExchangeType::INFORMATIONAL);
    let Payload::Notification(refusal) =
        &message.payloads().unwrap().iter().next().unwrap().payload
    else {
        panic!("no notification")
    };
    assert_eq!(refusal.notify_type, NotifyType::NO_PROPOSAL_CHOSEN);
    assert_eq!(refusal.doi, Doi::ISAKMP);
}

fn truncated(what: &'static str, offset: usize, needed: usize, have: usize) -> ParseError {
    ParseError::Truncated { what, offset, needed, have }
}
