//! An explanation for people.

use super::words::size;
use super::{CaseNote, Crash, EdgeNote, Explanation, GateNote, Memory, NormalizerNote, OverrideNote};
use std::fmt::Write;

/// The explanation as a page of plain text.
pub fn to_text(explanation: &Explanation) -> String {
    let mut text = format!("topology {}\n\nsupervision\n", explanation.topology);
    if let Some(root) = explanation.supervisors.first() {
        let _ = writeln!(text, "  {}", supervisor(explanation, &root.name));
        children(explanation, &root.name, "  ", &mut text);
    }
    text.push_str("\nwhen an actor crashes\n");
    explanation.crashes.iter().for_each(|one| crash(one, &mut text));
    text.push_str("\nwhat flows\n");
    explanation.edges.iter().for_each(|one| edge(one, &mut text));
    text.push_str("\nhow rows are found\n");
    explanation.normalizers.iter().for_each(|one| normalizer(one, &mut text));
    if !explanation.gates.is_empty() {
        text.push_str("\nhow keys are judged\n");
        explanation.gates.iter().for_each(|one| gate(one, &mut text));
    }
    text.push_str("\nwhat is promised\n");
    for sink in &explanation.sinks {
        let _ = writeln!(
            text,
            "  {} ({}, {}): {}\n    {}",
            sink.sink, sink.place, sink.policy, sink.guarantee, sink.because
        );
    }
    if !explanation.tables.is_empty() {
        text.push_str("\nhow tables are kept\n");
    }
    for table in &explanation.tables {
        let _ = writeln!(text, "  {} ({}): {}", table.table, table.writer, table.policy.join("; "));
    }
    text.push_str("\nwhere a restart begins\n");
    for point in &explanation.restart_points {
        let _ = writeln!(
            text,
            "  {} ({}): for each partition the least offset of {} in {}; where there is none, {}",
            point.source,
            point.place,
            point.decided_by.join(", "),
            point.offsets_in,
            point.without_offsets
        );
    }
    text.push_str("\nwho shares a thread\n");
    for thread in &explanation.threads {
        let loads: Vec<String> =
            thread.actors.iter().map(|one| format!("{} ({} %)", one.actor, one.load)).collect();
        let _ = writeln!(text, "  arbiter {}: {}", thread.arbiter, loads.join(", "));
    }
    memory(&explanation.memory, &mut text);
    text
}

fn supervisor(explanation: &Explanation, name: &str) -> String {
    match explanation.supervisors.iter().find(|one| one.name == name) {
        Some(one) => format!(
            "{name}: {}, more than {} restarts within {} escalate",
            one.strategy, one.intensity, one.period
        ),
        None => name.to_owned(),
    }
}

fn children(explanation: &Explanation, name: &str, indent: &str, text: &mut String) {
    let Some(note) = explanation.supervisors.iter().find(|one| one.name == name) else { return };
    for (at, child) in note.children.iter().enumerate() {
        let last = at + 1 == note.children.len();
        let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let _ = writeln!(text, "{indent}{branch}{}", supervisor(explanation, child));
        children(explanation, child, &format!("{indent}{below}"), text);
    }
}

fn crash(crash: &Crash, text: &mut String) {
    let mut line = match crash.restarted.is_empty() {
        true => format!("  {}: nobody restarts it ({})", crash.actor, crash.restart),
        false => format!("  {}: restarts {}", crash.actor, crash.restarted.join(", ")),
    };
    if !crash.restarted.is_empty() && !crash.stopped_for_good.is_empty() {
        let _ = write!(line, "; ends {} for good", crash.stopped_for_good.join(", "));
    }
    for step in &crash.escalations {
        let _ = match &step.restarted {
            Some(names) => write!(line, "; if {} gives up, {}", step.supervisor, names.join(", ")),
            None => write!(line, "; if {} gives up, the process ends (exit 70)", step.supervisor),
        };
    }
    let _ = writeln!(text, "{line}");
}

fn edge(edge: &EdgeNote, text: &mut String) {
    let EdgeNote { from, to, carries, links, batches_max, bytes_max, .. } = edge;
    let links = if *links == 1 { "one link".to_owned() } else { format!("{links} links, each") };
    let _ = writeln!(
        text,
        "  {from} -> {to}: {carries}; {links} of {batches_max} batches or {}",
        size(*bytes_max)
    );
    let nullable = |nullable| if nullable { " or NULL" } else { "" };
    let columns: Vec<String> = edge
        .columns
        .iter()
        .map(|one| format!("{} {}{}", one.name, one.kind, nullable(one.nullable)))
        .collect();
    if !columns.is_empty() {
        let _ = writeln!(text, "    {}", columns.join(", "));
    }
}

fn normalizer(note: &NormalizerNote, text: &mut String) {
    let of = if note.mode == "first" { "the first case that applies" } else { "every case that applies" };
    let time = note.event_time.as_deref().unwrap_or("none");
    let _ = match note.cases.len() {
        1 => writeln!(text, "  {}: one case, event time {time}", note.actor),
        cases => writeln!(text, "  {}: {of} of {cases}, event time {time}", note.actor),
    };
    let conditions: Vec<Vec<String>> = note.cases.iter().map(conditions).collect();
    // What every case asks is said once.
    let shared: Vec<&String> = match conditions.split_first() {
        Some((first, rest)) if !rest.is_empty() => {
            first.iter().filter(|one| rest.iter().all(|case| case.contains(one))).collect()
        }
        _ => Vec::new(),
    };
    for (case, conditions) in note.cases.iter().zip(&conditions) {
        let mut parts = Vec::new();
        parts.extend(case.when.as_ref().map(|when| format!("when {when}")));
        parts.extend(case.explode.as_ref().map(|path| format!("a row per element of \"{path}\"")));
        parts.extend(conditions.iter().filter(|one| !shared.contains(one)).cloned());
        let name = if case.name.is_empty() { "every message" } else { &case.name };
        let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join("; ")) };
        let _ = writeln!(text, "    {name}{parts}");
    }
    for condition in shared {
        let _ = writeln!(text, "    each of them: {condition}");
    }
}

fn gate(note: &GateNote, text: &mut String) {
    let GateNote { gate, by, every, mode, rules, overrides } = note;
    let _ = writeln!(text, "  {gate} ({mode}): each {}, every {every}; {}", by.join(", "), rules.join(", "));
    for OverrideNote { name, when, rules } in overrides {
        let _ = writeln!(text, "    {name}, when {when}: its own {}", rules.join(", "));
    }
}

fn conditions(case: &CaseNote) -> Vec<String> {
    let select = case.select.iter().map(|select| format!("only if {select}"));
    let require = case.require.iter().map(|(reason, expr)| format!("dead letter {reason} unless {expr}"));
    select.chain(require).collect()
}

fn memory(memory: &Memory, text: &mut String) {
    text.push_str("\nmemory at worst, everything full at once\n");
    for addend in &memory.addends {
        let times = if addend.times == 1 { String::new() } else { format!(", {} times", addend.times) };
        let _ = writeln!(text, "  {:>10}  {}: {}{times}", size(addend.bytes), addend.actor, addend.what);
    }
    let _ = writeln!(text, "  {:>10}  together", size(memory.total_bytes));
    if memory.per_partition_bytes > 0 {
        let _ = writeln!(
            text,
            "  {:>10}  more for each partition that the node reads, where a batch gathers",
            size(memory.per_partition_bytes)
        );
    }
}
