//! ESP by itself, and the codecs.

use std::hint::black_box;

use dmvpn_benches::esp::{Bare, Opener, Sealer, Suite};
use dmvpn_benches::evp::Evp;
use dmvpn_benches::measure::{Effort, Paired, paired};
use dmvpn_benches::wire;
use dmvpn_gre::Header;
use dmvpn_isakmp::wire::Message;
use dmvpn_nhrp::wire::Packet;

use crate::row::{Bar, ratio};

const NONE: Bar = Bar::None;

/// All suites and lengths, one packet at a time, then 3DES in batches.
pub fn esp(effort: Effort) {
    for suite in Suite::ALL {
        for length in [64, 512, 1400] {
            let what = |verb: &str| format!("{} {verb}, {length} B", suite.name());
            let bar = |verb| openssl_bar(suite, length, verb);
            ratio("esp", what("seal"), "OpenSSL", seal_openssl(effort, suite, length), bar("seal"));
            ratio("esp", what("open"), "OpenSSL", open_openssl(effort, suite, length), bar("open"));
            let bar = bare_bar(suite, length);
            let bare = || Bare::new(suite);
            ratio("esp", what("seal"), "bare", seal_bare(effort, suite, length, bare()), bar);
            ratio("esp", what("open"), "bare", open_bare(effort, suite, length, bare()), bar);
            if suite == Suite::Aes128Gcm {
                let (seal, open) = (what("seal"), what("open"));
                let bare = Bare::provided;
                ratio("esp", seal, "provider", seal_bare(effort, suite, length, bare()), NONE);
                ratio("esp", open, "provider", open_bare(effort, suite, length, bare()), NONE);
            }
        }
    }
    let one = batch(effort, 64, 1);
    ratio(
        "esp",
        "3des+sha1 seal, 1400 B, batch of 64 of one SA",
        "OpenSSL",
        one,
        at_least(3.0, 4.5),
    );
    let many = batch(effort, 64, 64);
    ratio(
        "esp",
        "3des+sha1 seal, 1400 B, batch of 64 of 64 SAs",
        "OpenSSL",
        many,
        at_least(2.0, 4.5),
    );
    let wide = batch(effort, 256, 1);
    ratio("esp", "3des+sha1 seal, 1400 B, batch of 256 of one SA", "OpenSSL", wide, NONE);
}

/// What 256 bits make faster.
pub fn avx2(effort: Effort) {
    let open = open_openssl(effort, Suite::TripleDesSha1, 1400);
    ratio("esp", "3des+sha1 open, 1400 B, AVX2", "OpenSSL", open, Bar::AtLeast(3.0, Some(8.0)));
    for (packets, associations, bar) in
        [(64, 1, NONE), (64, 64, NONE), (256, 1, at_least(3.0, 10.0))]
    {
        let what = format!("3des+sha1 seal, 1400 B, batch of {packets} of {associations} SA, AVX2");
        ratio("esp", what, "OpenSSL", batch(effort, packets, associations), bar);
    }
}

/// What `ring` makes faster.
pub fn ring(effort: Effort) {
    if !cfg!(feature = "ring") {
        return;
    }
    let suite = Suite::Aes128Gcm;
    for length in [64, 1400] {
        let bar = if length == 1400 { Bar::AtLeast(2.0, None) } else { NONE };
        let what = |verb: &str| format!("aes128-gcm {verb}, {length} B, ring");
        ratio("esp", what("seal"), "OpenSSL", seal_openssl(effort, suite, length), bar);
        ratio("esp", what("open"), "OpenSSL", open_openssl(effort, suite, length), bar);
    }
}

const fn at_least(bar: f64, stretch: f64) -> Bar {
    Bar::AtLeast(bar, Some(stretch))
}

fn openssl_bar(suite: Suite, length: usize, verb: &str) -> Bar {
    match (suite, length, verb) {
        (Suite::TripleDesSha1, 1400, "open") => Bar::AtLeast(3.0, None),
        (Suite::TripleDesSha1, 1400, _) => Bar::AtLeast(1.1, None),
        _ => NONE,
    }
}

fn bare_bar(suite: Suite, length: usize) -> Bar {
    match (suite, length) {
        (Suite::Aes128Gcm, 1400) => at_least(0.97, 0.99),
        (Suite::Aes128Gcm, 64) => at_least(0.85, 0.92),
        _ => NONE,
    }
}

fn seal_openssl(effort: Effort, suite: Suite, length: usize) -> Paired {
    let (mut ours, mut evp) = (Sealer::new(suite, length, 1, 1), Evp::new(suite));
    let mut packet = Opener::new(suite, length).sealed().to_vec();
    paired(effort, (1, 1), || ours.one(), || evp.seal(black_box(&mut packet)))
}

fn seal_bare(effort: Effort, suite: Suite, length: usize, bare: Bare) -> Paired {
    let mut ours = Sealer::new(suite, length, 1, 1);
    let mut packet = Opener::new(suite, length).sealed().to_vec();
    paired(effort, (1, 1), || ours.one(), || bare.seal(black_box(&mut packet)))
}

/// Both sides copy the packet first: opening happens in place, and only once.
fn open_openssl(effort: Effort, suite: Suite, length: usize) -> Paired {
    let (mut ours, mut evp) = (Opener::new(suite, length), Evp::new(suite));
    let mut sealed = ours.sealed().to_vec();
    evp.seal(&mut sealed);
    let mut buffer = sealed.clone();
    let theirs = || {
        buffer.copy_from_slice(&sealed);
        assert!(evp.open(black_box(&mut buffer)));
    };
    paired(effort, (1, 1), || ours.one(), theirs)
}

fn open_bare(effort: Effort, suite: Suite, length: usize, bare: Bare) -> Paired {
    let mut ours = Opener::new(suite, length);
    let sealed = ours.sealed().to_vec();
    let mut buffer = sealed.clone();
    let theirs = || {
        buffer.copy_from_slice(&sealed);
        assert!(bare.open(black_box(&mut buffer)));
    };
    paired(effort, (1, 1), || ours.one(), theirs)
}

fn batch(effort: Effort, packets: u32, associations: u32) -> Paired {
    let suite = Suite::TripleDesSha1;
    let mut ours = Sealer::new(suite, 1400, packets as usize, associations);
    let mut evp = Evp::new(suite);
    let mut packet = Opener::new(suite, 1400).sealed().to_vec();
    paired(effort, (packets, 1), || ours.batch(), || evp.seal(black_box(&mut packet)))
}

/// Each codec against etherparse on IPv4 and UDP.
pub fn wire(effort: Effort) {
    let udp = wire::udp();
    let etherparse = || {
        let sliced = etherparse::SlicedPacket::from_ip(black_box(&udp));
        black_box(sliced.expect("UDP"));
    };
    let gre = wire::gre();
    let parse_gre = || {
        let _ = black_box(Header::parse(black_box(&gre)));
    };
    let name = "etherparse";
    ratio(
        "wire",
        "GRE with a key, parse",
        name,
        paired(effort, (1, 1), parse_gre, etherparse),
        NONE,
    );
    let header = Header::parse(&gre).expect("it was built").0;
    let build_gre = || {
        let mut octets = [0; 16];
        let _ = black_box(black_box(&header).encode(&mut octets));
        black_box(octets);
    };
    ratio(
        "wire",
        "GRE with a key, build",
        name,
        paired(effort, (1, 1), build_gre, etherparse),
        NONE,
    );
    let parse = || drop(black_box(Packet::parse(black_box(wire::NHRP))));
    ratio(
        "wire",
        "NHRP registration, parse",
        name,
        paired(effort, (1, 1), parse, etherparse),
        NONE,
    );
    let packet = Packet::parse(wire::NHRP).expect("the guide's");
    let build = || drop(black_box(black_box(&packet).encode()));
    ratio(
        "wire",
        "NHRP registration, build",
        name,
        paired(effort, (1, 1), build, etherparse),
        NONE,
    );
    let parse = || drop(black_box(Message::parse(black_box(wire::ISAKMP))));
    ratio("wire", "ISAKMP MM1, parse", name, paired(effort, (1, 1), parse, etherparse), NONE);
    let message = Message::parse(wire::ISAKMP).expect("the guide's");
    let build = || drop(black_box(black_box(&message).encode()));
    ratio("wire", "ISAKMP MM1, build", name, paired(effort, (1, 1), build, etherparse), NONE);
}
