//! Numbers and times in few characters, and foreign text that cannot harm a terminal.

/// `950`, `12.3k`, `4.56M`: four digits at most.
pub(super) fn count(value: f64) -> String {
    let scaled = |value: f64, unit: &str| match value {
        value if value >= 99.95 => format!("{value:.0}{unit}"),
        value if value >= 9.995 => format!("{value:.1}{unit}"),
        value => format!("{value:.2}{unit}"),
    };
    match value.abs() {
        size if size < 999.5 => format!("{value:.0}"),
        size if size < 999_500.0 => scaled(value / 1e3, "k"),
        size if size < 999_500_000.0 => scaled(value / 1e6, "M"),
        _ => scaled(value / 1e9, "G"),
    }
}

/// `3s`, `12m`, `5h`, `9d`.
pub(super) fn lasting(seconds: f64) -> String {
    match seconds.max(0.0) {
        seconds if seconds < 120.0 => format!("{seconds:.0}s"),
        seconds if seconds < 7_200.0 => format!("{:.0}m", (seconds / 60.0).floor()),
        seconds if seconds < 172_800.0 => format!("{:.0}h", (seconds / 3_600.0).floor()),
        seconds => format!("{:.0}d", (seconds / 86_400.0).floor()),
    }
}

/// The same for the time since `us`; nothing for a time that never was.
pub(super) fn since(us: i64, now_us: i64) -> String {
    if us == 0 { String::new() } else { lasting((now_us - us) as f64 / 1e6) }
}

/// The time of day in UTC.
pub(super) fn time_of_day(us: i64) -> String {
    let second = crate::output::second(us);
    second.get(11..).unwrap_or_default().to_owned()
}

/// `1.5 MiB`
pub(super) fn bytes(value: u64) -> String {
    match value as f64 {
        value if value < 1024.0 => format!("{value:.0} B"),
        value if value < 1024.0 * 1024.0 => format!("{:.1} KiB", value / 1024.0),
        value => format!("{:.1} MiB", value / (1024.0 * 1024.0)),
    }
}

/// One line without control characters.
pub(super) fn plain(text: &str) -> String {
    let plain = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    plain.collect::<String>().trim().to_owned()
}

/// At most so many characters; where some are left out, the last says so.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_few_characters() {
        let values = [0.0, 7.4, 999.0, 1_000.0, 12_345.0, 999_400.0, 1_000_000.0, 123_456_789.0, 2e9];
        let words = ["0", "7", "999", "1.00k", "12.3k", "999k", "1.00M", "123M", "2.00G"];
        assert_eq!(values.map(count), words);
        assert_eq!([0.4, 119.0, 120.0, 7_200.0, 172_800.0].map(lasting), ["0s", "119s", "2m", "2h", "2d"]);
    }

    #[test]
    fn foreign_text_cannot_drive_a_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\nc"), "a [2Jb c");
        assert_eq!((cut("abcdef", 4), cut("abcd", 4)), ("abc…".to_owned(), "abcd".to_owned()));
    }
}
