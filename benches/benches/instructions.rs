//! Instructions under valgrind: the same on every run of the same program, whatever else the machine does. What cryptography costs is left out
//! (null providers), except where the name says otherwise. What a benchmark returns is dropped outside of it.

use std::hint::black_box;

use bytes::Bytes;
use dmvpn_benches::esp::{Bare, Opener, Sealer, Suite};
use dmvpn_benches::ike::Responder;
use dmvpn_benches::nhrp::Server;
use dmvpn_benches::router::Pair;
use dmvpn_benches::{suite, wire};
use dmvpn_esp::crypto::{NullProvider, Provider, RustCrypto};
use dmvpn_esp::udp::{Datagram, classify};
use dmvpn_gre::Header;
use dmvpn_isakmp::Transmit;
use dmvpn_isakmp::crypto::null;
use dmvpn_isakmp::wire::Message;
use dmvpn_nhrp::wire::Packet;
use gungraun::{library_benchmark, library_benchmark_group, main};

#[library_benchmark]
#[bench::gre(wire::gre())]
fn parse_gre(octets: [u8; 8]) -> bool {
    black_box(Header::parse(black_box(&octets))).is_ok()
}

#[library_benchmark]
#[bench::gre(Header::parse(&wire::gre()).expect("it was built").0)]
fn build_gre(header: Header) -> [u8; 16] {
    let mut octets = [0; 16];
    let _ = black_box(black_box(&header).encode(&mut octets));
    octets
}

#[library_benchmark]
#[bench::nhrp_registration(wire::NHRP)]
fn parse_nhrp(octets: &[u8]) -> Option<Packet> {
    Packet::parse(black_box(octets)).ok()
}

#[library_benchmark]
#[bench::nhrp_registration(Packet::parse(wire::NHRP).expect("the guide's"))]
fn build_nhrp(packet: Packet) -> (Packet, Option<Bytes>) {
    let built = black_box(&packet).encode().ok();
    (packet, built)
}

#[library_benchmark]
#[bench::isakmp_mm1(wire::ISAKMP)]
fn parse_isakmp(octets: &'static [u8]) -> Option<Message<'static>> {
    Message::parse(black_box(octets)).ok()
}

#[library_benchmark]
#[bench::isakmp_mm1(Message::parse(wire::ISAKMP).expect("the guide's"))]
fn build_isakmp(message: Message<'static>) -> (Message<'static>, Option<Vec<u8>>) {
    let built = black_box(&message).encode().ok();
    (message, built)
}

#[library_benchmark]
#[bench::esp(&[0xff, 0, 0, 1, 0, 0, 0, 1])]
#[bench::isakmp(&[0, 0, 0, 0, 0, 0, 0, 1])]
#[bench::keepalive(&[0xff])]
fn udp(payload: &[u8]) -> Option<Datagram> {
    classify(black_box(payload)).ok()
}

library_benchmark_group!(
    name = codecs,
    benchmarks = [parse_gre, build_gre, parse_nhrp, build_nhrp, parse_isakmp, build_isakmp, udp]
);

// Parsed, processed and answered.
#[library_benchmark]
#[bench::of_a_thousand_clients(Box::new(Server::new(1_000)))]
fn nhrp_registration(mut server: Box<Server>) -> Box<Server> {
    server.register();
    server
}

fn responder(taken: usize) -> Box<Responder> {
    Box::new(Responder::before(taken, null::PROVIDER))
}

#[library_benchmark]
#[bench::mm1(responder(0))]
#[bench::mm3(responder(1))]
#[bench::mm5(responder(2))]
#[bench::qm1(responder(3))]
#[bench::qm3(responder(4))]
fn takes(mut responder: Box<Responder>) -> (Box<Responder>, Option<Transmit>) {
    let answer = responder.step();
    (responder, answer)
}

library_benchmark_group!(name = state_machines, benchmarks = [nhrp_registration, takes]);

fn sealer(provider: &dyn Provider, suite: Suite, length: usize) -> Box<Sealer> {
    let mut sealer = Box::new(Sealer::with(provider, suite, length, 1, 1));
    sealer.one();
    sealer
}

fn opener(provider: &dyn Provider, suite: Suite, length: usize) -> Box<Opener> {
    let mut opener = Box::new(Opener::with(provider, suite, length));
    opener.one();
    opener
}

fn bare(length: usize) -> (Box<Bare>, Vec<u8>) {
    (Box::new(Bare::new(Suite::Aes128Gcm)), Opener::new(Suite::Aes128Gcm, length).sealed().to_vec())
}

#[library_benchmark]
#[bench::null_3des_sha1_64(sealer(&NullProvider, Suite::TripleDesSha1, 64))]
#[bench::null_aes128_gcm_64(sealer(&NullProvider, Suite::Aes128Gcm, 64))]
#[bench::aes128_gcm_64(sealer(&RustCrypto, Suite::Aes128Gcm, 64))]
#[bench::aes128_gcm_1400(sealer(&RustCrypto, Suite::Aes128Gcm, 1400))]
fn seal(mut sealer: Box<Sealer>) -> Box<Sealer> {
    sealer.one();
    sealer
}

#[library_benchmark]
#[bench::aes128_gcm_64(bare(64))]
#[bench::aes128_gcm_1400(bare(1400))]
fn seal_bare((bare, mut packet): (Box<Bare>, Vec<u8>)) -> (Box<Bare>, Vec<u8>) {
    bare.seal(black_box(&mut packet));
    (bare, packet)
}

// The copy that opening in place needs is in it.
#[library_benchmark]
#[bench::null_3des_sha1_64(opener(&NullProvider, Suite::TripleDesSha1, 64))]
#[bench::null_aes128_gcm_64(opener(&NullProvider, Suite::Aes128Gcm, 64))]
#[bench::aes128_gcm_64(opener(&RustCrypto, Suite::Aes128Gcm, 64))]
#[bench::aes128_gcm_1400(opener(&RustCrypto, Suite::Aes128Gcm, 1400))]
fn open(mut opener: Box<Opener>) -> Box<Opener> {
    opener.one();
    opener
}

// Without a copy.
#[library_benchmark]
#[bench::aes128_gcm_64(bare(64))]
#[bench::aes128_gcm_1400(bare(1400))]
fn open_bare((bare, mut packet): (Box<Bare>, Vec<u8>)) -> (Box<Bare>, Vec<u8>, bool) {
    let opened = bare.open(black_box(&mut packet));
    (bare, packet, opened)
}

library_benchmark_group!(name = esp, benchmarks = [seal, seal_bare, open, open_bare]);

// A packet through the sending node and the receiving one, AES-GCM included.
#[library_benchmark]
#[bench::aes128_gcm_64(pair(64))]
#[bench::aes128_gcm_1400(pair(1400))]
fn send_and_receive(mut pair: Box<Pair>) -> Box<Pair> {
    pair.forward();
    pair
}

fn pair(length: usize) -> Box<Pair> {
    let mut pair = Box::new(Pair::new(suite::Suite::Gcm, length, 1));
    pair.forward();
    pair
}

library_benchmark_group!(name = nodes, benchmarks = [send_and_receive]);

main!(library_benchmark_groups = [codecs, state_machines, esp, nodes]);
