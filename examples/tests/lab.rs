//! The wire: packets cross sockets, are translated, lost and captured.

extern crate alloc;

use alloc::sync::Arc;
use core::net::Ipv4Addr;
use core::time::Duration;
use std::io::{self, Write};
use std::sync::Mutex;

use dmvpn_examples::capture::Frames;
use dmvpn_examples::lab::{Loss, Nat, Port, WireBuilder};
use dmvpn_examples::packet::{Carried, Packet};

const SPOKE: Ipv4Addr = Ipv4Addr::new(172, 16, 1, 1);
const HUB: Ipv4Addr = Ipv4Addr::new(172, 16, 10, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const LONG: Duration = Duration::from_secs(10);

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(octets);
        Ok(octets.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn packet(source: Ipv4Addr, destination: Ipv4Addr, carried: Carried, payload: &[u8]) -> Vec<u8> {
    Packet {
        source,
        destination,
        carried,
        traffic_class: 0,
        time_to_live: 255,
        dont_fragment: true,
        identification: 0,
        payload,
    }
    .encode()
    .unwrap()
}

fn udp(source: u16, destination: u16) -> Carried {
    Carried::Udp { source, destination }
}

fn received(port: &Port) -> Vec<u8> {
    let mut buffer = [0; 2048];
    let length = port.receive(&mut buffer, LONG).unwrap().expect("a packet");
    buffer[..length].to_vec()
}

#[test]
fn native_esp_crosses_and_is_captured() {
    let file = Shared::default();
    let mut wire = WireBuilder::new().unwrap().capture(Box::new(file.clone())).unwrap();
    let (spoke, hub) = (wire.port(SPOKE).unwrap(), wire.port(HUB).unwrap());
    let wire = wire.start().unwrap();

    let there = packet(SPOKE, HUB, Carried::Protocol(50), b"sealed");
    let back = packet(HUB, SPOKE, Carried::Protocol(50), b"opened");
    spoke.send(&there).unwrap();
    assert_eq!(received(&hub), there);
    hub.send(&back).unwrap();
    assert_eq!(received(&spoke), back);

    spoke.send(&packet(SPOKE, OUTSIDE, udp(500, 500), b"nobody")).unwrap();
    spoke.send(b"no packet").unwrap();
    let counters = wire.stop().unwrap();
    assert_eq!((counters.forwarded, counters.undeliverable), (2, 2));

    let file = file.0.lock().unwrap();
    let frames: Vec<_> = Frames::new(&file).unwrap().map(|frame| frame.unwrap().data).collect();
    assert_eq!(frames[..2], [&there[..], &back[..]]);
}

#[test]
fn nat_translates_udp_and_nothing_else() {
    let nat = Nat { inside: SPOKE, outside: OUTSIDE };
    let file = Shared::default();
    let wire = WireBuilder::new().unwrap().nat(nat).capture(Box::new(file.clone()));
    let mut wire = wire.unwrap();
    let (spoke, hub) = (wire.port(SPOKE).unwrap(), wire.port(HUB).unwrap());
    let wire = wire.start().unwrap();

    let mut outside_ports = Vec::new();
    for port in [500, 4500, 500] {
        spoke.send(&packet(SPOKE, HUB, udp(port, port), b"out")).unwrap();
        let octets = received(&hub);
        let seen = Packet::parse(&octets).unwrap();
        let Carried::Udp { source, destination } = seen.carried else { panic!("UDP") };
        assert_eq!((seen.source, destination), (OUTSIDE, port));
        assert_ne!(source, port);
        outside_ports.push(source);

        hub.send(&packet(HUB, OUTSIDE, udp(port, source), b"back")).unwrap();
        assert_eq!(received(&spoke), packet(HUB, SPOKE, udp(port, port), b"back"));
    }
    assert_eq!(outside_ports[0], outside_ports[2]);
    assert_ne!(outside_ports[0], outside_ports[1]);

    // No ports, no translation; no translation, no way in; the inside address is not outside.
    spoke.send(&packet(SPOKE, HUB, Carried::Protocol(50), b"native")).unwrap();
    hub.send(&packet(HUB, OUTSIDE, Carried::Protocol(50), b"native")).unwrap();
    hub.send(&packet(HUB, OUTSIDE, udp(500, 9), b"nobody asked")).unwrap();
    hub.send(&packet(HUB, SPOKE, udp(500, 500), b"past the NAT")).unwrap();
    let counters = wire.stop().unwrap();
    assert_eq!((counters.forwarded, counters.untranslatable), (6, 4));

    let file = file.0.lock().unwrap();
    for frame in Frames::new(&file).unwrap() {
        let seen = Packet::parse(frame.unwrap().data).unwrap();
        assert!(seen.source != SPOKE, "captured inside the NAT");
    }
}

#[test]
fn loss_is_the_same_for_the_same_seed() {
    let run = |percent, seed| {
        let wire = WireBuilder::new().unwrap().loss(Loss { percent, seed });
        let file = Shared::default();
        let mut wire = wire.capture(Box::new(file.clone())).unwrap();
        let (spoke, hub) = (wire.port(SPOKE).unwrap(), wire.port(HUB).unwrap());
        let wire = wire.start().unwrap();
        for number in 0..100u8 {
            spoke.send(&packet(SPOKE, HUB, Carried::Protocol(47), &[number])).unwrap();
        }
        let counters = wire.stop().unwrap();
        assert_eq!(Frames::new(&file.0.lock().unwrap()).unwrap().count(), 100);
        let arrived = (0..counters.forwarded).map(|_| received(&hub)[20]).collect::<Vec<_>>();
        assert_eq!(counters.lost + counters.forwarded, 100);
        arrived
    };
    let first = run(30, 1);
    assert!(first.len() > 50 && first.len() < 90, "{}", first.len());
    assert_eq!(run(30, 1), first);
    assert_ne!(run(30, 2), first);
    assert!(run(100, 1).is_empty());
    assert_eq!(run(0, 1).len(), 100);
}

#[test]
fn waiting_ends() {
    let mut wire = WireBuilder::new().unwrap();
    let port = wire.port(SPOKE).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(port.receive(&mut buffer, Duration::ZERO).unwrap(), None);
}
