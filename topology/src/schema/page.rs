//! The reference page: every part, kind and key, in tables.

use super::sentence;
use super::shape::words;
use crate::catalog::{COMMON, FILE, KINDS, Key, KindEntry, Port, Shape};
use crate::settings::SETTINGS;
use std::fmt::Write;

const HEAD: &str = "\
# Reference

Every part of a topology file, every kind of actor and every key, as this version reads them. Made by
`aqueduct schema --format markdown` from the list that the reader itself is held to. What the words mean together is told
in [language.md](language.md). A key marked * is required.
";

const SETTINGS_INTRO: &str = "\
`engine.yaml`, read in the same way; it belongs to a machine and not to a topology. Each setting has a variable and a
flag too: [settings.md](../../engine/docs/settings.md) lists them, and says who wins.

";

/// The page.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    section(&mut page, 2, "The file", "", &[FILE]);
    section(&mut page, 2, "Every actor", "Beside the keys of its kind:\n\n", &[COMMON]);
    page.push_str("\n## Kinds\n\n| kind | stands | what it does |\n|---|---|---|\n");
    for kind in KINDS {
        let link = match kind.built {
            true => format!("[`{0}`](#{0})", kind.name),
            false => format!("`{}`, not in this version", kind.name),
        };
        row(&mut page, &[&link, stands(kind.port), kind.doc]);
    }
    for kind in KINDS.iter().filter(|kind| kind.built) {
        of_kind(&mut page, kind);
    }
    section(&mut page, 2, "A node's settings", SETTINGS_INTRO, &[SETTINGS]);
    page
}

fn of_kind(page: &mut String, kind: &KindEntry) {
    section(page, 3, kind.name, &format!("{}\n\n", kind.doc), &[kind.keys]);
}

fn stands(port: Port) -> &'static str {
    match port {
        Port::Source => "source: gives messages",
        Port::Transform => "transform: reads messages, gives rows",
        Port::Gate => "gate: reads rows, gives verdicts",
        Port::Sink => "sink: reads rows",
        Port::None => "apart: has no edge",
    }
}

/// A table of keys, and after it one for each part among them.
fn section(page: &mut String, level: usize, title: &str, intro: &str, lists: &[&[Key]]) {
    let _ = write!(
        page,
        "\n{} {title}\n\n{intro}| key | what is written | what it says |\n|---|---|---|\n",
        "#".repeat(level)
    );
    for key in lists.iter().copied().flatten() {
        let name = format!("`{}`{}", key.name, if key.required { "*" } else { "" });
        row(page, &[&name, &words(key.shape), &sentence(key)]);
    }
    for key in lists.iter().copied().flatten() {
        let mut below = Vec::new();
        parts(key.shape, key.name, &mut below);
        for (path, keys) in below {
            let title = if path.contains('`') { path } else { format!("`{path}`") };
            section(page, (level + 1).min(5), &title, "", &[keys]);
        }
    }
}

/// The parts within a shape, each with the words for where it stands.
fn parts(shape: Shape, path: &str, found: &mut Vec<(String, &'static [Key])>) {
    match shape {
        Shape::Part(keys) => found.push((path.to_owned(), keys)),
        Shape::ListOf(one) => parts(*one, &format!("one of `{path}`"), found),
        Shape::MapOf(one) => parts(*one, &format!("one of `{path}`"), found),
        Shape::Either(one, other) => {
            parts(*one, path, found);
            parts(*other, path, found);
        }
        _ => {}
    }
}

/// A row of a table; a bar within a cell is no border.
fn row(page: &mut String, cells: &[&str]) {
    for cell in cells {
        let _ = write!(page, "| {} ", cell.replace('|', "\\|"));
    }
    page.push_str("|\n");
}
