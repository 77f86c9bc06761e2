//! One hop over a link: push, lease, settle. A hop carries up to 8,192 records, so divide by that for the cost per row.
//!
//! `cargo bench -p aqueduct-bench --bench link`

use aqueduct_engine::link::{Bounds, Link};
use aqueduct_engine::{Batch, Origin, PartitionKey, RawRecords};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

fn batch(first: i64) -> Batch {
    let key = PartitionKey { source: "bench".into(), topic: "bench".into(), partition: 0 };
    Batch::raw(Origin { key, epoch: 1, first, next: first + 8192 }, RawRecords::empty())
}

fn hop(criterion: &mut Criterion) {
    let link = Link::new(Bounds { batches: 16, bytes: 16 << 20 });
    let (sender, mut receiver) = (link.sender(), link.receiver());
    let mut next = 0;
    criterion.bench_function("link/push, lease, settle", |bencher| {
        bencher.iter_batched(
            || {
                next += 8192;
                batch(next)
            },
            |batch| {
                assert!(sender.try_push(batch).is_ok(), "the link has room");
                receiver.try_lease().expect("a batch waits").settle();
            },
            BatchSize::SmallInput,
        );
    });
}

/// Fan-out shares the columns: what a second edge costs beside the first.
fn share(criterion: &mut Criterion) {
    let batch = batch(0);
    criterion.bench_function("link/share a batch", |bencher| bencher.iter(|| batch.clone()));
}

criterion_group!(benches, hop, share);
criterion_main!(benches);
