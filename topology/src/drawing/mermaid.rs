//! Mermaid: a flowchart with a subgraph for each supervisor.

use super::{Child, Drawing, is_best_effort, lines, title};
use crate::model::{Supervisor, Topology};
use std::fmt::Write;

/// The topology as a Mermaid flowchart. An edge into a best-effort sink is dotted.
pub fn mermaid(topology: &Topology) -> String {
    let drawing = Drawing::new(topology);
    let mut text = "flowchart LR\n".to_owned();
    if let Some(root) = topology.supervisors.first() {
        subgraph(&drawing, root, 0, 1, &mut text);
    }
    for edge in drawing.edges() {
        let arrow = if is_best_effort(edge.reader) { "-.->" } else { "-->" };
        let _ = writeln!(text, "  a{} {arrow} a{}", edge.from, edge.to);
    }
    text
}

fn subgraph<'a>(
    drawing: &Drawing<'a>,
    supervisor: &'a Supervisor,
    at: usize,
    depth: usize,
    text: &mut String,
) {
    let indent = "  ".repeat(depth);
    let _ = writeln!(text, "{indent}subgraph s{at}[\"{}\"]", escaped(&title(supervisor)));
    for child in drawing.children(supervisor) {
        match child {
            Child::Actor(at, actor) => {
                let label: Vec<String> = lines(actor).iter().map(|line| escaped(line)).collect();
                let _ = writeln!(text, "{indent}  a{at}[\"{}\"]", label.join("<br/>"));
            }
            Child::Supervisor(at, below) => subgraph(drawing, below, at, depth + 1, text),
        }
    }
    let _ = writeln!(text, "{indent}end");
}

/// Entities in Mermaid's own spelling, for whatever may end a label or be taken for markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '#' | '"' | '<' | '>' | '&' | '`' | '\\' | ';' => {
                let _ = write!(escaped, "#{};", u32::from(character));
            }
            control if control.is_control() => escaped.push(' '),
            plain => escaped.push(plain),
        }
    }
    escaped
}
