//! What becomes of one message: the case that applies, and its rows.

use super::case::{Case, Rule};
use super::computed::Computation;
use super::decoder::{Plan, ROWS_MAX, ROWS_TEXT_BYTES_MAX, WholeMessage};
use super::field::Source;
use super::names::{self, Record, Row};
use super::output::{Output, Tally};
use super::reject::{self, Problem, quoted};
use crate::expr::Value;
use crate::json::{Document, Kind, Known, KnownEach, NONE, NodeRef};
use aqueduct_engine::Extent;
use aqueduct_topology::model::MatchMode;

/// Where paths lead, refilled for every message and element.
#[derive(Debug, Default)]
pub(super) struct Found {
    shared: Known,
    cases: Vec<FoundOfCase>,
    element: Vec<u32>,
}

#[derive(Debug, Default)]
struct FoundOfCase {
    message: Known,
    elements: KnownEach,
}

impl Found {
    pub(super) fn of(plan: &Plan) -> Self {
        let cases = plan.cases.iter().map(|_| FoundOfCase::default()).collect();
        Self { cases, ..Self::default() }
    }
}

/// One message on its way.
pub(super) struct Message<'d, 'o> {
    pub(super) plan: &'d Plan,
    pub(super) document: &'d Document<'d>,
    pub(super) record: Record<'d>,
    pub(super) found: &'o mut Found,
    pub(super) output: &'o mut Output,
    pub(super) tally: &'o mut Tally,
}

impl<'d> Message<'d, '_> {
    pub(super) fn decode(&mut self) -> Result<(), WholeMessage> {
        self.found.shared.resolve(&self.plan.shared.message, self.document);
        let mut tried = 0;
        while let Some(case) = self.next_case(&mut tried) {
            self.case(case, tried - 1)?;
            if self.plan.mode == MatchMode::First {
                break;
            }
        }
        Ok(())
    }

    /// The first case that applies after the first `tried` ones.
    fn next_case(&self, tried: &mut usize) -> Option<&'d Case> {
        let plan = self.plan;
        let shared = self.found.shared.found();
        let row = self.scope(&plan.shared.sources, shared);
        let applies = |case: &Case| {
            case.needs.iter().all(|&path| shared[path as usize] != NONE)
                && case.when.as_ref().is_none_or(|when| when.is_true(&row))
        };
        let found = plan.cases[*tried..].iter().position(applies)?;
        *tried += found + 1;
        Some(&plan.cases[*tried - 1])
    }

    /// What expressions see before there is an element.
    fn scope<'s>(&self, sources: &'s [names::Source], message: &'s [u32]) -> Row<'s>
    where
        'd: 's,
    {
        Row {
            sources,
            document: self.document,
            message,
            element: message,
            item_key: Value::Null,
            record: self.record,
            columns: &[],
            row: 0,
        }
    }

    /// The rows of a case that applies, the `number`th.
    fn case(&mut self, case: &'d Case, number: usize) -> Result<(), WholeMessage> {
        // The rows borrow what is found, while they are written.
        let mut cases = std::mem::take(&mut self.found.cases);
        let FoundOfCase { message, elements } = &mut cases[number];
        message.resolve(&case.place.message, self.document);
        let done = self.rows(case, message.found(), elements);
        self.found.cases = cases;
        done
    }

    fn rows(
        &mut self,
        case: &'d Case,
        message: &[u32],
        elements: &mut KnownEach,
    ) -> Result<(), WholeMessage> {
        if !case.message_select.is_empty() || !case.message_require.is_empty() {
            let row = self.scope(&case.place.sources, message);
            if !case.message_select.iter().all(|select| select.is_true(&row)) {
                return Ok(());
            }
            let failed = case.message_require.iter().find(|(_, require)| !require.is_true(&row));
            if let Some((reason, _)) = failed {
                let detail = format!("`require` {reason} is not true of the message");
                self.reject_row(self.extent_of(case), Problem { reason: reason.clone(), detail });
                self.tally.next_row += 1;
                return Ok(());
            }
        }
        let Some(explode) = case.explode else {
            self.row(case, (message, message), Value::Null);
            return Ok(());
        };
        let exploded = match message[explode as usize] {
            NONE => return Ok(()),
            index => self.document.node(index),
        };
        match exploded.kind() {
            Kind::Null => Ok(()),
            Kind::Array | Kind::Object => {
                let paths = case.place.element.as_ref();
                let paths = paths.expect("invariant: an exploded case has paths of its element");
                match elements.resolve(paths, exploded, self.document) {
                    Some(known) => {
                        let elements = known.chunks_exact(paths.len());
                        self.known_elements(case, (message, exploded.kind()), elements)
                    }
                    None => self.elements(case, message, exploded),
                }
            }
            _ => Err(WholeMessage(Problem::new(
                reject::WRONG_TYPE,
                format!("`explode` expects an array or object, found {}", quoted(exploded.source())),
            ))),
        }
    }

    fn elements(
        &mut self,
        case: &'d Case,
        message: &[u32],
        exploded: NodeRef<'d>,
    ) -> Result<(), WholeMessage> {
        let paths =
            case.place.element.as_ref().expect("invariant: an exploded case has paths of its element");
        let text_before = self.output.text_bytes();
        let mut element = std::mem::take(&mut self.found.element);
        for (index, (name, node)) in exploded.children().enumerate() {
            paths.resolve(node, self.document, &mut element);
            let item_key = name.map_or(Value::Int(index as i64), Value::of);
            self.element(case, (message, &element), item_key, text_before)?;
        }
        self.found.element = element;
        Ok(())
    }

    /// The same where it is known where the paths lead.
    fn known_elements<'f>(
        &mut self,
        case: &'d Case,
        (message, kind): (&[u32], Kind),
        elements: impl Iterator<Item = &'f [u32]>,
    ) -> Result<(), WholeMessage> {
        let text_before = self.output.text_bytes();
        for (index, element) in elements.enumerate() {
            let item_key = match (kind, element) {
                // A member's name stands before its value, to which the first path leads.
                (Kind::Object, [value, ..]) => Value::of(self.document.node(value - 1)),
                _ => Value::Int(index as i64),
            };
            self.element(case, (message, element), item_key, text_before)?;
        }
        Ok(())
    }

    /// The row of one element of several.
    fn element(
        &mut self,
        case: &'d Case,
        found: (&[u32], &[u32]),
        item_key: Value<'d>,
        text_before: usize,
    ) -> Result<(), WholeMessage> {
        if self.tally.next_row as usize >= ROWS_MAX {
            let detail = format!("`explode` gives more than {ROWS_MAX} rows");
            return Err(WholeMessage(Problem::new(reject::TOO_LARGE, detail)));
        }
        self.row(case, found, item_key);
        if self.output.text_bytes() - text_before > ROWS_TEXT_BYTES_MAX {
            let detail = format!("its rows hold more than {ROWS_TEXT_BYTES_MAX} bytes of text");
            return Err(WholeMessage(Problem::new(reject::TOO_LARGE, detail)));
        }
        Ok(())
    }

    /// One row, of what was `found` from the message and from the element.
    fn row(&mut self, case: &'d Case, found: (&[u32], &[u32]), item_key: Value<'d>) {
        let at = self.output.offsets.len();
        // What is wrong with a line is said with its number, which a batch has not.
        let leave = case.leaves && !self.tally.alone && self.tally.line.is_none();
        let kept = match leave {
            true => self.leave_row(case, found, item_key, at),
            false => self.try_row(case, found, item_key, at, false),
        };
        match kept {
            Ok(true) => {
                self.tally.left |= leave;
                self.output.offsets.push(self.record.offset);
                self.output.indices.push(self.tally.next_row);
                self.output.cases.push(case.number);
            }
            Ok(false) => self.output.truncate(at),
            Err(problem) => {
                self.output.truncate(at);
                self.reject_row(Extent::Row, problem);
            }
        }
        self.tally.next_row += 1;
    }

    /// Writes the row, but for what it leaves to the batch. That may be what is wrong with it first: then nothing is left.
    #[inline(never)]
    fn leave_row(
        &mut self,
        case: &'d Case,
        found: (&[u32], &[u32]),
        item_key: Value<'d>,
        at: usize,
    ) -> Result<bool, Problem> {
        let kept = self.try_row(case, found, item_key.clone(), at, true);
        if kept.is_err() { self.try_row_again(case, found, item_key, at) } else { kept }
    }

    #[cold]
    #[inline(never)]
    fn try_row_again(
        &mut self,
        case: &'d Case,
        found: (&[u32], &[u32]),
        item_key: Value<'d>,
        at: usize,
    ) -> Result<bool, Problem> {
        self.output.truncate(at);
        self.try_row(case, found, item_key, at, false)
    }

    /// Writes the row; `false` = it is filtered. What may be left to the end of the batch is done now unless `leave`.
    #[inline(always)]
    fn try_row(
        &mut self,
        case: &'d Case,
        (message, element): (&[u32], &[u32]),
        item_key: Value<'d>,
        at: usize,
        leave: bool,
    ) -> Result<bool, Problem> {
        let document = self.document;
        if !case.item_select.is_empty() {
            let scope = self.scope(&case.place.sources, message);
            let row = Row { element, item_key: item_key.clone(), row: at, ..scope };
            if !case.item_select.iter().all(|select| select.is_true(&row)) {
                return Ok(false);
            }
        }
        for field in &case.fields {
            let column = field.column;
            match &field.source {
                Source::Element(slot) => {
                    field.read_at(document, element[*slot as usize], &mut self.output.columns[column])?;
                }
                Source::Message(slot) => {
                    field.read_at(document, message[*slot as usize], &mut self.output.columns[column])?;
                }
                Source::Constant(cell) => self.output.columns[column].push_cell(cell),
                Source::Program(computation) if leave && computation.together => {
                    self.output.columns[column].push_blank();
                }
                Source::Program(Computation { program, of_fields, .. }) => {
                    let mut written = std::mem::take(&mut self.output.columns[column]);
                    let scope = self.scope(&case.place.sources, message);
                    let row = Row { element, item_key: item_key.clone(), row: at, ..scope };
                    let columns = if *of_fields { self.output.columns.as_slice() } else { &[] };
                    let read = match program.value(&Row { columns, ..row }) {
                        Ok(value) => field.read(&value, &mut written),
                        Err(fault) => Err(field.fault(&fault)),
                    };
                    self.output.columns[column] = written;
                    read?;
                }
            }
        }
        let in_time = match &self.plan.event_time {
            Some(bounds) => bounds.check(self.output.columns[bounds.column].time(at), self.record.time_ms),
            None => Ok(()),
        };
        let scope = self.scope(&case.place.sources, message);
        let row = Row { element, item_key, row: at, columns: &self.output.columns, ..scope };
        if leave {
            let mut asked = case.rules.iter().filter(|rule| !rule.together);
            return match in_time {
                // Which rule says why is found when all are asked.
                Ok(()) if asked.any(|rule| !rule.program.is_true(&row)) => Err(Problem::new("", "")),
                in_time => in_time.map(|()| true),
            };
        }
        // What the author requires says more than a bound that holds for every topology.
        match case.rules.iter().find(|rule| !rule.program.is_true(&row)) {
            Some(Rule { reason: Some(reason), .. }) => {
                let names = self.output.model.iter().map(|column| column.name.as_str());
                let values = row.columns.iter().map(|column| column.value(at));
                Err(Problem::not_required(reason, names.zip(values)))
            }
            Some(_) => Ok(false),
            None => in_time.map(|()| true),
        }
    }

    /// What goes with a case that rejects the message before its rows are looked at.
    fn extent_of(&self, case: &Case) -> Extent {
        match (case.explode, self.plan.mode) {
            (None, _) => Extent::Row,
            (Some(_), MatchMode::First) => Extent::Record,
            (Some(_), MatchMode::All) => Extent::Several,
        }
    }

    fn reject_row(&mut self, extent: Extent, problem: Problem) {
        self.tally.reject(self.record.offset, extent, problem, self.output);
    }
}
