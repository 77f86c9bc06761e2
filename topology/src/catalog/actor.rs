//! What every actor takes.

use super::{Key, Shape};
use crate::model::{Policy, Restart, Word};

/// The keys of every actor.
pub const COMMON: &[Key] = &[
    Key::required("kind", Shape::Text, "What the actor does."),
    Key::optional("from", Shape::ListOf(&Shape::Actor), "The actors it reads from."),
    Key::default("id", Shape::Name, "the actor's name", "The identity under which offsets are kept."),
    Key::optional("adopts", Shape::Name, "The former identity whose offsets this sink takes over."),
    Key::optional("description", Shape::Text, "For people."),
    Key::default(
        "restart",
        Shape::Word(Restart::WORDS),
        "permanent",
        "Whether it is started again after it ends.",
    ),
    Key::default("shutdown", Shape::Duration, "30s", "How long it may take to stop."),
    Key::default(
        "parallelism",
        Shape::Integer(1, crate::limits::PARALLELISM_MAX),
        "1",
        "How many clones share its partitions.",
    ),
    Key::default(
        "load",
        Shape::Integer(1, crate::limits::LOAD_MAX),
        "usual for its kind",
        "What a clone needs of a core beside the others, in per cent: it decides who shares a thread where there are fewer threads than actors.",
    ),
    Key::optional("link", Shape::Part(LINK), "How much may wait before it."),
    Key::default(
        "policy",
        Shape::Word(Policy::WORDS),
        "required; of a gate best_effort",
        "Of a sink: whether its outage holds the others. Of a gate: whether they wait for it when it lags.",
    ),
];

/// `link`.
pub const LINK: &[Key] = &[
    Key::default("batches", Shape::Integer(1, 4096), "16", "Most batches that wait."),
    Key::default("bytes", Shape::Size, "6MiB", "Most bytes that wait."),
];
