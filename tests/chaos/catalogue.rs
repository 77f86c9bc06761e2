//! All scenarios, in the order of the report.

use super::scenario::Scenario;
use super::{actors, credentials, kafka, postgres, process, redis};

pub fn all() -> Vec<Scenario> {
    let groups = [
        process::SCENARIOS,
        kafka::SCENARIOS,
        postgres::SCENARIOS,
        redis::SCENARIOS,
        credentials::SCENARIOS,
        actors::SCENARIOS,
    ];
    groups.concat()
}

#[test]
fn names_are_unique() {
    let mut names: Vec<_> = all().iter().map(|scenario| scenario.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}
