//! Rows whose event is long past when they are recorded. Both times are in the record, so a backlog that is worked off
//! after an outage of ours is not late.

use super::super::windowed::{Window, Windowed};
use super::{Figure, Finding, LATE, micros, used_share};
use aqueduct_topology::model::LateRule;

pub(super) fn observe(
    late: &mut Windowed<u32>,
    (window, now_us): (Window, i64),
    rule: &LateRule,
    age_us: i64,
) -> bool {
    let is_late = age_us > micros(rule.after);
    if is_late {
        late.add(window, now_us, 1);
    }
    is_late
}

pub(super) fn judge(
    late: &Windowed<u32>,
    (window, now_us): (Window, i64),
    rule: &LateRule,
    rows: (u64, bool),
) -> Finding {
    let count = late.sum(window, now_us);
    let figure = Figure::Late { count, of: rows.0 };
    Finding { rule: LATE, used: used_share(count, rows, rule.share), count, figure }
}
