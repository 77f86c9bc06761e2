//! What it costs to turn Arrow columns into COPY BINARY: the writer's own share of a row.

use aqueduct_actors::timescale_writer::encode::{Cells, Encoding, put_rows};
use arrow_array::{
    ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;

const ROWS: usize = 8192;

/// The flat ticks of the other benchmarks: seven columns.
fn ticks(decimal: bool) -> (RecordBatch, Vec<(usize, Encoding)>) {
    let numbers = 0..ROWS as i64;
    let times =
        TimestampMicrosecondArray::from_iter_values(numbers.clone().map(|n| 1_700_000_000_000_000 + n));
    let symbols = StringArray::from_iter_values(numbers.clone().map(|n| format!("SYM{:03}", n % 200)));
    let number = |shift: i64| -> (ArrayRef, Encoding) {
        if decimal {
            let values = Decimal128Array::from_iter_values(
                (0..ROWS as i128).map(|n| (n + i128::from(shift)) * 12_345_678),
            );
            (
                Arc::new(values.with_precision_and_scale(18, 8).expect("18 digits")),
                Encoding::Numeric { scale: 8 },
            )
        } else {
            (Arc::new(Float64Array::from_iter_values((0..ROWS).map(|n| n as f64 / 8.0))), Encoding::Float8)
        }
    };
    let (price, encoding) = number(100_000);
    let (quantity, _) = number(7);
    let columns: [(&str, ArrayRef, Encoding); 7] = [
        ("ts", Arc::new(times.with_timezone("UTC")), Encoding::Timestamptz),
        ("symbol", Arc::new(symbols), Encoding::Text),
        ("price", price, encoding),
        ("qty", quantity, encoding),
        ("id", Arc::new(Int64Array::from_iter_values(numbers.clone())), Encoding::Int8),
        ("seq", Arc::new(Int64Array::from_iter_values(numbers)), Encoding::Int8),
        ("venue", Arc::new(StringArray::from_iter_values((0..ROWS).map(|_| "venue"))), Encoding::Text),
    ];
    let plan = columns.iter().enumerate().map(|(index, column)| (index, column.2)).collect();
    let rows = RecordBatch::try_from_iter(columns.into_iter().map(|(name, array, _)| (name, array)));
    (rows.expect("columns of one length"), plan)
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("copy_encode");
    group.throughput(Throughput::Elements(ROWS as u64));
    for (name, decimal) in [("ticks_float64", false), ("ticks_decimal_18_8", true)] {
        let (rows, plan) = ticks(decimal);
        let mut out = Vec::with_capacity(ROWS * 160);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                let cells = Cells::of(&rows, &plan).expect("the columns' types");
                black_box(put_rows(&cells, 0..ROWS, usize::MAX, &mut out))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);
