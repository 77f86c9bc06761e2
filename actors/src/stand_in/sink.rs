//! What the sinks that keep rows in memory have in common.

use crate::json::rows::Rows;
use aqueduct_engine::{Context, Error, Lease};
use std::time::Duration;

/// How long an attempt may take; it takes no time.
pub(super) const ATTEMPT_MAX: Duration = Duration::from_secs(30);

/// Gives every lease to `write`, until the data end or somebody says stop.
pub(super) async fn each_lease(
    cx: &mut Context,
    mut write: impl AsyncFnMut(&mut Context, Lease) -> Result<(), Error>,
) -> Result<(), Error> {
    cx.status.running();
    while let Some(lease) = cx.lease().await {
        if let Err(error) = write(cx, lease).await {
            return cx.unless_stopping(Err(error));
        }
    }
    Ok(())
}

/// One row as a JSON object.
pub(super) fn text(rows: &Rows, row: usize) -> Result<String, Error> {
    let mut text = Vec::new();
    rows.write(row, &mut text);
    String::from_utf8(text).map_err(|_| Error::bug("a row is no UTF-8"))
}
