//! Playbooks: every procedure has one, and what its last drill came to stands there as the drill writes it.

use std::process::Command;

const END: &str = "<!-- /drill -->";

/// The procedures, as the command line lists them.
fn procedures() -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_aqueduct"))
        .args(["drill", "--help"])
        .output()
        .expect("the binary starts");
    let help = String::from_utf8(output.stdout).expect("text");
    let list = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("commands");
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next().map(str::to_owned));
    names.filter(|name| !["all", "help"].contains(&name.as_str())).collect()
}

fn read(page: &str) -> String {
    std::fs::read_to_string(super::root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// What lies between the markers of `name`.
fn section<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split_once(&format!("<!-- drill {name} -->\n"))?.1.split_once(END).map(|(section, _)| section)
}

/// A time to the second, as drills write it.
fn is_time(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok() && text.len() == "2026-11-30T04:33:12Z".len()
}

/// The cells of a table with this head; `None` if a line is no row of it.
fn rows<'a>(lines: &[&'a str], head: &str) -> Option<Vec<Vec<&'a str>>> {
    let columns = head.matches('|').count() - 1;
    let (first, rest) = lines.split_first()?;
    let (rule, rows) = rest.split_first()?;
    if *first != head || *rule != format!("|{}", "---|".repeat(columns)) {
        return None;
    }
    let cells = |row: &&'a str| {
        let inner = row.strip_prefix("| ")?.strip_suffix(" |")?;
        let cells: Vec<&str> = inner.split(" | ").collect();
        (cells.len() == columns).then_some(cells)
    };
    rows.iter().map(cells).collect()
}

/// What is wrong with the section of a playbook.
fn wrong_in_playbook(section: &str, name: &str) -> Option<&'static str> {
    let mut lines = section.trim_end().lines();
    let head = lines.next().unwrap_or_default();
    let Some((time, rest)) = head.strip_prefix("Last drill: ").and_then(|rest| rest.split_once(", ")) else {
        return Some("it does not begin with the last drill's time");
    };
    if !is_time(time) || !rest.starts_with("passed after ") || !rest.contains(&format!(" drill {name}")) {
        return Some("its first line has no time, did not pass, or is of another drill");
    }
    let table: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let Some(rows) = rows(&table, "| figure | value | wanted | verdict |") else {
        return Some("its table is not the one that a drill writes");
    };
    let held = rows.iter().filter(|row| row[3] == "held").count();
    (held == 0).then_some("no figure was held against a bound")
}

#[test]
fn every_procedure_has_a_playbook_with_the_figures_of_its_last_drill() {
    let procedures = procedures();
    assert!(procedures.len() >= 4, "{procedures:?}: the reading is broken");
    for name in &procedures {
        let page = format!("config/runbooks/{name}.md");
        let text = read(&page);
        let section = section(&text, name);
        let section = section.unwrap_or_else(|| panic!("{page}: no `<!-- drill {name} -->` .. `{END}`"));
        if let Some(what) = wrong_in_playbook(section, name) {
            panic!("{page}: {what}; `aqueduct drill {name} --into {page}` writes it");
        }
    }
}

#[test]
fn the_readme_has_the_table_of_all_drills() {
    let text = read("README.md");
    let section = section(&text, "all").expect("README.md: no `<!-- drill all -->`");
    let lines: Vec<&str> = section.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines[0].starts_with("Made on "), "{}", lines[0]);
    let head = "| drill | verdict | took | RTO | RPO | lost | doubled | figures |";
    let rows = rows(&lines[1..], head)
        .unwrap_or_else(|| panic!("README.md: no table as drills write it:\n{section}"));
    let mut shown: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    shown.sort_unstable();
    assert_eq!(shown, procedures(), "README.md: `aqueduct drill all --into README.md` writes it");
    assert!(rows.iter().all(|row| row[1] == "passed"), "README.md: {section}");
}

#[test]
fn a_section_that_no_drill_wrote_is_noticed() {
    let good = "Last drill: 2026-11-30T04:33:12Z, passed after 2.5 s, `aqueduct drill restore`.\n\n\
        | figure | value | wanted | verdict |\n|---|---|---|---|\n| rows_lost | 0 rows | 0 | held |\n";
    assert_eq!(wrong_in_playbook(good, "restore"), None);
    for bad in [
        "\n".to_owned(),
        good.replace("passed", "did not pass"),
        good.replace("04:33:12Z", "yesterday"),
        good.replace("drill restore", "drill export"),
        good.replace("| rows_lost | 0 rows |", "| rows_lost |"),
        good.replace("held", ""),
        good.replace("wanted", "whatever"),
    ] {
        assert!(wrong_in_playbook(&bad, "restore").is_some(), "{bad}");
    }
}
