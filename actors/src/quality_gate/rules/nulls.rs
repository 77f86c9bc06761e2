//! How often an optional field is null.

use super::super::windowed::{Window, Windowed};
use super::{Figure, Finding, NULLS, used_share};

/// `nulls` has a bit for each field that is null.
pub(super) fn observe(counts: &mut [Windowed<u32>], (window, now_us): (Window, i64), nulls: u64) -> bool {
    for (field, count) in counts.iter_mut().enumerate() {
        if nulls & (1 << field) != 0 {
            count.add(window, now_us, 1);
        }
    }
    nulls != 0
}

/// What the worst of the fields says.
pub(super) fn judge(
    counts: &[Windowed<u32>],
    (window, now_us): (Window, i64),
    limits: impl Iterator<Item = f64>,
    rows: (u64, bool),
) -> Finding {
    let of_field = |(field, (count, limit)): (usize, (&Windowed<u32>, f64))| {
        let count = count.sum(window, now_us);
        let figure = Figure::Nulls { field, count, of: rows.0 };
        Finding { rule: NULLS, used: used_share(count, rows, limit), count, figure }
    };
    let findings = counts.iter().zip(limits).enumerate().map(of_field);
    let nothing = Figure::Nulls { field: 0, count: 0, of: rows.0 };
    let none = Finding { rule: NULLS, used: 0.0, count: 0, figure: nothing };
    findings.fold(none, |worst, one| if one.used > worst.used { one } else { worst })
}
