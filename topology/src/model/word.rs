//! Choices among few words: what the file writes for each, said once for reading, the catalog, plans and rendering.

/// A choice that the file makes with one word.
pub(crate) trait Word: Copy + 'static {
    /// Every word, in the order in which people are told of them.
    const WORDS: &'static [&'static str];
    /// What each of them means.
    const MEANINGS: &'static [Self];
}

/// Gives each choice its words: `Enum { Variant = "word", .. }`.
macro_rules! words {
    ($($name:ty { $($variant:ident = $word:literal),+ $(,)? })+) => {$(
        impl $name {
            /// As the file writes it.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl Word for $name {
            const WORDS: &'static [&'static str] = &[$($word),+];
            const MEANINGS: &'static [Self] = &[$(Self::$variant),+];
        }
    )+};
}

words! {
    super::Strategy { OneForOne = "one_for_one", OneForAll = "one_for_all", RestForOne = "rest_for_one" }
    super::Restart { Permanent = "permanent", Transient = "transient", Temporary = "temporary" }
    super::Policy { Required = "required", BestEffort = "best_effort" }
    super::MatchMode { First = "first", All = "all" }
    super::TimeUnit { Seconds = "s", Millis = "ms", Micros = "us", Nanos = "ns", Iso = "iso" }
    super::GroupProtocol { Classic = "classic", Consumer = "consumer" }
    super::Membership { Static = "static", Dynamic = "dynamic" }
    super::OnConflict { Keep = "keep", Replace = "replace" }
    super::ReplayFormat { Jsonl = "jsonl", Envelope = "envelope", Csv = "csv" }
    super::Format { Json = "json", Csv = "csv", Avro = "avro", Protobuf = "protobuf" }
    super::GateMode { Enforce = "enforce", Shadow = "shadow" }
    super::Work { Retention = "retention", Rollup = "rollup", Export = "export" }
    super::Aggregate {
        First = "first", Last = "last", Min = "min", Max = "max", Sum = "sum", Avg = "avg", Count = "count",
    }
    super::RowOrder { Read = "read", Arrival = "arrival", Any = "any" }
}
