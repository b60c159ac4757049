//! What single values of the wire say of themselves.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dmvpn_nhrp::wire::{Address, AuthenticationString, Flags, NbmaAddress, NbmaFormat};

/// The two high bits are the format, the others a length (RFC 2332 §5.1).
#[test]
fn formats() {
    for octet in 0..=u8::MAX {
        assert_eq!(NbmaFormat::new(octet).bits(), octet & 0xc0);
    }
    assert_eq!((NbmaFormat::NSAP.bits(), NbmaFormat::E164.bits()), (0, 0x40));
}

#[test]
fn addresses_that_are_none() {
    assert!(Address::none().is_none() && NbmaAddress::none().address.is_none());
    let some: [Address; 3] = [
        IpAddr::from(Ipv4Addr::UNSPECIFIED).into(),
        IpAddr::from(Ipv6Addr::UNSPECIFIED).into(),
        Address::new(&[0]),
    ];
    assert!(some.iter().all(|address| !address.is_none()));
}

/// All bits that are asked for, not some of them.
#[test]
fn flags() {
    let all = [Flags::UNIQUE, Flags::AUTHORITATIVE, Flags::DESTINATION_STABLE, Flags::NAT];
    for subset in 0..1_u8 << all.len() {
        let mut flags = Flags(0);
        let mut bits = 0;
        for (at, flag) in all.into_iter().enumerate() {
            if subset & 1 << at != 0 {
                flags |= flag;
                bits |= flag.0;
            }
        }
        assert_eq!(flags.0, bits);
        for (at, flag) in all.into_iter().enumerate() {
            assert_eq!(flags.contains(flag), subset & 1 << at != 0);
            let both = flag | Flags::SOURCE_STABLE;
            assert!(!flags.contains(both), "half of it is not it");
            assert!((flags | both).contains(both));
        }
    }
}

#[test]
fn authentication_strings() {
    let string = AuthenticationString::new(b"NHRPAUTH");
    assert_eq!((string.dangerous_octets(), string.len()), (&b"NHRPAUTH"[..], 8));
    assert!(!string.is_empty());
    let nothing = AuthenticationString::new(b"");
    assert_eq!((nothing.dangerous_octets(), nothing.len()), (&b""[..], 0));
    assert!(nothing.is_empty());
}
