//! Charts as SVG: bars beside each other, and lines over an axis that grows by factors. No library, no script, one font.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 230.0;
const RIGHT: f64 = 90.0;
const ROW: f64 = 26.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 46.0;
const LINE_HEIGHT: f64 = 260.0;
/// Marks of an axis beside its zero.
const MARKS: u8 = 4;
const OURS: &str = "#1f6feb";
const OTHERS: &str = "#8c959f";
const INK: &str = "#1f2328";
const FAINT: &str = "#59636e";
const GRID: &str = "#d1d9e0";

/// One bar.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    /// Whose.
    pub(super) label: String,
    /// How long.
    pub(super) value: f64,
    /// The least and the most of all runs.
    pub(super) spread: Option<(f64, f64)>,
    /// What is written at its end.
    pub(super) text: String,
    /// Whether it is the engine's.
    pub(super) is_ours: bool,
}

/// Where a text ends or begins.
#[derive(Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: Anchor, color: &str, words: &str) {
    let anchor = match anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    };
    let words = escaped(words);
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{color}\">{words}</text>"
    );
}

fn stroke(out: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64), color: &str) {
    let _ = writeln!(
        out,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{color}\"/>"
    );
}

fn begin(height: f64, title: &str, unit: &str) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\" role=\"img\" aria-label=\"{0}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"16\" font-weight=\"bold\" fill=\"{INK}\">{0}</text>\n",
        escaped(title)
    );
    text(&mut out, (16.0, 43.0), Anchor::Start, FAINT, unit);
    out
}

/// The least of 1, 2, 5 times a power of ten that is not below `value`.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|&step| step >= value).unwrap_or(value)
}

/// A number as people read it on an axis.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} M", trimmed(v / 1e6)),
        v if v >= 1e4 => format!("{} k", trimmed(v / 1e3)),
        v => trimmed(v),
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Zero and the marks up to `end`.
fn marks(end: f64) -> impl Iterator<Item = f64> {
    (0..=MARKS).map(move |mark| end * f64::from(mark) / f64::from(MARKS))
}

/// Bars, each with its name; a thin line shows the spread over the runs.
pub(super) fn bars(title: &str, unit: &str, bars: &[Bar]) -> String {
    let floor = TOP + bars.len() as f64 * ROW + 6.0;
    let most = |bar: &Bar| bar.spread.map_or(bar.value, |(_, max)| max.max(bar.value));
    let end = round_up(bars.iter().map(most).fold(0.0, f64::max));
    let x = |value: f64| LEFT + value / end * (WIDTH - LEFT - RIGHT);
    let mut out = begin(floor + BOTTOM, title, unit);
    for value in marks(end) {
        stroke(&mut out, (x(value), TOP), (x(value), floor), GRID);
        text(&mut out, (x(value), floor + 18.0), Anchor::Middle, FAINT, &short(value));
    }
    for (index, bar) in bars.iter().enumerate() {
        let y = TOP + index as f64 * ROW + 4.0;
        let (color, width) = (if bar.is_ours { OURS } else { OTHERS }, (x(bar.value) - LEFT).max(0.5));
        text(&mut out, (LEFT - 8.0, y + 14.0), Anchor::End, INK, &bar.label);
        let _ = writeln!(
            out,
            "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"18\" fill=\"{color}\"/>"
        );
        if let Some((min, max)) = bar.spread {
            stroke(&mut out, (x(min), y + 9.0), (x(max), y + 9.0), INK);
        }
        text(&mut out, (x(most(bar)) + 6.0, y + 14.0), Anchor::Start, INK, &bar.text);
    }
    out + "</svg>\n"
}

/// One line over an axis whose marks are the points themselves, spaced by their logarithm; the other axis begins at 0.
pub(super) fn line(title: &str, unit: &str, axis: &str, points: &[(f64, f64)]) -> String {
    let (left, span, floor) = (70.0, WIDTH - 110.0, TOP + LINE_HEIGHT);
    let end = round_up(points.iter().map(|point| point.1).fold(0.0, f64::max));
    let log = |count: f64| count.max(1.0).log2();
    let first = points.iter().map(|point| log(point.0)).fold(f64::INFINITY, f64::min);
    let last = points.iter().map(|point| log(point.0)).fold(0.0, f64::max);
    let x = |count: f64| left + (log(count) - first) / (last - first).max(1.0) * span;
    let y = |value: f64| floor - value / end * LINE_HEIGHT;
    let mut out = begin(floor + BOTTOM + 14.0, title, unit);
    for value in marks(end) {
        stroke(&mut out, (left, y(value)), (left + span, y(value)), GRID);
        text(&mut out, (left - 8.0, y(value) + 4.0), Anchor::End, FAINT, &short(value));
    }
    let path: Vec<String> =
        points.iter().map(|&(count, value)| format!("{:.1},{:.1}", x(count), y(value))).collect();
    let _ = writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{OURS}\" stroke-width=\"2\"/>",
        path.join(" ")
    );
    for &(count, value) in points {
        let _ =
            writeln!(out, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{OURS}\"/>", x(count), y(value));
        text(&mut out, (x(count), y(value) - 10.0), Anchor::Middle, INK, &short(value));
        text(&mut out, (x(count), floor + 18.0), Anchor::Middle, FAINT, &short(count));
    }
    text(&mut out, (left + span / 2.0, floor + 40.0), Anchor::Middle, FAINT, axis);
    out + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number_above_all() {
        for (value, end) in [(0.0, 1.0), (0.83, 1.0), (1.0, 1.0), (1.2, 2.0), (530_000.0, 1_000_000.0)] {
            assert!((round_up(value) - end).abs() < 1e-9, "{value}: {}", round_up(value));
        }
        let numbers = [250_000.0, 1.5e6, 0.83, 1024.0].map(short);
        assert_eq!(numbers, ["250 k", "1.5 M", "0.83", "1024"]);
    }

    #[test]
    fn names_cannot_leave_their_place() {
        let (label, text) = ("<a> & b".to_owned(), "1".to_owned());
        let bar = Bar { label, value: 1.0, spread: Some((0.5, 1.5)), text, is_ours: true };
        let svg = bars("t", "u", &[bar]);
        assert!(svg.contains("&lt;a&gt; &amp; b") && !svg.contains("<a>"), "{svg}");
    }

    #[test]
    fn a_line_of_one_point_has_a_place() {
        let svg = line("t", "u", "x", &[(1.0, 2.0)]);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
