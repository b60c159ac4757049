//! Two routers, handshakes, registrations.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dmvpn_benches::ike::Handshakes;
use dmvpn_benches::nhrp::Server;
use dmvpn_benches::router::Pair;
use dmvpn_benches::suite::Suite;

fn forwarding(criterion: &mut Criterion) {
    for suite in [Suite::Guide, Suite::Gcm] {
        let mut group = criterion.benchmark_group(format!("send and receive, {}", suite.name()));
        for length in [64, 1400] {
            group.throughput(Throughput::Elements(1));
            let mut pair = Pair::new(suite, length, 1);
            group.bench_function(BenchmarkId::new("one", length), |b| b.iter(|| pair.forward()));
            group.throughput(Throughput::Elements(64));
            let mut pair = Pair::new(suite, length, 64);
            let id = BenchmarkId::new("batch of 64", length);
            group.bench_function(id, |b| b.iter(|| pair.forward_batch()));
        }
    }
}

fn control_plane(criterion: &mut Criterion) {
    let mut handshakes = Handshakes::default();
    criterion.bench_function("main and quick mode, both sides", |b| b.iter(|| handshakes.one()));
    let mut server = Server::new(1_000);
    criterion.bench_function("NHRP registration", |b| b.iter(|| server.register()));
}

criterion_group!(benches, forwarding, control_plane);
criterion_main!(benches);
