//! SVG, laid out here: the data flow in columns by distance from the sources, and under it the supervision tree.
//!
//! Coordinates are whole numbers, so the same file gives the same bytes everywhere.

use super::{Child, Drawing, is_best_effort, lines, title};
use crate::model::{Supervisor, Topology};
use crate::xml;
use std::fmt::Write;

const MARGIN: usize = 20;
const BOX_HEIGHT: usize = 62;
const COLUMN_GAP: usize = 60;
const ROW_GAP: usize = 18;
const LINE: usize = 20;
/// Of a character of the 13 px monospaced font, rounded up.
const CHARACTER: usize = 8;
/// Longer labels are cut: a topic may have 249 characters.
const LABEL_MAX: usize = 40;

const STYLE: &str = "text{font:13px monospace;fill:#222}.k{fill:#666}.b{fill:#f6f8fa;stroke:#57606a}\
    .e{fill:none;stroke:#57606a;stroke-width:1.5}.w{stroke-dasharray:5 4}.h{font-weight:bold}";

/// A box of an actor.
struct Place {
    x: usize,
    y: usize,
    width: usize,
}

/// The topology as an SVG document. An edge into a best-effort sink is dashed.
pub fn svg(topology: &Topology) -> String {
    let drawing = Drawing::new(topology);
    let places = layout(&drawing);
    let flow_bottom = places.iter().map(|place| place.y + BOX_HEIGHT).max().unwrap_or(MARGIN);
    let mut tree = Vec::new();
    if let Some(root) = topology.supervisors.first() {
        rows(&drawing, root, 0, &mut tree);
    }
    let tree_top = flow_bottom + 2 * MARGIN;
    let tree_width =
        tree.iter().map(|(depth, text, _)| depth * LINE + text.chars().count() * CHARACTER).max();
    let flow_right = places.iter().map(|place| place.x + place.width).max().unwrap_or(0);
    let width = flow_right.max(MARGIN + tree_width.unwrap_or(0)) + MARGIN;
    let height = tree_top + tree.len() * LINE + MARGIN;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n<path fill=\"#fff\" d=\"M0 0H{width}V{height}H0z\"/>\n\
         <marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#57606a\"/></marker>\n",
        escaped(&topology.name.value)
    );
    edges(&drawing, &places, &mut text);
    boxes(&drawing, &places, &mut text);
    supervisors(&tree, tree_top, &mut text);
    text.push_str("</svg>\n");
    text
}

/// Columns by depth; within one, the file's order.
fn layout(drawing: &Drawing<'_>) -> Vec<Place> {
    let depths = drawing.depths();
    let width = |at: usize| {
        let longest = lines(&drawing.topology.actors[at]).iter().map(|line| cut(line).chars().count()).max();
        longest.unwrap_or(0) * CHARACTER + MARGIN
    };
    let columns = depths.iter().copied().max().map_or(0, |deepest| deepest + 1);
    let mut left = vec![MARGIN];
    for column in 0..columns {
        let members = (0..depths.len()).filter(|&at| depths[at] == column);
        left.push(left[column] + members.map(width).max().unwrap_or(0) + COLUMN_GAP);
    }
    let mut below = vec![MARGIN; columns];
    let place = |(at, &column): (usize, &usize)| {
        let y = below[column];
        below[column] += BOX_HEIGHT + ROW_GAP;
        Place { x: left[column], y, width: width(at) }
    };
    depths.iter().enumerate().map(place).collect()
}

fn edges(drawing: &Drawing<'_>, places: &[Place], text: &mut String) {
    for edge in drawing.edges() {
        let (from, to) = (&places[edge.from], &places[edge.to]);
        let (x1, y1) = (from.x + from.width, from.y + BOX_HEIGHT / 2);
        let (x2, y2) = (to.x, to.y + BOX_HEIGHT / 2);
        let middle = x1.midpoint(x2);
        let class = if is_best_effort(edge.reader) { "e w" } else { "e" };
        let _ = writeln!(
            text,
            "<path class=\"{class}\" marker-end=\"url(#arrow)\" d=\"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}\"/>"
        );
    }
}

fn boxes(drawing: &Drawing<'_>, places: &[Place], text: &mut String) {
    for (actor, place) in drawing.topology.actors.iter().zip(places) {
        let Place { x, y, width } = place;
        let _ = writeln!(
            text,
            "<rect class=\"b\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BOX_HEIGHT}\" rx=\"6\"/>"
        );
        for (row, line) in lines(actor).iter().enumerate() {
            let class = if row == 0 { "h" } else { "k" };
            let (x, y) = (x + MARGIN / 2, y + LINE * (row + 1) - 2);
            let _ =
                writeln!(text, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(&cut(line)));
        }
    }
}

/// The tree as rows: how deep, the label, and whether it is a supervisor's.
fn rows<'a>(
    drawing: &Drawing<'a>,
    supervisor: &'a Supervisor,
    depth: usize,
    found: &mut Vec<(usize, String, bool)>,
) {
    found.push((depth, title(supervisor), true));
    for child in drawing.children(supervisor) {
        match child {
            Child::Actor(_, actor) => found.push((depth + 1, actor.name.value.clone(), false)),
            Child::Supervisor(_, below) => rows(drawing, below, depth + 1, found),
        }
    }
}

fn supervisors(tree: &[(usize, String, bool)], top: usize, text: &mut String) {
    for (row, (depth, label, supervises)) in tree.iter().enumerate() {
        let (x, y) = (MARGIN + depth * LINE, top + row * LINE);
        if *depth > 0 {
            // Up to the parent's row, which is the nearest one above that is less deep.
            let parent = tree[..row].iter().rposition(|(above, ..)| above < depth).unwrap_or(0);
            let (trunk, from, at) = (x - LINE + 6, top + parent * LINE + 5, y - 4);
            let _ = writeln!(text, "<path class=\"e\" d=\"M{trunk} {from}V{at}H{}\"/>", x - 4);
        }
        let class = if *supervises { "h" } else { "k" };
        let _ = writeln!(text, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(label));
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LABEL_MAX) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}

/// A label is one line.
fn escaped(text: &str) -> String {
    xml::escaped(text, |_| " ")
}
