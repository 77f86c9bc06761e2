//! A flame graph: each frame a box as wide as its share of the samples, on the one that called it.

use crate::profile::Folded;
use std::collections::BTreeMap;
use std::fmt::Write;

const WIDTH: f64 = 1200.0;
const ROW: f64 = 17.0;
/// Boxes that would be narrower are left out.
const WIDTH_MIN: f64 = 0.6;
/// What a letter takes.
const LETTER: f64 = 6.6;

#[derive(Debug, Default)]
struct Frame {
    samples: u64,
    inside: BTreeMap<String, Frame>,
}

fn tree(folded: &Folded) -> Frame {
    let mut root = Frame::default();
    for (stack, count) in folded {
        root.samples += count;
        let mut at = &mut root;
        for name in stack.split(';') {
            at = at.inside.entry(name.to_owned()).or_default();
            at.samples += count;
        }
    }
    root
}

fn depth(frame: &Frame) -> usize {
    1 + frame.inside.values().map(depth).max().unwrap_or(0)
}

/// The picture.
pub(super) fn svg(folded: &Folded) -> String {
    let root = tree(folded);
    let height = depth(&root) as f64 * ROW + 30.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"monospace\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    draw(&mut out, "all", &root, root.samples.max(1), (0.0, height - ROW - 4.0));
    out + "</svg>\n"
}

fn draw(out: &mut String, name: &str, frame: &Frame, all: u64, (x, y): (f64, f64)) {
    let share = frame.samples as f64 / all as f64;
    let width = share * WIDTH;
    if width < WIDTH_MIN {
        return;
    }
    let name = name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let letters = (width / LETTER) as usize;
    let shown = if letters < 4 { String::new() } else { cut(&name, letters) };
    // Neighbours differ in colour, and a function has one colour everywhere.
    let hash = name.bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let _ = writeln!(
        out,
        "<g><title>{name}: {:.2} %, {} samples</title><rect x=\"{x:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" \
         height=\"{:.1}\" fill=\"hsl({} 85% 68%)\" stroke=\"#ffffff\" stroke-width=\"0.4\"/>\
         <text x=\"{:.2}\" y=\"{:.1}\">{shown}</text></g>",
        share * 100.0,
        frame.samples,
        ROW - 1.0,
        hash % 45 + 10,
        x + 3.0,
        y + 12.0
    );
    let mut at = x;
    for (name, inside) in &frame.inside {
        draw(out, name, inside, all, (at, y - ROW));
        at += inside.samples as f64 / all as f64 * WIDTH;
    }
}

/// As much of the name as there is room for; an entity counts for the letter it is.
fn cut(escaped: &str, letters: usize) -> String {
    let (mut shown, mut count, mut in_entity) = (String::new(), 0, false);
    for letter in escaped.chars() {
        if count >= letters && !in_entity {
            break;
        }
        match letter {
            '&' => in_entity = true,
            ';' if in_entity => (in_entity, count) = (false, count + 1),
            _ if !in_entity => count += 1,
            _ => {}
        }
        shown.push(letter);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_as_wide_as_their_share() {
        let folded = Folded::from([("a;b".to_owned(), 3), ("a;c<T>".to_owned(), 1)]);
        let root = tree(&folded);
        assert_eq!((root.samples, root.inside["a"].samples, depth(&root)), (4, 4, 3));
        let svg = svg(&folded);
        assert!(svg.contains("width=\"900.00\"") && svg.contains("width=\"300.00\""), "{svg}");
        assert!(svg.contains("c&lt;T&gt;: 25.00 %"), "{svg}");
    }

    #[test]
    fn a_name_is_cut_between_letters() {
        assert_eq!(cut("a&lt;b", 2), "a&lt;");
        assert_eq!(cut("abc", 9), "abc");
    }
}
