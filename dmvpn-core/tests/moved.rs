//! A spoke comes back from another address, and as its identity is its address, as somebody else.

extern crate alloc;

mod cloud;

use core::time::Duration;

use cloud::guide::{self, Settings, TUNNEL, ip};
use cloud::{Cloud, inner_packet};
use dmvpn_core::{Event, NextHop, SendError, Transport};

const ELSEWHERE: &str = "172.16.1.77";
const MINUTE: Duration = Duration::from_secs(60);

struct Lab {
    cloud: Cloud,
    hub: usize,
    spoke: usize,
}

impl Lab {
    fn new(seed: u64) -> Self {
        let (cloud, hub, spoke) = guide::brought_up(&settings(), seed);
        Self { cloud, hub, spoke }
    }

    /// Another router with the spoke's tunnel address.
    fn add_twin(&mut self) -> usize {
        let twin = settings().spoke_at("Spoke2", ELSEWHERE, guide::SPOKE_TUNNEL, guide::HUB);
        self.cloud.add(twin)
    }

    /// Where the hub finds the spoke's tunnel address.
    fn bound(&self) -> Option<core::net::IpAddr> {
        let mut entries = self.cloud.routers[self.hub].node.nhrp_cache(TUNNEL);
        entries.find(|entry| !entry.is_local()).and_then(|entry| entry.nbma)
    }

    /// The power of the spoke fails, and the hub notices.
    fn lose_spoke(&mut self) {
        self.cloud.routers[self.spoke].online = false;
        let hub = self.hub;
        let down = |event: &Event| matches!(event, Event::PeerDown { .. });
        let noticed = self.cloud.run_until(10 * MINUTE, |cloud| {
            cloud.routers[hub].events.iter().any(|event| down(&event.1))
        });
        assert!(noticed, "dead peer detection");
        self.cloud.run_for(MINUTE);
    }

    /// How many ISAKMP messages the hub has sent to the spoke that is gone.
    fn calls(&self) -> usize {
        let sent = self.cloud.routers[self.hub].sent.iter();
        let to_spoke = |underlay: &dmvpn_core::Underlay| {
            underlay.transport == Transport::Isakmp && underlay.remote.ip() == ip(guide::SPOKE)
        };
        sent.filter(|(_, sent)| to_spoke(&sent.underlay)).count()
    }
}

fn settings() -> Settings {
    Settings { unique: false, ..Settings::watchful() }
}

/// The address of a spoke that is there is not to be had.
#[test]
fn a_live_spoke_keeps_its_address() {
    let mut lab = Lab::new(1);
    let twin = lab.add_twin();
    for _ in 0..240 {
        lab.cloud.run_for(MINUTE);
        assert!(!guide::is_registered(&lab.cloud, twin));
        assert_eq!(lab.bound(), Some(ip(guide::SPOKE)));
    }
    assert!(guide::is_registered(&lab.cloud, lab.spoke));
    assert!(lab.cloud.reaches(lab.hub, lab.spoke, ip(guide::SPOKE_TUNNEL)));
}

#[test]
fn a_spoke_that_moved_recovers_when_the_old_one_is_noticed_to_be_dead() {
    let mut lab = Lab::new(2);
    lab.cloud.routers[lab.spoke].online = false;
    let moved = lab.add_twin();
    let recovered = lab.cloud.run_until(5 * MINUTE, |cloud| guide::is_registered(cloud, moved));
    assert!(recovered, "{}", lab.cloud.routers[moved].debug.join("\n"));
    assert_eq!(lab.bound(), Some(ip(ELSEWHERE)));
    assert!(lab.cloud.reaches(lab.hub, moved, ip(guide::SPOKE_TUNNEL)));
    // The old one is back: now it is the other way round.
    lab.cloud.routers[lab.spoke].online = true;
    lab.cloud.restart(lab.spoke);
    lab.cloud.run_for(30 * MINUTE);
    assert_eq!(lab.bound(), Some(ip(ELSEWHERE)));
    assert!(!guide::is_registered(&lab.cloud, lab.spoke));
    assert!(guide::is_registered(&lab.cloud, moved));
}

/// Who copies multicast to all calls nobody who is gone.
#[test]
fn multicast_opens_no_socket_to_a_spoke_that_is_gone() {
    let mut lab = Lab::new(3);
    lab.lose_spoke();
    let before = lab.calls();
    let hello = inner_packet([10, 1, 1, 254], [224, 0, 0, 10], 1);
    for _ in 0..60 {
        lab.cloud.multicast(lab.hub, &hello);
        lab.cloud.run_for(Duration::from_secs(5));
    }
    assert_eq!(lab.calls() - before, 0);
}

/// Nor is anything to be tried when it said goodbye, even if its purge was lost.
#[test]
fn nothing_is_tried_after_a_goodbye() {
    let mut lab = Lab::new(5);
    let now = lab.cloud.now;
    lab.cloud.swallow = Some(Box::new(|underlay, _| underlay.transport == Transport::Esp));
    lab.cloud.routers[lab.spoke].node.shutdown(now, TUNNEL);
    lab.cloud.drain(lab.spoke);
    lab.cloud.run_for(Duration::from_secs(3));
    assert_eq!(lab.bound(), Some(ip(guide::SPOKE)));
    assert_eq!(lab.cloud.routers[lab.hub].node.crypto_sockets().next(), None);
}

/// What is for it alone has the hub call it, less and less often.
#[test]
fn traffic_to_a_spoke_that_is_gone_opens_its_socket_seldom() {
    let mut lab = Lab::new(4);
    lab.lose_spoke();
    let before = lab.calls();
    let inner = inner_packet([10, 1, 1, 254], [10, 1, 1, 1], 1);
    let next_hop = NextHop::Protocol(ip(guide::SPOKE_TUNNEL));
    for _ in 0..3600 {
        let sent = lab.cloud.send(lab.hub, next_hop, &inner);
        assert_eq!(sent, Err(SendError::NoSecurityAssociation));
        lab.cloud.run_for(Duration::from_secs(1));
    }
    let calls = lab.calls() - before;
    assert!((5..=200).contains(&calls), "{calls} messages");
    // It is back, and does not have to wait.
    lab.cloud.routers[lab.spoke].online = true;
    lab.cloud.restart(lab.spoke);
    let (hub, spoke) = (lab.hub, lab.spoke);
    let back = lab.cloud.run_until(MINUTE / 6, |cloud| guide::is_registered(cloud, spoke));
    assert!(back);
    assert!(lab.cloud.reaches(hub, spoke, ip(guide::SPOKE_TUNNEL)));
}
