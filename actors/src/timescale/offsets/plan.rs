//! What a claim decides for one partition, from what is stored and what Kafka has. Pure.

use crate::timescale::limits::HEAL_RECORDS_MAX;
use aqueduct_engine::planted::{Bug, planted};
use aqueduct_engine::{Claim, ClaimRequest, Class, Error, SinkIdentity};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One stored row of the partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) sink: String,
    pub(crate) epoch: i64,
    pub(crate) next_offset: i64,
    pub(crate) session: String,
}

/// What is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) epoch: i64,
    pub(crate) start: i64,
    pub(crate) sinks: BTreeMap<Arc<str>, i64>,
    pub(crate) skipped: BTreeMap<Arc<str>, i64>,
}

/// Decides. `rows` are those of this partition, sinks included that the topology does not have any more: their epochs
/// count. `last_epoch` is what this process claimed last: a database that went back has forgotten it, links have not.
pub(crate) fn plan(
    request: &ClaimRequest,
    sinks: &[SinkIdentity],
    rows: &[Row],
    last_epoch: i64,
) -> Result<Plan, Error> {
    let log = request.log;
    let epoch = rows.iter().map(|row| row.epoch).fold(last_epoch, i64::max) + 1;
    let epoch = if planted(Bug::KeepsTheEpoch) { (epoch - 1).max(1) } else { epoch };
    let stored: BTreeMap<&str, i64> = rows.iter().map(|row| (row.sink.as_str(), row.next_offset)).collect();
    let known: Vec<(&SinkIdentity, i64)> =
        sinks.iter().filter_map(|sink| Some((sink, *stored.get(&*sink.id)?))).collect();
    if let Some((sink, offset)) = known.iter().find(|(_, offset)| *offset > log.end) {
        return Err(beyond_the_end(request, sink, *offset));
    }
    let lacking = |(sink, offset): &&(&SinkIdentity, i64)| sink.required && *offset < log.start;
    if let Some((sink, offset)) = known.iter().find(lacking) {
        return Err(before_the_start(request, sink, *offset));
    }
    let joining = known.iter().map(|(_, offset)| *offset).min().unwrap_or(log.initial);
    let joining = if planted(Bug::JoinsAtTheEnd) { log.end } else { joining };
    let mut offsets: BTreeMap<Arc<str>, i64> = BTreeMap::new();
    let mut skipped: BTreeMap<Arc<str>, i64> = BTreeMap::new();
    for sink in sinks {
        let offset = stored.get(&*sink.id).copied().unwrap_or(joining);
        offsets.insert(sink.id.clone(), raise(offset, log.start, &sink.id, &mut skipped));
    }
    let required =
        sinks.iter().filter(|sink| sink.required).filter_map(|sink| offsets.get(&sink.id).copied()).min();
    if let Some(required) = required {
        for sink in sinks.iter().filter(|sink| !sink.required) {
            let offset = offsets[&sink.id];
            let healed = raise(offset, required - HEAL_RECORDS_MAX, &sink.id, &mut skipped);
            offsets.insert(sink.id.clone(), healed);
        }
    }
    let start = offsets.values().copied().min().unwrap_or(log.initial);
    Ok(Plan { epoch, start, sinks: offsets, skipped })
}

/// Where the fate of records is open again after `claim`, made for `sinks`: every required sink will see them. Below,
/// they are read to heal a best-effort sink or one that lags, and those that have them behind them would not take what
/// the rules of today let pass: without its letter such a record would be nowhere.
pub(crate) fn open_from(claim: &Claim, sinks: &[SinkIdentity]) -> i64 {
    if planted(Bug::KeepsLetters) {
        return i64::MAX;
    }
    let required = sinks.iter().filter(|sink| sink.required);
    let settled = required.filter_map(|sink| claim.sinks.get(&sink.id).copied()).max();
    settled.unwrap_or(claim.start)
}

/// `offset`, or `floor` if it lies below; what lies between is skipped.
fn raise(offset: i64, floor: i64, sink: &Arc<str>, skipped: &mut BTreeMap<Arc<str>, i64>) -> i64 {
    if offset >= floor {
        return offset;
    }
    *skipped.entry(sink.clone()).or_default() += floor - offset;
    floor
}

/// Records that a required sink needs are gone. To go on behind them is nobody's to decide but an operator's.
fn before_the_start(request: &ClaimRequest, sink: &SinkIdentity, offset: i64) -> Error {
    let (key, start) = (&request.key, request.log.start);
    Error::new(
        Class::Config,
        format!(
            "sink `{}` needs offset {offset} of {}/{} next, but the log begins at {start}: {} records are gone through \
             retention or deletion. Nothing of the partition is read until somebody decides: `aqueduct offsets reset \
             FILE` says where to go on; raise the topic's retention",
            sink.id,
            key.topic,
            key.partition,
            start - offset
        ),
    )
}

fn beyond_the_end(request: &ClaimRequest, sink: &SinkIdentity, offset: i64) -> Error {
    let key = &request.key;
    Error::new(
        Class::Config,
        format!(
            "sink `{}` has stored offset {offset} of {}/{}, but the log ends at {}: was the topic created anew, or did \
             Kafka lose data? Nothing is read until somebody decides: `aqueduct offsets reset FILE --to earliest --write-again` starts it over",
            sink.id, key.topic, key.partition, request.log.end
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct_engine::{LogRange, PartitionKey};

    fn request(start: i64, end: i64, initial: i64) -> ClaimRequest {
        let key = PartitionKey { source: "ticks".into(), topic: "md".into(), partition: 3 };
        ClaimRequest { key, log: LogRange { start, end, initial }, begun: false }
    }

    fn sink(id: &str, required: bool) -> SinkIdentity {
        SinkIdentity { id: id.into(), adopts: None, target: id.into(), required }
    }

    fn row(sink: &str, epoch: i64, next_offset: i64) -> Row {
        Row { sink: sink.into(), epoch, next_offset, session: String::new() }
    }

    fn offsets(plan: &Plan) -> Vec<(&str, i64)> {
        plan.sinks.iter().map(|(id, offset)| (&**id, *offset)).collect()
    }

    #[test]
    fn a_fresh_topology_starts_where_the_file_says() {
        let plan = plan(&request(10, 90, 90), &[sink("a", true), sink("b", false)], &[], 0).unwrap();
        assert_eq!((plan.epoch, plan.start), (1, 90));
        assert_eq!(offsets(&plan), [("a", 90), ("b", 90)]);
    }

    #[test]
    fn a_joining_sink_starts_at_the_least_of_the_others() {
        let sinks = [sink("a", true), sink("b", true), sink("new", true)];
        let plan = plan(&request(0, 90, 90), &sinks, &[row("a", 4, 50), row("b", 4, 40)], 0).unwrap();
        assert_eq!(plan.epoch, 5);
        assert_eq!(offsets(&plan), [("a", 50), ("b", 40), ("new", 40)]);
        assert_eq!(plan.start, 40);
    }

    #[test]
    fn the_epoch_rises_above_every_row_even_of_sinks_that_are_gone() {
        let plan =
            plan(&request(0, 90, 0), &[sink("a", true)], &[row("a", 4, 50), row("gone", 9, 10)], 0).unwrap();
        assert_eq!((plan.epoch, plan.start), (10, 50));
    }

    #[test]
    fn the_epoch_rises_above_a_claim_the_database_forgot() {
        let plan = plan(&request(0, 90, 0), &[sink("a", true)], &[row("a", 4, 50)], 7).unwrap();
        assert_eq!((plan.epoch, plan.start), (8, 50));
    }

    #[test]
    fn what_the_log_no_longer_has_waits_for_somebody() {
        let sinks = [sink("a", true), sink("b", true)];
        let error = plan(&request(60, 90, 60), &sinks, &[row("a", 1, 50), row("b", 1, 70)], 0).unwrap_err();
        assert_eq!(error.class, Class::Config);
        for part in ["sink `a`", "offset 50 of md/3", "begins at 60", "10 records", "offsets reset"] {
            assert!(error.message.contains(part), "{error}");
        }
        let reset = [row("a", 1, 60), row("b", 1, 70)];
        assert_eq!(plan(&request(60, 90, 60), &sinks, &reset, 0).unwrap().start, 60, "once decided");
    }

    #[test]
    fn what_only_a_best_effort_sink_lacks_is_skipped_and_counted() {
        let sinks = [sink("a", true), sink("b", false)];
        let plan = plan(&request(60, 90, 60), &sinks, &[row("a", 1, 70), row("b", 1, 50)], 0).unwrap();
        assert_eq!(offsets(&plan), [("a", 70), ("b", 60)]);
        assert_eq!(plan.skipped, BTreeMap::from([("b".into(), 10)]));
    }

    #[test]
    fn a_best_effort_sink_is_healed_only_so_far() {
        let ahead = 5 * HEAL_RECORDS_MAX;
        let sinks = [sink("a", true), sink("cache", false)];
        let rows = [row("a", 1, ahead), row("cache", 1, 7)];
        let plan = plan(&request(0, ahead, 0), &sinks, &rows, 0).unwrap();
        assert_eq!(offsets(&plan), [("a", ahead), ("cache", ahead - HEAL_RECORDS_MAX)]);
        assert_eq!(plan.start, ahead - HEAL_RECORDS_MAX);
        assert_eq!(plan.skipped, BTreeMap::from([("cache".into(), ahead - HEAL_RECORDS_MAX - 7)]));
    }

    #[test]
    fn a_required_sink_is_never_clamped_to_others() {
        let ahead = 5 * HEAL_RECORDS_MAX;
        let rows = [row("a", 1, ahead), row("b", 1, 7)];
        let plan = plan(&request(0, ahead, 0), &[sink("a", true), sink("b", true)], &rows, 0).unwrap();
        assert_eq!((plan.start, plan.skipped.len()), (7, 0));
    }

    #[test]
    fn an_offset_beyond_the_end_waits_for_somebody() {
        let error = plan(&request(0, 20, 0), &[sink("a", true)], &[row("a", 1, 21)], 0).unwrap_err();
        assert_eq!(error.class, Class::Config);
        assert!(
            error.message.contains("offset 21 of md/3") && error.message.contains("offsets reset"),
            "{error}"
        );
        assert!(
            plan(&request(0, 20, 0), &[sink("a", true)], &[row("a", 1, 20)], 0).is_ok(),
            "the end itself is fine"
        );
    }
}
