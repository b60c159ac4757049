//! Any packet that can be built.

use dmvpn_nhrp::wire::{
    Address, AddressFamily, Authentication, AuthenticationString, Body, Cie, CieCode, ErrorCode,
    ErrorIndication, Extension, ExtensionType, ExtensionValue, Flags, Message, NbmaAddress,
    NbmaFormat, Packet, ProtocolType, RequestId, SecurityParameterIndex, TrafficIndication,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn address(longest: usize) -> impl Strategy<Value = Address> {
    prop_oneof![vec(any::<u8>(), 4..=4), vec(any::<u8>(), 16..=16), vec(any::<u8>(), 0..=longest),]
        .prop_map(|octets| Address::new(&octets))
}

fn nbma() -> impl Strategy<Value = NbmaAddress> {
    (any::<u8>(), address(63))
        .prop_map(|(bits, address)| NbmaAddress { format: NbmaFormat::new(bits), address })
}

fn entry() -> impl Strategy<Value = Cie> {
    (any::<[u8; 3]>(), any::<[u16; 3]>(), nbma(), nbma(), address(40)).prop_map(
        |([code, prefix_length, preference], [unused, mtu, holding_time], a, b, protocol)| Cie {
            code: CieCode(code),
            prefix_length,
            unused,
            mtu,
            holding_time,
            preference,
            nbma: a,
            nbma_subaddress: b,
            protocol,
        },
    )
}

fn extension() -> impl Strategy<Value = Extension> {
    let octets = || vec(any::<u8>(), 0..20);
    let clients = (prop::sample::select(std::vec![3_u16, 4, 5, 9]), vec(entry(), 0..3))
        .prop_map(|(number, entries)| (number, ExtensionValue::Clients(entries)));
    let authentication = (any::<[u16; 2]>(), octets()).prop_map(|([reserved, spi], data)| {
        let spi = SecurityParameterIndex(spi);
        let data = AuthenticationString::new(&data);
        (7, ExtensionValue::Authentication(Authentication { reserved, spi, data }))
    });
    let short_authentication =
        vec(any::<u8>(), 0..4).prop_map(|octets| (7, ExtensionValue::Raw(octets.into())));
    let vendor = (any::<[u8; 3]>(), octets()).prop_map(|(vendor, data)| {
        (8, ExtensionValue::VendorPrivate { vendor, data: data.into() })
    });
    let unknown = (
        any::<u16>()
            .prop_filter("unknown", |number| ![0, 3, 4, 5, 7, 8, 9].contains(&(number & 0x3fff))),
        octets(),
    )
        .prop_map(|(number, octets)| (number, ExtensionValue::Raw(octets.into())));
    let value = prop_oneof![clients, authentication, short_authentication, vendor, unknown];
    (value, any::<[bool; 2]>()).prop_map(|((number, value), [compulsory, unused])| Extension {
        extension_type: ExtensionType::new(number),
        compulsory,
        unused,
        value,
    })
}

fn body() -> impl Strategy<Value = Body> {
    let message = (1..=6_u8, any::<u16>(), any::<u32>(), vec(entry(), 0..4)).prop_map(
        |(packet_type, flags, id, entries)| {
            let message = Message { flags: Flags(flags), request_id: RequestId(id), entries };
            match packet_type {
                1 => Body::ResolutionRequest(message),
                2 => Body::ResolutionReply(message),
                3 => Body::RegistrationRequest(message),
                4 => Body::RegistrationReply(message),
                5 => Body::PurgeRequest(message),
                _ => Body::PurgeReply(message),
            }
        },
    );
    let indication = (any::<bool>(), any::<[u16; 3]>(), vec(any::<u8>(), 0..60)).prop_map(
        |(error, [first, second, third], contents)| {
            let contents = contents.into();
            if error {
                let code = ErrorCode(second);
                Body::ErrorIndication(ErrorIndication {
                    unused: first,
                    code,
                    offset: third,
                    contents,
                })
            } else {
                Body::TrafficIndication(TrafficIndication {
                    unused: first,
                    code: second,
                    unused_after_code: third,
                    contents,
                })
            }
        },
    );
    prop_oneof![3 => message, 1 => indication]
}

pub(crate) fn packet() -> impl Strategy<Value = Packet> {
    (
        any::<([u16; 2], [u8; 5], u8)>(),
        (nbma(), nbma(), address(255), address(255)),
        body(),
        (vec(extension(), 0..6), any::<bool>()),
    )
        .prop_map(|(fixed, addresses, body, (mut extensions, end))| {
            let ([family, protocol], protocol_snap, hop_count) = fixed;
            let (source_nbma, source_nbma_subaddress, source_protocol, destination_protocol) =
                addresses;
            if end {
                extensions.push(Extension::end());
            }
            Packet {
                address_family: AddressFamily(family),
                protocol_type: ProtocolType(protocol),
                protocol_snap,
                hop_count,
                source_nbma,
                source_nbma_subaddress,
                source_protocol,
                destination_protocol,
                body,
                extensions,
            }
        })
}
