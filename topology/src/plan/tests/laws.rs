//! What holds for every pair of forms.

use super::super::{Diff, Form, Keys, Plan, VERSION};
use super::{MARKET_DATA, form, form_with};
use crate::tests::library::ALL;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..3u32).prop_map(|number| json!(number)),
        prop_oneof![Just("a"), Just("b"), Just("kafka_source"), Just("kafka_sink")]
            .prop_map(|text| json!(text)),
        vec(prop_oneof![Just("a"), Just("b"), Just("c")], 0..3).prop_map(|list| json!(list)),
        any::<bool>().prop_map(|word| json!(word)),
    ]
}

fn parts() -> impl Strategy<Value = BTreeMap<String, Keys>> {
    let key = prop_oneof![
        Just("kind"),
        Just("from"),
        Just("id"),
        Just("children"),
        Just("strategy"),
        Just("table"),
        Just("resolved.columns"),
    ];
    let keys = btree_map(key.prop_map(str::to_owned), value(), 0..5);
    btree_map(prop_oneof![Just("a"), Just("b"), Just("c"), Just("d")].prop_map(str::to_owned), keys, 0..4)
}

fn any_form() -> impl Strategy<Value = Form> {
    (prop_oneof![Just("x"), Just("y")], parts(), parts(), parts()).prop_map(
        |(name, connections, supervisors, actors)| Form {
            version: VERSION,
            topology: name.to_owned(),
            connections,
            supervisors,
            actors,
        },
    )
}

proptest! {
    #[test]
    fn diff_then_flip_is_the_identity(old in any_form(), new in any_form()) {
        let diff = Diff::between(&old, &new);
        prop_assert_eq!(&diff.apply(&old), &new);
        prop_assert_eq!(&diff.flip().apply(&new), &old);
        prop_assert_eq!(&diff.flip(), &Diff::between(&new, &old));
        prop_assert_eq!(&diff.flip().flip(), &diff);
        prop_assert_eq!(diff.is_empty(), old == new);
    }

    #[test]
    fn every_pair_has_a_plan_in_which_each_actor_has_one_fate(old in any_form(), new in any_form()) {
        let plan = Plan::between(&old, &new);
        let names: std::collections::BTreeSet<_> = old.actors.keys().chain(new.actors.keys()).collect();
        prop_assert_eq!(plan.actors.iter().map(|actor| &actor.name).collect::<Vec<_>>(), names.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(plan.changes, old != new);
        prop_assert!(!plan.to_string().is_empty());
    }

    #[test]
    fn a_form_survives_being_written_and_read(form in any_form()) {
        let text = serde_json::to_string(&form).expect("plain data");
        prop_assert_eq!(serde_json::from_str::<Form>(&text).expect("the same data"), form);
    }
}

#[test]
fn the_library_obeys_the_same_laws() {
    let forms: Vec<Form> = ALL.iter().map(|text| form(text)).collect();
    for old in &forms {
        let text = serde_json::to_string(old).expect("plain data");
        assert_eq!(serde_json::from_str::<Form>(&text).expect("the same data"), *old);
        for new in &forms {
            let diff = Diff::between(old, new);
            assert_eq!(diff.apply(old), *new);
            assert_eq!(diff.flip(), Diff::between(new, old));
            assert_eq!(diff.is_empty(), old.topology == new.topology);
        }
    }
}

#[test]
fn a_file_against_itself_changes_nothing() {
    for text in ALL {
        let plan = Plan::between(&form(text), &form(text));
        assert!(!plan.changes && plan.notes.is_empty(), "{plan}");
        assert_eq!(plan.summary.untouched, plan.actors.len());
    }
}

#[test]
fn comments_order_and_defaults_written_out_are_no_change() {
    let written = MARKET_DATA
        .replace("kind: kafka_source, topic: md.raw", "topic: md.raw, start: earliest, kind: kafka_source")
        .replace("# the row, said once", "# another word");
    assert!(Diff::between(&form(MARKET_DATA), &form(&written)).is_empty());
}

#[test]
fn a_form_shows_no_secret_and_tells_that_one_changed() {
    let (old, new) = (form_with(MARKET_DATA, "first-secret"), form_with(MARKET_DATA, "second-secret"));
    let plan = Plan::between(&old, &new);
    for text in [serde_json::to_string(&old), serde_json::to_string(&new), serde_json::to_string(&plan)] {
        let text = text.expect("plain data");
        assert!(!text.contains("first-secret") && !text.contains("second-secret"), "{text}");
    }
    let shown = plan.to_string();
    assert!(!shown.contains("first-secret") && !shown.contains("second-secret"), "{shown}");
    let parts: Vec<_> = plan.connections.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(parts, ["redis", "timescale"]);
}
