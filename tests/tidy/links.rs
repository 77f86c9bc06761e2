//! Links in our Markdown lead somewhere.

use std::path::Path;

/// Targets of `[text](target)` outside code.
fn targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Every second piece between backticks is code.
        for piece in line.split('`').step_by(2) {
            let mut rest = piece;
            while let Some((_, after)) = rest.split_once("](") {
                let Some((target, tail)) = after.split_once(')') else { break };
                found.push(target.to_owned());
                rest = tail;
            }
        }
    }
    found
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_')
        .collect::<String>()
        .replace(' ', "-")
}

/// Why a link leads nowhere.
fn broken(file: &Path, target: &str) -> Option<String> {
    if target.starts_with("http://") || target.starts_with("https://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, fragment) =
        target.split_once('#').map_or((target, None), |(path, fragment)| (path, Some(fragment)));
    let place = if path.is_empty() {
        file.to_owned()
    } else {
        file.parent().expect("a file has a folder").join(path)
    };
    if !place.exists() {
        return Some(format!("{}: `{target}` does not exist", super::shown(file)));
    }
    let fragment = fragment?;
    let text = std::fs::read_to_string(&place).ok()?;
    let known = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .any(|line| anchor(line.trim_start_matches('#')) == fragment);
    (!known).then(|| format!("{}: `{target}` has no such heading", super::shown(file)))
}

#[test]
fn links_are_found() {
    assert_eq!(
        targets("see [a](b.md) and [c](d.md#e), not `[x](y)`\n```\n[z](w)\n```\n"),
        ["b.md", "d.md#e"]
    );
    assert_eq!(anchor(" Exit codes"), "exit-codes");
}

#[test]
fn no_markdown_link_is_broken() {
    let found: Vec<String> = super::files(&[".md"])
        .iter()
        .flat_map(|file| {
            let text = std::fs::read_to_string(file).expect("readable Markdown");
            targets(&text).into_iter().filter_map(|target| broken(file, &target)).collect::<Vec<_>>()
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
