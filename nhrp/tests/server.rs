//! The server: whose registrations it keeps, and for how long.

#[path = "support/cloud.rs"]
#[allow(dead_code, reason = "each test uses what it needs")]
mod cloud;

extern crate alloc;

use alloc::sync::Arc;
use core::time::Duration;

use cloud::{
    Cloud, Driver, endpoint, events, host, hub, identity, ip, link, spoke, state, transmits,
};
use dmvpn_nhrp::wire::{
    Body, Cie, CieCode, ErrorCode, Extension, ExtensionType, Flags, Message, Packet, RequestId,
};
use dmvpn_nhrp::{
    CacheKind, ConfigBuilder, Discard, Endpoint, Event, Identity, Limits, Link, LinkId,
    NextHopServer, Prefix, RegistrationPolicy, StaticMap, Trace,
};
use dmvpn_time::Instant;

fn up(config: ConfigBuilder) -> Endpoint {
    let mut hub = endpoint(config, 1);
    hub.interface_up(Instant::EPOCH);
    events(&mut hub);
    hub
}

/// A peer with an identity.
fn peer(id: u64, nbma: &str, name: &str) -> Link {
    Link { identity: identity(name), ..link(id, nbma, "172.16.10.1") }
}

/// The guide's request, of another spoke.
fn request(nbma: &str, address: &str, change: impl FnOnce(&mut Packet)) -> Vec<u8> {
    let mut packet = Packet::parse(include_bytes!("data/regreq_65540.bin")).unwrap();
    packet.source_nbma = ip(nbma).into();
    packet.source_protocol = ip(address).into();
    change(&mut packet);
    packet.encode().unwrap().to_vec()
}

fn message(packet: &mut Packet) -> &mut Message {
    let Body::RegistrationRequest(message) = &mut packet.body else { panic!("no registration") };
    message
}

fn not_unique(packet: &mut Packet) {
    message(packet).flags = Flags::NAT;
}

/// The codes of the one reply that waits.
fn codes(hub: &mut Endpoint) -> Vec<u8> {
    let sent = transmits(hub);
    assert_eq!(sent.len(), 1, "{sent:?}");
    let reply = Packet::parse(&sent[0].packet).unwrap();
    let Body::RegistrationReply(message) = reply.body else { panic!("{reply:?}") };
    message.entries.iter().map(|entry| entry.code.0).collect()
}

fn register(hub: &mut Endpoint, now: u64, link: &Link, packet: &[u8]) -> Vec<u8> {
    hub.handle_packet(Instant::from_secs(now), link, packet).unwrap();
    codes(hub)
}

const SPOKE: &str = "172.16.1.1";

/// RFC 2332 §5.1: as if the server were sending a request of its own.
#[test]
fn a_reply_has_all_its_hops_before_it() {
    let mut hub = up(hub());
    let far = request(SPOKE, "10.1.1.1", |packet| packet.hop_count = 3);
    hub.handle_packet(Instant::EPOCH, &peer(1, SPOKE, "one"), &far).unwrap();
    let sent = transmits(&mut hub);
    assert_eq!(Packet::parse(&sent[0].packet).unwrap().hop_count, 255);
}

#[test]
fn a_unique_address_belongs_to_who_registered_it_first() {
    let mut hub = up(hub());
    let (first, second) = (peer(1, SPOKE, "one"), peer(2, "172.16.2.1", "two"));
    let mine = request(SPOKE, "10.1.1.1", |_| {});
    assert_eq!(register(&mut hub, 0, &first, &mine), [0]);
    let before = state(&hub, Instant::EPOCH);
    for change in [(|_| {}) as fn(&mut Packet), not_unique] {
        let theirs = request("172.16.2.1", "10.1.1.1", change);
        assert_eq!(register(&mut hub, 0, &second, &theirs), [14]);
        assert_eq!(state(&hub, Instant::EPOCH), before);
    }
    // Nor by saying that one is the first: the association says who it is.
    let forged = request(SPOKE, "10.1.1.1", |_| {});
    assert_eq!(register(&mut hub, 0, &second, &forged), [14]);
    // Without the flag another identity is told no as well: who moves keeps its own.
    let mut open = up(cloud::hub());
    let mine = request(SPOKE, "10.1.1.1", not_unique);
    assert_eq!(register(&mut open, 0, &first, &mine), [0]);
    let before = state(&open, Instant::EPOCH);
    let theirs = request("172.16.2.1", "10.1.1.1", |_| {});
    assert_eq!(register(&mut open, 0, &second, &theirs), [4]);
    assert_eq!(state(&open, Instant::EPOCH), before);
    // Without identities, who comes last has it.
    let (first, second) = (link(1, SPOKE, "172.16.10.1"), link(2, "172.16.2.1", "172.16.10.1"));
    let mut open = up(cloud::hub());
    assert_eq!(register(&mut open, 0, &first, &mine), [0]);
    let theirs = request("172.16.2.1", "10.1.1.1", |_| {});
    assert_eq!(register(&mut open, 0, &second, &theirs), [0]);
    assert_eq!(open.lookup(Instant::EPOCH, ip("10.1.1.1")).unwrap().link, Some(LinkId(2)));
    // It is unique now.
    assert_eq!(register(&mut open, 0, &first, &mine), [14]);
    // When it has expired anybody may have it, whether or not anybody woke up for that.
    assert_eq!(register(&mut open, 7200, &first, &mine), [0]);
}

/// A spoke whose identity is its address comes back from another one: what it registered before is
/// in its way for as long as the old association may be somebody's.
#[test]
fn an_address_is_free_for_another_identity_once_its_peer_is_gone() {
    let mut hub = up(hub());
    let (old, new) = (peer(1, SPOKE, "one"), peer(2, "172.16.1.77", "two"));
    let mine = request(SPOKE, "10.1.1.1", not_unique);
    let theirs = request("172.16.1.77", "10.1.1.1", not_unique);
    assert_eq!(register(&mut hub, 0, &old, &mine), [0]);
    assert_eq!(register(&mut hub, 1, &new, &theirs), [4]);
    // Its security association alone went, or another peer did: it may still be there.
    hub.link_down(Instant::from_secs(2), old.id);
    hub.peer_gone(Instant::from_secs(2), &peer(3, SPOKE, "one"));
    hub.peer_gone(Instant::from_secs(2), &new);
    assert_eq!(register(&mut hub, 2, &new, &theirs), [4]);
    // Packets go to where it was until somebody else is there, or it expires.
    hub.peer_gone(Instant::from_secs(3), &old);
    let nbma = |hub: &mut Endpoint, now| {
        hub.lookup(Instant::from_secs(now), ip("10.1.1.1")).map(|hop| hop.nbma)
    };
    assert_eq!(nbma(&mut hub, 3), Some(ip(SPOKE)));
    // It was there first after all.
    assert_eq!(register(&mut hub, 4, &old, &mine), [0]);
    assert_eq!(register(&mut hub, 5, &new, &theirs), [4]);
    hub.peer_gone(Instant::from_secs(6), &old);
    // Gone or not, nobody but the owner purges it.
    let theft = purge("10.1.1.1", 32, Flags::NONE);
    let address = ip("10.1.1.1");
    let outcome = hub.handle_packet(Instant::from_secs(6), &new, &theft);
    assert_eq!(outcome, Err(Discard::NotOwner { address }));
    assert_eq!(register(&mut hub, 7, &new, &theirs), [0]);
    assert_eq!(nbma(&mut hub, 7), Some(ip("172.16.1.77")));
    // And now it is that one's.
    assert_eq!(register(&mut hub, 8, &old, &mine), [4]);
    hub.peer_gone(Instant::from_secs(9), &old);
    assert_eq!(register(&mut hub, 9, &old, &mine), [4]);
}

/// It need not notice that it was given up, and registers when it always would: a new session is
/// enough to have its address back, over a link of whatever number.
#[test]
fn an_address_is_its_owners_again_once_that_is_back() {
    for back in [peer(1, SPOKE, "one"), peer(7, SPOKE, "one")] {
        let mut hub = up(hub());
        let (old, new) = (peer(1, SPOKE, "one"), peer(2, "172.16.1.77", "two"));
        let theirs = request("172.16.1.77", "10.1.1.1", not_unique);
        assert_eq!(register(&mut hub, 0, &old, &request(SPOKE, "10.1.1.1", not_unique)), [0]);
        hub.link_down(Instant::from_secs(1), old.id);
        hub.peer_gone(Instant::from_secs(1), &old);
        hub.link_up(Instant::from_secs(2), &back);
        assert_eq!(register(&mut hub, 3, &new, &theirs), [4]);
    }
}

/// Who registered it as unique keeps it until it expires (RFC 2332 §5.2.4, code 14).
#[test]
fn a_unique_address_is_kept_for_a_peer_that_is_gone() {
    let mut hub = up(hub());
    let old = peer(1, SPOKE, "one");
    assert_eq!(register(&mut hub, 0, &old, &request(SPOKE, "10.1.1.1", |_| {})), [0]);
    hub.peer_gone(Instant::from_secs(1), &old);
    let theirs = request("172.16.1.77", "10.1.1.1", not_unique);
    let new = peer(2, "172.16.1.77", "two");
    assert_eq!(register(&mut hub, 1, &new, &theirs), [14]);
    assert_eq!(register(&mut hub, 7200, &new, &theirs), [0]);
}

#[test]
fn without_identities_the_nbma_address_is_the_owner() {
    let mut hub = up(hub());
    let mine = request(SPOKE, "10.1.1.1", |_| {});
    assert_eq!(register(&mut hub, 0, &link(1, SPOKE, "172.16.10.1"), &mine), [0]);
    let elsewhere = link(2, "172.16.2.1", "172.16.10.1");
    assert_eq!(register(&mut hub, 0, &elsewhere, &mine), [14]);
    assert_eq!(register(&mut hub, 0, &link(3, SPOKE, "172.16.10.1"), &mine), [0]);
}

#[test]
fn a_roaming_spoke_takes_its_binding_along() {
    let mut hub = up(hub());
    let target = host("10.1.1.1");
    let at_home = peer(1, SPOKE, "one");
    register(&mut hub, 0, &at_home, &request(SPOKE, "10.1.1.1", |_| {}));
    events(&mut hub);
    // The same link from another address.
    let moved = peer(1, "198.51.100.9", "one");
    assert_eq!(register(&mut hub, 1, &moved, &request("198.51.100.9", "10.1.1.1", |_| {})), [0]);
    let nbma = ip("198.51.100.9");
    assert_eq!(events(&mut hub), [Event::CacheUpdated { target, nbma, link: Some(LinkId(1)) }]);
    // Another link: it goes and comes.
    let again = peer(7, "203.0.113.9", "one");
    assert_eq!(register(&mut hub, 2, &again, &request("203.0.113.9", "10.1.1.1", |_| {})), [0]);
    assert_eq!(
        events(&mut hub),
        [
            Event::MulticastRemoved { link: LinkId(1) },
            Event::CacheRemoved { target, nbma, link: Some(LinkId(1)) },
            Event::CacheAdded { target, nbma: ip("203.0.113.9"), link: Some(LinkId(7)) },
            Event::MulticastAdded { link: LinkId(7) },
        ]
    );
    assert_eq!(
        (hub.cache(Instant::EPOCH).count(), hub.multicast_after(None)),
        (1, Some(LinkId(7)))
    );
}

#[test]
fn the_policy_says_who_may_register_what() {
    let one = || Identity::new(b"one".to_vec());
    let cases = [
        // policy, identity, address, code
        (RegistrationPolicy::open(), "one", "10.1.1.1", 0),
        (RegistrationPolicy::open(), "one", "10.1.2.1", 4),
        (RegistrationPolicy::open(), "one", "203.0.113.1", 4),
        (RegistrationPolicy::closed(), "one", "10.1.1.1", 4),
        (RegistrationPolicy::closed().grant(one(), host("10.1.1.1")), "one", "10.1.1.1", 0),
        (RegistrationPolicy::closed().grant(one(), host("10.1.1.1")), "one", "10.1.1.2", 4),
        (RegistrationPolicy::closed().grant(one(), host("10.1.1.1")), "two", "10.1.1.1", 4),
        (RegistrationPolicy::open().grant(one(), host("10.1.1.1")), "two", "10.1.1.1", 4),
        (RegistrationPolicy::open().grant(one(), host("10.1.1.1")), "two", "10.1.1.2", 0),
        (RegistrationPolicy::open().grant(one(), host("10.1.1.1")), "one", "10.1.1.2", 4),
        (
            RegistrationPolicy::open().grant(one(), Prefix::new(ip("192.0.2.0"), 24)),
            "one",
            "192.0.2.200",
            0,
        ),
    ];
    for (policy, name, address, code) in cases {
        let mut hub = up(hub().policy(policy));
        let packet = request(SPOKE, address, |_| {});
        let codes = register(&mut hub, 0, &peer(1, SPOKE, name), &packet);
        assert_eq!(codes, [code], "{name} {address}");
        assert_eq!(hub.cache(Instant::EPOCH).count(), usize::from(code == 0));
    }
}

#[test]
fn our_own_and_configured_addresses_are_nobodys_to_register() {
    let map = StaticMap { target: host("10.1.1.9"), nbma: ip("172.16.9.1") };
    let local = Prefix::new(ip("10.1.1.64"), 26);
    let mut hub = up(hub().static_maps(vec![map]).local_networks(vec![local]));
    let link = peer(1, SPOKE, "one");
    let before = state(&hub, Instant::EPOCH);
    for address in ["10.1.1.254", "10.1.1.9", "10.1.1.65"] {
        let packet = request(SPOKE, address, |_| {});
        assert_eq!(register(&mut hub, 0, &link, &packet), [4], "{address}");
    }
    let network = request(SPOKE, "10.1.1.1", |p| message(p).entries[0].prefix_length = 28);
    assert_eq!(register(&mut hub, 0, &link, &network), [4]);
    assert_eq!(state(&hub, Instant::EPOCH), before);
    assert_eq!(hub.lookup(Instant::EPOCH, ip("10.1.1.65")), None);
    assert!(hub.cache(Instant::EPOCH).any(|entry| entry.is_local()));
    assert_eq!(hub.counters().registrations_refused, 4);
}

#[test]
fn limits_hold_at_their_number_exactly() {
    let limits = Limits { entries: 4, entries_per_owner: 3, ..Limits::default() };
    let mut hub = up(hub().limits(limits));
    let register = |hub: &mut Endpoint, who: &str, address: &str| {
        let nbma = if who == "one" { SPOKE } else { "172.16.2.1" };
        let link = link(1, nbma, "172.16.10.1");
        register(hub, 0, &link, &request(nbma, address, not_unique))
    };
    for address in ["10.1.1.1", "10.1.1.2", "10.1.1.3"] {
        assert_eq!(register(&mut hub, "one", address), [0]);
    }
    assert_eq!(register(&mut hub, "one", "10.1.1.4"), [5], "of one owner");
    assert_eq!(register(&mut hub, "two", "10.1.1.4"), [0]);
    assert_eq!(register(&mut hub, "two", "10.1.1.5"), [5], "in all");
    assert_eq!(register(&mut hub, "one", "10.1.1.1"), [0], "a refresh is not one more");
    assert_eq!(register(&mut hub, "two", "10.1.1.1"), [0], "nor is one that changes hands");
    assert_eq!(hub.cache(Instant::EPOCH).count(), 4);
    // Several in one packet count each.
    let three = request(SPOKE, "10.1.1.20", |packet| {
        let entry = Cie::bare(32, 0, 600);
        let at = |address| entry.clone().of(ip(SPOKE), ip(address));
        message(packet).entries = vec![at("10.1.1.20"), at("10.1.1.21"), at("10.1.1.22")];
    });
    let limits = Limits { entries: 2, ..Limits::default() };
    let mut small = up(cloud::hub().limits(limits));
    small.handle_packet(Instant::EPOCH, &peer(1, SPOKE, "one"), &three).unwrap();
    assert_eq!(codes(&mut small), [0, 0, 5]);
}

#[test]
fn a_registration_that_names_a_target_twice_is_discarded() {
    let limits = Limits { entries: 0, ..Limits::default() };
    for (limits, holding_times) in [(limits, [600, 600]), (Limits::default(), [600, 0])] {
        let mut hub = up(hub().limits(limits));
        let packet = request(SPOKE, "10.1.1.1", |packet| {
            message(packet).entries = holding_times.map(|time| Cie::bare(32, 0, time)).to_vec();
        });
        let outcome = hub.handle_packet(Instant::EPOCH, &peer(1, SPOKE, "one"), &packet);
        assert_eq!(outcome, Err(Discard::NamedTwice { target: host("10.1.1.1") }));
        assert_eq!((hub.cache(Instant::EPOCH).count(), transmits(&mut hub)), (0, vec![]));
    }
}

#[test]
fn what_has_expired_counts_against_no_limit() {
    let mut hub = up(hub().limits(Limits { entries: 1, ..Limits::default() }));
    let link = peer(1, SPOKE, "one");
    let packet = |address| request(SPOKE, address, |p| message(p).entries[0].holding_time = 30);
    assert_eq!(register(&mut hub, 0, &link, &packet("10.1.1.1")), [0]);
    assert_eq!(register(&mut hub, 29, &link, &packet("10.1.1.2")), [5]);
    assert_eq!(register(&mut hub, 30, &link, &packet("10.1.1.2")), [0]);
}

#[test]
fn servers_mapped_networks_and_addresses_of_no_host_are_nobodys_to_register() {
    let known =
        NextHopServer { nbma: Some(ip("172.16.20.1")), ..NextHopServer::new(ip("10.1.1.20")) };
    let mapped = Prefix::new(ip("10.1.1.64"), 26);
    let everything = StaticMap { target: Prefix::new(ip("0.0.0.0"), 0), nbma: ip("172.16.77.1") };
    let mut hub = up(hub()
        .servers(vec![known, NextHopServer::new(ip("10.1.1.21"))])
        .static_maps(vec![StaticMap { target: mapped, nbma: ip("172.16.9.1") }, everything]));
    let hop = hub.lookup(Instant::EPOCH, ip("10.1.1.20")).unwrap();
    assert_eq!(hop.nbma, ip("172.16.20.1"));
    let link = peer(1, SPOKE, "one");
    for address in ["10.1.1.20", "10.1.1.21", "10.1.1.65", "10.1.1.0", "10.1.1.255"] {
        let packet = request(SPOKE, address, |_| {});
        assert_eq!(register(&mut hub, 0, &link, &packet), [4], "{address}");
    }
    // A map of more than the tunnel's network says where the rest is.
    assert_eq!(register(&mut hub, 0, &link, &request(SPOKE, "10.1.1.1", |_| {})), [0]);
}

#[test]
fn purges_beyond_the_rate_are_dropped() {
    let mut hub = up(hub().limits(Limits { registrations_per_second: 2, ..Limits::default() }));
    let link = peer(1, SPOKE, "one");
    let packet = purge("10.1.1.1", 24, Flags::NO_REPLY);
    let outcomes = [0; 3].map(|at| hub.handle_packet(Instant::from_secs(at), &link, &packet));
    assert_eq!(outcomes, [Ok(()), Ok(()), Err(Discard::RegistrationRate { limit: 2 })]);
}

#[test]
fn registrations_beyond_the_rate_are_dropped() {
    let mut hub = up(hub().limits(Limits { registrations_per_second: 2, ..Limits::default() }));
    let packet = request(SPOKE, "10.1.1.1", |_| {});
    let link = peer(1, SPOKE, "one");
    let mut at = |millis| hub.handle_packet(Instant::from_millis(millis), &link, &packet);
    assert_eq!((at(0), at(999)), (Ok(()), Ok(())));
    assert_eq!(at(999), Err(Discard::RegistrationRate { limit: 2 }));
    assert_eq!(at(1000), Ok(()));
}

#[test]
fn a_queue_that_nobody_polls_stops_growing() {
    let mut hub = up(hub().limits(Limits { queue: 5, ..Limits::default() }));
    let link = peer(1, SPOKE, "one");
    let outcomes: Vec<_> = (1..=9)
        .map(|n| {
            let packet = request(SPOKE, &format!("10.1.1.{n}"), |_| {});
            hub.handle_packet(Instant::EPOCH, &link, &packet)
        })
        .collect();
    assert_eq!(outcomes.last(), Some(&Err(Discard::QueueFull { limit: 5 })));
    assert!(transmits(&mut hub).len() <= 6);
}

#[test]
fn entries_expire_when_their_holding_time_is_over() {
    let mut hub = up(hub());
    let packet = request(SPOKE, "10.1.1.1", |p| message(p).entries[0].holding_time = 30);
    register(&mut hub, 0, &peer(1, SPOKE, "one"), &packet);
    register(&mut hub, 10, &peer(1, SPOKE, "one"), &packet);
    events(&mut hub);
    assert_eq!(hub.poll_timeout(), Some(Instant::from_secs(40)));
    assert!(hub.lookup(Instant::from_micros(39_999_999), ip("10.1.1.1")).is_some());
    // Nobody needs to have woken up for it to be over.
    assert_eq!(hub.lookup(Instant::from_secs(40), ip("10.1.1.1")), None);
    assert_eq!(hub.cache(Instant::from_secs(40)).count(), 0);
    hub.handle_timeout(Instant::from_secs(40));
    let (target, nbma, link) = (host("10.1.1.1"), ip(SPOKE), LinkId(1));
    assert_eq!(
        events(&mut hub),
        [Event::MulticastRemoved { link }, Event::CacheRemoved { target, nbma, link: Some(link) }]
    );
    assert_eq!((hub.poll_timeout(), hub.multicast_after(None)), (None, None));
}

#[test]
fn what_has_no_holding_time_has_expired() {
    let mut hub = up(hub());
    let (one, two) = (peer(1, SPOKE, "one"), peer(2, "172.16.2.1", "two"));
    let packet = request(SPOKE, "10.1.1.1", not_unique);
    register(&mut hub, 0, &one, &packet);
    let over = request(SPOKE, "10.1.1.1", |p| message(p).entries[0].holding_time = 0);
    assert_eq!(register(&mut hub, 0, &two, &over), [4]);
    assert_eq!(hub.cache(Instant::EPOCH).count(), 1);
    assert_eq!(register(&mut hub, 0, &one, &over), [0]);
    assert_eq!(hub.cache(Instant::EPOCH).count(), 0);
}

fn purge(address: &str, prefix: u8, flags: Flags) -> Vec<u8> {
    request(SPOKE, "10.1.1.1", |packet| {
        let entry = Cie { protocol: ip(address).into(), ..Cie::bare(prefix, 0, 0) };
        let request_id = RequestId(7);
        packet.body = Body::PurgeRequest(Message { flags, request_id, entries: vec![entry] });
    })
}

#[test]
fn only_who_registered_a_binding_purges_it() {
    let mut hub = up(hub());
    let (one, two) = (peer(1, SPOKE, "one"), peer(2, "172.16.2.1", "two"));
    register(&mut hub, 0, &one, &request(SPOKE, "10.1.1.1", |_| {}));
    register(&mut hub, 0, &two, &request("172.16.2.1", "10.1.1.2", |_| {}));
    events(&mut hub);
    let now = Instant::from_secs(1);
    let before = state(&hub, now);
    let address = ip("10.1.1.1");
    let stranger = hub.handle_packet(now, &two, &purge("10.1.1.1", 32, Flags::NONE));
    assert_eq!(stranger, Err(Discard::NotOwner { address }));
    assert_eq!((state(&hub, now), transmits(&mut hub)), (before, vec![]));

    hub.handle_packet(now, &one, &purge("10.1.1.1", 32, Flags::NONE)).unwrap();
    let reply = Packet::parse(&transmits(&mut hub)[0].packet).unwrap();
    let Body::PurgeReply(message) = &reply.body else { panic!("{reply:?}") };
    assert_eq!(message.request_id, RequestId(7));
    let responder = reply.extension(ExtensionType::RESPONDER_ADDRESS).unwrap();
    assert_eq!(responder.entries()[0].protocol.ip(), Some(ip("10.1.1.254")));
    let gone = events(&mut hub);
    assert!(gone.contains(&Event::CacheRemoved {
        target: host("10.1.1.1"),
        nbma: ip(SPOKE),
        link: Some(LinkId(1))
    }));

    // What is not there is purged as well: a reply is due, unless none is wanted.
    hub.handle_packet(now, &one, &purge("10.1.1.1", 32, Flags::NONE)).unwrap();
    assert_eq!(transmits(&mut hub).len(), 1);
    hub.handle_packet(now, &one, &purge("10.1.1.1", 32, Flags::NO_REPLY)).unwrap();
    assert_eq!(transmits(&mut hub).len(), 0);
    assert_eq!(hub.cache(now).count(), 1);
}

#[test]
fn the_operator_clears_what_peers_registered_and_nothing_else() {
    let kept = StaticMap { target: host("10.1.1.9"), nbma: ip("172.16.9.1") };
    let mut hub = up(hub().static_maps(vec![kept]));
    let (one, two) = (peer(1, SPOKE, "one"), peer(2, "172.16.2.1", "two"));
    register(&mut hub, 0, &one, &request(SPOKE, "10.1.1.1", |_| {}));
    register(&mut hub, 0, &two, &request("172.16.2.1", "10.1.1.2", |_| {}));
    let known = |hub: &mut Endpoint| {
        ["10.1.1.1", "10.1.1.2", "10.1.1.9"]
            .map(|address| hub.lookup(Instant::from_secs(1), ip(address)).is_some())
    };
    let now = Instant::from_secs(1);
    assert_eq!(known(&mut hub), [true, true, true]);
    assert_eq!(hub.clear(now, Some(ip("10.1.1.1"))), 1);
    assert_eq!(known(&mut hub), [false, true, true]);
    assert_eq!((hub.clear(now, Some(ip("10.1.1.9"))), hub.clear(now, None)), (0, 1));
    assert_eq!(known(&mut hub), [false, false, true]);
    assert_eq!(transmits(&mut hub), vec![]);
    // Whoever registers again is known again.
    register(&mut hub, 2, &one, &request(SPOKE, "10.1.1.1", |_| {}));
    assert_eq!(known(&mut hub), [true, false, true]);
}

#[test]
fn a_class_of_addresses_purges_the_senders_own() {
    let mut hub = up(hub());
    let (one, two) = (peer(1, SPOKE, "one"), peer(2, "172.16.2.1", "two"));
    for address in ["10.1.1.1", "10.1.1.2", "10.1.1.129"] {
        register(&mut hub, 0, &one, &request(SPOKE, address, |_| {}));
    }
    register(&mut hub, 0, &two, &request("172.16.2.1", "10.1.1.3", |_| {}));
    hub.handle_packet(Instant::EPOCH, &one, &purge("10.1.1.0", 25, Flags::NO_REPLY)).unwrap();
    let left: Vec<_> = hub.cache(Instant::EPOCH).map(|entry| entry.target).collect();
    assert_eq!(left, [host("10.1.1.3"), host("10.1.1.129")]);
    // Classes within classes, and one after them.
    let classes = request(SPOKE, "10.1.1.1", |packet| {
        let class =
            |address, length| Cie { protocol: ip(address).into(), ..Cie::bare(length, 0, 0) };
        let entries = vec![
            class("10.1.1.129", 31),
            class("10.1.1.0", 25),
            class("10.1.1.2", 30),
            class("10.1.0.0", 17),
        ];
        let (flags, request_id) = (Flags::NO_REPLY, RequestId(8));
        packet.body = Body::PurgeRequest(Message { flags, request_id, entries });
    });
    hub.handle_packet(Instant::EPOCH, &one, &classes).unwrap();
    let left: Vec<_> = hub.cache(Instant::EPOCH).map(|entry| entry.target).collect();
    assert_eq!(left, [host("10.1.1.3")]);
}

#[test]
fn a_client_behind_a_nat_is_told_where_it_is_seen() {
    let mut cloud = Cloud::new(Driver::Strict, 3);
    let hub = cloud.add(hub(), "172.16.10.1", "172.16.10.1");
    let one = cloud.add(spoke(1), SPOKE, "192.0.2.2");
    let two = cloud.add(spoke(2), "172.16.2.1", "192.0.2.2");
    for (node, name) in [(hub, "hub"), (one, "one"), (two, "two")] {
        cloud.nodes[node].identity = identity(name);
        cloud.command(node, Endpoint::interface_up);
    }
    for spoke in [one, two] {
        cloud.connect(hub, spoke);
    }
    cloud.run_for(Duration::from_secs(1));

    // Two spokes behind one address are two links, each with its own multicast.
    for (address, node) in [("10.1.1.1", one), ("10.1.1.2", two)] {
        let now = cloud.now;
        let hop = cloud.nodes[hub].endpoint.lookup(now, ip(address)).unwrap();
        assert_eq!((hop.nbma, hop.link), (ip("192.0.2.2"), Some(LinkId(node as u64))));
    }
    let entry = &cloud.cache(hub)[0];
    assert!(entry.flags.nat);
    assert_eq!((entry.nbma, entry.claimed_nbma), (Some(ip("192.0.2.2")), Some(ip(SPOKE))));
    let (_, transmit) = &cloud.nodes[hub].given.transmits[0];
    assert_eq!(transmit.packet.len(), 148);
    let reply = Packet::parse(&transmit.packet).unwrap();
    let entries = reply.extension(ExtensionType::NAT_ADDRESS).unwrap().entries();
    let addresses: Vec<_> = entries.iter().map(|e| (e.nbma.ip(), e.protocol.ip())).collect();
    assert_eq!(
        addresses,
        [
            (Some(ip("172.16.10.1")), Some(ip("10.1.1.254"))),
            (Some(ip("192.0.2.2")), Some(ip("10.1.1.1")))
        ]
    );
    assert_eq!(cloud.servers(one)[0].outside_nbma, Some(ip("192.0.2.2")));
    let nat = Trace::BehindNat { outside: ip("192.0.2.2") };
    assert!(cloud.nodes[one].given.traces.iter().any(|traced| traced.trace == nat));
}

#[test]
fn a_request_without_nat_extension_gets_none() {
    let mut hub = up(hub());
    let packet = request(SPOKE, "10.1.1.1", |packet| {
        packet.extensions.retain(|e| e.extension_type != ExtensionType::NAT_ADDRESS);
    });
    let link = peer(1, "192.0.2.2", "one");
    hub.handle_packet(Instant::EPOCH, &link, &packet).unwrap();
    let reply = Packet::parse(&transmits(&mut hub)[0].packet).unwrap();
    assert_eq!(reply.extension(ExtensionType::NAT_ADDRESS), None);
    assert!(hub.cache(Instant::EPOCH).next().unwrap().flags.nat);
}

#[test]
fn a_client_that_does_not_know_the_servers_address_is_served() {
    for destination in ["10.1.1.1", "10.1.1.255", "10.1.1.254"] {
        let mut hub = up(hub());
        let packet =
            request(SPOKE, "10.1.1.1", |p| p.destination_protocol = ip(destination).into());
        assert_eq!(register(&mut hub, 0, &peer(1, SPOKE, "one"), &packet), [0]);
    }
    let mut hub = up(hub());
    let packet = request(SPOKE, "10.1.1.1", |p| p.destination_protocol = ip("10.1.1.2").into());
    let destination = ip("10.1.1.2");
    assert_eq!(
        hub.handle_packet(Instant::EPOCH, &peer(1, SPOKE, "one"), &packet),
        Err(Discard::NotForUs { destination })
    );
}

#[test]
fn multicast_goes_to_each_link_once() {
    let mut hub = up(hub().multicast_static(vec![ip("172.16.7.1")]));
    let link = peer(5, SPOKE, "one");
    for address in ["10.1.1.1", "10.1.1.2"] {
        register(&mut hub, 0, &link, &request(SPOKE, address, |_| {}));
    }
    register(&mut hub, 0, &peer(3, "172.16.2.1", "two"), &request(SPOKE, "10.1.1.3", |_| {}));
    hub.link_up(Instant::EPOCH, &peer(4, "172.16.7.1", "seven"));
    hub.link_up(Instant::EPOCH, &peer(6, "172.16.8.1", "eight"));
    let map = |hub: &Endpoint| state(hub, Instant::EPOCH).3;
    assert_eq!(map(&hub), [LinkId(3), LinkId(4), LinkId(5)]);
    // One of two bindings goes: the link stays.
    hub.handle_packet(Instant::EPOCH, &link, &purge("10.1.1.1", 32, Flags::NO_REPLY)).unwrap();
    assert_eq!(map(&hub), [LinkId(3), LinkId(4), LinkId(5)]);
    hub.handle_packet(Instant::EPOCH, &link, &purge("10.1.1.2", 32, Flags::NO_REPLY)).unwrap();
    hub.link_down(Instant::EPOCH, LinkId(4));
    assert_eq!(map(&hub), [LinkId(3)]);
    // The interface goes down and takes everything along.
    events(&mut hub);
    hub.interface_down(Instant::EPOCH);
    assert_eq!(map(&hub), []);
    assert!(events(&mut hub).contains(&Event::MulticastRemoved { link: LinkId(3) }));
    assert_eq!((hub.cache(Instant::EPOCH).count(), hub.poll_timeout()), (0, None));
}

#[test]
fn a_refresh_follows_the_configuration_of_multicast() {
    let mut hub = up(hub());
    let link = peer(1, SPOKE, "one");
    for (at, dynamic) in [(0, true), (1, false), (2, true), (3, true)] {
        let config = cloud::hub().multicast_dynamic(dynamic).build().unwrap();
        hub.set_config(Instant::from_secs(at), Arc::new(config));
        assert_eq!(register(&mut hub, at, &link, &request(SPOKE, "10.1.1.1", |_| {})), [0]);
        assert_eq!(hub.multicast_after(None), dynamic.then_some(LinkId(1)), "{at}");
    }
}

#[test]
fn a_packet_of_another_address_family_or_protocol_is_discarded() {
    use dmvpn_nhrp::wire::{AddressFamily, ProtocolType};
    let changes: [fn(&mut Packet); 2] = [
        |packet| packet.address_family = AddressFamily(15),
        |packet| packet.protocol_type = ProtocolType(0x86dd),
    ];
    for change in changes {
        let mut hub = up(hub());
        let packet = request(SPOKE, "10.1.1.1", change);
        let outcome = hub.handle_packet(Instant::EPOCH, &peer(1, SPOKE, "one"), &packet);
        assert_eq!(outcome, Err(Discard::AddressFamily));
        assert_eq!((hub.cache(Instant::EPOCH).count(), transmits(&mut hub)), (0, vec![]));
    }
}

#[test]
fn the_longest_match_is_the_next_hop() {
    let map = |target, nbma| StaticMap { target, nbma: ip(nbma) };
    let maps = vec![
        map(Prefix::new(ip("10.0.0.0"), 8), "172.16.8.1"),
        map(Prefix::new(ip("10.1.1.0"), 24), "172.16.24.1"),
        map(Prefix::new(ip("0.0.0.0"), 0), "172.16.0.1"),
    ];
    let mut hub = up(hub().static_maps(maps));
    register(&mut hub, 0, &peer(1, SPOKE, "one"), &request(SPOKE, "10.1.1.1", |_| {}));
    let mut to = |address| hub.lookup(Instant::EPOCH, ip(address)).map(|hop| hop.nbma);
    assert_eq!(to("10.1.1.1"), Some(ip(SPOKE)));
    assert_eq!(to("10.1.1.2"), Some(ip("172.16.24.1")));
    assert_eq!(to("10.2.1.1"), Some(ip("172.16.8.1")));
    assert_eq!(to("192.0.2.1"), Some(ip("172.16.0.1")));
    assert_eq!(to("2001:db8::1"), None);
}

#[test]
fn what_resolves_is_what_a_packet_would_find() {
    let mut hub = up(hub());
    let packet = request(SPOKE, "10.1.1.1", |p| message(p).entries[0].holding_time = 30);
    register(&mut hub, 0, &peer(1, SPOKE, "one"), &packet);
    let last = Instant::from_micros(29_999_999);
    for (address, at, known) in [
        ("10.1.1.1", last, true),
        ("10.1.1.2", last, false),
        // Ours.
        ("10.1.1.254", last, false),
        ("10.1.1.1", Instant::from_secs(30), false),
    ] {
        assert_eq!(hub.resolves(at, ip(address)), known, "{address}");
        assert_eq!(hub.lookup(at, ip(address)).is_some(), known, "{address}");
    }
}

#[test]
fn what_a_peer_registered_stays_when_its_link_goes() {
    let mut hub = up(hub());
    let link = peer(1, SPOKE, "one");
    hub.link_up(Instant::EPOCH, &link);
    register(&mut hub, 0, &link, &request(SPOKE, "10.1.1.1", |_| {}));
    events(&mut hub);
    hub.link_down(Instant::EPOCH, LinkId(1));
    assert_eq!(events(&mut hub), []);
    let entry = hub.cache(Instant::EPOCH).next().unwrap();
    assert_eq!((entry.kind, entry.link), (CacheKind::Dynamic, Some(LinkId(1))));
}

#[test]
fn a_compulsory_extension_that_is_not_known_is_an_error() {
    let mut hub = up(hub());
    let unknown = |compulsory| {
        request(SPOKE, "10.1.1.1", |packet| {
            let extension = Extension {
                extension_type: ExtensionType::new(77),
                compulsory,
                ..Extension::end()
            };
            packet.extensions.insert(1, extension);
        })
    };
    let link = peer(1, SPOKE, "one");
    hub.handle_packet(Instant::EPOCH, &link, &unknown(true)).unwrap();
    let error = Packet::parse(&transmits(&mut hub)[0].packet).unwrap();
    let Body::ErrorIndication(error) = error.body else { panic!("{error:?}") };
    assert_eq!((error.code, error.offset), (ErrorCode::UNRECOGNIZED_EXTENSION, 56));
    assert_eq!(hub.cache(Instant::EPOCH).count(), 0);
    // Any other is repeated in the reply.
    hub.handle_packet(Instant::EPOCH, &link, &unknown(false)).unwrap();
    let reply = Packet::parse(&transmits(&mut hub)[0].packet).unwrap();
    assert_eq!(reply.extensions[1].extension_type, ExtensionType::new(77));
}

#[test]
fn a_configuration_that_claims_an_address_takes_it() {
    let mut hub = up(hub());
    register(&mut hub, 0, &peer(1, SPOKE, "one"), &request(SPOKE, "10.1.1.1", |_| {}));
    events(&mut hub);
    let map = StaticMap { target: host("10.1.1.1"), nbma: ip("172.16.77.1") };
    let config = cloud::hub().static_maps(vec![map]).build().unwrap();
    hub.set_config(Instant::EPOCH, Arc::new(config));
    let target = host("10.1.1.1");
    assert_eq!(
        events(&mut hub),
        [
            Event::MulticastRemoved { link: LinkId(1) },
            Event::CacheRemoved { target, nbma: ip(SPOKE), link: Some(LinkId(1)) },
            Event::CacheAdded { target, nbma: ip("172.16.77.1"), link: None }
        ]
    );
    assert_eq!(hub.poll_timeout(), None);
    assert_eq!(CieCode(14), CieCode::UNIQUE_ADDRESS_ALREADY_REGISTERED);
}
