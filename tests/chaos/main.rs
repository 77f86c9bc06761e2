//! Chaos with an oracle: the product's own binary on the real parts, disturbed in every way we know, and after each
//! disturbance one question: has every record exactly one fate?
//!
//! A [`scenario::Scenario`] is a name and a function. It is given a [`trial::Trial`] (its seed, how often to disturb, the
//! notes for the report), sets a [`stage::Stage`] (a database, a topic and nodes of its own), lets a [`load::Load`] flow,
//! disturbs, and ends with [`stage::Stage::judge`], which asks the [`oracle`]. The [`runner`] runs the groups side by side
//! and the [`report`] is a table with a line for each.
//!
//! `cargo test --release --test chaos` runs the short form. The environment asks for more:
//! - `AQUEDUCT_CHAOS_HOURS=8`: the long form; after each scenario has run once, random ones until the time is over;
//! - `AQUEDUCT_CHAOS_SEED=42`: a certain run again; a failure prints its seed;
//! - `AQUEDUCT_CHAOS_ONLY=kafka,process.kill`: scenarios whose names begin so;
//! - `AQUEDUCT_CHAOS_LANES=1`: how many groups run side by side.
//!
//! The report is kept as Markdown and JSON in `target/chaos/`.
#![expect(clippy::disallowed_methods, reason = "tests watch the machine's clock from outside")]
#![allow(unreachable_pub, reason = "nobody imports a test binary")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod actors;
mod catalogue;
mod credentials;
#[path = "../harness/mod.rs"]
mod harness;
mod kafka;
mod kit;
mod load;
mod log;
mod oracle;
mod postgres;
mod process;
mod redis;
mod report;
mod runner;
mod scenario;
mod spoiled;
mod stage;
mod trial;
mod wire;

#[test]
fn every_record_has_one_fate_under_every_fault() {
    let plan = runner::Plan::from_env();
    let report = runner::run(&plan, &catalogue::all());
    report.print();
    report.save();
    assert!(report.is_clean(), "{}", report.failures());
}
