//! The difference of any two topologies leads from one to the other, and back.
#![no_main]

use aqueduct_topology::plan::{Diff, Form, Plan};
use aqueduct_topology::{Source, load};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|texts: &str| {
    let Some((old, new)) = texts.split_once('\0') else { return };
    let form = |text: &str| {
        let environment = |name: &str| name.ends_with("_URL").then(|| "redis://127.0.0.1:1/0".to_owned());
        let (topology, _) = load(&Source::new("fuzz.yaml", text), &environment);
        topology.map(|topology| Form::of(&topology, &|_: &std::path::Path| None))
    };
    let (Some(old), Some(new)) = (form(old), form(new)) else { return };
    let diff = Diff::between(&old, &new);
    assert_eq!(diff.apply(&old), new);
    assert_eq!(diff.flip().apply(&new), old);
    assert_eq!(diff.flip(), Diff::between(&new, &old));
    assert_eq!(Plan::between(&old, &new).changes, old != new);
});
