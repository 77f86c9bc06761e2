//! What is on the screen, key by key and answer by answer.

use super::facts::{Actor, Event, Facts};
use super::model::{Model, Turn};
use super::once::{lines, text};
use super::view;
use insta::assert_snapshot;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;
use serde_json::{Value, json};

const BEGIN_US: i64 = 1_764_000_000_000_000;

fn actors(records: u64) -> Value {
    let actor = |name: &str, kind: &str, role: &str, state: &str, inputs: Value| {
        json!({
            "name": name, "id": name, "kind": kind, "role": role, "supervisor": "ingest", "state": state,
            "reason": null, "since_us": BEGIN_US - 90_000_000, "ready": state == "running", "restarts": 0,
            "last_exit": null, "progress": records / 100, "blocked_seconds": 0.0, "inputs": inputs,
            "dead_letters": {}, "lag": [],
        })
    };
    let link = |from: &str, ratio: f64, records: u64| json!([{ "from": from, "batches": 3, "bytes": 70_000, "ratio": ratio, "records": records }]);
    let mut ticks = actor("ticks", "kafka_source", "source", "running", json!([]));
    ticks["lag"] = json!([
        { "topic": "md.raw", "partition": 0, "records": 1200, "seconds": 2.5 },
        { "topic": "md.raw", "partition": 1, "records": 34, "seconds": 0.2 },
    ]);
    ticks["blocked_seconds"] = json!(records as f64 / 2000.0);
    let mut trades = actor("trades", "normalizer", "transform", "running", link("ticks", 0.1, records));
    trades["dead_letters"] = json!({ "price_positive": 4, "not_json": 1 });
    let mut history =
        actor("history", "timescale_writer", "sink", "waiting", link("trades", 0.9, records * 2));
    history["reason"] = json!("the database at 127.0.0.1:5432 refuses connections");
    history["restarts"] = json!(2);
    history["last_exit"] = json!("crashed: connection reset\u{1b}[31m by peer");
    history["figures"] =
        json!([{ "name": "aqueduct_pool_connections", "labels": { "state": "busy" }, "value": 2 }]);
    let cache = actor("last_price", "redis_cache", "sink", "running", link("trades", 0.0, records * 2));
    json!([ticks, trades, history, cache])
}

/// What the node says after so many records were read, a second for each thousand.
fn facts(records: u64) -> Facts {
    let event = |id, what: &str, detail: &str| Event {
        id,
        at_us: BEGIN_US - 5_000_000 + id as i64 * 1_000_000,
        subject: "history".to_owned(),
        what: what.to_owned(),
        detail: detail.to_owned(),
    };
    let of = |value: Value| serde_json::from_value(value);
    let node = json!({
        "topology": "md-trades", "node": "node-1", "version": "0.1.0", "phase": "running", "generation": 3,
        "started_us": BEGIN_US - 3_600_000_000_i64,
    });
    let unready = json!({ "ready": false, "phase_reason": "", "not_ready": [{
        "actor": "history", "state": "waiting", "reason": "the database at 127.0.0.1:5432 refuses connections",
        "since_us": BEGIN_US - 12_000_000,
    }] });
    let ledger = json!([
        { "source": "ticks", "read": records, "written": records / 2, "dead_lettered": 5, "in_flight": 340, "unaccounted": 0 },
    ]);
    Facts {
        node: serde_json::from_value(node).unwrap(),
        ready: serde_json::from_value(unready).unwrap(),
        actors: of(actors(records)).unwrap(),
        ledger: serde_json::from_value(ledger).unwrap(),
        events: vec![
            event(1, "started", ""),
            event(2, "exited", "connection reset\nby peer"),
            event(3, "started", ""),
        ],
        at_us: BEGIN_US + records as i64 * 1_000,
    }
}

fn model() -> Model {
    let mut model = Model::new("http://127.0.0.1:9464", false, BEGIN_US);
    model.saw(facts(1_000));
    model.saw(facts(3_000));
    model
}

fn buffer(model: &Model, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(model, frame)).unwrap().buffer.clone()
}

fn screen(model: &Model, width: u16, height: u16) -> String {
    lines(&buffer(model, width, height)).join("\n")
}

fn strike(model: &mut Model, keys: &[KeyCode]) {
    for key in keys {
        assert_eq!(model.strike(KeyEvent::new(*key, KeyModifiers::NONE)), Turn::Stay);
    }
}

fn names(model: &Model) -> Vec<&str> {
    model.shown().iter().map(|row| row.name.as_str()).collect()
}

#[test]
fn a_wide_terminal_shows_every_column() {
    assert_snapshot!(screen(&model(), 150, 20));
}

#[test]
fn a_narrow_terminal_keeps_who_and_in_which_state() {
    assert_snapshot!(screen(&model(), 46, 16));
    for (width, height) in [(1, 1), (7, 2), (20, 5), (30, 3), (500, 200)] {
        screen(&model(), width, height);
    }
}

#[test]
fn the_selected_actor_is_told_of_in_full() {
    let mut model = model();
    strike(&mut model, &[KeyCode::Down, KeyCode::Down, KeyCode::Enter]);
    assert_snapshot!(screen(&model, 110, 34));
}

#[test]
fn before_the_first_answer_it_says_whom_it_asks() {
    let mut model = Model::new("http://127.0.0.1:9464", false, BEGIN_US);
    model.missed("Connection refused (os error 111)".to_owned(), BEGIN_US);
    model.now_us += 7_000_000;
    assert_snapshot!(screen(&model, 100, 6));
}

#[test]
fn a_node_that_went_away_is_told_of_and_what_it_said_stays() {
    let mut model = model();
    model.missed("Connection refused (os error 111)".to_owned(), BEGIN_US + 10_000_000);
    model.missed("Connection refused (os error 111)".to_owned(), BEGIN_US + 25_000_000);
    let away = screen(&model, 110, 12);
    assert!(
        away.contains("AWAY since 16:00:10Z (15s): Connection refused (os error 111); asking again"),
        "{away}"
    );
    assert!(away.contains("what follows is what it said last") && away.contains("  trades"), "{away}");
    model.saw(facts(4_000));
    assert!(!screen(&model, 110, 12).contains("AWAY"));
}

#[test]
fn a_node_that_was_started_again_shows_no_rates_across_the_gap() {
    let mut model = model();
    let mut other = facts(10);
    other.node.started_us += 1;
    other.at_us = BEGIN_US + 60_000_000;
    model.saw(other);
    assert_eq!((model.totals, model.rows()[0].read), (None, None));
}

#[test]
fn rates_come_of_two_looks() {
    let model = model();
    assert_eq!(model.totals, Some((1_000.0, 500.0)));
    let rates: Vec<_> = model.rows().iter().map(|row| (row.read, row.written)).collect();
    let known = |read, written| (Some(read), written);
    assert_eq!(
        rates,
        [
            known(1_000.0, Some(500.0)),
            known(1_000.0, Some(2_000.0)),
            known(2_000.0, None),
            known(2_000.0, None)
        ]
    );
    assert_eq!(model.rows()[0].blocked, 0.5);
}

#[test]
fn the_one_the_others_wait_for_is_marked() {
    let marked: Vec<_> = model().rows().iter().map(|row| row.bottleneck).collect();
    assert_eq!(marked, [false, false, true, false]);
}

#[test]
fn the_table_sorts_by_each_column_and_the_selection_stays_on_its_actor() {
    let mut model = model();
    strike(&mut model, &[KeyCode::Down, KeyCode::Right]);
    assert_eq!(names(&model), ["history", "last_price", "ticks", "trades"]);
    assert_eq!(model.chosen().unwrap().0.name, "trades");
    strike(&mut model, &[KeyCode::Right, KeyCode::Right]);
    assert_eq!(names(&model)[0], "history", "by state, whoever is not ready first");
    strike(&mut model, &[KeyCode::Char('r')]);
    assert_eq!(names(&model)[3], "history");
    strike(&mut model, &[KeyCode::Char('r'), KeyCode::Left, KeyCode::Left, KeyCode::Left]);
    assert_eq!(names(&model), ["ticks", "trades", "history", "last_price"], "the node's own order");
}

#[test]
fn a_filter_is_typed_kept_and_dropped() {
    let mut model = model();
    strike(&mut model, &[KeyCode::Char('/'), KeyCode::Char('q'), KeyCode::Backspace]);
    strike(&mut model, &"SINK".chars().map(KeyCode::Char).collect::<Vec<_>>());
    assert!(names(&model).is_empty());
    assert!(screen(&model, 80, 12).contains("no actor matches `SINK`"));
    strike(&mut model, &[KeyCode::Backspace; 4]);
    strike(&mut model, &"redis".chars().map(KeyCode::Char).collect::<Vec<_>>());
    strike(&mut model, &[KeyCode::Enter]);
    assert_eq!(names(&model), ["last_price"]);
    strike(&mut model, &[KeyCode::Esc]);
    assert_eq!(names(&model).len(), 4);
}

#[test]
fn q_and_control_c_leave_also_while_typing() {
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    let mut model = model();
    assert_eq!(model.strike(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE)), Turn::Leave);
    strike(&mut model, &[KeyCode::Char('/')]);
    assert_eq!(model.strike(control_c), Turn::Leave);
}

#[test]
fn without_colours_there_is_none() {
    let coloured = |colours: bool| {
        let mut model = model();
        model.colours = colours;
        buffer(&model, 120, 20).content.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert_eq!((coloured(false), coloured(true)), (false, true));
}

#[test]
fn once_is_text_of_every_actor_however_many() {
    let mut model = model();
    let mut many = facts(4_000);
    let pattern = many.actors[1].clone();
    many.actors =
        (0..300).map(|number| Actor { name: format!("trades#{number}"), ..pattern.clone() }).collect();
    model.saw(many);
    let text = text(&model);
    assert!((0..300).all(|number| text.contains(&format!("trades#{number} "))), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains("q quit"));
}

#[test]
fn once_reads_from_top_to_bottom() {
    assert_snapshot!(text(&model()));
}

#[test]
fn what_another_version_does_not_say_is_empty() {
    let actor: Actor = serde_json::from_value(json!({ "name": "x", "news": 1 })).unwrap();
    let mut model = Model::new("", false, BEGIN_US);
    model.saw(Facts { actors: vec![actor], at_us: BEGIN_US, ..Facts::default() });
    assert!(screen(&model, 80, 10).contains("  x"));
}
