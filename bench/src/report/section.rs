//! The section of a page that a report fills: what lies between `<!-- bench -->` and `<!-- /bench -->`, as drills fill theirs.
//!
//! Invariant: nothing outside of it is changed.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- bench -->\n";
const END: &str = "<!-- /bench -->";

/// Refuses pages without the section; asked before anything is measured.
pub fn check(pages: &[PathBuf]) -> Result<()> {
    let has_one = |page: &PathBuf| renewed(&read(page)?, "").with_context(|| page.display().to_string());
    pages.iter().try_for_each(|page| has_one(page).map(|_| ()))
}

/// Puts `body` into the section of every page.
pub fn insert(pages: &[PathBuf], body: &str) -> Result<()> {
    for page in pages {
        let text = renewed(&read(page)?, body)?;
        fs::write(page, text).with_context(|| format!("cannot write `{}`", page.display()))?;
    }
    Ok(())
}

fn read(page: &Path) -> Result<String> {
    fs::read_to_string(page).with_context(|| format!("cannot read `{}`", page.display()))
}

fn renewed(text: &str, body: &str) -> Result<String> {
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    match parts {
        Some((before, after)) => Ok(format!("{before}{BEGIN}{}\n{END}{after}", body.trim_end())),
        None => bail!("no section begins with the line `{}` and ends with `{END}`", BEGIN.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_section_is_renewed() {
        let page = "a\n<!-- bench -->\nold\n<!-- /bench -->\nb\n";
        let text = renewed(page, "new\n").expect("a section");
        assert_eq!(text, "a\n<!-- bench -->\nnew\n<!-- /bench -->\nb\n");
        assert_eq!(renewed(&text, "new").expect("a section"), text, "twice is once");
        assert!(renewed("a\n<!-- bench -->\n", "new").is_err());
    }
}
