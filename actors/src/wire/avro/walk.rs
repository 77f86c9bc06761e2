//! The walk over one message.

use super::plan::{Plan, Step, StepId};
use super::schema::{Type, TypeId};
use crate::base64;
use crate::json::{DEPTH_MAX, Draft};
use crate::wire::bytes::{Cursor, text};
use crate::wire::decimal::{units, write_decimal};
use crate::wire::{Fault, FaultKind, broken, time};

impl Plan {
    /// Writes to `draft` what is wanted of `message`, whose first `skipped` bytes are none of Avro's.
    pub fn decode(&self, message: &[u8], skipped: usize, draft: &mut Draft) -> Result<(), Fault> {
        draft.clear();
        let mut walk = Walk { plan: self, cursor: Cursor::new(message, skipped), draft };
        walk.write(self.root, 0)?;
        match walk.cursor.is_at_end() {
            true => walk.check_size(),
            false => Err(broken(walk.cursor.at(), "something follows the value")),
        }
    }
}

struct Walk<'p, 'm, 'd> {
    plan: &'p Plan,
    cursor: Cursor<'m>,
    draft: &'d mut Draft,
}

impl<'p, 'm> Walk<'p, 'm, '_> {
    fn here(&self, kind: FaultKind) -> Fault {
        Fault { at: self.cursor.at(), kind }
    }

    fn check_size(&self) -> Result<(), Fault> {
        self.draft.check_size().map_err(|kind| self.here(kind))
    }

    fn write(&mut self, step: StepId, depth: usize) -> Result<(), Fault> {
        // A union lies in no bracket of the draft, so depth is counted apart.
        if depth > 2 * DEPTH_MAX {
            return Err(self.here(FaultKind::TooDeep));
        }
        let plan: &'p Plan = self.plan;
        match &plan.steps[step as usize] {
            Step::Skip(id) => self.skip(*id, depth),
            Step::Scalar(id) => self.scalar(plan.schema.at(*id)),
            Step::Record(fields) => {
                self.draft.begin_object().map_err(|kind| self.here(kind))?;
                for (name, step) in fields {
                    if let Some(name) = name {
                        self.draft.name(name);
                    }
                    self.write(*step, depth + 1)?;
                }
                self.draft.end();
                Ok(())
            }
            Step::Array(each) => {
                self.draft.begin_array().map_err(|kind| self.here(kind))?;
                self.blocks(None, |walk| {
                    walk.write(*each, depth + 1)?;
                    walk.check_size()
                })?;
                self.draft.end();
                Ok(())
            }
            Step::Elements(item, steps) => self.elements(*item, steps, depth),
            Step::Map(each) => {
                self.draft.begin_object().map_err(|kind| self.here(kind))?;
                self.blocks(None, |walk| {
                    let name = walk.text()?;
                    walk.draft.name_of(name);
                    walk.write(*each, depth + 1)?;
                    walk.check_size()
                })?;
                self.draft.end();
                Ok(())
            }
            Step::Members(value, members) => {
                self.draft.begin_object().map_err(|kind| self.here(kind))?;
                self.blocks(None, |walk| {
                    let name = walk.text()?;
                    match members.iter().find(|(known, ..)| **known == *name) {
                        Some((_, name, step)) => {
                            walk.draft.name(name);
                            walk.write(*step, depth + 1)?;
                            walk.check_size()
                        }
                        None => walk.skip(*value, depth + 1),
                    }
                })?;
                self.draft.end();
                Ok(())
            }
            Step::Union(branches) => {
                let branch = self.branch(branches.len())?;
                self.write(branches[branch], depth + 1)
            }
            Step::Pending => unreachable!("invariant: every step of a plan is made"),
        }
    }

    /// The elements before one that is asked for keep its place; those behind the last are passed over.
    fn elements(&mut self, item: TypeId, steps: &[StepId], depth: usize) -> Result<(), Fault> {
        self.draft.begin_array().map_err(|kind| self.here(kind))?;
        let mut index = 0;
        let written = steps.len();
        self.blocks(Some((item, written)), |walk| {
            match steps.get(index) {
                Some(step) => {
                    if matches!(walk.plan.steps[*step as usize], Step::Skip(_)) {
                        walk.draft.null();
                    }
                    walk.write(*step, depth + 1)?;
                }
                None => walk.skip(item, depth + 1)?,
            }
            index += 1;
            Ok(())
        })?;
        self.draft.end();
        Ok(())
    }

    /// Every item of an array or map: blocks of so many, the last of none. Where only the first `.1` items of type `.0`
    /// matter, the others are not visited if they have no bytes.
    fn blocks(
        &mut self,
        few: Option<(TypeId, usize)>,
        mut item: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut before = 0_u64;
        loop {
            let (count, _) = self.block()?;
            if count == 0 {
                return Ok(());
            }
            let empty = few.filter(|(id, _)| self.plan.is_empty[*id as usize]);
            let visited = match empty {
                Some((_, first)) => count.min((first as u64).saturating_sub(before)),
                None => count,
            };
            for _ in 0..visited {
                item(self)?;
            }
            before = before.saturating_add(count);
        }
    }

    /// How many items the next block has; and how many bytes, if it says so.
    fn block(&mut self) -> Result<(u64, Option<usize>), Fault> {
        let begins = self.cursor.at();
        let count = self.cursor.zigzag()?;
        if count >= 0 {
            return Ok((count as u64, None));
        }
        let bytes = self.cursor.zigzag()?;
        let bytes = usize::try_from(bytes).map_err(|_| broken(begins, "a block has less than no bytes"))?;
        Ok((count.unsigned_abs(), Some(bytes)))
    }

    fn branch(&mut self, branches: usize) -> Result<usize, Fault> {
        let begins = self.cursor.at();
        let branch = self.cursor.zigzag()?;
        let known = usize::try_from(branch).ok().filter(|branch| *branch < branches);
        known.ok_or(broken(begins, "a union has no such branch"))
    }

    fn length(&mut self) -> Result<usize, Fault> {
        let begins = self.cursor.at();
        usize::try_from(self.cursor.zigzag()?).map_err(|_| broken(begins, "a length below zero"))
    }

    fn text(&mut self) -> Result<&'m str, Fault> {
        let length = self.length()?;
        let begins = self.cursor.at();
        text(self.cursor.take(length)?, begins)
    }

    fn raw(&mut self, kind: &Type) -> Result<&'m [u8], Fault> {
        let length = match kind {
            Type::Fixed(size) => *size,
            _ => self.length()?,
        };
        self.cursor.take(length)
    }

    fn scalar(&mut self, kind: &Type) -> Result<(), Fault> {
        match kind {
            Type::Null => self.draft.null(),
            Type::Bool => match self.cursor.array::<1>()? {
                [0] => self.draft.bool(false),
                [1] => self.draft.bool(true),
                _ => return Err(broken(self.cursor.at() - 1, "a boolean is 0 or 1")),
            },
            Type::Long => {
                let value = self.cursor.zigzag()?;
                self.draft.int(value);
            }
            Type::Float => {
                let value = f32::from_le_bytes(self.cursor.array()?);
                self.draft.float(value);
            }
            Type::Double => {
                let value = f64::from_le_bytes(self.cursor.array()?);
                self.draft.float(value);
            }
            Type::Text => {
                let text = self.text()?;
                self.draft.string(text);
            }
            Type::Bytes | Type::Fixed(_) => {
                let bytes = self.raw(kind)?;
                self.draft.plain(|text| text.push_str(&base64::encode(bytes)));
            }
            Type::Enum(symbols) => {
                let begins = self.cursor.at();
                let symbol = usize::try_from(self.cursor.zigzag()?).ok().and_then(|index| symbols.get(index));
                self.draft.string(symbol.ok_or(broken(begins, "an enum has no such symbol"))?);
            }
            Type::Decimal(inner, scale) => {
                let begins = self.cursor.at();
                let units = units(self.raw(self.plan.schema.at(*inner))?);
                let units = units.ok_or(broken(begins, "a decimal has more than 128 bits"))?;
                self.draft.number(|text| write_decimal(text, units, *scale));
            }
            Type::Instant(digits) => {
                let count = self.cursor.zigzag()?;
                time::write_count(self.draft, count, *digits);
            }
            Type::Date => {
                let day = self.cursor.zigzag()?;
                time::write_instant(self.draft, day.saturating_mul(86_400), 0, 0);
            }
            Type::Record(_) | Type::Array(_) | Type::Map(_) | Type::Union(_) | Type::Pending => {
                unreachable!("invariant: no scalar holds another value")
            }
        }
        Ok(())
    }

    fn skip(&mut self, id: TypeId, depth: usize) -> Result<(), Fault> {
        if depth > 2 * DEPTH_MAX {
            return Err(self.here(FaultKind::TooDeep));
        }
        let plan: &'p Plan = self.plan;
        match plan.schema.at(id) {
            Type::Null => {}
            Type::Bool => _ = self.cursor.take(1)?,
            Type::Long | Type::Enum(_) | Type::Instant(_) | Type::Date => _ = self.cursor.varint()?,
            Type::Float => _ = self.cursor.take(4)?,
            Type::Double => _ = self.cursor.take(8)?,
            Type::Bytes | Type::Text => {
                let length = self.length()?;
                self.cursor.take(length)?;
            }
            Type::Fixed(size) => _ = self.cursor.take(*size)?,
            Type::Decimal(inner, _) => self.skip(*inner, depth + 1)?,
            Type::Record(fields) => {
                for (_, kind) in fields {
                    self.skip(*kind, depth + 1)?;
                }
            }
            Type::Array(item) => self.skip_blocks(Some(*item), |walk| walk.skip(*item, depth + 1))?,
            Type::Map(value) => self.skip_blocks(None, |walk| {
                let length = walk.length()?;
                walk.cursor.take(length)?;
                walk.skip(*value, depth + 1)
            })?,
            Type::Union(branches) => {
                let branch = self.branch(branches.len())?;
                self.skip(branches[branch], depth + 1)?;
            }
            Type::Pending => unreachable!("invariant: every type of a schema is known"),
        }
        Ok(())
    }

    /// Blocks that say their length are passed over whole, and items without bytes are not visited.
    fn skip_blocks(
        &mut self,
        item: Option<TypeId>,
        mut skip: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        loop {
            match self.block()? {
                (0, _) => return Ok(()),
                (_, Some(bytes)) => _ = self.cursor.take(bytes)?,
                (_, None) if item.is_some_and(|id| self.plan.is_empty[id as usize]) => {}
                (count, None) => {
                    for _ in 0..count {
                        skip(self)?;
                    }
                }
            }
        }
    }
}
