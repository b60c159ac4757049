//! A next hop server whose clients register again and again.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chacha20::ChaCha20Rng;
use dmvpn_core::Instant;
use dmvpn_nhrp::wire::{
    AuthenticationString, Body, Cie, Extension, ExtensionType, Flags, Message, Packet, RequestId,
};
use dmvpn_nhrp::{Config, Endpoint, Identity, Limits, Link, LinkId};
use rand_core::SeedableRng;

use crate::suite::{HUB, HUB_TUNNEL, nbma, tunnel_address};

/// The server, its clients' links, and their requests.
pub struct Server {
    now: Instant,
    endpoint: Endpoint,
    clients: Vec<(Link, Vec<u8>)>,
    next: usize,
}

impl Server {
    /// A server that `clients` have registered with.
    pub fn new(clients: u32) -> Self {
        let now = Instant::from_secs(1_000);
        let limits = Limits {
            entries: 1_000_000,
            registrations_per_second: u32::MAX,
            registrations_per_second_per_owner: u32::MAX,
            ..Limits::default()
        };
        let config = Config::builder("Tunnel0", HUB_TUNNEL, 8, HUB)
            .authentication(Some(AuthenticationString::new(b"NHRPAUTH")))
            .multicast_dynamic(true)
            .limits(limits)
            .build()
            .expect("a valid interface");
        let rng = Box::new(ChaCha20Rng::seed_from_u64(1));
        let mut endpoint = Endpoint::new(Arc::new(config), rng, now);
        endpoint.interface_up(now);
        let clients = (0..clients).map(|number| (link(number), request(number))).collect();
        let mut server = Self { now, endpoint, clients, next: 0 };
        for at in 0..server.clients.len() {
            server.endpoint.link_up(now, &server.clients[at].0);
            server.register();
        }
        server
    }

    /// One client registers again: its request is parsed and processed, and the reply is built.
    pub fn register(&mut self) {
        let (link, request) = &self.clients[self.next];
        // 7919 clients on, so that neighbours are not together in the processor's cache.
        self.next = (self.next + 7919) % self.clients.len();
        self.now += Duration::from_micros(10);
        let outcome = self.endpoint.handle_packet(self.now, link, request);
        assert_eq!(outcome, Ok(()));
        assert!(self.endpoint.poll_transmit().is_some());
        while self.endpoint.poll_event().is_some() {}
    }
}

fn link(number: u32) -> Link {
    let address = nbma(number);
    let IpAddr::V4(v4) = address else { unreachable!("all is IPv4") };
    let identity = Identity::new(v4.octets().to_vec());
    Link {
        id: LinkId(u64::from(number) + 1),
        nbma: address,
        local: HUB,
        udp_port: None,
        identity: Some(identity),
    }
}

/// As an IOS spoke asks, see the guide.
fn request(number: u32) -> Vec<u8> {
    let message = Message {
        flags: Flags::UNIQUE | Flags::NAT,
        request_id: RequestId(1),
        entries: vec![Cie::bare(32, 17_912, 7_200)],
    };
    let nat = Cie::bare(32, 17_912, 0).of(HUB, HUB_TUNNEL);
    let body = Body::RegistrationRequest(message);
    let packet = Packet {
        extensions: vec![
            Extension::clients(ExtensionType::RESPONDER_ADDRESS, vec![]),
            Extension::clients(ExtensionType::FORWARD_TRANSIT_NHS_RECORD, vec![]),
            Extension::clients(ExtensionType::REVERSE_TRANSIT_NHS_RECORD, vec![]),
            Extension::authentication(AuthenticationString::new(b"NHRPAUTH")),
            Extension::nat_address(vec![nat]),
            Extension::end(),
        ],
        ..Packet::new(nbma(number), tunnel_address(number), HUB_TUNNEL, body)
    };
    packet.encode().expect("it fits").to_vec()
}
