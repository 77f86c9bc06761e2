//! `&&`, `||`, `? :`.
//!
//! As in CEL the side that decides decides, though the other one errs: so it changes nothing that a side is computed
//! where nobody asks for it. Where a row of it costs much it is not.

use super::kernel::Kernel;
use super::run::{Batch, condition};
use super::vector::{Values, Vector, both, either, without};
use arrow_array::StringArray;
use arrow_buffer::BooleanBuffer;

pub(super) fn and(sides: &[Kernel; 2], batch: Batch<'_>, wanted: Option<&BooleanBuffer>) -> Vector {
    let first = sides[0].run(batch, wanted);
    let holds = first.holds();
    let undecided = || either(Some(&holds), first.faults.as_ref());
    let second = sides[1].run_where(undecided, batch, wanted);
    let also_holds = second.holds();
    // A fault of one side counts unless the other one is false.
    let faults = match (&first.faults, &second.faults) {
        (None, None) => None,
        (None, Some(second)) => Some(&holds & second),
        (Some(first), None) => Some(first & &also_holds),
        (Some(first), Some(second)) => Some(&(first & &(&also_holds | second)) | &(&holds & second)),
    };
    condition(&holds & &also_holds, None, faults)
}

pub(super) fn or(sides: &[Kernel; 2], batch: Batch<'_>, wanted: Option<&BooleanBuffer>) -> Vector {
    let first = sides[0].run(batch, wanted);
    let holds = first.holds();
    let second = sides[1].run_where(|| Some(!&holds), batch, wanted);
    let holds = &holds | &second.holds();
    // A fault of one side counts unless the other one is true.
    let faults = either(first.faults.as_ref(), second.faults.as_ref());
    let faults = faults.map(|faults| without(faults, Some(&holds)));
    condition(holds, None, faults)
}

pub(super) fn conditional(parts: &[Kernel; 3], batch: Batch<'_>, wanted: Option<&BooleanBuffer>) -> Vector {
    let [condition, yes, no] = parts;
    let condition = condition.run(batch, wanted);
    let first = condition.holds();
    let second = !&first;
    let yes = yes.run_where(|| Some(first.clone()), batch, wanted);
    let no = no.run_where(|| Some(second.clone()), batch, wanted);
    let valid = match (&yes.valid, &no.valid) {
        (None, None) => None,
        (Some(yes), None) => Some(&(&first & yes) | &second),
        (None, Some(no)) => Some(&first | &(&second & no)),
        (Some(yes), Some(no)) => Some(&(&first & yes) | &(&second & no)),
    };
    let yes_faults = both(Some(&first), yes.faults.as_ref()).filter(|_| yes.faults.is_some());
    let no_faults = both(Some(&second), no.faults.as_ref()).filter(|_| no.faults.is_some());
    let faults = either(condition.faults.as_ref(), either(yes_faults.as_ref(), no_faults.as_ref()).as_ref());
    Vector { values: chosen(&first, &yes.values, &no.values), valid, faults }
}

/// Of each row, the first value if the row is among `rows`, else the second.
fn chosen(rows: &BooleanBuffer, yes: &Values, no: &Values) -> Values {
    fn pick<T: Copy>(rows: &BooleanBuffer, yes: &[T], no: &[T]) -> Vec<T> {
        let pairs = yes.iter().zip(no);
        rows.iter().zip(pairs).map(|(first, (&yes, &no))| if first { yes } else { no }).collect()
    }
    match (yes, no) {
        (Values::Bool(yes), Values::Bool(no)) => {
            Values::Bool(&(rows & yes) | &without(no.clone(), Some(rows)))
        }
        (Values::Int(yes), Values::Int(no)) => Values::Int(pick(rows, yes, no).into()),
        (Values::Double(yes), Values::Double(no)) => Values::Double(pick(rows, yes, no).into()),
        (Values::Decimal(yes), Values::Decimal(no)) => Values::Decimal(pick(rows, yes, no).into()),
        (Values::Text(yes), Values::Text(no)) => {
            let texts = rows.iter().enumerate().map(|(row, first)| if first { yes } else { no }.value(row));
            Values::Text(StringArray::from_iter_values(texts))
        }
        (yes, no) => unreachable!("invariant: both are of one kind, found {yes:?} and {no:?}"),
    }
}

impl Kernel {
    /// Its value for the rows of `undecided` that are wanted; for all of them if that costs less than to choose.
    fn run_where(
        &self,
        undecided: impl FnOnce() -> Option<BooleanBuffer>,
        batch: Batch<'_>,
        wanted: Option<&BooleanBuffer>,
    ) -> Vector {
        if !self.is_costly() {
            return self.run(batch, wanted);
        }
        self.run(batch, both(undecided().as_ref(), wanted).as_ref())
    }
}
