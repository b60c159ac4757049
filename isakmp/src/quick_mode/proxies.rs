//! The identities of quick mode: what traffic the SAs are for (RFC 2409 §5.5).
//!
//! RFC 2409 lets a responder take them or refuse. Real ones also narrow them, and behind a NAT the two
//! sides have different addresses to name.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::phase1::Negotiation;
use crate::wire::{IdType, Identification, Payload, PayloadType, Payloads};
use crate::{
    Deviation, Discard, Nat, OriginalAddresses, Protection, ProtectionId, Proxies, Remote, Role,
    Selector, Selectors,
};

use super::{Deviations, offer};

const GRE: u8 = 47;

/// What QM1's identities agree with.
#[derive(Debug)]
pub(crate) struct Matched {
    pub(crate) protection: ProtectionId,
    pub(crate) terms: Arc<Protection>,
    pub(crate) selectors: Selectors,
    /// Those of the answer, the initiator's first: as they came, unless they were narrowed.
    pub(crate) answer: [Identification<'static>; 2],
}

/// IDci and IDcr: both, or neither.
pub(super) fn received<'p>(
    payloads: &'p Payloads<'_>,
) -> Result<Option<[&'p Identification<'p>; 2]>, Discard> {
    let mut ids = payloads.iter().filter_map(|received| {
        let Payload::Identification(id) = &received.payload else { return None };
        Some(id)
    });
    match (ids.next(), ids.next(), ids.next()) {
        (None, _, _) => Ok(None),
        (Some(initiator), Some(responder), None) => Ok(Some([initiator, responder])),
        (Some(_), None, _) => Err(Discard::MissingPayload(PayloadType::IDENTIFICATION)),
        (Some(_), Some(_), Some(_)) => Err(Discard::UnexpectedPayload(PayloadType::IDENTIFICATION)),
    }
}

/// The ID payloads of selectors, the initiator's first.
pub(crate) fn identifications(selectors: Selectors, role: Role) -> [Identification<'static>; 2] {
    let Selectors { local, remote } = selectors;
    let initiator_first = match role {
        Role::Initiator => [local, remote],
        Role::Responder => [remote, local],
    };
    initiator_first.map(|selector| offer::identification(&selector))
}

/// The selectors of a protection between two endpoints.
pub(crate) const fn selectors(terms: &Protection, local: IpAddr, remote: IpAddr) -> Selectors {
    match terms.proxies {
        Proxies::Endpoints { protocol } => Selectors {
            local: Selector::host(local, protocol),
            remote: Selector::host(remote, protocol),
        },
        Proxies::Networks { local, remote } => Selectors { local, remote },
    }
}

/// The selector of an ID payload, with the leniency that it takes to read it.
fn selector(id: &Identification<'_>, deviations: &mut Deviations) -> Option<Selector> {
    let selector = offer::selector(id)?;
    let subnet = matches!(id.id_type, IdType::IPV4_ADDR_SUBNET | IdType::IPV6_ADDR_SUBNET);
    if subnet && selector.is_host() {
        deviations.push(Deviation::ProxySubnetOfHost);
    }
    // GRE has no ports.
    if selector.protocol == GRE && selector.port != 0 {
        deviations.push(Deviation::ProxyPortWithoutMeaning);
        return Some(Selector { port: 0, ..selector });
    }
    Some(selector)
}

/// As responder: the protection for the peer's identities, and the traffic.
pub(super) fn match_protection(
    ids: Option<[&Identification<'_>; 2]>,
    sa: &Negotiation,
    nat: Nat,
    protections: impl Iterator<Item = (ProtectionId, Arc<Protection>)> + Clone,
    deviations: &mut Deviations,
) -> Result<Matched, Discard> {
    let (local, remote) = (sa.path.local.ip(), sa.path.remote.ip());
    let candidates = protections.filter(|(_, terms)| terms.local == local);
    // A protection for this very peer before one for everybody.
    let specific = candidates.clone().filter(|(_, terms)| terms.remote == Remote::Host(remote));
    let general = candidates.filter(|(_, terms)| terms.remote == Remote::Any);
    let mut candidates = specific.chain(general);
    let Some(ids) = ids else {
        // RFC 2409 §5.5: without IDs they are the addresses of the peers, for all protocols; the
        // protection restricts it to what it is for.
        let (protection, terms) = candidates.next().ok_or(Discard::NoProtection)?;
        deviations.push(Deviation::NoProxyIdentities);
        let selectors = selectors(&terms, local, remote);
        let answer = identifications(selectors, Role::Responder);
        return Ok(Matched { protection, terms, selectors, answer });
    };
    for (protection, terms) in candidates {
        let mut leniencies = Vec::new();
        let [initiator, responder] = ids.map(|id| selector(id, &mut leniencies));
        let (Some(theirs), Some(ours)) = (initiator, responder) else {
            return Err(Discard::NoProtection);
        };
        let wanted = selectors(&terms, local, remote);
        // Behind a NAT the peer names its inside address, and if we are behind one, it names our
        // outside address: neither can be seen from here (RFC 3947 §5.2).
        let endpoints = matches!(terms.proxies, Proxies::Endpoints { .. });
        let remote = narrowed(wanted.remote, theirs, endpoints && nat.remote);
        let local = narrowed(wanted.local, ours, endpoints && nat.local);
        let (Some(remote), Some(local)) = (remote, local) else { continue };
        if local.address != wanted.local.address {
            leniencies.push(Deviation::ProxyNamesNatAddress);
        }
        let selectors = Selectors { local, remote };
        let answer = if (local, remote) == (ours, theirs) {
            ids.map(|id| id.clone().into_owned())
        } else {
            leniencies.push(Deviation::ProxiesNarrowed);
            identifications(selectors, Role::Responder)
        };
        deviations.append(&mut leniencies);
        return Ok(Matched { protection, terms, selectors, answer });
    }
    Err(Discard::NoProtection)
}

/// What is left of what the peer asks for; `None` if it is about other addresses, protocols or
/// ports. Zero stands for all protocols and ports (RFC 2407 §4.6.2).
fn narrowed(wanted: Selector, asked: Selector, translated: bool) -> Option<Selector> {
    let same_address = wanted.address == asked.address && wanted.prefix == asked.prefix;
    let address_fits = same_address || (translated && may_be_same_host(wanted, asked));
    if !address_fits {
        return None;
    }
    let both = |wanted: u16, asked: u16| match (wanted, asked) {
        (0, only) | (only, 0) => Some(only),
        (wanted, asked) => (wanted == asked).then_some(wanted),
    };
    let protocol = both(wanted.protocol.into(), asked.protocol.into())?;
    let port = both(wanted.port, asked.port)?;
    Some(Selector { protocol: u8::try_from(protocol).ok()?, port, ..asked })
}

/// Whether both are a host's, and a NAT may be why they differ: it does not change the address family.
const fn may_be_same_host(one: Selector, other: Selector) -> bool {
    one.is_host() && other.is_host() && one.address.is_ipv4() == other.address.is_ipv4()
}

/// As initiator: what the responder made of our identities. It may leave out some of the traffic, and
/// it may name a host by the address that it sees; it may not add to what we asked for.
pub(super) fn check_answer(
    ids: Option<[&Identification<'_>; 2]>,
    asked: Selectors,
    nat: Nat,
    deviations: &mut Deviations,
) -> Result<Selectors, Discard> {
    let Some(ids) = ids else {
        deviations.push(Deviation::NoProxyIdentities);
        return Ok(asked);
    };
    let mut taken = [asked.local, asked.remote];
    for (id, asked) in ids.into_iter().zip(&mut taken) {
        let answered = selector(id, deviations).ok_or(Discard::ProxyType(id.id_type))?;
        let ours = *asked;
        if answered == ours {
            continue;
        }
        let translated = nat.found() && may_be_same_host(ours, answered);
        let within = ours.contains(&Selector { address: ours.address, ..answered })
            && (translated || ours.contains(&answered));
        if !within {
            return Err(Discard::ProxyMismatch { asked: ours, answered });
        }
        if translated && answered.address != ours.address {
            deviations.push(Deviation::ProxyNamesNatAddress);
            *asked = Selector { address: ours.address, ..answered };
        } else {
            *asked = answered;
        }
        if *asked != ours {
            deviations.push(Deviation::ProxiesNarrowed);
        }
    }
    let [local, remote] = taken;
    Ok(Selectors { local, remote })
}

/// The addresses before translation that the peer names (RFC 3947 §5.2), whatever numbers its draft
/// gives the payloads: the initiator's, then the responder's, or, of old drafts, its own alone.
pub(super) fn original_addresses(
    payloads: &Payloads<'_>,
    role: Role,
    deviations: &mut Deviations,
) -> Result<OriginalAddresses, Discard> {
    let mut found = Vec::new();
    for received in payloads {
        let Payload::NatOriginalAddress(_, original) = &received.payload else { continue };
        if original.reserved != [0; 3] {
            deviations.push(Deviation::OriginalAddressReserved);
        }
        found.push(original.address());
    }
    let (local, remote) = match (found.as_slice(), role) {
        ([], _) => (None, None),
        ([own], _) => (None, *own),
        ([initiator, responder], Role::Initiator) => (*initiator, *responder),
        ([initiator, responder], Role::Responder) => (*responder, *initiator),
        _ => {
            let payload = payloads
                .iter()
                .find(|received| matches!(received.payload, Payload::NatOriginalAddress(_, _)));
            let payload_type = payload.map_or(PayloadType::NAT_ORIGINAL_ADDRESS, |received| {
                received.payload.payload_type()
            });
            return Err(Discard::UnexpectedPayload(payload_type));
        }
    };
    Ok(OriginalAddresses { local, remote })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_NAT: Nat = Nat { local: false, remote: false };
    const BEHIND_NAT: Nat = Nat { local: true, remote: false };

    fn host(address: &str, protocol: u8, port: u16) -> Selector {
        Selector { port, ..Selector::host(address.parse().unwrap(), protocol) }
    }

    fn subnet(address: &str, prefix: u8) -> Selector {
        Selector { prefix, ..host(address, 0, 0) }
    }

    /// What the initiator makes of an answer about its own side.
    fn answered(
        asked: Selector,
        answer: Selector,
        nat: Nat,
    ) -> Result<(Selector, Vec<Deviation>), Discard> {
        let remote = host("172.16.10.1", 0, 0);
        let ids = [answer, remote].map(|selector| offer::identification(&selector));
        let mut deviations = Vec::new();
        let asked = Selectors { local: asked, remote };
        let taken = check_answer(Some(ids.each_ref()), asked, nat, &mut deviations)?;
        assert_eq!(taken.remote, remote);
        Ok((taken.local, deviations))
    }

    #[test]
    fn a_responder_may_leave_out_traffic() {
        for (asked, answer) in [
            (host("10.0.0.1", 0, 0), host("10.0.0.1", 47, 0)),
            (host("10.0.0.1", 17, 0), host("10.0.0.1", 17, 53)),
            (subnet("0.0.0.0", 0), subnet("10.1.0.0", 16)),
            (subnet("10.0.0.0", 8), host("10.0.0.1", 0, 0)),
        ] {
            let narrowed = Ok((answer, Vec::from([Deviation::ProxiesNarrowed])));
            assert_eq!(answered(asked, answer, NO_NAT), narrowed);
            assert_eq!(answered(asked, asked, NO_NAT), Ok((asked, Vec::new())));
            let refused = Discard::ProxyMismatch { asked: answer, answered: asked };
            assert_eq!(answered(answer, asked, NO_NAT), Err(refused), "it may not add any");
        }
    }

    #[test]
    fn a_responder_may_name_the_address_that_it_sees() {
        let (inside, outside) = (host("192.168.7.1", 47, 0), host("198.51.100.7", 47, 0));
        let translated = Ok((inside, Vec::from([Deviation::ProxyNamesNatAddress])));
        assert_eq!(answered(inside, outside, BEHIND_NAT), translated);
        let refused = Discard::ProxyMismatch { asked: inside, answered: outside };
        assert_eq!(answered(inside, outside, NO_NAT), Err(refused));
        let other = host("198.51.100.7", 17, 0);
        let refused = Discard::ProxyMismatch { asked: inside, answered: other };
        assert_eq!(answered(inside, other, BEHIND_NAT), Err(refused));
        let network = Selector { prefix: 24, ..outside };
        assert!(answered(inside, network, BEHIND_NAT).is_err(), "hosts only");
        let family = host("2001:db8::7", 47, 0);
        assert!(answered(inside, family, BEHIND_NAT).is_err(), "a NAT does not change the family");
    }

    #[test]
    fn what_is_no_traffic_is_refused() {
        let asked = Selectors { local: host("10.0.0.1", 0, 0), remote: host("10.0.0.2", 0, 0) };
        let [mut ours, theirs] = identifications(asked, Role::Initiator);
        ours.id_type = IdType::FQDN;
        let answer = check_answer(Some([&ours, &theirs]), asked, NO_NAT, &mut Vec::new());
        assert_eq!(answer, Err(Discard::ProxyType(IdType::FQDN)));
    }

    #[test]
    fn other_forms_of_the_same() {
        let (address, mask) = ([172, 16, 1, 1], [255; 4]);
        let subnet = Identification {
            id_type: IdType::IPV4_ADDR_SUBNET,
            protocol: GRE,
            port: 9,
            data: [address, mask].concat().into(),
        };
        let mut deviations = Vec::new();
        let read = selector(&subnet, &mut deviations);
        assert_eq!(read, Some(host("172.16.1.1", GRE, 0)));
        let named = [Deviation::ProxySubnetOfHost, Deviation::ProxyPortWithoutMeaning];
        assert_eq!(deviations, named);
    }

    #[test]
    fn a_protection_restricts_what_is_asked_for() {
        let gre = host("172.16.1.1", GRE, 0);
        assert_eq!(narrowed(gre, host("172.16.1.1", 0, 0), false), Some(gre));
        assert_eq!(narrowed(gre, host("172.16.1.1", 17, 0), false), None);
        assert_eq!(narrowed(gre, host("192.168.7.1", GRE, 0), false), None);
        let inside = host("192.168.7.1", GRE, 0);
        assert_eq!(narrowed(gre, host("192.168.7.1", 0, 0), true), Some(inside));
        assert_eq!(narrowed(gre, host("2001:db8::1", 0, 0), true), None);
    }
}
