//! The keys of `quality_gate` and its rules.

use super::{Key, Shape};
use crate::model::{GateMode, Word};

/// The kind's own keys.
pub const QUALITY_GATE: &[Key] = &[
    Key::required(
        "by",
        Shape::ListOf(&Shape::Field),
        "The fields (text, int64 or bool) whose values together are a key; each key gets its own verdict.",
    ),
    Key::default("every", Shape::Duration, "1s", "The beat on which every key's verdict is given anew."),
    Key::default(
        "mode",
        Shape::Word(GateMode::WORDS),
        "enforce",
        "In `shadow` the verdict is always `trade`, and `would` says what the rules would make of it.",
    ),
    Key::default("window", Shape::Duration, "10s", "How long what a rule saw is held against its key."),
    Key::default(
        "watch_at",
        Shape::Share,
        "50%",
        "The share of a limit from which on the verdict is `watch`; at the whole limit it is `halt`.",
    ),
    Key::default(
        "rows_min",
        Shape::Integer(1, 1_000_000),
        "20",
        "Rows within the window from which on shares and rates are judged.",
    ),
    Key::default(
        "keys_max",
        Shape::Integer(1, 1_000_000),
        "100000",
        "Most keys remembered; beyond, the one not seen for longest is forgotten, and gets no verdict.",
    ),
    Key::required("rules", Shape::Part(RULES), "What is wrong with a key, each rule with its limit."),
    Key::optional(
        "overrides",
        Shape::ListOf(&Shape::Part(OVERRIDE)),
        "Rules of single keys; of those that apply to a key, the first counts.",
    ),
];

/// `rules`.
pub const RULES: &[Key] = &rules(Key::required(
    "stale_after",
    Shape::Duration,
    "Nothing came for so long by the gate's own clock. Without it a key that fell silent would keep its verdict.",
));

/// `rules` of one of `overrides`: what it does not name is the gate's.
pub const OVERRIDE_RULES: &[Key] = &rules(Key::optional(
    "stale_after",
    Shape::Duration,
    "Nothing came for so long by the gate's own clock.",
));

/// One of `overrides`.
pub const OVERRIDE: &[Key] = &[
    Key::required("name", Shape::Name, "What it is called where a key that it applies to is shown."),
    Key::required(
        "when",
        Shape::Expression,
        "True of the keys that it applies to; it may name the fields of `by`.",
    ),
    Key::required(
        "rules",
        Shape::Part(OVERRIDE_RULES),
        "The rules that these keys have in place of the gate's of the same names.",
    ),
];

const fn rules(stale_after: Key) -> [Key; 11] {
    [
        stale_after,
        Key::optional(
            "gap",
            Shape::Either(&Shape::Field, &Shape::Part(GAP)),
            "An int64 that rises by one from row to row leaves out `limit` numbers within the window.",
        ),
        Key::optional(
            "repeat",
            Shape::Either(&Shape::Field, &Shape::Part(REPEAT)),
            "An int64 that should only rise repeats a number or goes back, `limit` times within the window.",
        ),
        Key::optional(
            "out_of_order",
            Shape::Share,
            "The share of rows in the window whose event is older than one that came before.",
        ),
        Key::optional(
            "late",
            Shape::Either(&Shape::Duration, &Shape::Part(LATE)),
            "The share of rows in the window whose event is so much older than their record.",
        ),
        Key::optional(
            "price_band",
            Shape::Either(&Shape::Share, &Shape::Part(BAND)),
            "A value in the window lies so far from the median of the values before it.",
        ),
        Key::optional("crossed", Shape::Part(CROSSED), "The bid is not below the ask: crossed, or locked."),
        Key::optional(
            "frozen",
            Shape::Either(&Shape::Field, &Shape::Part(FROZEN)),
            "A value stays the same though rows come.",
        ),
        Key::optional(
            "clock_skew",
            Shape::Duration,
            "An event in the window lies so far in the future of its record: one of the two clocks is wrong.",
        ),
        Key::optional(
            "rate_collapse",
            Shape::Share,
            "The rate of the window has come down to this share of the key's usual one.",
        ),
        Key::optional(
            "nulls",
            Shape::MapOf(&Shape::Share),
            "By optional field: the share of rows in the window in which it is null.",
        ),
    ]
}

/// `gap`, in its long form.
pub const GAP: &[Key] = &[
    Key::required("field", Shape::Field, "The sequence number, an int64."),
    Key::default("limit", Shape::Integer(1, 1_000_000), "1", "So many missing numbers are too many."),
];

/// `repeat`, in its long form.
pub const REPEAT: &[Key] = &[
    Key::required("field", Shape::Field, "The sequence number, an int64."),
    Key::default("limit", Shape::Integer(1, 1_000_000), "1", "So many repeated numbers are too many."),
];

/// `late`, in its long form.
pub const LATE: &[Key] = &[
    Key::required("after", Shape::Duration, "A row is late when its event is so much older than its record."),
    Key::default("share", Shape::Share, "5%", "The share of late rows that is too much."),
];

/// `price_band`, in its long form.
pub const BAND: &[Key] = &[
    Key::default("field", Shape::Field, "price", "The value: decimal, float64 or int64."),
    Key::required("within", Shape::Share, "The greatest distance from the median, as a share of it."),
    Key::default("median_of", Shape::Integer(3, 1024), "64", "The median is that of so many values."),
];

/// `crossed`.
pub const CROSSED: &[Key] = &[
    Key::required("bid", Shape::Field, "What somebody pays: decimal, float64 or int64."),
    Key::required("ask", Shape::Field, "What somebody asks for, of the same type."),
    Key::default("limit", Shape::Integer(1, 1_000_000), "1", "So many such rows are too many."),
];

/// `frozen`, in its long form.
pub const FROZEN: &[Key] = &[
    Key::required("field", Shape::Field, "The value."),
    Key::optional("rows", Shape::Integer(2, 1_000_000_000), "The same in so many rows one after the other."),
    Key::default("for", Shape::Duration, "1m, unless `rows` is there", "Or the same for so long."),
];
