//! Prometheus' text format.
//!
//! Everything is written at scrape time from where it lives, so a series disappears with what it describes: a recorder
//! would go on repeating the lag of a partition that was revoked. Invariant: a metric has one head and its series stand
//! together, whoever contributes them.

use super::figures::{Histogram, Value};
use super::names::{Kind, Metric};
use crate::limits::LABEL_BYTES_MAX;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A page in the making.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    /// By name: head and lines.
    families: BTreeMap<&'static str, String>,
}

impl Exposition {
    /// The series of a metric; more may be added later.
    pub(super) fn metric(&mut self, metric: Metric) -> Series<'_> {
        let text = self.families.entry(metric.name).or_insert_with(|| {
            let Metric { name, help, kind, .. } = metric;
            format!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.as_str())
        });
        Series { text, metric }
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.families.into_values().collect()
    }
}

/// The series of one metric.
#[derive(Debug)]
pub(super) struct Series<'a> {
    text: &'a mut String,
    metric: Metric,
}

impl Series<'_> {
    /// One line.
    pub(super) fn value(&mut self, labels: &[(&str, &str)], value: f64) {
        self.line("", labels, None, value);
    }

    /// One line, or the lines of a histogram.
    pub(super) fn figure(&mut self, labels: &[(&str, &str)], value: &Value) {
        match value {
            Value::Number(value) => self.value(labels, *value),
            Value::Histogram(histogram) => self.histogram(labels, histogram),
        }
    }

    fn histogram(&mut self, labels: &[(&str, &str)], histogram: &Histogram) {
        let Kind::Histogram(bounds) = self.metric.kind else { return };
        let mut below = 0;
        for (index, count) in histogram.counts.iter().enumerate() {
            below += count;
            let bound = bounds.get(index).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
            self.line("_bucket", labels, Some(&bound), below as f64);
        }
        self.line("_sum", labels, None, histogram.sum);
        self.line("_count", labels, None, below as f64);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: f64) {
        self.text.push_str(self.metric.name);
        self.text.push_str(suffix);
        let mut opened = false;
        for (name, text) in labels.iter().copied().chain(bound.map(|bound| ("le", bound))) {
            self.text.push(if opened { ',' } else { '{' });
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(cut(text), self.text);
            self.text.push('"');
            opened = true;
        }
        if opened {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

/// As much of a label as is shown.
pub(crate) fn cut(label: &str) -> &str {
    &label[..label.floor_char_boundary(LABEL_BYTES_MAX)]
}

fn escape(label: &str, text: &mut String) {
    if !label.contains(['\\', '"', '\n']) {
        return text.push_str(label);
    }
    for character in label.chars() {
        match character {
            '\\' => text.push_str(r"\\"),
            '"' => text.push_str(r#"\""#),
            '\n' => text.push_str(r"\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::figures::Figures;
    use crate::telemetry::names;

    #[test]
    fn labels_cannot_break_the_format() {
        let mut page = Exposition::default();
        page.metric(names::RESTARTS_TOTAL).value(&[("actor", "a\"b\\c\nd"), ("kind", "k")], 2.0);
        let expected = "# HELP aqueduct_restarts_total Starts of an actor after its first.\n\
            # TYPE aqueduct_restarts_total counter\n\
            aqueduct_restarts_total{actor=\"a\\\"b\\\\c\\nd\",kind=\"k\"} 2\n";
        assert_eq!(page.finish(), expected);
    }

    #[test]
    fn a_label_is_cut_between_two_characters() {
        let long = "€".repeat(LABEL_BYTES_MAX);
        let shown = cut(&long);
        assert!(shown.len() <= LABEL_BYTES_MAX && shown.len() > LABEL_BYTES_MAX - 3);
        assert!(shown.chars().all(|character| character == '€'));
    }

    #[test]
    fn what_comes_later_stands_with_its_metric() {
        let mut page = Exposition::default();
        page.metric(names::RESTARTS_TOTAL).value(&[("actor", "a")], 1.0);
        page.metric(names::LAG_RECORDS).value(&[], 5.0);
        page.metric(names::RESTARTS_TOTAL).value(&[("actor", "b")], 2.0);
        let text = page.finish();
        assert_eq!(text.matches("# TYPE aqueduct_restarts_total").count(), 1);
        assert!(text.contains("{actor=\"a\"} 1\naqueduct_restarts_total{actor=\"b\"} 2\n"), "{text}");
    }

    #[test]
    fn a_histogram_counts_upwards_to_infinity() {
        let figures = Figures::default();
        for seconds in [0.0005, 0.3, 90.0] {
            figures.observe(names::FLUSH_SECONDS, &[], seconds);
        }
        let mut page = Exposition::default();
        for value in figures.families()[0].series.values() {
            page.metric(names::FLUSH_SECONDS).figure(&[("actor", "w")], value);
        }
        let text = page.finish();
        for line in [
            "aqueduct_flush_seconds_bucket{actor=\"w\",le=\"0.001\"} 1",
            "aqueduct_flush_seconds_bucket{actor=\"w\",le=\"0.5\"} 2",
            "aqueduct_flush_seconds_bucket{actor=\"w\",le=\"+Inf\"} 3",
            "aqueduct_flush_seconds_count{actor=\"w\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
        }
    }
}
