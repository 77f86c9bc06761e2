//! From what the rules say to one word.

use super::rules::{Finding, Rules, WORDS};

/// What a reader may do. Whoever finds no verdict, or an old one, takes it for [`Verdict::Halt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// Nothing is wrong.
    Trade,
    /// Some rule has used a good part of its limit.
    Watch,
    /// Some rule has used all of it.
    Halt,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::Watch => "watch",
            Self::Halt => "halt",
        }
    }

    /// By the share of its limit that the worst rule has used.
    pub(super) fn of(used: f64, watch_at: f64) -> Self {
        if used >= 1.0 {
            Self::Halt
        } else if used >= watch_at {
            Self::Watch
        } else {
            Self::Trade
        }
    }
}

/// The rule that has used most of its limit; of equals the first.
pub(super) fn worst(findings: &[Finding]) -> Option<&Finding> {
    findings.iter().reduce(|worst, one| if one.used > worst.used { one } else { worst })
}

/// Why, in words: `ok` where nothing is worth a word.
pub(super) fn reason(rules: &Rules, verdict: Verdict, worst: Option<&Finding>) -> String {
    match worst {
        Some(finding) if verdict != Verdict::Trade => {
            format!("{}: {}", WORDS[finding.rule], rules.detail(finding))
        }
        _ => "ok".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_used_up_halts_and_a_good_part_of_it_is_watched() {
        let of = |used| Verdict::of(used, 0.5).word();
        assert_eq!(
            [of(0.0), of(0.49), of(0.5), of(0.99), of(1.0), of(7.0)],
            ["trade", "trade", "watch", "watch", "halt", "halt"]
        );
    }
}
