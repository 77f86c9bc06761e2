//! `engine/docs/rules.md`: each rule of the protocol, the bugs that break it on purpose, and what fails then. Written from
//! the bugs themselves, so it says nothing that was not seen to be caught.

use super::plants::{Catch, PLANTS};
use super::sim::sweep::Run;
use aqueduct_topology::model::Kind;
use std::fmt::Write;
use std::path::PathBuf;

/// A rule of the protocol, in a few words, and the tests of its own that hold it, beside the planted bugs: some of it
/// only real parts can show.
struct Rule {
    number: u32,
    what: &'static str,
    /// `file::function`.
    tests: &'static [&'static str],
    /// A bug planted where the engine's cannot be, what it does wrong, the test that fails then, and the one that sees to it.
    elsewhere: Option<[&'static str; 4]>,
    /// Why there is nothing to break.
    open: &'static str,
}

const fn rule(number: u32, what: &'static str, tests: &'static [&'static str]) -> Rule {
    Rule { number, what, tests, elsewhere: None, open: "" }
}

const RULES: &[Rule] = &[
    rule(1, "links take nothing twice; a lease is settled last", &[]),
    rule(2, "a batch keeps its messages until settled", &[]),
    rule(3, "capacity in batches and bytes", &[]),
    rule(4, "no wake-up is lost", &["engine/src/link/model.rs::a_waiting_receiver_hears_of_the_end"]),
    rule(5, "only an own crash counts; the culprit alone is condemned", &[]),
    rule(
        6,
        "whose an offset is, and where a sink begins",
        &[
            "tests/e2e/timescale/claims.rs::a_table_fed_under_another_name_is_refused_until_the_file_says_so",
            "tests/e2e/timescale/beginning.rs::a_topic_begins_once_whoever_comes_first",
        ],
    ),
    rule(
        7,
        "a claim is newer than all, forgets letters, ends leftover sessions",
        &[
            "tests/e2e/timescale/claims.rs::a_session_stopped_inside_copy_is_ended_once_its_owner_has_nothing_left",
            "tests/e2e/timescale/claims.rs::letters_that_will_be_judged_again_are_deleted",
        ],
    ),
    rule(
        8,
        "rows, then the fenced offset, then COMMIT; a miss is read",
        &[
            "tests/e2e/timescale/writes.rs::a_zombie_writes_nothing_and_its_source_is_told",
            "tests/e2e/timescale/writes.rs::a_commit_whose_answer_was_lost_is_not_repeated",
            "tests/e2e/timescale/flights.rs::transactions_of_other_partitions_are_in_flight_at_once_and_of_one_never",
        ],
    ),
    rule(
        9,
        "a lost claim is claimed anew, never sought",
        &["actors/src/kafka_source/tests.rs::a_lost_claim_is_claimed_anew_and_read_from_its_start"],
    ),
    rule(10, "only batches of the newest claim are handed out", &[]),
    rule(11, "a best-effort sink is never ahead of itself", &[]),
    rule(
        12,
        "judgement is pure; a letter is durable first, under the claim",
        &["tests/e2e/timescale/letters.rs::a_letter_judged_under_an_older_claim_is_dropped"],
    ),
    rule(
        13,
        "one fate over all branches",
        &[
            "tests/e2e/dlq/interrupted.rs::a_letter_that_was_left_out_is_not_marked_with_its_neighbours_and_gets_a_round_of_its_own",
        ],
    ),
    Rule {
        number: 14,
        what: "a stateful actor's snapshot rides with its offset",
        tests: &["tests/planted/rules.rs::no_kind_keeps_state"],
        elsewhere: None,
        open: "no kind keeps state, so there is nothing to break; a kind that does must plant its bug here",
    },
    rule(
        15,
        "the cache's guard compares as text",
        &["tests/e2e/redis.rs::a_deletion_leaves_a_tombstone_that_older_rows_cannot_pass"],
    ),
    rule(
        16,
        "static members, by the lowest free slot",
        &[
            "tests/e2e/kafka/mod.rs::each_member_of_a_node_has_the_lowest_free_name",
            "tests/e2e/kafka/mod.rs::the_older_of_two_members_of_one_name_leaves",
        ],
    ),
    rule(
        17,
        "each rebalance is answered once, in order, in time",
        &["tests/e2e/kafka/mod.rs::nodes_of_every_membership_come_and_go_without_loss_or_repeat"],
    ),
    rule(
        18,
        "batch consumption swallows no rebalance",
        &["actors/src/kafka/intake.rs::messages_come_here_after_every_assignment"],
    ),
    rule(
        19,
        "the end of a partition moves the offset",
        &["tests/e2e/kafka/mod.rs::markers_of_transactions_are_passed"],
    ),
    rule(
        20,
        "a drain runs in data order",
        &["engine/src/scenarios/drain.rs::a_drain_finishes_in_data_order_and_loses_nothing"],
    ),
    rule(
        21,
        "who is stalled is helped, then restarted",
        &[
            "engine/src/scenarios/arbiters.rs::a_handler_that_never_yields_is_abandoned_and_its_neighbours_move",
        ],
    ),
    rule(22, "idle is when nothing is left to do", &[]),
    rule(23, "an exit is the result of its task; a dropped lease comes again", &[]),
    rule(24, "virtual time within one runtime", &["tests/sim/mod.rs::one_seed_is_one_run"]),
    Rule {
        number: 25,
        what: "the stack's root is its own",
        tests: &[],
        elsewhere: Some([
            "DELETES_THROUGH_MOUNTS",
            "a tree is deleted though something is mounted in it",
            "config/stack/src/dir.rs::a_tree_with_a_mount_is_refused",
            "config/stack/src/dir.rs::who_deletes_through_mounts_is_caught",
        ]),
        open: "",
    },
];

/// Whoever adds a kind comes here, and says whether rule 14 holds for it.
#[test]
fn no_kind_keeps_state() {
    fn keeps_state(kind: &Kind) -> bool {
        match kind {
            Kind::KafkaSource(_) | Kind::ReplaySource(_) | Kind::Normalizer(_) | Kind::QualityGate(_) => {
                false
            }
            Kind::TimescaleWriter(_) | Kind::RedisCache(_) | Kind::KafkaSink(_) | Kind::DeadLetter(_) => {
                false
            }
            // When it ran lies in the database.
            Kind::Schedule(_) => false,
        }
    }
    let topology = Run::of(0).workload.topology;
    assert!(topology.actors.iter().all(|actor| !keeps_state(&actor.kind)));
}

fn page() -> String {
    let mut page = String::from(
        "# Rules, and what fails without them\n\n\
         Each rule of the delivery protocol, a bug that breaks it, planted by the tests (`engine/src/planted.rs`), and what \
         fails then. A bug that the *simulation* catches was seen to be caught by that check of its oracle \
         (`tests/sim/oracle.rs`), and the same run is clean without the bug; a run is a seed of the simulation, or one made \
         for it (`tests/sim/cases.rs`). Further tests, most of them on real parts, are named without a bug: nobody breaks \
         those on purpose.\n\n\
         Written by `AQUEDUCT_BLESS=1 cargo test --release --features planted --test planted`.\n\n\
         | rule | planted bug | test that fails without it |\n|---|---|---|\n",
    );
    for rule in RULES {
        let name = format!("{}: {}", rule.number, rule.what);
        for plant in PLANTS.iter().filter(|plant| plant.rule == rule.number) {
            let _ =
                writeln!(page, "| {name} | `{:?}`: {} | {} |", plant.bug, plant.what, caught(plant.catch));
        }
        if let Some([bug, what, test, _]) = rule.elsewhere {
            let _ = writeln!(page, "| {name} | `{bug}`: {what} | `{test}` |");
        }
        for test in rule.tests {
            let _ = writeln!(page, "| {name} | - | `{test}` |");
        }
        if !rule.open.is_empty() {
            let _ = writeln!(page, "| {name} | - | none: {} |", rule.open);
        }
    }
    page
}

fn caught(catch: Catch) -> String {
    match catch {
        Catch::Simulation(checks) | Catch::Script(_, checks) | Catch::Case(_, checks) => {
            let checks: Vec<String> = checks.iter().map(|check| format!("`{check:?}`")).collect();
            format!("simulation: {}", checks.join(" or "))
        }
        Catch::Lines(what, _) => format!("`tests/planted/plants.rs::{what}`"),
        Catch::Process(test) => format!("`tests/planted/{}`", test.replacen("::", ".rs::", 1)),
        Catch::Model => {
            "`engine/src/link/model.rs`, loom: `a_link_of_one_batch_hands_over_all_in_order_and_ends`"
                .to_owned()
        }
    }
}

pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn every_rule_has_a_bug_or_says_why_not() {
    let numbers: Vec<u32> = RULES.iter().map(|rule| rule.number).collect();
    assert_eq!(numbers, (1..=25).collect::<Vec<_>>());
    for rule in RULES {
        let planted = PLANTS.iter().any(|plant| plant.rule == rule.number) || rule.elsewhere.is_some();
        assert!(planted || !rule.open.is_empty(), "rule {} has no bug", rule.number);
        for test in rule.tests.iter().chain(rule.elsewhere.iter().flat_map(|bug| &bug[2..])) {
            let (file, function) = test.split_once("::").unwrap();
            let text =
                std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(text.contains(&format!("fn {function}(")), "{file} has no test {function}");
        }
    }
}

#[test]
fn the_page_of_the_rules_is_current() {
    let path = root().join("engine/docs/rules.md");
    let page = page();
    print!("{page}");
    if std::env::var_os("AQUEDUCT_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == page, "engine/docs/rules.md is another one; AQUEDUCT_BLESS=1 writes it anew");
}
