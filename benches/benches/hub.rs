//! A small hub's cold start, and what it costs per spoke; `benches/report` has the large ones.

use criterion::{Criterion, criterion_group, criterion_main};
use dmvpn_benches::hub::Costs;
use dmvpn_benches::suite::Suite;

fn hub(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hub");
    group.sample_size(10);
    for suite in [Suite::Guide, Suite::Gcm] {
        group.bench_function(format!("100 spokes, {}", suite.name()), |b| {
            b.iter(|| Costs::of(suite, 100));
        });
    }
}

criterion_group!(benches, hub);
criterion_main!(benches);
