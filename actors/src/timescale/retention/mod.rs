//! How long rows are kept: dropping what is past that, and auditing whether what is declared is what is there.
//!
//! Dropping goes through `aqueduct.drop_past` alone, which drops one slice of time and writes its line of evidence in one
//! statement, and obeys legal holds: see `config/migrations/0007_retention.sql`. [`look`] reads what is there,
//! [`audit`] compares; the first changes nothing, the second is pure.
//!
//! Deliberately absent: retention policies of the server, where its edition has them. They know no hold and leave no
//! evidence (ADR 0023), so a live one is a finding.

mod drop;
mod edition;
mod judge;
mod live;
mod report;

pub use drop::{Dropped, Standing, drop_past, standing};
pub(super) use edition::compress;
pub use edition::{Edition, interval};
pub use judge::audit;
pub use live::{Chunk, Hold, Live, LiveTable, look};
pub use report::{Declared, Drop, Finding, FindingKind, Forecast, Past, Report, TableReport};
