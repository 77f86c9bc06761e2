//! The columns of the table: what each shows, how it sorts, and which goes first where there is little room.

use super::row::Row;
use std::cmp::Ordering;

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Actor,
    Kind,
    State,
    Since,
    Restarts,
    Read,
    Written,
    Fill,
    Blocked,
    Lag,
    LagAge,
    DeadLetters,
    Why,
}

/// All, from left to right.
pub(super) const ALL: [Column; 13] = [
    Column::Actor,
    Column::Kind,
    Column::State,
    Column::Since,
    Column::Restarts,
    Column::Read,
    Column::Written,
    Column::Fill,
    Column::Blocked,
    Column::Lag,
    Column::LagAge,
    Column::DeadLetters,
    Column::Why,
];

/// Those that go where there is no room for them, first one first. Who and in which state stay.
const GOING: [Column; 11] = [
    Column::Kind,
    Column::Why,
    Column::Since,
    Column::LagAge,
    Column::Blocked,
    Column::Restarts,
    Column::Written,
    Column::DeadLetters,
    Column::Read,
    Column::Fill,
    Column::Lag,
];

/// Below this a reason says nothing.
const WHY_WIDTH_MIN: u16 = 16;
/// An actor's name is given no more.
const NAME_WIDTH_MAX: u16 = 28;

impl Column {
    pub(super) fn head(self) -> &'static str {
        match self {
            Self::Actor => "ACTOR",
            Self::Kind => "KIND",
            Self::State => "STATE",
            Self::Since => "SINCE",
            Self::Restarts => "RST",
            Self::Read => "READ/S",
            Self::Written => "OUT/S",
            Self::Fill => "FILL",
            Self::Blocked => "BLOCKED",
            Self::Lag => "LAG",
            Self::LagAge => "LAG AGE",
            Self::DeadLetters => "DEAD",
            Self::Why => "WHY",
        }
    }

    /// Whether it holds words; numbers stand to the right.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Actor | Self::Kind | Self::State | Self::Why)
    }

    /// The order of a table sorted by it: what deserves a look comes first.
    pub(super) fn compare(self, a: &Row, b: &Row) -> Ordering {
        let more = |a: f64, b: f64| b.total_cmp(&a);
        match self {
            Self::Actor => a.name.cmp(&b.name),
            Self::Kind => a.kind.cmp(&b.kind),
            Self::State => (a.ready, &a.state).cmp(&(b.ready, &b.state)),
            Self::Since => b.since_us.cmp(&a.since_us),
            Self::Restarts => b.restarts.cmp(&a.restarts),
            Self::Read => more(a.read.unwrap_or(-1.0), b.read.unwrap_or(-1.0)),
            Self::Written => more(a.written.unwrap_or(-1.0), b.written.unwrap_or(-1.0)),
            Self::Fill => more(a.fill.unwrap_or(-1.0), b.fill.unwrap_or(-1.0)),
            Self::Blocked => more(a.blocked, b.blocked),
            Self::Lag => b.lag.cmp(&a.lag),
            Self::LagAge => more(a.lag_seconds, b.lag_seconds),
            Self::DeadLetters => b.dead_letters.cmp(&a.dead_letters),
            Self::Why => b.reason.is_empty().cmp(&a.reason.is_empty()).reverse(),
        }
    }

    fn width(self, names: u16, kinds: u16) -> u16 {
        match self {
            Self::Actor => (names + 2).clamp(7, NAME_WIDTH_MAX),
            Self::Kind => kinds.clamp(4, 18),
            Self::State => 10,
            Self::Since => 6,
            Self::Restarts => 4,
            Self::Read | Self::Written => 7,
            Self::Fill => 5,
            Self::Blocked => 7,
            Self::Lag => 8,
            Self::LagAge => 7,
            Self::DeadLetters => 6,
            Self::Why => WHY_WIDTH_MIN,
        }
    }
}

/// The columns that fit into `width`, with a space between them, and how wide each is.
pub(super) fn fitting(width: u16, rows: &[Row]) -> Vec<(Column, u16)> {
    let longest =
        |text: fn(&Row) -> &str| rows.iter().map(|row| text(row).chars().count()).max().unwrap_or(0) as u16;
    let (names, kinds) = (longest(|row| &row.name), longest(|row| &row.kind));
    let mut columns: Vec<(Column, u16)> =
        ALL.iter().map(|column| (*column, column.width(names, kinds))).collect();
    let taken =
        |columns: &[(Column, u16)]| columns.iter().map(|(_, width)| width + 1).sum::<u16>().saturating_sub(1);
    for column in GOING {
        if taken(&columns) <= width {
            break;
        }
        columns.retain(|(other, _)| *other != column);
    }
    let left = width.saturating_sub(taken(&columns));
    // The last takes what is left.
    if let Some((Column::Why, width)) = columns.last_mut() {
        *width += left;
    }
    columns
}
