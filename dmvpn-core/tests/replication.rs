//! A hub's copies of a packet to its spokes, in batches, and the stack that these take.

extern crate alloc;

mod cloud;

use core::time::Duration;
use std::thread;

use cloud::guide::{self, HUB_TUNNEL, Settings, TUNNEL, ip};
use cloud::{Cloud, inner_packet};
use dmvpn_core::esp::BESIDE;
use dmvpn_core::isakmp::{EspEncryption, EspProposal};
use dmvpn_core::{Incoming, IpsecProfile, NextHop, Node, Outgoing, PeerId, Underlay};

/// More than three batches of 64.
const SPOKES: u8 = 210;
const GCM: EspProposal = EspProposal { encryption: EspEncryption::Aes128Gcm16, integrity: None };

/// A hub and spokes, registered, every fourth with AES-GCM.
fn hub_and_spokes(spokes: u8) -> Cloud {
    let settings = |proposals| Settings {
        profile: Some(IpsecProfile { proposals, ..IpsecProfile::new("PROFILE") }),
        trace: false,
        ..Settings::default()
    };
    let mut cloud = Cloud::new(1);
    cloud.add(settings(vec![EspProposal::TRIPLE_DES_SHA1, GCM]).hub());
    for number in 1..=spokes {
        let proposal = if number % 4 == 0 { GCM } else { EspProposal::TRIPLE_DES_SHA1 };
        let (nbma, address) = (format!("172.16.1.{number}"), format!("10.1.1.{number}"));
        cloud.add(settings(vec![proposal]).spoke_at("Spoke", &nbma, &address, guide::HUB));
    }
    let all = 1..=usize::from(spokes);
    let up = cloud.run_until(Duration::from_secs(20), |cloud| {
        all.clone().all(|spoke| guide::is_registered(cloud, spoke))
    });
    assert!(up, "all register");
    cloud
}

/// A copy that goes out: to whom, how, and its octets.
type Copy = (PeerId, Underlay, Vec<u8>);

fn one_by_one(cloud: &mut Cloud, inner: &[u8]) -> Vec<Copy> {
    let (now, hub) = (cloud.now, &mut cloud.routers[0].node);
    let range = Node::MAX_HEADROOM..Node::MAX_HEADROOM + inner.len();
    let mut copies = Vec::new();
    let mut cursor = None;
    while let Some(peer) = hub.multicast_after(TUNNEL, cursor) {
        cursor = Some(peer);
        let mut buffer = vec![0; range.end + Node::MAX_TAILROOM];
        buffer[range.clone()].copy_from_slice(inner);
        let sent = hub.send(now, TUNNEL, NextHop::Peer(peer), &mut buffer, range.clone());
        let sent = sent.expect("its tunnel is up");
        copies.push((peer, sent.underlay, buffer[sent.packet].to_vec()));
    }
    copies
}

fn in_batches(cloud: &mut Cloud, inner: &[u8], batch: usize) -> Vec<Copy> {
    let (now, hub) = (cloud.now, &mut cloud.routers[0].node);
    let range = Node::MAX_HEADROOM..Node::MAX_HEADROOM + inner.len();
    let mut buffers = vec![vec![0; range.end + Node::MAX_TAILROOM]; batch];
    let mut copies = Vec::new();
    let mut cursor = None;
    loop {
        let first = hub.multicast_after(TUNNEL, cursor);
        let following = |peer: &PeerId| hub.multicast_after(TUNNEL, Some(*peer));
        let peers: Vec<PeerId> = core::iter::successors(first, following).take(batch).collect();
        let Some(last) = peers.last() else { return copies };
        cursor = Some(*last);
        let mut outgoing = Vec::new();
        for (peer, buffer) in peers.iter().zip(&mut buffers) {
            buffer[range.clone()].copy_from_slice(inner);
            outgoing.push(Outgoing::new(TUNNEL, NextHop::Peer(*peer), buffer, range.clone()));
        }
        hub.send_batch(now, &mut outgoing);
        for (peer, outgoing) in peers.into_iter().zip(&outgoing) {
            let sent = outgoing.outcome().expect("sent").as_ref().expect("its tunnel is up");
            copies.push((peer, sent.underlay, outgoing.packet().expect("sent").to_vec()));
        }
    }
}

#[test]
fn batches_of_copies_are_the_loop() {
    let mut clouds = [hub_and_spokes(SPOKES), hub_and_spokes(SPOKES)];
    for (number, batch) in [64, 1, 300].into_iter().enumerate() {
        let inner = inner_packet([10, 1, 1, 254], [224, 0, 0, 10], number as u16);
        let [one, two] = &mut clouds;
        let copies = one_by_one(one, &inner);
        assert_eq!(copies.len(), usize::from(SPOKES));
        assert!(in_batches(two, &inner, batch) == copies, "in batches of {batch}");
    }
}

/// What `send_batch` and `handle_batch` say is enough: for optimised code, which the workspace's profile `dev` makes too.
const STACK: usize = if BESIDE > 64 { 256 << 10 } else { 64 << 10 };

/// An overflow aborts the program: then the last line says which test it was.
#[test]
fn the_stack_that_is_said_to_be_enough_is() {
    const PACKETS: usize = 300;
    let mut cloud = hub_and_spokes(1);
    let (now, mut spoke) = (cloud.now, cloud.routers.remove(1).node);
    let mut hub = cloud.routers.remove(0).node;
    let mut inner = inner_packet([10, 1, 1, 1], [10, 1, 1, 254], 1);
    inner.resize(1400, 0x5a);
    let range = Node::MAX_HEADROOM..Node::MAX_HEADROOM + inner.len();
    let mut buffer = vec![0; range.end + Node::MAX_TAILROOM];
    buffer[range.clone()].copy_from_slice(&inner);
    for packets in [1, PACKETS] {
        let mut buffers = vec![buffer.clone(); packets];
        let hop = NextHop::Protocol(ip(HUB_TUNNEL));
        let mut outgoing: Vec<_> = buffers
            .iter_mut()
            .map(|buffer| Outgoing::new(TUNNEL, hop, buffer, range.clone()))
            .collect();
        with_little_stack(|| spoke.send_batch(now, &mut outgoing));
        let mut sent: Vec<(Underlay, Vec<u8>)> = outgoing
            .iter()
            .map(|outgoing| {
                let sent = outgoing.outcome().expect("sent").as_ref().expect("the tunnel is up");
                let Underlay { local, remote, .. } = sent.underlay;
                let underlay = Underlay { local: remote, remote: local, ..sent.underlay };
                (underlay, outgoing.packet().expect("sent").to_vec())
            })
            .collect();
        let mut incoming: Vec<_> =
            sent.iter_mut().map(|(underlay, data)| Incoming::new(*underlay, data)).collect();
        with_little_stack(|| hub.handle_batch(now, &mut incoming));
        assert!(incoming.iter().all(|incoming| incoming.packet() == Some(&inner[..])));
    }
}

fn with_little_stack(work: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        thread.expect("a thread").join().expect("it does not panic");
    });
}
