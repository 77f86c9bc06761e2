//! Which letters are meant. One condition for every command, so that `list` shows what `replay` takes.

use tokio_postgres::types::ToSql;

/// What a letter has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// Nobody has replayed it.
    New,
    /// What a replay made of it is durable.
    Replayed,
    /// A replay rejected it again.
    FailedAgain,
}

impl Word {
    /// Every state.
    pub const ALL: [Word; 3] = [Word::New, Word::Replayed, Word::FailedAgain];

    /// As people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Word::New => "new",
            Word::Replayed => "replayed",
            Word::FailedAgain => "failed-again",
        }
    }
}

/// Which letters of a topology; what is empty or `None` leaves out none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// By id.
    pub ids: Vec<i64>,
    /// The actors that rejected them.
    pub actors: Vec<String>,
    /// Their reasons.
    pub reasons: Vec<String>,
    /// Their classes.
    pub classes: Vec<String>,
    /// Identities of the sources they came from.
    pub sources: Vec<String>,
    /// Topics they came from.
    pub topics: Vec<String>,
    /// Partitions they came from.
    pub partitions: Vec<i32>,
    /// Rejected then or later, microseconds since 1970 UTC.
    pub since_us: Option<i64>,
    /// Rejected before, microseconds since 1970 UTC.
    pub until_us: Option<i64>,
    /// What they have come to.
    pub states: Vec<Word>,
}

/// The state of the letter `l`.
macro_rules! state {
    () => {
        "CASE WHEN l.replayed_at IS NOT NULL THEN 'replayed' WHEN l.attempts > 0 THEN 'failed-again' ELSE 'new' END"
    };
}

/// The letters `l` that parameters 1 to 11 mean: see [`Bound`].
macro_rules! matching {
    () => {
        concat!(
            "l.topology = $1 \
             AND ($2::int8[] IS NULL OR l.id = ANY ($2)) \
             AND ($3::text[] IS NULL OR l.actor = ANY ($3)) \
             AND ($4::text[] IS NULL OR l.reason = ANY ($4)) \
             AND ($5::text[] IS NULL OR l.class = ANY ($5)) \
             AND ($6::text[] IS NULL OR l.source = ANY ($6)) \
             AND ($7::text[] IS NULL OR l.topic = ANY ($7)) \
             AND ($8::int4[] IS NULL OR l.partition = ANY ($8)) \
             AND ($9::int8 IS NULL OR l.at >= 'epoch'::timestamptz + $9 * interval '1 microsecond') \
             AND ($10::int8 IS NULL OR l.at < 'epoch'::timestamptz + $10 * interval '1 microsecond') \
             AND ($11::text[] IS NULL OR ",
            $crate::dlq::filter::state!(),
            " = ANY ($11))"
        )
    };
}

pub(super) use {matching, state};

/// A filter as the parameters of a statement.
pub(super) struct Bound<'f> {
    topology: &'f str,
    filter: &'f Filter,
    ids: Option<&'f [i64]>,
    texts: [Option<&'f [String]>; 5],
    partitions: Option<&'f [i32]>,
    states: Option<Vec<&'static str>>,
}

impl<'f> Bound<'f> {
    pub(super) fn new(topology: &'f str, filter: &'f Filter) -> Self {
        fn some<T>(values: &[T]) -> Option<&[T]> {
            (!values.is_empty()).then_some(values)
        }
        let Filter { ids, actors, reasons, classes, sources, topics, partitions, states, .. } = filter;
        Self {
            topology,
            filter,
            ids: some(ids),
            texts: [actors, reasons, classes, sources, topics].map(|texts| some(texts)),
            partitions: some(partitions),
            states: some(states).map(|states| states.iter().map(|state| state.as_str()).collect()),
        }
    }

    /// The first eleven parameters, then `more`.
    pub(super) fn and<'p>(&'p self, more: &[&'p (dyn ToSql + Sync)]) -> Vec<&'p (dyn ToSql + Sync)> {
        let [actors, reasons, classes, sources, topics] = &self.texts;
        let own: [&(dyn ToSql + Sync); 11] = [
            &self.topology,
            &self.ids,
            actors,
            reasons,
            classes,
            sources,
            topics,
            &self.partitions,
            &self.filter.since_us,
            &self.filter.until_us,
            &self.states,
        ];
        own.iter().chain(more).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_null_and_the_numbers_go_on() {
        let filter = Filter { actors: vec!["trades".into()], states: vec![Word::New], ..Filter::default() };
        let bound = Bound::new("t", &filter);
        let (after, limit) = (7i64, 10i64);
        let params = bound.and(&[&after, &limit]);
        assert_eq!(params.len(), 13);
        let shown: Vec<String> = params.iter().map(|param| format!("{param:?}")).collect();
        assert_eq!(shown[2], r#"Some(["trades"])"#);
        assert_eq!((shown[1].as_str(), shown[8].as_str(), shown[11].as_str()), ("None", "None", "7"));
        assert_eq!(shown[10], r#"Some(["new"])"#);
    }

    #[test]
    fn every_parameter_stands_in_the_condition() {
        for number in 1..=11 {
            assert!(matching!().contains(&format!("${number}")), "${number}");
        }
    }
}
