//! ESP one packet at a time and in batches; `benches/report` compares with others.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dmvpn_benches::esp::{Bare, Opener, Sealer, Suite};
use dmvpn_benches::evp::Evp;

fn packets(criterion: &mut Criterion) {
    for suite in Suite::ALL {
        let mut group = criterion.benchmark_group(suite.name());
        for length in [64, 512, 1400] {
            group.throughput(Throughput::Bytes(length as u64));
            let id = |name: &str| BenchmarkId::new(name, length);
            let mut sealer = Sealer::new(suite, length, 1, 1);
            group.bench_function(id("seal"), |b| b.iter(|| sealer.one()));
            let mut opener = Opener::new(suite, length);
            group.bench_function(id("open"), |b| b.iter(|| opener.one()));
            let (bare, mut evp) = (Bare::new(suite), Evp::new(suite));
            let mut packet = opener.sealed().to_vec();
            group
                .bench_function(id("seal, bare"), |b| b.iter(|| bare.seal(black_box(&mut packet))));
            group.bench_function(id("seal, OpenSSL"), |b| {
                b.iter(|| evp.seal(black_box(&mut packet)))
            });
        }
    }
}

fn batches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("3des+sha1 batch, 1400 B");
    for (packets, associations) in [(64, 1), (64, 64), (256, 1)] {
        group.throughput(Throughput::Elements(packets as u64));
        let mut sealer = Sealer::new(Suite::TripleDesSha1, 1400, packets, associations);
        let id = BenchmarkId::new(format!("{associations} SA"), packets);
        group.bench_function(id, |b| b.iter(|| sealer.batch()));
    }
}

criterion_group!(benches, packets, batches);
criterion_main!(benches);
