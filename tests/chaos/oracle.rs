//! What must be true afterwards: every record in one place, once; offsets at the ends; the cache at the newest.

use super::log::Log;
use crate::harness::world::Sql;
use std::collections::BTreeMap;

/// What was found wrong, or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Records in the log.
    pub records: u64,
    /// In neither table nor dead letter.
    pub lost: u64,
    /// Rows and letters beyond the first of a record.
    pub doubled: u64,
    pub dead_lettered: u64,
    /// Everything else that is not as it must be.
    pub wrong: Vec<String>,
}

impl Findings {
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.wrong.is_empty()
    }

    /// So many rows were to be there.
    fn count(&mut self, expected: u64, rows: u64) {
        self.lost += expected.saturating_sub(rows);
        self.doubled += rows.saturating_sub(expected);
    }

    /// Both together.
    pub fn and(mut self, other: Findings) -> Self {
        self.records += other.records;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.dead_lettered += other.dead_lettered;
        self.wrong.extend(other.wrong);
        self
    }
}

/// What stands in the database.
#[derive(Debug, Default)]
pub struct Stored {
    /// How often each id is in the table.
    pub ids: BTreeMap<i64, u32>,
    /// Partition and offset of each letter, with how many there are.
    pub letters: BTreeMap<(i32, i64), u32>,
    /// The next offset of each partition.
    pub next: BTreeMap<i32, i64>,
    /// The newest id of each key.
    pub newest: BTreeMap<String, i64>,
}

impl Stored {
    /// Reads all of it.
    pub fn read(sql: &Sql, topology: &str) -> Self {
        let mut stored = Self::default();
        for row in sql.rows("SELECT id FROM market.trades", &[]) {
            *stored.ids.entry(row.get(0)).or_default() += 1;
        }
        let letters = "SELECT partition, \"offset\" FROM aqueduct.dead_letter WHERE topology = $1";
        for row in sql.rows(letters, &[&topology]) {
            *stored.letters.entry((row.get(0), row.get(1))).or_default() += 1;
        }
        let next =
            "SELECT partition, next_offset FROM aqueduct.offsets WHERE topology = $1 AND sink = 'history'";
        stored.next = sql.rows(next, &[&topology]).iter().map(|row| (row.get(0), row.get(1))).collect();
        stored.newest = newest(sql);
        stored
    }
}

/// The newest id of each key in the table.
pub fn newest(sql: &Sql) -> BTreeMap<String, i64> {
    let newest = "SELECT DISTINCT ON (k) k, id FROM market.trades ORDER BY k, ts DESC, id DESC";
    sql.rows(newest, &[]).iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Takes out of `stored` the rows of what a log held that is gone by now, and says what was wrong with them.
pub fn settle(gone: &Log, stored: &mut Stored) -> Findings {
    let mut findings = Findings { records: gone.ids.len() as u64, ..Findings::default() };
    for (id, places) in gone.by_id() {
        let rows = id.and_then(|id| stored.ids.remove(&id)).unwrap_or(0);
        findings.count(places.len() as u64, u64::from(rows));
    }
    findings
}

/// Holds what is stored against the log. An id may be in the log twice, as a producer's retry across a restart of its
/// broker can leave it: then it is two records, and two rows are right.
pub fn compare(log: &Log, stored: &Stored) -> Findings {
    let mut findings = Findings { records: log.ids.len() as u64, ..Findings::default() };
    let by_id = log.by_id();
    for (id, places) in &by_id {
        let letters = places.iter().map(|place| u64::from(stored.letters.get(place).copied().unwrap_or(0)));
        let (mut unlettered, mut lettered) = (0, 0);
        for letters in letters {
            match letters {
                0 => unlettered += 1,
                letters => {
                    lettered += 1;
                    findings.doubled += letters - 1;
                }
            }
        }
        findings.dead_lettered += lettered;
        let rows = id.and_then(|id| stored.ids.get(&id).copied()).unwrap_or(0);
        findings.count(unlettered, u64::from(rows));
    }
    let invented = stored.ids.keys().filter(|id| !by_id.contains_key(&Some(**id))).count();
    if invented > 0 {
        findings.wrong.push(format!("{invented} rows have ids that nobody sent"));
    }
    let strays = stored.letters.keys().filter(|place| !log.ids.contains_key(place)).count();
    if strays > 0 {
        findings.wrong.push(format!("{strays} dead letters are of no record in the log"));
    }
    for (partition, (_, end)) in &log.bounds {
        let next = stored.next.get(partition).copied();
        if next != Some(*end) && *end > 0 {
            findings
                .wrong
                .push(format!("partition {partition}: next_offset {next:?}, the log ends at {end}"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Log {
        let ids = [(0, Some(10)), (1, Some(11)), (2, None), (3, Some(12))];
        Log {
            bounds: BTreeMap::from([(0, (0, 4))]),
            ids: ids.into_iter().map(|(offset, id)| ((0, offset), id)).collect(),
        }
    }

    fn stored() -> Stored {
        Stored {
            ids: BTreeMap::from([(10, 1), (11, 1), (12, 1)]),
            letters: BTreeMap::from([((0, 2), 1)]),
            next: BTreeMap::from([(0, 4)]),
            newest: BTreeMap::new(),
        }
    }

    #[test]
    fn one_fate_each_is_clean() {
        let findings = compare(&log(), &stored());
        assert_eq!(findings, Findings { records: 4, dead_lettered: 1, ..Findings::default() });
        assert!(findings.is_clean());
    }

    #[test]
    fn what_a_log_held_before_is_settled_apart() {
        let ids = [(0, Some(1)), (1, Some(2)), (2, Some(3))];
        let gone = Log {
            bounds: BTreeMap::new(),
            ids: ids.into_iter().map(|(offset, id)| ((0, offset), id)).collect(),
        };
        let mut stored = stored();
        stored.ids.extend([(1, 1), (2, 2)]);
        let findings = settle(&gone, &mut stored);
        assert_eq!((findings.records, findings.lost, findings.doubled), (3, 1, 1));
        assert!(compare(&log(), &stored).is_clean(), "what is left belongs to the log of now");
        assert_eq!(findings.and(compare(&log(), &stored)).records, 7);
    }

    #[test]
    fn what_the_log_has_twice_is_stored_twice() {
        let mut log = log();
        log.ids.insert((0, 4), Some(11));
        log.bounds.insert(0, (0, 5));
        let rows = |rows| {
            let mut stored = stored();
            stored.ids.insert(11, rows);
            stored.next.insert(0, 5);
            stored
        };
        assert!(compare(&log, &rows(2)).is_clean());
        assert_eq!(compare(&log, &rows(1)).lost, 1);
        assert_eq!(compare(&log, &rows(3)).doubled, 1);
        let mut lettered = rows(1);
        lettered.letters.insert((0, 4), 1);
        assert!(compare(&log, &lettered).is_clean(), "one of them has a row, the other a letter");
        assert_eq!((log.repeated(), settle(&log, &mut rows(2)).doubled), (1, 0));
    }

    #[test]
    fn each_kind_of_wrong_is_found() {
        let broken = |spoil: fn(&mut Stored)| {
            let mut stored = stored();
            spoil(&mut stored);
            compare(&log(), &stored)
        };
        assert_eq!(broken(|stored| _ = stored.ids.remove(&11)).lost, 1);
        assert_eq!(broken(|stored| stored.letters.clear()).lost, 1);
        assert_eq!(broken(|stored| _ = stored.ids.insert(11, 3)).doubled, 2);
        assert_eq!(broken(|stored| _ = stored.letters.insert((0, 1), 1)).doubled, 1, "a row and a letter");
        assert_eq!(broken(|stored| _ = stored.ids.insert(99, 1)).wrong.len(), 1);
        assert_eq!(broken(|stored| _ = stored.letters.insert((0, 9), 1)).wrong.len(), 1);
        assert_eq!(broken(|stored| _ = stored.next.insert(0, 3)).wrong.len(), 1);
        assert_eq!(broken(|stored| stored.next.clear()).wrong.len(), 1);
    }
}
