//! Sections of pages that drills fill: what lies between `<!-- drill NAME -->` and `<!-- /drill -->`. A playbook has that of
//! its procedure, and the README that of `all`.
//!
//! Invariant: nothing outside of such a section is changed.

use crate::stores::wrong;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;

const END: &str = "<!-- /drill -->";

fn begin(name: &str) -> String {
    format!("<!-- drill {name} -->")
}

/// Refuses pages that none of the drills `names` has anything to say in; asked before a drill begins.
pub(super) fn check(pages: &[PathBuf], names: &[&str]) -> Result<()> {
    let mut sections = 0;
    for page in pages {
        let text = read(page)?;
        for name in names {
            let renewed = renewed(&text, name, "").with_context(|| format!("in `{}`", page.display()))?;
            sections += usize::from(renewed.is_some());
        }
    }
    if !pages.is_empty() && sections == 0 {
        let shown: Vec<String> = pages.iter().map(|page| page.display().to_string()).collect();
        let markers: Vec<String> = names.iter().map(|name| format!("`{}`", begin(name))).collect();
        return wrong(format!(
            "{}: no line is {}, which `{END}` ends",
            shown.join(", "),
            markers.join(" or ")
        ));
    }
    Ok(())
}

/// Puts `body` into the section `name` of every page that has it.
pub(super) fn insert(pages: &[PathBuf], name: &str, body: &str) -> Result<()> {
    for page in pages {
        let renewed =
            renewed(&read(page)?, name, body).with_context(|| format!("in `{}`", page.display()))?;
        if let Some(text) = renewed {
            fs::write(page, text).with_context(|| format!("cannot write `{}`", page.display()))?;
        }
    }
    Ok(())
}

fn read(page: &PathBuf) -> Result<String> {
    fs::read_to_string(page).with_context(|| format!("cannot read `{}`", page.display()))
}

/// `text` with another section `name`; `None` if it has none.
fn renewed(text: &str, name: &str, body: &str) -> Result<Option<String>> {
    let begin = begin(name);
    let Some((before, rest)) = text.split_once(&format!("{begin}\n")) else { return Ok(None) };
    match rest.split_once(END) {
        Some((old, after)) if !old.contains("<!-- drill ") => {
            Ok(Some(format!("{before}{begin}\n{}\n{END}{after}", body.trim_end())))
        }
        _ => bail!("the section `{begin}` is not ended by a line `{END}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "a\n<!-- drill one -->\nold\n<!-- /drill -->\nb\n<!-- drill two -->\n<!-- /drill -->\n";

    #[test]
    fn only_the_section_of_that_name_is_renewed() {
        let text = renewed(PAGE, "one", "new\n").expect("whole").expect("there");
        assert_eq!(text, PAGE.replace("old", "new"));
        assert_eq!(renewed(&text, "one", "new").expect("whole"), Some(text.clone()), "twice is once");
        let filled = renewed(PAGE, "two", "new").expect("whole").expect("there");
        assert!(filled.ends_with("<!-- drill two -->\nnew\n<!-- /drill -->\n") && filled.contains("old"));
        assert_eq!(renewed(PAGE, "three", "new").expect("whole"), None);
    }

    #[test]
    fn a_section_without_an_end_is_refused() {
        assert!(renewed("<!-- drill one -->\nold\n", "one", "new").is_err());
        let next = "<!-- drill one -->\n<!-- drill two -->\n<!-- /drill -->\n";
        assert!(renewed(next, "one", "new").is_err(), "the end is that of another");
    }

    #[test]
    fn a_page_without_a_section_is_refused_before_anything_begins() {
        let folder = tempfile::tempdir().expect("a folder");
        let page = folder.path().join("page.md");
        fs::write(&page, PAGE).expect("written");
        assert!(check(std::slice::from_ref(&page), &["three", "two"]).is_ok());
        let refused = check(&[page], &["three"]).expect_err("nothing to say there").to_string();
        assert!(refused.contains("<!-- drill three -->"), "{refused}");
        assert!(check(&[], &["three"]).is_ok());
    }
}
