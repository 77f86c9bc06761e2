//! The rule files as tests read them: what each alert says of itself, and the same rules in a faster time.
//!
//! Deliberately absent: YAML. The files are written in one form, which `promtool` holds to the letter elsewhere; a line that
//! is written otherwise shows here as an alert that lacks something.

use std::time::Duration;

/// What one alert says.
#[derive(Clone, Debug, Default)]
pub struct Alert {
    /// The file it stands in, without `.rules.yaml`.
    pub file: String,
    pub name: String,
    pub hold: Duration,
    pub within: Duration,
    pub severity: String,
    pub team: String,
    pub summary: String,
    pub runbook: String,
}

/// Every alert of the product, in the order of the files.
pub fn alerts() -> Vec<Alert> {
    let files = aqueduct_config::monitoring::rules();
    files
        .iter()
        .flat_map(|file| alerts_of(file.name.strip_suffix(".rules.yaml").expect("a rule file"), file.text))
        .collect()
}

fn alerts_of(file: &str, text: &str) -> Vec<Alert> {
    let mut alerts: Vec<Alert> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            alerts.push(Alert { file: file.to_owned(), name: name.to_owned(), ..Alert::default() });
        }
        let Some(alert) = alerts.last_mut() else { continue };
        if let Some(text) = line.strip_prefix("for: ") {
            alert.hold = duration(text).unwrap_or_else(|| panic!("{}: for: {text}", alert.name));
        } else if let Some(text) = line.strip_prefix("within: ") {
            alert.within = duration(text).unwrap_or_else(|| panic!("{}: within: {text}", alert.name));
        } else if let Some(text) = line.strip_prefix("runbook_url: ") {
            alert.runbook = text.to_owned();
        } else if let Some(text) = line.strip_prefix("summary: ") {
            alert.summary = text.trim_matches('"').to_owned();
        } else if let Some(text) = line.strip_prefix("labels: { severity: ") {
            let (severity, team) = text.trim_end_matches(" }").split_once(", team: ").expect("both labels");
            (alert.severity, alert.team) = (severity.to_owned(), team.to_owned());
        }
    }
    alerts
}

/// `90s`, `5m`, `6h`.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.len().checked_sub(1)?);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()? * seconds))
}

/// A window must hold two scrapes, a second apart.
const WINDOW_MIN: Duration = Duration::from_secs(4);

/// No rule that is hastened holds for longer: a test need not prove that an hour passes.
const HOLD_MAX: Duration = Duration::from_secs(20);

/// How long a condition must hold, that many times as fast.
pub fn held(hold: Duration, factor: u32) -> Duration {
    if factor > 1 { (hold / factor).min(HOLD_MAX) } else { hold }
}

/// The same rules with every duration (`for: 5m` and the `[10m]` of a window) divided by `factor`: a file stays the truth,
/// a test need not wait for it.
pub fn hastened(text: &str, factor: u32) -> String {
    let mut hastened = String::new();
    for line in text.lines() {
        let line = match line.trim_start().strip_prefix("for: ").and_then(duration) {
            Some(hold) => {
                let (before, _) = line.split_once("for: ").expect("found just now");
                format!("{before}for: {}ms", held(hold, factor).as_millis())
            }
            None => windows(line, factor),
        };
        hastened.push_str(&line);
        hastened.push('\n');
    }
    hastened
}

fn windows(line: &str, factor: u32) -> String {
    let mut pieces = line.split('[');
    let mut hastened = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let window = piece.split_once(']').and_then(|(text, rest)| Some((duration(text)?, rest)));
        match window {
            Some((window, rest)) => {
                let window = (window / factor).max(WINDOW_MIN);
                hastened.push_str(&format!("[{}ms]{rest}", window.as_millis()));
            }
            None => {
                hastened.push('[');
                hastened.push_str(piece);
            }
        }
    }
    hastened
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_of_a_rule_is_hastened_and_nothing_else() {
        let text = "# within 5m\n  expr: rate(a[5m]) > 300 and b{c=~\"[0-9]\"}\n  for: 1m\n  within: 2m\n";
        let fast =
            "# within 5m\n  expr: rate(a[10000ms]) > 300 and b{c=~\"[0-9]\"}\n  for: 2000ms\n  within: 2m\n";
        assert_eq!(hastened(text, 30), fast);
        assert_eq!(windows("a[1m]", 30), "a[4000ms]");
        assert_eq!(hastened("for: 1h\n", 30), "for: 20000ms\n");
        assert_eq!(hastened("for: 1h\n", 1), "for: 3600000ms\n");
    }
}
