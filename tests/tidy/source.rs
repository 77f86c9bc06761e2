//! What must not stand in our sources.

/// The line without what follows `//`, so that prose may name what code may not do.
fn code(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

/// Lines of our Rust sources for which `found` says so, as `file:line: text`.
fn offenders(found: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut offenders = Vec::new();
    for file in super::files(&[".rs"]) {
        let name = super::shown(&file);
        if name.starts_with("tests/tidy/") {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("readable source");
        // Tests stand at a file's end; they may write what the product may not.
        let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for (index, line) in product.lines().enumerate() {
            if found(&name, code(line)) {
                offenders.push(format!("{name}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    offenders
}

/// Words a statement begins with.
const SQL: &[&str] =
    &["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "COPY ", "CREATE ", "DROP ", "ALTER ", "TRUNCATE "];

/// Whether a line formats text that begins like a statement.
fn formats_sql(line: &str) -> bool {
    ["format!(", "write!(", "writeln!(", "push_str(&format"].iter().any(|call| {
        line.split_once(call).is_some_and(|(_, rest)| {
            let literal = rest.split_once('"').map_or("", |(_, literal)| literal.trim_start());
            SQL.iter().any(|word| literal.starts_with(word))
        })
    })
}

#[test]
fn formatted_sql_is_recognised() {
    assert!(formats_sql(r#"let q = format!("SELECT * FROM {table}");"#));
    assert!(formats_sql(r#"write!(out, "DROP TABLE {name}")?;"#));
    assert!(!formats_sql(r#"let q = "SELECT 1";"#));
    assert!(!formats_sql(r#"format!("cannot SELECT from it")"#));
}

/// The files in which identifiers, quoted by the one newtype, are put into statements.
const IDENTIFIERS: &[&str] = &["actors/src/timescale/sql.rs", "actors/src/timescale/draft.rs"];

#[test]
fn sql_is_built_from_identifiers_in_one_place_only() {
    let found = offenders(|file, line| !IDENTIFIERS.contains(&file) && formats_sql(line));
    assert!(
        found.is_empty(),
        "values go in as parameters, identifiers through the newtype:\n{}",
        found.join("\n")
    );
}

#[test]
fn no_shell_gets_interpolated_text() {
    let found = offenders(|_, line| {
        let shell =
            ["\"sh\"", "\"bash\"", "\"/bin/sh\"", "\"/bin/bash\""].iter().any(|shell| line.contains(shell));
        shell && line.contains("format!")
            || line.contains(r#"arg(format!("#) && line.contains(r#""-c""#)
            || line.contains(r#".arg("-c").arg(&format!"#)
    });
    assert!(found.is_empty(), "a program gets its arguments one by one:\n{}", found.join("\n"));
}

#[test]
fn what_operators_read_in_the_log_has_a_stable_word() {
    let mut without = Vec::new();
    for file in super::files(&[".rs"]) {
        let name = super::shown(&file);
        if !name.starts_with("engine/src/") && !name.starts_with("actors/src/") {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("readable source");
        let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for level in ["info!(", "warn!(", "error!("] {
            let call = format!("tracing::{level}");
            let lines = product.split(call.as_str()).skip(1);
            let wordless =
                lines.filter(|line| !line.split(';').next().unwrap_or_default().contains("event ="));
            without
                .extend(wordless.map(|line| format!("{name}: {}", line.lines().next().unwrap_or_default())));
        }
    }
    assert!(without.is_empty(), "a line has `event = event_ids::..`:\n{}", without.join("\n"));
}

#[test]
fn nothing_is_left_half_done() {
    let words = ["todo!(", "unimplemented!(", "#[ignore", "FIXME", "dbg!("];
    let found = offenders(|_, line| words.iter().any(|word| line.contains(word)));
    assert!(found.is_empty(), "finish or delete:\n{}", found.join("\n"));
}

#[test]
fn unsafe_code_stays_where_it_is_argued_for() {
    // librdkafka's batch consumption has no safe binding, nor have its change of SCRAM users and mimalloc's options.
    let argued_for = ["actors/src/kafka/intake.rs", "actors/src/kafka/scram.rs", "engine/src/allocator.rs"];
    let found = offenders(|path, line| {
        let line = line.trim_start();
        !argued_for.iter().any(|file| path.ends_with(file))
            && (line.contains("unsafe {") || line.starts_with("unsafe ") || line.contains("unsafe impl"))
    });
    assert!(found.is_empty(), "no unsafe code outside {argued_for:?}:\n{}", found.join("\n"));
}
