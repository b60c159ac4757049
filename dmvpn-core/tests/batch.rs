//! A batch equals the loop.

extern crate alloc;

mod cloud;

use core::time::Duration;

use cloud::guide::{self, HUB_TUNNEL, Settings, TUNNEL, ip};
use cloud::{Cloud, inner_packet};
use dmvpn_core::isakmp::{ChildLifetime, EspEncryption, EspProposal, NatTraversal};
use dmvpn_core::{
    Discard, Inbound, Incoming, IpsecProfile, NextHop, Node, Outbound, Outgoing, PeerId, SendError,
    Transport, TunnelId, Underlay,
};
use proptest::prelude::*;

const SPOKES: [(&str, &str, &str); 3] = [
    ("Spoke1", "172.16.1.1", "10.1.1.1"),
    ("Spoke2", "172.16.2.1", "10.1.1.2"),
    ("Spoke3", "172.16.3.1", "10.1.1.3"),
];
const GCM: EspProposal = EspProposal { encryption: EspEncryption::Aes128Gcm16, integrity: None };
const TRIPLE_DES: EspProposal = EspProposal::TRIPLE_DES_SHA1;

/// A hub and three spokes, each with its own transform, some with very little volume left.
fn hub_and_spokes(proposals: [EspProposal; 3], lifetime: ChildLifetime, udp: bool) -> Cloud {
    let nat_traversal = NatTraversal { force_encapsulation: udp, ..NatTraversal::default() };
    let settings = |proposals| Settings {
        profile: Some(IpsecProfile { proposals, lifetime, ..IpsecProfile::new("PROFILE") }),
        nat_traversal,
        ..Settings::default()
    };
    let mut cloud = Cloud::new(1);
    cloud.add(settings(vec![TRIPLE_DES, EspProposal::AES256_SHA256, GCM]).hub());
    for ((name, nbma, address), proposal) in SPOKES.into_iter().zip(proposals) {
        let spoke = settings(vec![proposal]).spoke_at(name, nbma, address, guide::HUB);
        let spoke = cloud.add(spoke);
        let up =
            cloud.run_until(Duration::from_secs(10), |cloud| guide::is_registered(cloud, spoke));
        assert!(up, "{name} is not registered");
    }
    cloud.run_for(Duration::from_secs(1));
    cloud
}

/// What a batch is made of.
#[derive(Clone, Debug)]
struct Work {
    tunnel: TunnelId,
    next_hop: NextHop,
    /// One of the node's peers instead, in their order.
    peer: Option<usize>,
    packet: Vec<u8>,
    headroom: usize,
}

fn work() -> impl Strategy<Value = Work> {
    let tunnel = prop_oneof![9 => Just(TUNNEL), 1 => Just(TunnelId(7))];
    let next_hop = prop_oneof![
        9 => (0..SPOKES.len()).prop_map(|spoke| NextHop::Protocol(ip(SPOKES[spoke].2))),
        1 => Just(NextHop::Protocol(ip("10.1.1.99"))),
    ];
    let packet = prop_oneof![
        9 => (0u16.., 0..1400usize).prop_map(|(number, length)| {
            let mut packet = inner_packet([10, 1, 1, 254], [10, 1, 1, 1], number);
            packet.resize(packet.len().max(length), 0x5a);
            packet
        }),
        1 => Just(vec![0x15; 40]),
    ];
    let headroom = prop_oneof![9 => Just(Node::MAX_HEADROOM), 1 => Just(10)];
    let peer = prop_oneof![4 => Just(None), 1 => (0..SPOKES.len()).prop_map(Some)];
    (tunnel, next_hop, peer, packet, headroom).prop_map(
        |(tunnel, next_hop, peer, packet, headroom)| Work {
            tunnel,
            next_hop,
            peer,
            packet,
            headroom,
        },
    )
}

impl Work {
    fn buffer(&self) -> (Vec<u8>, core::ops::Range<usize>) {
        let range = self.headroom..self.headroom + self.packet.len();
        let mut buffer = vec![0; range.end + Node::MAX_TAILROOM];
        buffer[range.clone()].copy_from_slice(&self.packet);
        (buffer, range)
    }

    fn next_hop(&self, peers: &[PeerId]) -> NextHop {
        self.peer.map_or(self.next_hop, |peer| NextHop::Peer(peers[peer]))
    }
}

/// The node's peers: its spokes, in order.
fn peers(node: &Node) -> Vec<PeerId> {
    core::iter::successors(node.multicast_after(TUNNEL, None), |last| {
        node.multicast_after(TUNNEL, Some(*last))
    })
    .collect()
}

type Sent = (Result<Outbound, SendError>, Option<Vec<u8>>);

fn send_one_by_one(cloud: &mut Cloud, from: usize, work: &[Work]) -> Vec<Sent> {
    let (now, node) = (cloud.now, &mut cloud.routers[from].node);
    let peers = peers(node);
    let send = |work: &Work| {
        let (mut buffer, range) = work.buffer();
        let sent = node.send(now, work.tunnel, work.next_hop(&peers), &mut buffer, range);
        let packet = sent.as_ref().ok().map(|sent| buffer[sent.packet.clone()].to_vec());
        (sent, packet)
    };
    work.iter().map(send).collect()
}

fn send_together(cloud: &mut Cloud, from: usize, work: &[Work]) -> Vec<Sent> {
    let mut buffers: Vec<_> = work.iter().map(Work::buffer).collect();
    let peers = peers(&cloud.routers[from].node);
    let mut batch: Vec<_> = work
        .iter()
        .zip(&mut buffers)
        .map(|(work, (buffer, range))| {
            Outgoing::new(work.tunnel, work.next_hop(&peers), buffer, range.clone())
        })
        .collect();
    assert!(batch.iter().all(|outgoing| outgoing.outcome().is_none()));
    cloud.routers[from].node.send_batch(cloud.now, &mut batch);
    batch
        .iter()
        .map(|outgoing| {
            let outcome = outgoing.outcome().expect("sent").clone();
            (outcome, outgoing.packet().map(<[u8]>::to_vec))
        })
        .collect()
}

type Handled = (Result<Option<Inbound>, Discard>, Option<Vec<u8>>);

fn handle_one_by_one(
    cloud: &mut Cloud,
    to: usize,
    packets: &[(Underlay, Vec<u8>)],
) -> Vec<Handled> {
    let (now, node) = (cloud.now, &mut cloud.routers[to].node);
    let handle = |(underlay, packet): &(Underlay, Vec<u8>)| {
        let mut data = packet.clone();
        let outcome = node.handle_packet(now, *underlay, &mut data);
        let inner = outcome.clone().ok().flatten().map(|inbound| data[inbound.packet].to_vec());
        (outcome, inner)
    };
    packets.iter().map(handle).collect()
}

fn handle_together(cloud: &mut Cloud, to: usize, packets: &[(Underlay, Vec<u8>)]) -> Vec<Handled> {
    let mut buffers: Vec<_> = packets.to_vec();
    let mut batch: Vec<_> =
        buffers.iter_mut().map(|(underlay, data)| Incoming::new(*underlay, data)).collect();
    assert!(batch.iter().all(|incoming| incoming.outcome().is_none()));
    cloud.routers[to].node.handle_batch(cloud.now, &mut batch);
    batch
        .iter()
        .map(|incoming| {
            let outcome = incoming.outcome().expect("handled").clone();
            (outcome, incoming.packet().map(<[u8]>::to_vec))
        })
        .collect()
}

/// All that can be seen of a node from outside, and its output queues. With `copies`, a forged copy of a packet in the same batch
/// meets the integrity check before the window, so that which of both refuses it is not looked at.
fn seen(cloud: &mut Cloud, index: usize, copies: bool) -> String {
    let node = &mut cloud.routers[index].node;
    let transmits: Vec<_> = core::iter::from_fn(|| node.poll_transmit()).collect();
    let events: Vec<_> = core::iter::from_fn(|| node.poll_event()).collect();
    let traces: Vec<_> = core::iter::from_fn(|| node.poll_trace()).collect();
    let mut associations: Vec<_> = node.ipsec_sas().collect();
    for counters in associations.iter_mut().map(|view| &mut view.counters).filter(|_| copies) {
        counters.replay_failed_receive += core::mem::take(&mut counters.verify_failed);
    }
    format!(
        "{transmits:?} {events:?} {traces:?} {associations:?} {:?} {:?} {:?} {:?}",
        node.counters(),
        node.tunnel_counters(TUNNEL),
        node.table_sizes(),
        node.poll_timeout(),
    )
}

fn transforms() -> impl Strategy<Value = [EspProposal; 3]> {
    let one = || prop_oneof![3 => Just(TRIPLE_DES), 1 => Just(EspProposal::AES256_SHA256), 1 => Just(GCM)];
    [one(), one(), one()]
}

/// Little enough that a batch uses it up, or none to speak of.
fn lifetimes() -> impl Strategy<Value = ChildLifetime> {
    let kilobytes = prop_oneof![Just(None), (4u32..40).prop_map(Some)];
    kilobytes.prop_map(|kilobytes| ChildLifetime { kilobytes, ..ChildLifetime::default() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The octets too: associations give their numbers and the generator its octets in the batch's order.
    #[test]
    fn sending(
        proposals in transforms(), lifetime in lifetimes(), udp: bool, cleared in 0..=SPOKES.len(),
        work in proptest::collection::vec(work(), 1..90),
    ) {
        let mut one = hub_and_spokes(proposals, lifetime, udp);
        let mut two = hub_and_spokes(proposals, lifetime, udp);
        for cloud in [&mut one, &mut two] {
            // A peer may have no association: what is for it begins a negotiation.
            let (now, node) = (cloud.now, &mut cloud.routers[0].node);
            let peers = peers(node);
            prop_assert_eq!(peers.len(), SPOKES.len());
            if let Some(peer) = peers.get(cleared) {
                node.clear_session(now, *peer);
            }
        }
        let sent = send_one_by_one(&mut one, 0, &work);
        prop_assert_eq!(&send_together(&mut two, 0, &work), &sent);
        prop_assert_eq!(seen(&mut two, 0, false), seen(&mut one, 0, false));
    }

    /// With copies, forgeries and what is no data among it.
    #[test]
    fn receiving(
        proposals in transforms(), lifetime in lifetimes(), udp: bool, mut copies: bool,
        sent in proptest::collection::vec((0..SPOKES.len(), work()), 1..90),
        order in proptest::collection::vec((any::<proptest::sample::Index>(), 0u8..24), 1..120),
    ) {
        let mut clouds = [(); 2].map(|()| hub_and_spokes(proposals, lifetime, udp));
        let arriving = clouds.each_mut().map(|cloud| {
            let mut sealed = Vec::new();
            for (spoke, work) in &sent {
                let next_hop = NextHop::Protocol(ip(HUB_TUNNEL));
                let work = Work { next_hop, peer: None, ..work.clone() };
                for (sent, packet) in send_one_by_one(cloud, spoke + 1, &[work]) {
                    let (Ok(sent), Some(packet)) = (sent, packet) else { continue };
                    let Underlay { local, remote, .. } = sent.underlay;
                    sealed.push((Underlay { local: remote, remote: local, ..sent.underlay }, packet));
                }
                // Soft lifetimes make spokes negotiate: key management comes between the data.
                let node = &mut cloud.routers[spoke + 1].node;
                while let Some(transmit) = node.poll_transmit() {
                    let Underlay { local, remote, .. } = transmit.underlay;
                    let underlay = Underlay { local: remote, remote: local, ..transmit.underlay };
                    sealed.push((underlay, transmit.packet.to_vec()));
                }
            }
            // More packets than the window is wide are refused in another order, too.
            copies |= sealed.len() > 60;
            let mut arrived = vec![false; sealed.len()];
            let mut arrive = |(index, fate): &(proptest::sample::Index, u8)| {
                let index = index.index(sealed.len());
                if core::mem::replace(&mut arrived[index], true) && !copies {
                    return None;
                }
                let (mut underlay, mut packet) = sealed[index].clone();
                match fate {
                    0 => *packet.last_mut().expect("octets") ^= 1,
                    1 => packet.truncate(packet.len() / 2),
                    2 => packet[0] ^= 1,
                    3 => underlay.transport = Transport::Gre,
                    4 => underlay.remote.set_ip(ip("172.16.9.9")),
                    5 => underlay.traffic_class |= 3,
                    _ => {}
                }
                Some((underlay, packet))
            };
            if sealed.is_empty() { Vec::new() } else { order.iter().filter_map(&mut arrive).collect() }
        });
        prop_assert_eq!(&arriving[0], &arriving[1]);
        let [mut one, mut two] = clouds;
        let alone = handle_one_by_one(&mut one, 0, &arriving[0]);
        let together = handle_together(&mut two, 0, &arriving[1]);
        prop_assert_eq!(alone.len(), together.len());
        for (alone, together) in alone.iter().zip(&together) {
            if copies {
                prop_assert_eq!(alone.0.as_ref().ok(), together.0.as_ref().ok());
                prop_assert_eq!(&alone.1, &together.1);
            } else {
                prop_assert_eq!(alone, together);
            }
        }
        prop_assert_eq!(seen(&mut two, 0, copies), seen(&mut one, 0, copies));
    }
}

/// Law: the data plane never allocates, in batches neither. Each spoke has another transform.
#[test]
fn a_batch_allocates_nothing() {
    const BATCH: usize = 48;
    let lifetime = ChildLifetime::default();
    let mut cloud = hub_and_spokes([TRIPLE_DES, EspProposal::AES256_SHA256, GCM], lifetime, false);
    let now = cloud.now;
    let inner = inner_packet([10, 1, 1, 1], [10, 1, 1, 254], 1);
    let range = Node::MAX_HEADROOM..Node::MAX_HEADROOM + inner.len();
    let mut buffers = [(); BATCH].map(|()| vec![0; range.end + Node::MAX_TAILROOM]);
    let hops = SPOKES.map(|(.., address)| NextHop::Protocol(ip(address)));
    let mut exchange = |from: usize, to: usize, hop: NextHop| {
        for buffer in &mut buffers {
            buffer[range.clone()].copy_from_slice(&inner);
        }
        let measured = allocation_counter::measure(|| {
            let mut batch =
                buffers.each_mut().map(|buffer| Outgoing::new(TUNNEL, hop, buffer, range.clone()));
            cloud.routers[from].node.send_batch(now, &mut batch);
            let sent = batch.map(|outgoing| outgoing.outcome().expect("sent").clone());
            let mut sent = sent.into_iter().map(|sent| sent.expect("it is up"));
            let mut batch = buffers.each_mut().map(|buffer| {
                let Outbound { underlay, packet } = sent.next().expect("as many");
                let Underlay { local, remote, .. } = underlay;
                let underlay = Underlay { local: remote, remote: local, ..underlay };
                Incoming::new(underlay, &mut buffer[packet])
            });
            cloud.routers[to].node.handle_batch(now, &mut batch);
            for incoming in &batch {
                let handled = incoming.outcome().expect("handled");
                assert!(handled.as_ref().is_ok_and(Option::is_some));
            }
        });
        assert_eq!(measured.count_total, 0, "from {from} to {to}");
    };
    for (spoke, hop) in (1..).zip(&hops) {
        exchange(0, spoke, *hop);
        exchange(spoke, 0, NextHop::Protocol(ip(HUB_TUNNEL)));
    }
}
