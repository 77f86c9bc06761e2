//! The page in a real Chromium: each view, each order, 500 actors, a dead node, narrow screens, the keyboard alone.
//!
//! What is tried is written where the browser is driven, in `cases/*.mjs`; each runs against a node of scripted actors
//! (`stage.rs`). A case fails by itself on an error in the console, a request to elsewhere, or a breach of the page's own
//! policy. Needs Chromium, Node.js and npm; without them these tests fail and say so.

mod install;
mod stage;
mod wire;

use serde_json::json;
use stage::{Script, Stage, TOKEN, judged, many, pictured, troubled, well};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use wire::Wire;

use aqueduct_topology::model::Topology;

/// Runs `cases/NAME.mjs` against the node at `address`; `help` does what it asks for in a line `do WORD`.
fn case(name: &str, address: SocketAddr, help: impl Fn(&str)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    std::fs::create_dir_all(&pictures).unwrap();
    let given = json!({
        "base": format!("http://{address}"), "token": TOKEN, "hostile": stage::HOSTILE, "pictures": pictures,
        "chromium": install::chromium(), "modules": install::modules(),
    });
    let mut child = Command::new("node")
        .arg(folder.join("cases").join(format!("{name}.mjs")))
        .arg(given.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("node starts");
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut stderr = child.stderr.take().unwrap();
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let mut said = String::new();
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        match line.strip_prefix("do ") {
            Some(word) => {
                help(word);
                writeln!(stdin, "done").unwrap();
            }
            None => said.push_str(&format!("{line}\n")),
        }
    }
    let status = child.wait().unwrap();
    assert!(status.success(), "{name}: {said}{}", errors.join().unwrap());
}

fn on((topology, script): (Topology, Script), name: &str) {
    let stage = Stage::start(topology, script, false);
    case(name, stage.address, |word| panic!("nobody does {word}"));
}

#[test]
fn every_view_shows_what_is_wrong_and_nothing_a_name_holds_becomes_markup() {
    on(troubled(), "views");
}

#[test]
fn what_a_gate_and_a_cache_say_is_told_in_words() {
    on(judged(), "judged");
}

#[test]
fn every_order_names_what_it_reaches_and_needs_the_token() {
    on(troubled(), "orders");
}

#[test]
fn five_hundred_actors_stay_usable() {
    on(many(100), "many");
}

#[test]
fn a_dead_node_is_shown_as_such_and_events_go_on_where_they_ended() {
    let (topology, script) = well();
    let stage = Stage::start(topology, script, false);
    let wire = Wire::to(stage.address);
    case("dead", wire.address, |word| match word {
        "cut" => wire.cut(),
        _ => wire.mend(),
    });
}

#[test]
fn beyond_this_machine_rows_and_events_wait_for_the_token() {
    let (topology, script) = troubled();
    let stage = Stage::start(topology, script, true);
    case("beyond", stage.address, |word| panic!("nobody does {word}"));
}

#[test]
fn a_narrow_screen_a_dark_room_and_the_keyboard_alone_are_enough() {
    on(troubled(), "reach");
}

#[test]
fn the_pictures_of_the_readme_can_be_taken_again() {
    on(pictured(), "trouble");
    on(well(), "pictures");
}
