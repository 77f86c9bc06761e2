//! Lets only those rows pass that were rejected.

use super::run::Run;
use aqueduct_engine::{Actor, Context, Error, Factory};
use arrow_array::BooleanArray;
use arrow_select::filter::filter_record_batch;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use std::sync::Arc;

/// The factory of the actor between normalizer and sinks.
pub(super) fn factory(run: Arc<Run>) -> Factory {
    Arc::new(move || Box::new(Rows { run: run.clone() }))
}

struct Rows {
    run: Arc<Run>,
}

impl Actor for Rows {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        async move {
            while let Some(lease) = cx.lease().await {
                let places = lease.row_offsets().iter().zip(lease.row_indices());
                let epoch = lease.origin.epoch;
                let passes = |(id, row): (&i64, &i32)| self.run.passes(epoch, *id, *row);
                let mask: BooleanArray = places.map(|place| Some(passes(place))).collect();
                let kept = filter_record_batch(&lease.rows, &mask)
                    .map_err(|error| Error::bug(format!("cannot pick rows: {error}")))?;
                cx.push(lease.with_rows(kept)).await?;
                cx.status.progressed();
                lease.settle();
            }
            Ok(())
        }
        .boxed_local()
    }
}
