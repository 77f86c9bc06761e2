//! The report as a page.
//!
//! Names and reasons come from topologies and servers, so whatever could be read as markup is escaped.

use super::report::{Cache, Report, SourceLag};
use aqueduct_engine::ledger::Counts;
use std::fmt::Write;

/// The page.
pub(super) fn page(report: &Report) -> String {
    let mut page = Page::default();
    let node = &report.node;
    page.line(&format!("# {}", escaped(&node.topology)));
    let verdict = if report.health.ready { "**Ready.**" } else { "**Not ready.**" };
    page.paragraph(&format!(
        "{verdict} Node {}, version {}, generation {}, {}; as of {}.",
        escaped(&node.node),
        escaped(&node.version),
        node.generation,
        node.phase,
        report.at
    ));
    health(&mut page, report);
    ingest(&mut page, report);
    lag(&mut page, &report.lag);
    caches(&mut page, &report.caches);
    quality(&mut page, report);
    drills(&mut page, report);
    gaps(&mut page, report);
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        self.line(&format!("\n## {heading}"));
    }

    fn paragraph(&mut self, text: &str) {
        self.line(&format!("\n{text}"));
    }

    fn table(&mut self, heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        let _ = writeln!(self.text, "\n| {} |\n|{}", heads.join(" | "), "---|".repeat(heads.len()));
        for row in rows {
            let _ = writeln!(self.text, "| {} |", row.join(" | "));
        }
    }
}

fn health(page: &mut Page, report: &Report) {
    page.heading("Health");
    let node = &report.node;
    page.paragraph(&format!("{} actors, {} restarts since {}.", node.actors, node.restarts, node.started));
    if !report.health.not_ready.is_empty() {
        let rows = report.health.not_ready.iter().map(|one| {
            vec![escaped(&one.actor), escaped(&one.state), one.since.clone(), escaped(&one.reason)]
        });
        page.table(&["actor", "state", "since", "why"], rows);
    }
}

fn ingest(page: &mut Page, report: &Report) {
    page.heading("Ingest");
    let Counts { read, written, dead_lettered, filtered, skipped, in_flight } = report.ingest.counts;
    let counts = [read, written, dead_lettered, filtered, skipped, in_flight];
    let mut cells: Vec<String> = counts.iter().map(ToString::to_string).collect();
    cells.push(report.ingest.unaccounted.to_string());
    let heads = ["read", "written", "dead-lettered", "filtered", "skipped", "in flight", "unaccounted"];
    page.table(&heads, [cells]);
    if !report.dead_letters.is_empty() {
        let rows = report.dead_letters.iter().flat_map(|(actor, reasons)| {
            reasons.iter().map(|(reason, count)| vec![escaped(actor), escaped(reason), count.to_string()])
        });
        page.table(&["rejected by", "reason", "records"], rows);
    }
}

fn lag(page: &mut Page, sources: &[SourceLag]) {
    page.heading("Lag");
    if sources.is_empty() {
        return page.paragraph("No source has a partition.");
    }
    let rows = sources.iter().map(|lag| {
        let SourceLag { source, partitions, records, seconds } = lag;
        vec![escaped(source), partitions.to_string(), records.to_string(), format!("{seconds:.1} s")]
    });
    page.table(&["source", "partitions", "records behind", "oldest"], rows);
}

fn caches(page: &mut Page, caches: &[Cache]) {
    page.heading("Cache");
    if caches.is_empty() {
        return page.paragraph("No cache is declared.");
    }
    let or_unknown = |value: Option<String>| value.unwrap_or_else(|| "unknown".to_owned());
    let rows = caches.iter().map(|cache| {
        let ratio = |by: &str| cache.hit_ratio.get(by).map(|ratio| format!("{:.1} %", ratio * 100.0));
        let drifted = cache.drifted_keys.zip(cache.sampled_keys);
        vec![
            escaped(&cache.actor),
            or_unknown(ratio("readers")),
            or_unknown(ratio("server")),
            or_unknown(cache.age_seconds.map(|age| format!("{age:.1} s"))),
            or_unknown(drifted.map(|(drifted, sampled)| format!("{drifted} of {sampled} keys"))),
        ]
    });
    page.table(
        &["cache", "hits, by readers", "hits, by the server", "age of the newest value", "drifted"],
        rows,
    );
}

fn quality(page: &mut Page, report: &Report) {
    page.heading("Quality");
    if report.gates.is_empty() {
        return page.paragraph("No quality gate is declared.");
    }
    let rows = report.gates.iter().map(|gate| {
        let counts = [gate.keys, gate.watched, gate.halted].map(|count| count.to_string());
        [vec![escaped(&gate.gate), escaped(&gate.mode)], counts.to_vec()].concat()
    });
    page.table(&["gate", "mode", "keys", "watch", "halt"], rows);
}

fn drills(page: &mut Page, report: &Report) {
    page.heading("Drills");
    if report.drills.is_empty() {
        return page.paragraph("No drill has been recorded.");
    }
    let rows = report.drills.iter().map(|drill| {
        let verdict = if drill.passed { "held" } else { "**did not hold**" };
        let figures: Vec<_> = drill.figures.iter().map(|(name, value)| format!("{name} {value}")).collect();
        vec![
            escaped(&drill.drill),
            verdict.to_owned(),
            escaped(&drill.node),
            drill.ended.clone(),
            format!("{:.1} s", drill.seconds),
            escaped(&figures.join(", ")),
        ]
    });
    page.table(&["drill", "verdict", "node", "ended", "took", "figures"], rows);
}

fn gaps(page: &mut Page, report: &Report) {
    page.heading("Known gaps");
    for gap in &report.known_gaps {
        page.line(&format!("\n### {}", gap.title));
        page.paragraph(&format!("Known since {}, to be decided anew by {}.", gap.since, gap.decide_by));
        page.paragraph(gap.text);
    }
}

/// Text that stays text, on one line, also within a table.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => escaped.push(' '),
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' => {
                escaped.push('\\');
                escaped.push(character);
            }
            other if other.is_control() => {}
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_becomes_markup() {
        assert_eq!(escaped("a|b\n<img> `x` _y_\u{7}"), "a\\|b &lt;img> \\`x\\` \\_y\\_");
    }
}
