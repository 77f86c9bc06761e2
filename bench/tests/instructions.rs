//! The hot path's own parts cost what they did: instructions for each row, counted by valgrind, held against the file
//! `bench/instructions.txt`.
//!
//! Time on a machine that others use says nothing of a few percent; the number of instructions is the same on a busy one. It
//! is of the build that `cargo test --release` makes, fixed inputs, one thread. A part that needs more than 5 % more than the
//! file says fails; what was gained is told, so that the file can follow: `cargo test --release --test instructions -- --renew`.
//!
//! The program runs itself under callgrind, once for each part, and only what happens inside [`counted`] is counted.

#[path = "instructions/parts.rs"]
mod parts;

use anyhow::{Context, Result, bail};
use parts::Part;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// More than the file says, by this share, fails.
const MORE_MAX: f64 = 0.05;
/// The file may be renewed where less is needed by this share: what was gained is then held.
const LESS_TOLD: f64 = 0.05;
const RENEW: &str = "cargo test --release --test instructions -- --renew";

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt")
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ended = match words.as_slice() {
        ["--part", name] => run_part(name),
        words if words.contains(&"--list") => Ok(()),
        words if is_for_another(words) => Ok(()),
        words => guard(words.contains(&"--renew")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the words of `cargo test NAME` are about other tests.
fn is_for_another(words: &[&str]) -> bool {
    let mut names = words.iter().filter(|word| !word.starts_with('-')).peekable();
    names.peek().is_some() && names.all(|name| !"instructions".contains(name))
}

/// What is counted: callgrind looks at nothing outside of this function. It is not the same as what it calls, or the
/// compiler would make one of the two, and the rounds before would count as well.
#[inline(never)]
fn counted(part: &mut Part) -> u64 {
    std::hint::black_box(part.run())
}

fn run_part(name: &str) -> Result<()> {
    let mut part = Part::named(name).with_context(|| format!("no part `{name}`"))?;
    // What happens once only, such as tables that are built on first use, is not a row's cost.
    part.run();
    part.run();
    let rows = counted(&mut part);
    println!("{rows}");
    Ok(())
}

/// Instructions for each row of one part.
fn count(name: &str) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("callgrind");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*instructions::counted*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe()?)
        .args(["--part", name])
        // Memory is given back to the system by the clock, which is not a row's cost either.
        .env("MIMALLOC_PURGE_DELAY", "-1")
        .output()
        .context("`valgrind` is missing: apt-get install valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "part `{name}` failed under valgrind:\n{said}");
    let rows: f64 =
        String::from_utf8_lossy(&output.stdout).trim().parse().context("the part says its rows")?;
    let instructions =
        total(&std::fs::read_to_string(&out)?).context("callgrind says how many it counted")?;
    anyhow::ensure!(instructions > 0, "nothing was counted: is `counted` a function of its own?\n{said}");
    Ok(instructions as f64 / rows)
}

/// The sum at the end of callgrind's file.
fn total(text: &str) -> Option<u64> {
    let line =
        text.lines().find_map(|line| line.strip_prefix("summary:").or(line.strip_prefix("totals:")))?;
    line.split_whitespace().next()?.parse().ok()
}

fn guard(renew: bool) -> Result<()> {
    if cfg!(not(target_arch = "x86_64")) {
        println!("instructions: the file's counts are of x86-64; nothing is held here");
        return Ok(());
    }
    let mut counts = BTreeMap::new();
    for name in Part::NAMES {
        counts.insert(name.to_owned(), count(name)?);
    }
    if renew {
        return std::fs::write(file(), written(&counts)).context("write the counts");
    }
    let text = std::fs::read_to_string(file()).with_context(|| format!("read {}", file().display()))?;
    let faults = compare(&read(&text)?, &counts);
    println!("instructions for each row:\n{}", table(&read(&text)?, &counts));
    if faults.is_empty() {
        return Ok(());
    }
    bail!(
        "{}\nFind what became dearer (`valgrind --tool=callgrind`, `cargo bench --bench report -- --profile-engine`). If it is \
         worth its price, or the compiler is another one, renew the file and say why in the commit: {RENEW}",
        faults.join("\n")
    )
}

fn read(text: &str) -> Result<BTreeMap<String, f64>> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let (name, count) =
                line.split_once(' ').with_context(|| format!("`{line}`: a name and a count"))?;
            Ok((name.to_owned(), count.trim().parse().with_context(|| format!("`{line}`: a number"))?))
        })
        .collect()
}

fn written(counts: &BTreeMap<String, f64>) -> String {
    let mut text = format!("# Instructions for each row, x86-64. Made by: {RENEW}\n");
    for (name, count) in counts {
        let _ = writeln!(text, "{name} {count:.1}");
    }
    text
}

fn table(kept: &BTreeMap<String, f64>, counts: &BTreeMap<String, f64>) -> String {
    let mut text = String::new();
    for (name, count) in counts {
        let _ = match kept.get(name) {
            Some(kept) => writeln!(text, "  {name:<16} {count:>9.1}  {:+.2} %", (count / kept - 1.0) * 100.0),
            None => writeln!(text, "  {name:<16} {count:>9.1}  new"),
        };
        if kept.get(name).is_some_and(|kept| count / kept < 1.0 - LESS_TOLD) {
            let _ = writeln!(text, "  {name:<16} needs less: hold that by {RENEW}");
        }
    }
    text
}

/// What is wrong, a line each.
fn compare(kept: &BTreeMap<String, f64>, counts: &BTreeMap<String, f64>) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, count) in counts {
        match kept.get(name) {
            None => faults.push(format!("`{name}` is not in {}", file().display())),
            Some(kept) if count / kept > 1.0 + MORE_MAX => faults.push(format!(
                "`{name}` takes {count:.1} instructions for each row, {:.1} % more than the {kept:.1} that it took",
                (count / kept - 1.0) * 100.0
            )),
            Some(_) => {}
        }
    }
    let gone = kept.keys().filter(|name| !counts.contains_key(*name));
    faults.extend(gone.map(|name| format!("`{name}` is in {}, and no part", file().display())));
    faults
}
