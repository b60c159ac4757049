//! Codecs: parse, and build again.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dmvpn_benches::wire;
use dmvpn_gre::Header;
use dmvpn_isakmp::wire::Message;
use dmvpn_nhrp::wire::Packet;

fn codecs(criterion: &mut Criterion) {
    let gre = wire::gre();
    criterion.bench_function("GRE parse", |b| b.iter(|| Header::parse(black_box(&gre)).is_ok()));
    criterion.bench_function("NHRP parse", |b| b.iter(|| Packet::parse(black_box(wire::NHRP))));
    criterion.bench_function("NHRP parse and build", |b| b.iter(wire::nhrp_round));
    criterion.bench_function("ISAKMP parse", |b| {
        b.iter(|| drop(Message::parse(black_box(wire::ISAKMP))));
    });
    criterion.bench_function("ISAKMP parse and build", |b| b.iter(wire::isakmp_round));
    let udp = wire::udp();
    criterion.bench_function("etherparse, IPv4 and UDP", |b| {
        b.iter(|| etherparse::SlicedPacket::from_ip(black_box(&udp)).is_ok());
    });
}

criterion_group!(benches, codecs);
criterion_main!(benches);
