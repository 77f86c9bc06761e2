//! Finds the Debian mirror among the machine's own apt sources, in both of their formats.
//!
//! Deliberately absent: any built-in mirror. What the machine already trusts for its own packages is used, or named
//! by the user.

use std::fs;
use std::path::Path;

/// Suites by which a source is known to be Debian's and not a relative's or a vendor's.
const DEBIAN_SUITES: [&str; 11] = [
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// The mirror of the first Debian source of the machine.
pub(crate) fn mirror() -> Option<String> {
    let mut texts = vec![(false, fs::read_to_string("/etc/apt/sources.list").unwrap_or_default())];
    let mut files: Vec<_> = fs::read_dir("/etc/apt/sources.list.d")
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    files.sort();
    for file in files {
        let deb822 = match extension(&file) {
            "sources" => true,
            "list" => false,
            _ => continue,
        };
        texts.push((deb822, fs::read_to_string(&file).unwrap_or_default()));
    }
    texts.iter().find_map(|(deb822, text)| if *deb822 { in_stanzas(text) } else { in_lines(text) })
}

fn extension(file: &Path) -> &str {
    file.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

/// One-line format: `deb [options] uri suite component...`.
fn in_lines(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default().trim();
        let rest = line.strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
        let rest = if rest.starts_with('[') { rest.split_once(']')?.1 } else { rest };
        let mut words = rest.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        let main = words.any(|component| component == "main");
        usable(uri, suite, main).then(|| uri.trim_end_matches('/').to_owned())
    })
}

/// deb822 format: stanzas of `Field: values`, continued by indented lines.
fn in_stanzas(text: &str) -> Option<String> {
    let text: String =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    text.split("\n\n").find_map(|stanza| {
        let of = |name: &str| field(stanza, name);
        if of("Enabled").first().is_some_and(|value| value == "no")
            || !of("Types").iter().any(|kind| kind == "deb")
        {
            return None;
        }
        let main = of("Components").iter().any(|component| component == "main");
        let suites = of("Suites");
        let uri = of("URIs").into_iter().find(|uri| suites.iter().any(|suite| usable(uri, suite, main)))?;
        Some(uri.trim_end_matches('/').to_owned())
    })
}

/// The words of one field of a stanza; field names ignore case.
fn field(stanza: &str, name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut inside = false;
    for line in stanza.lines() {
        if line.starts_with([' ', '\t']) {
            if inside {
                words.extend(line.split_whitespace().map(str::to_owned));
            }
        } else if let Some((field, value)) = line.split_once(':') {
            inside = field.trim().eq_ignore_ascii_case(name);
            if inside {
                words.extend(value.split_whitespace().map(str::to_owned));
            }
        }
    }
    words
}

/// Security and updates live in other archives or lack a base system: the plain suite is wanted.
fn usable(uri: &str, suite: &str, main: bool) -> bool {
    main && (uri.starts_with("http://") || uri.starts_with("https://")) && DEBIAN_SUITES.contains(&suite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_give_the_archive_and_not_the_security_one() {
        let text = "Types: deb\nURIs: http://security.example/debian-security\nSuites: bookworm-security\n\
            Components: main\n\n# a comment\nTypes: deb deb-src\nURIs:\n http://mirror.example/debian/\n\
            Suites: bookworm bookworm-updates\nComponents: main contrib\nSigned-By: /k.gpg\n";
        assert_eq!(in_stanzas(text).as_deref(), Some("http://mirror.example/debian"));
    }

    #[test]
    fn disabled_source_only_and_foreign_stanzas_are_passed_over() {
        let of = |head: &str, suite: &str| {
            in_stanzas(&format!("{head}\nURIs: https://m.example/d\nSuites: {suite}\nComponents: main\n"))
        };
        assert_eq!(of("Types: deb\nEnabled: no", "trixie"), None);
        assert_eq!(of("Types: deb-src", "trixie"), None);
        assert_eq!(of("Types: deb", "noble"), None);
        assert_eq!(of("types: deb", "trixie").as_deref(), Some("https://m.example/d"));
    }

    #[test]
    fn lines_with_options_and_comments_are_read() {
        let text = "# deb http://old.example/debian bookworm main\n\
            deb-src http://src.example/debian bookworm main\n\
            deb cdrom:[Debian]/ bookworm main\n\
            deb http://sec.example/debian-security bookworm-security main\n\
            deb\t[arch=amd64 signed-by=/k.gpg] https://m.example/debian bookworm contrib main # the one\n";
        assert_eq!(in_lines(text).as_deref(), Some("https://m.example/debian"));
    }

    #[test]
    fn a_machine_without_a_debian_source_has_no_mirror() {
        assert_eq!(in_lines("deb http://archive.example/ubuntu noble main universe\n"), None);
        assert_eq!(in_lines(""), None);
    }
}
