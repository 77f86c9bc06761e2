//! The rebalance protocol (PROTOCOL rules 6 to 10, 16, 17) as a state machine: two nodes, a group that gives and takes
//! partitions and does not always say so, a database that answers late, twice or not at all and sometimes goes back in
//! time, and any order of all that.
//!
//! What is under test is the product's own: how a writer judges, plans and repeats a transaction ([`Writer`]'s attempt
//! with its positions), how a claim is decided ([`plan_claim`](crate::timescale::offsets::plan_claim)), what is stale
//! ([`Claims`](aqueduct_engine::Claims) and an actor's inputs), links and leases, batches as a source gathers them, the
//! ledger. [`node`] stands in for the source's two halves, whose steps it takes one by one, in the order its pages give:
//! granted, claimed, read; halted and claimed anew on a rewind; released when taken. [`outside`] is the database.
//!
//! Deliberately absent: those two halves themselves. They speak to librdkafka's client, which has threads and a clock of its
//! own, so a thousand cases in a second cannot drive them; `kafka_source/tests.rs`, `tests/planted/kafka.rs` and
//! `tests/e2e/kafka` do, a case at a time.
//!
//! After each step: a row for each offset below the stored one, exactly once, and none above; the stored offset goes
//! back only with the database; the ledger accounts for everything. In the end, when nothing fails any more: everything
//! that was sent is there.

mod machine;
mod node;
mod outside;
