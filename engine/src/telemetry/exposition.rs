//! Prometheus' text format, for what is read from the registry at scrape time.
//!
//! These figures live in the registry already. Writing them straight from there means that a series disappears with
//! what it describes: a recorder would go on repeating the lag of a partition that was revoked.

use super::names::Metric;
use std::fmt::Write;

/// Counter or gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Counter,
    Gauge,
}

/// A page in the making.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
}

impl Exposition {
    /// Begins a metric; its series follow.
    pub(super) fn metric(&mut self, metric: Metric, kind: Type) -> Series<'_> {
        let word = match kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
        };
        let name = metric.name;
        let _ = writeln!(self.text, "# HELP {name} {}\n# TYPE {name} {word}", metric.help);
        Series { text: &mut self.text, name }
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// The series of one metric.
#[derive(Debug)]
pub(super) struct Series<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Series<'_> {
    /// One line.
    pub(super) fn value(&mut self, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(self.name);
        for (index, (name, text)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{name}=\"{}\"", if index == 0 { '{' } else { ',' }, escaped(text));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::names;

    #[test]
    fn labels_cannot_break_the_format() {
        let mut page = Exposition::default();
        page.metric(names::RESTARTS_TOTAL, Type::Counter)
            .value(&[("actor", "a\"b\\c\nd"), ("kind", "k")], 2.0);
        let expected = "# HELP aqueduct_restarts_total Starts of an actor after its first.\n\
            # TYPE aqueduct_restarts_total counter\n\
            aqueduct_restarts_total{actor=\"a\\\"b\\\\c\\nd\",kind=\"k\"} 2\n";
        assert_eq!(page.finish(), expected);
    }
}
