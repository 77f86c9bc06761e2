//! Durations and sizes as the language writes them.

use std::time::Duration;

/// `1h30m`, `50ms`.
pub(super) fn duration(duration: Duration) -> String {
    let units = [
        ("d", 86_400_000_000),
        ("h", 3_600_000_000),
        ("m", 60_000_000),
        ("s", 1_000_000),
        ("ms", 1_000),
        ("us", 1),
    ];
    let (mut rest, mut text) = (duration.as_micros(), String::new());
    for (unit, micros) in units {
        if rest >= micros {
            text.push_str(&format!("{}{unit}", rest / micros));
            rest %= micros;
        }
    }
    if text.is_empty() { "0".to_owned() } else { text }
}

/// `16 MiB`; one digit after the point where it is not whole.
pub(super) fn size(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) if bytes.is_multiple_of(unit) => format!("{} {name}", bytes / unit),
        // Rounded up: a bound is never said smaller than it is.
        Some((name, unit)) => {
            let tenths = (u128::from(bytes) * 10).div_ceil(u128::from(unit));
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_as_they_are_written() {
        for text in ["50ms", "1h30m", "1d", "30s", "2m5s"] {
            assert_eq!(duration(crate::duration(text).expect("a duration")), text);
        }
        assert_eq!(
            (size(16 << 20), size(3 << 19), size(512)),
            ("16 MiB".into(), "1.5 MiB".into(), "512 B".into())
        );
        assert_eq!(size((1 << 20) + 1), "1.1 MiB");
    }
}
