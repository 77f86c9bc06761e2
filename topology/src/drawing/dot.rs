//! DOT, for Graphviz: a cluster for each supervisor.

use super::{Child, Drawing, is_best_effort, lines, title};
use crate::model::{Supervisor, Topology};
use std::fmt::Write;

/// The topology as a DOT digraph. An edge into a best-effort sink is dashed.
pub fn dot(topology: &Topology) -> String {
    let drawing = Drawing::new(topology);
    let mut text =
        format!("digraph {} {{\n  rankdir=LR;\n  node [shape=box];\n", quoted(&topology.name.value));
    if let Some(root) = topology.supervisors.first() {
        cluster(&drawing, root, 0, 1, &mut text);
    }
    for edge in drawing.edges() {
        let style = if is_best_effort(edge.reader) { " [style=dashed]" } else { "" };
        let _ = writeln!(text, "  a{} -> a{}{style};", edge.from, edge.to);
    }
    text.push_str("}\n");
    text
}

fn cluster<'a>(
    drawing: &Drawing<'a>,
    supervisor: &'a Supervisor,
    at: usize,
    depth: usize,
    text: &mut String,
) {
    let indent = "  ".repeat(depth);
    let _ = writeln!(text, "{indent}subgraph cluster_{at} {{");
    let _ = writeln!(text, "{indent}  label={};", quoted(&title(supervisor)));
    for child in drawing.children(supervisor) {
        match child {
            Child::Actor(at, actor) => {
                let _ = writeln!(text, "{indent}  a{at} [label={}];", quoted(&lines(actor).join("\n")));
            }
            Child::Supervisor(at, below) => cluster(drawing, below, at, depth + 1, text),
        }
    }
    let _ = writeln!(text, "{indent}}}");
}

/// A quoted string: only quotes and backslashes mean something in one.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{}\"", text.replace(char::is_control, " "))
}
