//! The life of a lane's source: it claims and reads; once all is handed on, it waits until it is told to end. A claim that is
//! lost is made anew, unless somebody newer has it: then another does this work.

use aqueduct_engine::{Class, Context, Error, Loss};
use std::time::Duration;

/// How long one question to the database or one look at the records may take, connecting included.
pub(crate) const ASK_MAX: Duration = Duration::from_secs(45);
/// How often a source that rests looks whether it may go on, must begin again, or end.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why reading ended.
pub(crate) enum End {
    /// Told to.
    Asked,
    /// The claim does not hold.
    Lost(Loss),
}

/// Claims and reads, as `read` does, until told to end. `taken_over` is what to say when somebody newer has the claim.
pub(crate) async fn serve(
    cx: &mut Context,
    taken_over: &'static str,
    mut read: impl AsyncFnMut(&mut Context) -> Result<End, Error>,
) -> Result<(), Error> {
    loop {
        match read(cx).await {
            Ok(End::Asked) => return Ok(()),
            Ok(End::Lost(Loss::WentBack | Loss::Renounced)) => {}
            // To claim back what somebody newer has would only take turns at fencing.
            Ok(End::Lost(Loss::Fenced)) => return Err(Error::new(Class::Fenced, taken_over)),
            Err(error) => return cx.unless_stopping(Err(error)),
        }
    }
}

/// All is handed on: waits for the end, or until `lost` says that the claim does not hold.
pub(crate) async fn rest(cx: &Context, lost: impl Fn(&Context) -> Option<Loss>) -> End {
    loop {
        cx.status.caught_up(true);
        if cx.status.is_draining() {
            return End::Asked;
        }
        if let Some(loss) = lost(cx) {
            cx.status.caught_up(false);
            return End::Lost(loss);
        }
        if cx.status.sleep_or_stop(&cx.clock, LOOK_EVERY).await {
            return End::Asked;
        }
    }
}
