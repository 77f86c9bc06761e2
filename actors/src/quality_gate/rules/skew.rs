//! An event in the future of its record: one of two clocks is wrong, the venue's or that of whoever wrote the record. That
//! an event is in the past may be a slow way as well; that is `late`.

use super::super::windowed::{Window, Windowed};
use super::{Figure, Finding, SKEW};

pub(super) fn observe(
    (farthest, skewed): (&mut Windowed<f32>, &mut Windowed<u32>),
    (window, now_us): (Window, i64),
    (ahead_us, limit_us): (i64, i64),
) -> bool {
    if ahead_us <= 0 {
        return false;
    }
    farthest.raise(window, now_us, ahead_us as f32);
    let beyond = ahead_us >= limit_us;
    if beyond {
        skewed.add(window, now_us, 1);
    }
    beyond
}

pub(super) fn judge(
    (farthest, skewed): (&Windowed<f32>, &Windowed<u32>),
    (window, now_us): (Window, i64),
    limit_us: i64,
) -> Finding {
    let us = farthest.max(window, now_us) as i64;
    let count = skewed.sum(window, now_us);
    let used = us as f64 / limit_us.max(1) as f64;
    let used = if count == 0 { used.min(MOST_WITHIN) } else { used.max(1.0) };
    Finding { rule: SKEW, used, count, figure: Figure::Ahead { us } }
}

/// Nearly all of a limit: the farthest is kept in a narrower number than it was compared in.
const MOST_WITHIN: f64 = 0.999;
