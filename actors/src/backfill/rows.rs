//! Lets only rows of the range pass: those whose time lies in it, whenever their records were made.

use crate::export::spans::Range;
use aqueduct_engine::{Actor, Context, Error, Factory};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, BooleanArray};
use arrow_select::filter::filter_record_batch;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use std::sync::Arc;

/// The factory of the actor between normalizers and writer; `column` is the time of rows.
pub(super) fn factory(column: Arc<str>, range: Range) -> Factory {
    Arc::new(move || Box::new(Rows { column: column.clone(), range }))
}

struct Rows {
    column: Arc<str>,
    range: Range,
}

impl Rows {
    fn mask(&self, times: &dyn Array) -> Result<BooleanArray, Error> {
        let times = times.as_primitive_opt::<TimestampMicrosecondType>();
        let times = times.ok_or_else(|| Error::bug(format!("`{}` is no timestamp", self.column)))?;
        let Range { from_us, to_us } = self.range;
        // A row without a time belongs to no range.
        Ok(times.iter().map(|time| Some(time.is_some_and(|time| (from_us..to_us).contains(&time)))).collect())
    }
}

impl Actor for Rows {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        async move {
            while let Some(lease) = cx.lease().await {
                let kept = match lease.rows.column_by_name(&self.column) {
                    Some(times) => filter_record_batch(&lease.rows, &self.mask(times)?)
                        .map_err(|error| Error::bug(format!("cannot pick rows: {error}")))?,
                    // A batch that only moves offsets on has no rows and may have no columns.
                    None if lease.rows.num_rows() == 0 => lease.rows.clone(),
                    None => return Err(Error::bug(format!("rows have no `{}`", self.column))),
                };
                cx.push(lease.with_rows(kept)).await?;
                cx.status.progressed();
                lease.settle();
            }
            Ok(())
        }
        .boxed_local()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::TimestampMicrosecondArray;

    #[test]
    fn the_range_is_half_open_and_a_row_without_a_time_is_in_none() {
        let rows = Rows { column: "ts".into(), range: Range { from_us: 10, to_us: 20 } };
        let times = TimestampMicrosecondArray::from(vec![Some(9), Some(10), Some(19), Some(20), None]);
        let mask = rows.mask(&times).expect("times");
        assert_eq!(mask.iter().flatten().collect::<Vec<_>>(), [false, true, true, false, false]);
    }
}
