//! Whole packets as `debug dmvpn all all` shows them, against the guide's lines.

use core::net::IpAddr;

use dmvpn_nhrp::cisco::PacketFields;
use dmvpn_nhrp::wire::{
    Authentication, AuthenticationString, Body, Cie, ErrorCode, ErrorIndication, Extension,
    ExtensionType, ExtensionValue, Flags, Message, Packet, RequestId, SecurityParameterIndex,
    TrafficIndication,
};

/// What the request and the reply of the guide have in common from the mandatory part to the first
/// extension.
const REGISTRATION: &str = r#"
 (M) flags: "unique nat ", reqid: 65540
     src NBMA: 172.16.1.1
     src protocol: 10.1.1.1, dst protocol: 10.1.1.254
 (C-1) code: no error(0)
       prefix: 32, mtu: 17912, hd_time: 7200
       addr_len: 0(NSAP), subaddr_len: 0(NSAP), proto_len: 0, pref: 0
Responder Address Extension(3):"#;

/// And from the second extension to the last.
const EXTENSIONS: &str = "
Forward Transit NHS Record Extension(4):
Reverse Transit NHS Record Extension(5):
Authentication Extension(7):
  type:Cleartext(1), data:NHRPAUTH
NAT address Extension(9):
 (C-1) code: no error(0)
       prefix: 32, mtu: 17912, hd_time: 0
       addr_len: 4(NSAP), subaddr_len: 0(NSAP), proto_len: 4, pref: 0
       client NBMA: 172.16.10.1
       client protocol: 10.1.1.254";

fn fields(octets: &[u8]) -> String {
    PacketFields(&Packet::parse(octets).unwrap()).to_string()
}

#[test]
fn the_registration_request_of_the_guide() {
    let fixed = " (F) afn: IPv4(1), type: IP(800), hop: 255, ver: 1
     shtl: 4(NSAP), sstl: 0(NSAP)
     pktsz: 108 extoff: 52";
    assert_eq!(
        fields(include_bytes!("data/regreq_65540.bin")),
        [fixed, REGISTRATION, EXTENSIONS].concat()
    );
}

#[test]
fn the_registration_reply_of_the_guide() {
    let fixed = " (F) afn: IPv4(1), type: IP(800), hop: 255, ver: 1
     shtl: 4(NSAP), sstl: 0(NSAP)
     pktsz: 128 extoff: 52";
    let responder = "
 (C) code: no error(0)
       prefix: 32, mtu: 17912, hd_time: 7200
       addr_len: 4(NSAP), subaddr_len: 0(NSAP), proto_len: 4, pref: 0
       client NBMA: 172.16.10.1
       client protocol: 10.1.1.254";
    let reply = [fixed, REGISTRATION, responder, EXTENSIONS].concat();
    assert_eq!(fields(include_bytes!("data/regrep_65540.bin")), reply);
    // The reply that the guide's spoke shows answers the other request.
    assert_eq!(
        fields(include_bytes!("data/regrep_65541.bin")),
        reply.replace("reqid: 65540", "reqid: 65541")
    );
}

/// Cisco's traffic indication of nhrp-trace.pcap, frame 1, of tcpdump's tests.
#[test]
fn a_traffic_indication_with_the_packet_that_caused_it() {
    let octets = hex_literal::hex!(
        "000108000000000000ff0062d9d00044010804000404000000000000c0a8c8010affff010affff03"
        "4500006400050000ff01a78f0affff030affff020800325b00010000"
        "80040000800500008007000a000000017365637265740009000080000000"
    );
    assert_eq!(
        fields(&octets),
        " (F) afn: IPv4(1), type: IP(800), hop: 255, ver: 1
     shtl: 4(NSAP), sstl: 0(NSAP)
     pktsz: 98 extoff: 68
 (M) traffic code: redirect(0)
     src NBMA: 192.168.200.1
     src protocol: 10.255.255.1, dst protocol: 10.255.255.3
     Contents of nhrp traffic indication packet:
        45 00 00 64 00 05 00 00 FF 01 A7 8F 0A FF FF 03
        0A FF FF 02 08 00 32 5B 00 01 00 00
Forward Transit NHS Record Extension(4):
Reverse Transit NHS Record Extension(5):
Authentication Extension(7):
  type:Cleartext(1), data:secret
NAT address Extension(9):"
    );
}

fn packet(body: Body) -> Packet {
    let address = |last| [10, 1, 1, last].into();
    Packet::new([172, 16, 1, 1].into(), address(1), address(254), body)
}

fn message(flags: Flags) -> Message {
    Message { flags, request_id: RequestId(7), entries: vec![Cie::bare(32, 0, 60)] }
}

#[test]
fn flags_are_named_by_packet_type() {
    let mandatory = |body| {
        let text = PacketFields(&packet(body)).to_string();
        text.lines().find(|line| line.starts_with(" (M)")).unwrap().to_owned()
    };
    let all = Flags(0xffff);
    assert_eq!(
        mandatory(Body::ResolutionRequest(message(Flags(0xc802)))),
        r#" (M) flags: "router auth src-stable nat ", reqid: 7"#
    );
    assert_eq!(
        mandatory(Body::ResolutionReply(message(all))),
        r#" (M) flags: "router auth dst-stable unique src-stable nat ", reqid: 7"#
    );
    assert_eq!(
        mandatory(Body::RegistrationRequest(message(all))),
        r#" (M) flags: "unique nat ", reqid: 7"#
    );
    assert_eq!(
        mandatory(Body::PurgeRequest(message(all))),
        r#" (M) flags: "no-reply nat ", reqid: 7"#
    );
    assert_eq!(mandatory(Body::PurgeReply(message(Flags::NONE))), r#" (M) flags: "", reqid: 7"#);
}

#[test]
fn an_error_indication_with_the_packet_in_error() {
    let packet = packet(Body::ErrorIndication(ErrorIndication {
        unused: 0,
        code: ErrorCode::AUTHENTICATION_FAILURE,
        offset: 64,
        contents: vec![0, 1, 8, 0].into(),
    }));
    let text = PacketFields(&packet).to_string();
    let (_, mandatory) = text.split_once(" extoff: 0\n").unwrap();
    assert_eq!(
        mandatory,
        "
 (M) error code: authentication failure(11), offset: 64
     src NBMA: 172.16.1.1
     src protocol: 10.1.1.1, dst protocol: 10.1.1.254
     Contents of error packet:
        00 01 08 00"
            .trim_start_matches('\n')
    );
}

/// Nothing that a peer can put into an extension breaks the form of the text.
#[test]
fn extensions_as_a_peer_may_send_them() {
    let extension = |number, value| Extension {
        extension_type: ExtensionType::new(number),
        compulsory: false,
        unused: false,
        value,
    };
    let text = |extension| {
        let mut packet = packet(Body::RegistrationRequest(message(Flags::NONE)));
        packet.extensions = vec![extension, Extension::end()];
        let text = PacketFields(&packet).to_string();
        text.split_once("pref: 0\n").unwrap().1.to_owned()
    };
    let octets = |octets: &[u8]| ExtensionValue::Raw(octets.to_vec().into());
    assert_eq!(text(extension(300, octets(&[]))), "Unknown Extension(300):");
    assert_eq!(text(extension(300, octets(&[0, 255]))), "Unknown Extension(300):\n  data:00ff");
    assert_eq!(text(extension(7, octets(&[1]))), "Authentication Extension(7):\n  data:01");
    let vendor = ExtensionValue::VendorPrivate { vendor: [0, 0, 12], data: vec![1].into() };
    assert_eq!(
        text(extension(8, vendor)),
        "Vendor-Private Extension(8):\n  vendor:00000c, data:01"
    );
    assert_eq!(
        text(Extension::authentication(AuthenticationString::new(b"a\nNHRP: forged"))),
        "Authentication Extension(7):\n  type:Cleartext(1), data:a\\nNHRP: forged"
    );
    let digest = ExtensionValue::Authentication(Authentication {
        reserved: 0,
        spi: SecurityParameterIndex(256),
        data: AuthenticationString::new(&[10, 1]),
    });
    assert_eq!(
        text(extension(7, digest)),
        "Authentication Extension(7):\n  type:unknown(256), data:0a01"
    );
}

#[test]
fn subaddresses_are_shown_where_there_are_any() {
    let subaddress = |last| dmvpn_nhrp::wire::NbmaAddress::from(IpAddr::from([10, 9, 9, last]));
    let mut entry = Cie::bare(32, 0, 60).of([172, 16, 1, 2].into(), [10, 1, 1, 2].into());
    entry.nbma_subaddress = subaddress(2);
    let mut packet =
        packet(Body::ResolutionReply(Message { entries: vec![entry], ..message(Flags::NONE) }));
    packet.source_nbma_subaddress = subaddress(1);
    assert_eq!(
        PacketFields(&packet).to_string(),
        " (F) afn: IPv4(1), type: IP(800), hop: 255, ver: 1
     shtl: 4(NSAP), sstl: 4(NSAP)
     pktsz: 68 extoff: 0
 (M) flags: \"\", reqid: 7
     src NBMA: 172.16.1.1, src NBMA subaddress: 10.9.9.1
     src protocol: 10.1.1.1, dst protocol: 10.1.1.254
 (C-1) code: no error(0)
       prefix: 32, mtu: 0, hd_time: 60
       addr_len: 4(NSAP), subaddr_len: 4(NSAP), proto_len: 4, pref: 0
       client NBMA: 172.16.1.2
       client NBMA subaddress: 10.9.9.2
       client protocol: 10.1.1.2"
    );
}

#[test]
fn addresses_of_other_families() {
    let address = |last| format!("2001:db8::{last}").parse().unwrap();
    let mut packet = Packet::new(
        address(1),
        address(2),
        address(3),
        Body::TrafficIndication(TrafficIndication {
            unused: 0,
            code: 1,
            unused_after_code: 0,
            contents: vec![].into(),
        }),
    );
    assert_eq!(
        PacketFields(&packet).to_string(),
        " (F) afn: IPv6(2), type: IPv6(86DD), hop: 255, ver: 1
     shtl: 16(NSAP), sstl: 0(NSAP)
     pktsz: 76 extoff: 0
 (M) traffic code: unknown(1)
     src NBMA: 2001:db8::1
     src protocol: 2001:db8::2, dst protocol: 2001:db8::3
     Contents of nhrp traffic indication packet:"
    );
    packet.address_family.0 = 8;
    packet.source_nbma.address = dmvpn_nhrp::wire::Address::new(&[0xe1, 0x64]);
    packet.source_nbma.format = dmvpn_nhrp::wire::NbmaFormat::E164;
    let text = PacketFields(&packet).to_string();
    assert!(text.starts_with(" (F) afn: unknown(8), "));
    assert!(text.contains("shtl: 2(E.164), sstl: 0(NSAP)"));
    assert!(text.contains("src NBMA: e164\n"));
}
