//! Durations and sizes as they are written: `50ms`, `1h30m`, `16MiB`.

use std::time::Duration;

/// Why a text is no quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A bare number.
    NoUnit(String),
    /// A unit that is none; the units there are.
    Unit(&'static str),
    /// Too large to count.
    TooLarge,
}

const DURATION_UNITS: &str = "us, ms, s, m, h, d";
const SIZE_UNITS: &str = "B, kB, MB, GB, KiB, MiB, GiB";

impl Refusal {
    pub(super) fn help(&self, secret: bool) -> String {
        match self {
            Refusal::NoUnit(number) if !secret => {
                format!("give it a unit: `{number}ms`, `{number}s`, `{number}m`, `{number}h` or `{number}d`")
            }
            Refusal::NoUnit(_) => format!("give it a unit: {DURATION_UNITS}"),
            Refusal::Unit(units) => format!("write a number and a unit: {units}"),
            Refusal::TooLarge => "that is more than can be counted".to_owned(),
        }
    }
}

/// One or more `<number><unit>`, the units falling.
pub(crate) fn duration(text: &str) -> Result<Duration, Refusal> {
    const NO_UNIT: Refusal = Refusal::Unit(DURATION_UNITS);
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::NoUnit(text.chars().take(20).collect()));
    }
    let (mut rest, mut micros, mut last) = (text, 0_u64, u64::MAX);
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
        let unit = unit_micros(unit).filter(|unit| *unit < last && digits > 0).ok_or(NO_UNIT)?;
        let number: u64 = number.parse().map_err(|_| Refusal::TooLarge)?;
        let part = number.checked_mul(unit).ok_or(Refusal::TooLarge)?;
        micros = micros.checked_add(part).ok_or(Refusal::TooLarge)?;
        (rest, last) = (&rest[digits + letters..], unit);
    }
    // Durations become signed microseconds beside times.
    match text.is_empty() {
        true => Err(NO_UNIT),
        false if micros > i64::MAX as u64 / 2 => Err(Refusal::TooLarge),
        false => Ok(Duration::from_micros(micros)),
    }
}

fn unit_micros(unit: &str) -> Option<u64> {
    Some(match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    })
}

/// A whole number of bytes, alone or with a unit.
pub(super) fn size(text: &str) -> Result<u64, Refusal> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let unit: u64 = match text[digits..].trim_start() {
        "" | "B" => 1,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(Refusal::Unit(SIZE_UNITS)),
    };
    if digits == 0 {
        return Err(Refusal::Unit(SIZE_UNITS));
    }
    let number: u64 = text[..digits].parse().map_err(|_| Refusal::TooLarge)?;
    number.checked_mul(unit).ok_or(Refusal::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("50ms"), Ok(Duration::from_millis(50)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("1d"), Ok(Duration::from_secs(86_400)));
        assert_eq!(duration("30"), Err(Refusal::NoUnit("30".to_owned())));
        assert_eq!(duration("99999999999999999999d"), Err(Refusal::TooLarge));
        for wrong in ["", "-5s", "5 s", "1.5s", "s", "5min", "1m1h", "5s5s", "5sé"] {
            assert!(matches!(duration(wrong), Err(Refusal::Unit(_))), "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("16MiB"), Ok(16 << 20));
        assert_eq!(size("64 kB"), Ok(64_000));
        assert_eq!(size("512"), Ok(512));
        assert_eq!(size("99999999999GiB"), Err(Refusal::TooLarge));
        for wrong in ["", "MiB", "16mb", "-1B", "1.5GiB"] {
            assert!(matches!(size(wrong), Err(Refusal::Unit(_))), "{wrong}");
        }
    }
}
