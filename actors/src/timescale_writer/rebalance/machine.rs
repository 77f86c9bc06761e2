//! Any order of everything, and what must hold then.

use super::node::Node;
use super::outside::{Cut, Durable, Outside};
use aqueduct_engine::invariants::{misplaced_row, step_backwards};
use aqueduct_engine::testing::partition;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::test_runner::TestCaseError;
use std::sync::Arc;

const PARTITIONS: usize = 2;
const NODES: usize = 2;
/// Turns after which everything must be written once nothing fails any more.
const TURNS_MAX: usize = 40;

#[derive(Clone, Copy, Debug)]
enum Happening {
    Produce(usize, i64),
    /// The group gives a partition that nobody has to a node.
    Grant(usize, usize),
    /// The group takes a partition back, and its node answers.
    Revoke(usize),
    /// The group takes a partition away, and its node does not hear of it.
    Lose(usize),
    /// A node hears what it has lost.
    Hear(usize),
    Claim(usize),
    Read(usize, usize),
    Lease(usize),
    Write(usize, Option<Cut>),
    Look(usize),
    /// A standby is as far as this.
    Replicate,
    /// The standby takes over; what was committed since is gone.
    FailOver,
    CrashWriter(usize),
    /// `kill -9`, and a new process.
    Kill(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::{
        Claim, CrashWriter, FailOver, Grant, Hear, Kill, Lease, Look, Lose, Produce, Read, Replicate, Revoke,
        Write,
    };
    let (partition, node) = (0..PARTITIONS, 0..NODES);
    let cut = prop_oneof![6 => Just(None), 1 => Just(Some(Cut::Before)), 1 => Just(Some(Cut::After))];
    prop_oneof![
        3 => (partition.clone(), 1i64..5).prop_map(|(partition, records)| Produce(partition, records)),
        4 => (partition.clone(), node.clone()).prop_map(|(partition, node)| Grant(partition, node)),
        1 => partition.clone().prop_map(Revoke),
        2 => partition.clone().prop_map(Lose),
        1 => node.clone().prop_map(Hear),
        5 => node.clone().prop_map(Claim),
        7 => (node.clone(), partition).prop_map(|(node, partition)| Read(node, partition)),
        7 => node.clone().prop_map(Lease),
        7 => (node.clone(), cut).prop_map(|(node, cut)| Write(node, cut)),
        3 => node.clone().prop_map(Look),
        1 => Just(Replicate),
        1 => Just(FailOver),
        1 => node.clone().prop_map(CrashWriter),
        1 => node.prop_map(Kill),
    ]
}

struct World {
    outside: Arc<Outside>,
    nodes: Vec<Node>,
    /// Where the logs end.
    ends: Vec<i64>,
    /// Whom the group means.
    owners: Vec<Option<usize>>,
    /// What each node has lost and not heard of.
    unheard: Vec<Vec<i32>>,
    standby: Durable,
    /// Each partition's stored epoch and offset, as they followed each other since the database last went back.
    stored: Vec<Vec<(i64, i64)>>,
}

impl World {
    fn new() -> Self {
        let outside = Arc::new(Outside::default());
        Self {
            nodes: (0..NODES).map(|_| Node::new(&outside)).collect(),
            outside,
            ends: vec![0; PARTITIONS],
            owners: vec![None; PARTITIONS],
            unheard: vec![Vec::new(); NODES],
            standby: Durable::default(),
            stored: vec![Vec::new(); PARTITIONS],
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Produce(partition, records) => self.ends[partition] += records,
            Happening::Grant(partition, node) => self.grant(partition, node),
            Happening::Revoke(partition) => {
                if let Some(node) = self.owners[partition].take() {
                    self.nodes[node].release(partition as i32);
                }
            }
            Happening::Lose(partition) => {
                if let Some(node) = self.owners[partition].take() {
                    self.unheard[node].push(partition as i32);
                }
            }
            Happening::Hear(node) => self.hear(node),
            Happening::Claim(node) => self.nodes[node].claim(&self.ends),
            Happening::Read(node, partition) => self.nodes[node].read(partition as i32, &self.ends),
            Happening::Lease(node) => self.nodes[node].lease(),
            Happening::Write(node, cut) => {
                self.outside.cut_next_commit(cut);
                self.nodes[node].write();
                self.outside.cut_next_commit(None);
            }
            Happening::Look(node) => drop(self.nodes[node].look()),
            Happening::Replicate => self.standby = self.outside.durable().clone(),
            Happening::FailOver => {
                *self.outside.durable() = self.standby.clone();
                self.stored.iter_mut().for_each(Vec::clear);
            }
            Happening::CrashWriter(node) => self.nodes[node].replace_writer(),
            Happening::Kill(node) => {
                self.nodes[node] = Node::new(&self.outside);
                self.unheard[node].clear();
                self.owners.iter_mut().filter(|owner| **owner == Some(node)).for_each(|owner| *owner = None);
            }
        }
    }

    /// A node that joins again has heard before of what it lost.
    fn grant(&mut self, partition: usize, node: usize) {
        if self.owners[partition].is_none() {
            self.hear(node);
            self.owners[partition] = Some(node);
            self.nodes[node].grant(partition as i32);
        }
    }

    fn hear(&mut self, node: usize) {
        for partition in std::mem::take(&mut self.unheard[node]) {
            self.nodes[node].release(partition);
        }
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        let durable = self.outside.durable();
        for number in 0..PARTITIONS {
            let key = partition(number as i32);
            let stored = durable.offsets.get(&key);
            let of_partition = durable.rows.range((key.clone(), i64::MIN)..=(key.clone(), i64::MAX));
            let rows: Vec<(i64, usize)> =
                of_partition.map(|((_, offset), count)| (*offset, *count)).collect();
            let next = stored.map_or(0, |stored| stored.next_offset);
            prop_assert_eq!(misplaced_row(next, &rows), None, "partition {} at {}: {:?}", number, next, rows);
            prop_assert!(next <= self.ends[number], "partition {} passed its end", number);
            self.stored[number].extend(stored.map(|stored| (stored.epoch, stored.next_offset)));
            prop_assert_eq!(step_backwards(&self.stored[number]), None, "partition {} went back", number);
        }
        for (number, node) in self.nodes.iter().enumerate() {
            prop_assert_eq!(node.ledger.totals().unaccounted(), 0, "node {}", number);
        }
        Ok(())
    }

    /// Nothing fails any more, and every partition is somebody's. One more record comes everywhere: a database that went
    /// back shows to its writer when it writes.
    fn heal(&mut self) -> Result<(), TestCaseError> {
        for node in 0..NODES {
            self.hear(node);
        }
        for partition in 0..PARTITIONS {
            self.ends[partition] += 1;
            self.grant(partition, partition % NODES);
        }
        for _ in 0..TURNS_MAX {
            for node in &mut self.nodes {
                node.turn(&self.ends);
            }
            self.check()?;
        }
        let durable = self.outside.durable();
        for number in 0..PARTITIONS {
            let stored = durable.offsets.get(&partition(number as i32)).map(|stored| stored.next_offset);
            prop_assert_eq!(stored, Some(self.ends[number]), "partition {} is stuck", number);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, max_shrink_iters: 50_000, ..ProptestConfig::default() })]

    #[test]
    fn every_record_is_a_row_once_whatever_happens(happenings in prop::collection::vec(happening(), 0..120)) {
        let mut world = World::new();
        for happening in happenings {
            world.happen(happening);
            world.check()?;
        }
        world.heal()?;
    }
}
