//! What each kind of change does, on the file of the language's own page.

use super::super::{Aspect, Fate, Form, Plan};
use super::{MARKET_DATA, changed, form, plan};

/// The fates of those that do not work on.
fn fates(plan: &Plan) -> Vec<(&str, Fate)> {
    let moved = plan.actors.iter().filter(|actor| actor.fate != Fate::Untouched);
    moved.map(|actor| (actor.name.as_str(), actor.fate)).collect()
}

fn notes(plan: &Plan, aspect: Aspect) -> Vec<String> {
    let notes = plan.notes.iter().filter(|note| note.aspect == aspect);
    notes.map(|note| format!("{}: {}", note.actor, note.text)).collect()
}

fn one(plan: &Plan, aspect: Aspect, words: &str) {
    let notes = notes(plan, aspect);
    assert!(notes.len() == 1 && notes[0].contains(words), "one note saying `{words}`: {notes:#?}");
}

const HISTORY: &str = "history: { kind: timescale_writer, from: trades, table: market.trades";

#[test]
fn a_changed_rule_restarts_the_normalizer_alone() {
    let plan = plan(&[("price > 0", "price >= 0")]);
    assert_eq!(fates(&plan), [("trades", Fate::Changed)]);
    let changes = &plan.actor("trades").expect("trades").changes;
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].key, "require");
    one(&plan, Aspect::State, "judged by the new rules");
}

#[test]
fn a_new_column_restarts_who_was_built_for_the_row() {
    let plan = plan(&[(
        "      side:     {",
        "      buyer:    { type: int64, path: /data/b, optional: true }\n      side:     {",
    )]);
    assert_eq!(
        fates(&plan),
        [
            ("cache", Fate::Restarted),
            ("gate", Fate::Restarted),
            ("history", Fate::Restarted),
            ("trades", Fate::Changed)
        ],
        "what the gate gives is the same, so nobody behind it is touched"
    );
    assert_eq!(plan.actor("history").expect("history").because, ["the columns of its input change"]);
    one(&plan, Aspect::Migrations, "`market.trades` must have columns new or changed: buyer int64 null");
}

#[test]
fn a_new_sink_joins_its_neighbours_and_rewires_its_writer() {
    let wide = "  wide: { kind: timescale_writer, from: trades, table: market.wide }\n";
    let plan = plan(&[("  history: {", &format!("{wide}  history: {{"))]);
    assert_eq!(
        fates(&plan),
        [("ticks", Fate::Restarted), ("trades", Fate::Restarted), ("wide", Fate::Added)]
    );
    assert_eq!(plan.actor("trades").expect("trades").because, ["it is linked to `wide`"]);
    let offsets = notes(&plan, Aspect::Offsets).join("\n");
    assert!(
        offsets.contains("wide: `wide` has no offset: joins at the smallest of cache, history"),
        "{offsets}"
    );
    assert!(offsets.contains("ticks: claims its partitions anew"), "{offsets}");
    one(&plan, Aspect::Migrations, "`market.wide` must have the table");
}

#[test]
fn a_removed_sink_leaves_its_offset_behind() {
    let old = changed(&[]);
    let without: String = MARKET_DATA
        .lines()
        .filter(|line| !line.contains("  cache:"))
        .fold(String::new(), |text, line| text + line + "\n");
    let plan = Plan::between(&old, &form(&without));
    assert_eq!(
        fates(&plan),
        [("cache", Fate::Removed), ("ticks", Fate::Restarted), ("trades", Fate::Restarted)]
    );
    let offsets = notes(&plan, Aspect::Offsets).join("\n");
    assert!(offsets.contains("cache: its offsets stay in the store under `cache`"), "{offsets}");
}

#[test]
fn a_renamed_sink_is_refused_until_it_adopts() {
    let renamed = [
        (HISTORY, "archive: { kind: timescale_writer, from: trades, table: market.trades"),
        ("children: [ticks, trades, history]", "children: [ticks, trades, archive]"),
    ];
    let refused = plan(&renamed);
    one(&refused, Aspect::Problem, "refused until the file says `adopts: history`");
    let mut adopting = renamed.to_vec();
    adopting.push(("archive: { kind", "archive: { adopts: history, kind"));
    let adopted = plan(&adopting);
    assert!(notes(&adopted, Aspect::Problem).is_empty(), "{adopted}");
    let offsets = notes(&adopted, Aspect::Offsets).join("\n");
    assert!(offsets.contains("archive: adopts `history`: goes on at its offset"), "{offsets}");
    assert!(!offsets.contains("its offsets stay in the store"), "{offsets}");
    let mut kept = renamed.to_vec();
    kept.push(("archive: { kind", "archive: { id: history, kind"));
    let kept = plan(&kept);
    assert!(notes(&kept, Aspect::Offsets).join("\n").contains("keeps the id `history`"), "{kept}");
}

#[test]
fn another_table_keeps_the_offset_and_leaves_the_old_rows() {
    let plan = plan(&[("table: market.trades", "table: market.fills")]);
    assert_eq!(fates(&plan), [("history", Fate::Changed)]);
    one(&plan, Aspect::State, "what was written stays in `market.trades`");
    one(&plan, Aspect::Migrations, "`market.fills` must have the table");
}

#[test]
fn another_source_id_writes_everything_again() {
    let plan = plan(&[("ticks: { kind: kafka_source", "ticks: { id: feed, kind: kafka_source")]);
    assert_eq!(fates(&plan), [("ticks", Fate::Changed)]);
    one(&plan, Aspect::Duplicates, "written again");
}

#[test]
fn another_topic_begins_where_start_says() {
    let plan = plan(&[("topic: md.raw", "topic: md.more, start: latest")]);
    one(&plan, Aspect::Offsets, "`md.more` has offsets of its own and begins at `start: latest`");
}

#[test]
fn a_connection_restarts_those_who_use_it() {
    let plan = plan(&[("pool: 4", "pool: 5")]);
    let names: Vec<&str> = fates(&plan).iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["cache", "dead_letter", "gate", "gate_cache", "history", "ticks"],
        "caches and gates keep their offsets there"
    );
    assert!(plan.actors.iter().all(|actor| actor.fate != Fate::Changed));
}

#[test]
fn words_about_an_actor_restart_nobody() {
    let plan = plan(&[(HISTORY, &HISTORY.replace("from:", "description: all trades, shutdown: 5s, from:"))]);
    assert_eq!(fates(&plan), [("history", Fate::Adjusted)]);
    assert!(plan.changes);
}

#[test]
fn more_clones_restart_both_ends_of_their_links() {
    let plan = plan(&[("    kind: normalizer\n", "    kind: normalizer\n    parallelism: 2\n")]);
    let names: Vec<&str> = fates(&plan).iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["cache", "gate", "history", "ticks", "trades"]);
    one(&plan, Aspect::Order, "their order is kept");
}

#[test]
fn another_strategy_restarts_nobody_and_says_whom_a_crash_takes_along() {
    let plan = plan(&[("strategy: rest_for_one", "strategy: one_for_all")]);
    assert_eq!(fates(&plan), []);
    let because = plan.supervisors[0].because.join("\n");
    assert!(because.contains("restarts nobody"), "{because}");
    assert!(
        because.contains("a crash of `history` restarts ticks, trades too (before: it alone)"),
        "{because}"
    );
}

#[test]
fn another_name_is_another_topology() {
    let plan = plan(&[("topology: market-data", "topology: other")]);
    assert!(plan.renamed.is_some());
    one(&plan, Aspect::Problem, "`other` begins as a new one");
}

#[test]
fn a_referenced_file_with_another_content_is_a_change() {
    let text = "topology: t\nconnections: { kafka: { bootstrap: \"h:1\" } }\nactors:\n  lines: { kind: replay_source, file: \
                trades.jsonl }\n  out: { kind: kafka_sink, from: rows, topic: rows }\n  rows: { kind: normalizer, from: \
                lines, fields: { ts: { type: timestamp, path: /t } } }\n";
    let with = |content: &'static str| -> Form {
        let env = |_: &str| None;
        let (topology, found) = crate::load(&crate::Source::new("t.yaml", text), &env);
        let topology = topology.unwrap_or_else(|| panic!("{found:?}"));
        Form::of(&topology, &move |_: &std::path::Path| Some(content.to_owned()))
    };
    let plan = Plan::between(&with("one"), &with("two"));
    assert_eq!(fates(&plan), [("lines", Fate::Changed)]);
    assert_eq!(plan.actor("lines").expect("lines").changes[0].key, "file.content");
}

#[test]
fn the_text_is_terraforms() {
    let text = plan(&[
        ("price > 0", "price >= 0"),
        ("  cache:   {", "  spare:   { kind: kafka_sink, from: trades, topic: spare }\n  cache:   {"),
    ])
    .to_string();
    for line in [
        "+ actor spare (kafka_sink) is started",
        "~ actor trades (normalizer) restarts",
        "    ~ require  [\"price_positive: price > 0\",\"qty_positive: qty > 0\"] -> ",
        "    # its sinks change, and a partition is claimed for all of them",
        "untouched: cache, dead_letter, gate, gate_cache, history",
        "plan: 1 to add, 0 to remove, 1 to change, 1 to restart, 5 untouched",
    ] {
        assert!(text.contains(line), "`{line}` in:\n{text}");
    }
}

#[test]
fn a_first_required_sink_takes_the_say_of_those_that_had_it_for_want_of_one() {
    let optional = MARKET_DATA.replace("table: market.trades,", "table: market.trades, policy: best_effort,");
    let (old, new) = (form(&optional), form(MARKET_DATA));
    let plan = Plan::between(&old, &new);
    assert_eq!(plan.actor("cache").map(|actor| actor.fate), Some(Fate::Restarted), "{plan}");
    assert_eq!(plan.actor("cache").expect("cache").because, ["its say in the fate of records changes"]);
}

#[test]
fn a_cache_that_may_hold_up_its_writer_is_another_link_to_it() {
    let plan = plan(&[("policy: best_effort, ttl", "ttl")]);
    let trades = plan.actor("trades").expect("trades");
    assert_eq!(trades.because, ["what its link to `cache` may pass over changes"], "{plan}");
    assert_eq!(plan.actor("history").map(|actor| actor.fate), Some(Fate::Untouched), "{plan}");
}

#[test]
fn a_thousand_actors_have_a_plan() {
    let chain = |index: usize, rule: &str| {
        format!(
            "  s{index}: {{ kind: kafka_source, topic: t{index} }}\n  n{index}: {{ kind: normalizer, from: s{index}, fields: \
             {{ ts: {{ type: timestamp, path: /t }}, x: {{ type: int64, path: /x }} }}, require: {{ x: {rule} }} }}\n  \
             w{index}: {{ kind: kafka_sink, from: n{index}, topic: o{index} }}\n"
        )
    };
    let file = |rule: &str, chains: usize| {
        let actors: String =
            (0..chains).map(|index| chain(index, if index == 7 { rule } else { "x > 0" })).collect();
        form(&format!("topology: t\nconnections: {{ kafka: {{ bootstrap: \"h:1\" }} }}\nactors:\n{actors}"))
    };
    let plan = Plan::between(&file("x > 0", 333), &file("x > 1", 334));
    assert_eq!(plan.summary.untouched, 333 * 3, "{:?}", plan.summary);
    assert_eq!((plan.summary.added, plan.summary.changed, plan.summary.restarted), (3, 1, 0));
}

#[test]
fn without_a_database_a_source_is_named_by_its_place() {
    let text = "topology: t\nconnections: { kafka: { bootstrap: \"h:1\" } }\nactors:\n  a: { kind: kafka_source, topic: a }\n  \
                b: { kind: kafka_source, topic: b }\n  n: { kind: normalizer, from: [a, b], fields: { ts: { type: timestamp, \
                path: /t } } }\n  out: { kind: kafka_sink, from: n, topic: o }\n";
    let swapped = text
        .replace("  a: { kind: kafka_source, topic: a }\n", "")
        .replace("  n: {", "  a: { kind: kafka_source, topic: a }\n  n: {");
    let plan = Plan::between(&form(text), &form(&swapped));
    assert_eq!(fates(&plan), [("a", Fate::Restarted), ("b", Fate::Restarted)], "{plan}");
}
