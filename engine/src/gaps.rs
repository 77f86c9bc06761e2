//! What is known not to hold, as `docs/GAPS.md` says it: for `aqueduct status`, and for the test that lets no entry outlive
//! its date.
//!
//! Deliberately absent: a judgement. An entry that says nothing wrong is still an entry.

use serde::Serialize;

const PAGE: &str = include_str!("../docs/GAPS.md");

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// What does not hold, in a sentence.
    pub title: &'static str,
    /// Since when it is known, `2026-11-29`.
    pub since: &'static str,
    /// By when it is to be decided anew, in the same form, which compares like the day.
    pub decide_by: &'static str,
    /// What follows for whoever depends on it; Markdown.
    pub text: &'static str,
}

/// Every entry, in the page's order.
///
/// # Panics
/// If an entry lacks a date: the page is part of the program.
pub fn all() -> Vec<Gap> {
    entries(PAGE).expect("invariant: a test reads the page")
}

fn entries(page: &'static str) -> Result<Vec<Gap>, String> {
    page.split("\n## ").skip(1).map(entry).collect()
}

fn entry(section: &'static str) -> Result<Gap, String> {
    let (title, rest) = section.split_once('\n').unwrap_or((section, ""));
    let date = |name: &str| {
        let dated =
            rest.lines().find_map(|line| line.strip_prefix("- ")?.strip_prefix(name)?.strip_prefix(": "));
        dated.filter(|text| is_day(text)).ok_or_else(|| format!("`{title}` has no `- {name}: 2026-11-29`"))
    };
    let text = rest.trim_start().split_once("\n\n").map_or("", |(_dates, text)| text).trim();
    Ok(Gap { title, since: date("since")?, decide_by: date("decide by")?, text })
}

fn is_day(text: &str) -> bool {
    let digits = |part: &str, width| part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit());
    matches!(text.split('-').collect::<Vec<_>>()[..], [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_its_dates_and_its_text() {
        let page = "# Gaps\n\nIntro.\n\n## One thing\n\n- since: 2026-01-02\n- decide by: 2026-03-04\n\nWhat follows.\n\nAnd more.\n";
        let gap = Gap {
            title: "One thing",
            since: "2026-01-02",
            decide_by: "2026-03-04",
            text: "What follows.\n\nAnd more.",
        };
        assert_eq!(entries(page), Ok(vec![gap]));
    }

    #[test]
    fn an_entry_without_a_date_is_refused() {
        for dates in ["", "- since: 2026-01-02\n", "- since: soon\n- decide by: 2026-03-04\n"] {
            let page: &'static str = format!("# Gaps\n\n## One\n\n{dates}\nText.\n").leak();
            assert!(entries(page).is_err(), "{dates}");
        }
    }

    #[test]
    fn the_page_can_be_read() {
        let gaps = all();
        assert!(!gaps.is_empty());
        assert!(gaps.iter().all(|gap| gap.since < gap.decide_by && !gap.text.is_empty()), "{gaps:?}");
    }
}
