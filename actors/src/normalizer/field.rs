//! One field of one case: where its value is and how it becomes a cell of its column.

use super::column::{Cell, Column};
use super::computed::Computation;
use super::reject::{self, Problem, quoted};
use super::short::Short;
use crate::expr::decimal::{NumberFault, parse_scaled, power_of_ten};
use crate::expr::time::{self, TimeFault};
use crate::expr::{Fault, Value};
use crate::json::{Document, Kind, NONE, NodeRef, Tape};
use aqueduct_topology::model::{self, FieldType, TimeUnit};
use jiff::tz::TimeZone;
use std::borrow::Cow;

/// Where the value is.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A path from the element; the slot among the element's paths.
    Element(u32),
    /// A plain chain from the message, of an exploded case; the slot among the message's paths.
    Message(u32),
    /// The same for every row.
    Constant(Cell),
    /// To be computed.
    Program(Computation),
}

/// A compiled field.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) column: usize,
    pub(super) name: Box<str>,
    pub(super) source: Source,
    pub(super) short: Short,
    pub(super) reader: Reader,
    pub(super) map: Vec<(Box<str>, Cell)>,
    /// What absent and null become; `None` = a rejection.
    pub(super) absent: Option<Cell>,
}

/// How a value becomes a cell.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) kind: FieldType,
    max_bytes: usize,
    unit: Option<TimeUnit>,
    zone: Option<TimeZone>,
    /// The power of ten an integer is divided by.
    pub(super) divided: Option<u32>,
    /// Decimals lie below this in size.
    pub(super) units_end: i128,
}

impl Field {
    /// The field of `column`, whose value is at `source`.
    pub(super) fn new(field: &model::Field, column: usize, source: Source) -> Result<Self, String> {
        let reader = Reader::new(field)?;
        let cell = |text: &str| reader.constant(field, text);
        let map = field.map.iter().map(|(from, to)| Ok((from.as_str().into(), cell(to)?)));
        let map = map.collect::<Result<Vec<_>, String>>()?;
        let absent = match &field.default {
            Some(literal) => Some(cell(&literal.text)?),
            None => field.optional.then_some(Cell::Null),
        };
        let short = if map.is_empty() { reader.short() } else { Short::None };
        Ok(Self { column, name: field.name.value.as_str().into(), source, short, reader, map, absent })
    }

    /// Writes the value of `document` at `index`, which may be [`NONE`], to `column`.
    #[inline(always)]
    pub(super) fn read_at(
        &self,
        document: &Document<'_>,
        index: u32,
        column: &mut Column,
    ) -> Result<(), Problem> {
        if let Some(scalar) = document.scalar(index) {
            if self.short.read(scalar, column) {
                return Ok(());
            }
            if !self.map.is_empty()
                && let Some((_, cell)) = self.map.iter().find(|(from, _)| *from.as_bytes() == *scalar.bytes())
            {
                column.push_cell(cell);
                return Ok(());
            }
        }
        self.read_node((index != NONE).then(|| document.node(index)), column)
    }

    #[inline(never)]
    fn read_node(&self, node: Option<NodeRef<'_>>, column: &mut Column) -> Result<(), Problem> {
        match node {
            Some(node) if self.reader.kind == FieldType::Json && self.map.is_empty() => {
                if node.kind() == Kind::Null {
                    self.read_absent(column)
                } else {
                    self.read_json(node, column)
                }
            }
            Some(node) => self.read(&Value::of(node), column),
            None => self.read_absent(column),
        }
    }

    /// Writes `value` to `column`.
    #[inline]
    pub(super) fn read(&self, value: &Value<'_>, column: &mut Column) -> Result<(), Problem> {
        if value.is_null() {
            return self.read_absent(column);
        }
        if !self.map.is_empty() {
            return self.read_mapped(value, column);
        }
        self.reader.read(value, column).map_err(|problem| self.locate(problem, value))
    }

    fn read_absent(&self, column: &mut Column) -> Result<(), Problem> {
        match &self.absent {
            Some(cell) => {
                column.push_cell(cell);
                Ok(())
            }
            None => Err(Problem::new(
                reject::MISSING_FIELD,
                format!("field `{}`: absent or null, and neither `optional` nor a `default`", self.name),
            )),
        }
    }

    fn read_mapped(&self, value: &Value<'_>, column: &mut Column) -> Result<(), Problem> {
        let written = value.written();
        let found = written.as_ref().and_then(|text| self.map.iter().find(|(from, _)| **from == **text));
        match found {
            Some((_, cell)) => {
                column.push_cell(cell);
                Ok(())
            }
            None => Err(Problem::new(
                reject::UNMAPPED_VALUE,
                format!(
                    "field `{}`: `map` does not list {}; it lists {}",
                    self.name,
                    quoted(&value.describe()),
                    self.map.iter().map(|(from, _)| format!("{from:?}")).collect::<Vec<_>>().join(", ")
                ),
            )),
        }
    }

    fn read_json(&self, node: NodeRef<'_>, column: &mut Column) -> Result<(), Problem> {
        let source = node.source();
        let problem = match node.jsonb_fault() {
            Some(fault) => Problem::new(reject::INVALID_TEXT, format!("jsonb does not hold {fault}")),
            None if source.len() > self.reader.max_bytes => self.reader.too_long(source.len()),
            None => {
                column.push_text(source);
                return Ok(());
            }
        };
        Err(self.locate(problem, &Value::Node(node)))
    }

    /// Its value cannot be computed.
    #[cold]
    pub(super) fn fault(&self, fault: &Fault) -> Problem {
        Problem::new(reject::EXPRESSION, format!("field `{}`: {fault}", self.name))
    }

    fn locate(&self, problem: Problem, value: &Value<'_>) -> Problem {
        let detail =
            format!("field `{}`: {}, found {}", self.name, problem.detail, quoted(&value.describe()));
        Problem { detail, ..problem }
    }
}

impl Reader {
    pub(super) fn new(field: &model::Field) -> Result<Self, String> {
        let name = &field.name.value;
        let zone = match &field.zone {
            Some(zone) => Some(TimeZone::get(&zone.value).map_err(|_| {
                format!(
                    "field `{name}`: there is no time zone `{}`; write an IANA name such as Asia/Seoul",
                    zone.value
                )
            })?),
            None => None,
        };
        if field.scale.is_some() && !matches!(field.kind, FieldType::Decimal { .. } | FieldType::Float64) {
            return Err(format!("field `{name}`: `scale` is for decimal and float64"));
        }
        if field.scale.is_some_and(|scale| scale > 38) {
            return Err(format!("field `{name}`: `scale` is at most 38"));
        }
        let max_bytes = field.max_bytes.unwrap_or(usize::MAX);
        let units_end = match field.kind {
            FieldType::Decimal { precision, .. } => power_of_ten(u32::from(precision)).unwrap_or(i128::MAX),
            _ => i128::MAX,
        };
        Ok(Self { kind: field.kind, max_bytes, unit: field.unit, zone, divided: field.scale, units_end })
    }

    fn short(&self) -> Short {
        match self.divided {
            None => Short::new(self.kind, self.unit, self.max_bytes, self.units_end),
            Some(_) => Short::None,
        }
    }

    /// The cell that a text in the topology file stands for; an error names the field.
    pub(super) fn constant(&self, field: &model::Field, text: &str) -> Result<Cell, String> {
        self.literal(text).map_err(|problem| format!("field `{}`: {}", field.name.value, problem.detail))
    }

    /// The cell that a text stands for.
    fn literal(&self, text: &str) -> Result<Cell, Problem> {
        Ok(match self.kind {
            FieldType::Text => {
                self.check_text(text)?;
                Cell::Text(text.into())
            }
            FieldType::Json => {
                Tape::default().scan(text).map_err(|_| {
                    Problem::new(reject::WRONG_TYPE, format!("expected JSON, found `{text}`"))
                })?;
                Cell::Text(text.into())
            }
            FieldType::Bool => match text {
                "true" => Cell::Bool(true),
                "false" => Cell::Bool(false),
                _ => {
                    return Err(Problem::new(
                        reject::WRONG_TYPE,
                        format!("expected true or false, found `{text}`"),
                    ));
                }
            },
            FieldType::Int64 => Cell::Int(int(text)?),
            FieldType::Float64 => Cell::Float(self.float(text)?),
            FieldType::Decimal { precision, scale } => Cell::Decimal(self.decimal(text, precision, scale)?),
            FieldType::Timestamp => Cell::Time(self.time(text)?),
        })
    }

    /// Writes a value that is not null.
    #[inline(always)]
    fn read(&self, value: &Value<'_>, column: &mut Column) -> Result<(), Problem> {
        match (self.kind, value) {
            (FieldType::Text, Value::Text(text)) => {
                self.check_text(text)?;
                column.push_text(text);
            }
            (
                FieldType::Decimal { precision, scale },
                Value::Text(Cow::Borrowed(text)) | Value::Number(text),
            ) => {
                column.push_units(self.decimal(text, precision, scale)?);
            }
            (FieldType::Int64, Value::Int(number)) => column.push_int(*number),
            (FieldType::Int64, Value::Number(text)) => column.push_int(int(text)?),
            (FieldType::Int64, Value::Text(text)) => column.push_int(int(text)?),
            (FieldType::Float64, Value::Double(number)) if number.is_finite() && self.divided.is_none() => {
                column.push_float(*number);
            }
            (FieldType::Float64, Value::Number(text)) => column.push_float(self.float(text)?),
            (FieldType::Float64, Value::Text(text)) => column.push_float(self.float(text)?),
            (FieldType::Bool, Value::Bool(value)) => column.push_bool(*value),
            (FieldType::Timestamp, Value::Time(time)) => column.push_int(*time),
            (FieldType::Timestamp, Value::Number(text)) => column.push_int(self.time(text)?),
            (FieldType::Timestamp, Value::Text(text)) => column.push_int(self.time(text)?),
            (_, value) => return self.read_seldom(value, column),
        }
        Ok(())
    }

    /// Computed values and values of another type, by way of their text where they have one that fits.
    #[cold]
    fn read_seldom(&self, value: &Value<'_>, column: &mut Column) -> Result<(), Problem> {
        if let (FieldType::Text | FieldType::Json, Value::Node(node)) = (self.kind, value)
            && let Some(fault) = node.jsonb_fault()
        {
            return Err(Problem::new(reject::INVALID_TEXT, format!("text does not hold {fault}")));
        }
        match (self.kind, value) {
            (FieldType::Json, Value::Node(node)) => column.push_text(node.source()),
            (FieldType::Json, Value::Text(text)) => {
                self.check_text(text)?;
                let quoted = serde_json::to_string(text.as_ref())
                    .map_err(|error| Problem::new(reject::WRONG_TYPE, error.to_string()))?;
                column.push_text(&quoted);
            }
            (FieldType::Text, Value::Number(_) | Value::Bool(_))
            | (FieldType::Text, Value::Int(_) | Value::Double(_) | Value::Decimal(_) | Value::Time(_))
            | (FieldType::Json, Value::Number(_) | Value::Bool(_) | Value::Int(_) | Value::Decimal(_)) => {
                let text = value.written().unwrap_or_default();
                self.check_text(&text)?;
                column.push_text(&text);
            }
            (
                FieldType::Decimal { .. } | FieldType::Float64,
                Value::Int(_) | Value::Decimal(_) | Value::Text(_),
            )
            | (FieldType::Decimal { .. }, Value::Double(_))
            | (FieldType::Int64, Value::Decimal(_))
            | (FieldType::Timestamp, Value::Int(_) | Value::Decimal(_)) => {
                column.push_cell(&self.literal(&value.written().unwrap_or_default())?);
            }
            _ => {
                let detail = format!("expected {}, which {} is not", self.expected(), value.type_name());
                return Err(Problem::new(reject::WRONG_TYPE, detail));
            }
        }
        Ok(())
    }

    fn expected(&self) -> &'static str {
        match self.kind {
            FieldType::Text => "text",
            FieldType::Int64 => "a whole number",
            FieldType::Float64 => "a number",
            FieldType::Decimal { .. } => "a decimal",
            FieldType::Bool => "true or false",
            FieldType::Timestamp => "a time",
            FieldType::Json => "JSON",
        }
    }

    #[inline]
    fn check_text(&self, text: &str) -> Result<(), Problem> {
        if text.len() > self.max_bytes {
            return Err(self.too_long(text.len()));
        }
        if memchr::memchr(0, text.as_bytes()).is_some() {
            return Err(Problem::new(reject::INVALID_TEXT, "text does not hold U+0000"));
        }
        Ok(())
    }

    fn too_long(&self, length: usize) -> Problem {
        Problem::new(reject::TOO_LARGE, format!("expected at most {} bytes, found {length}", self.max_bytes))
    }

    #[inline]
    fn decimal(&self, text: &str, precision: u8, scale: u8) -> Result<i128, Problem> {
        let (precision, scale) = (u32::from(precision), u32::from(scale));
        let units = match self.divided {
            None => parse_scaled(text, scale),
            // Whole units of 10^-divided: read as such, then brought to the column's scale.
            Some(divided) => parse_scaled(text, 0).and_then(|units| {
                let exact = crate::expr::decimal::Decimal { units, scale: divided };
                exact.rescale(scale).ok_or(NumberFault::Inexact)
            }),
        };
        match units {
            Ok(units) if units > -self.units_end && units < self.units_end => Ok(units),
            Ok(_) | Err(NumberFault::Inexact) => Err(Problem::new(
                reject::OUT_OF_RANGE,
                format!("expected a number that decimal({precision},{scale}) holds exactly"),
            )),
            Err(NumberFault::Malformed) => Err(Problem::new(reject::WRONG_TYPE, "expected a decimal")),
        }
    }

    fn float(&self, text: &str) -> Result<f64, Problem> {
        let scaled = match self.divided {
            None => Cow::Borrowed(text),
            Some(divided) => Cow::Owned(format!("{}e-{divided}", int(text)?)),
        };
        match crate::expr::finite(&scaled) {
            Some(number) => Ok(number),
            None if text.parse::<f64>().is_ok() => {
                Err(Problem::new(reject::OUT_OF_RANGE, "expected a finite number of 64 bits"))
            }
            None => Err(Problem::new(reject::WRONG_TYPE, "expected a number")),
        }
    }

    #[inline]
    fn time(&self, text: &str) -> Result<i64, Problem> {
        let found = match self.unit {
            Some(TimeUnit::Seconds) => time::parse_number(text, 0),
            Some(TimeUnit::Millis) => time::parse_number(text, 3),
            Some(TimeUnit::Micros) => time::parse_number(text, 6),
            Some(TimeUnit::Nanos) => time::parse_number(text, 9),
            Some(TimeUnit::Iso) => time::parse_iso(text, self.zone.as_ref()),
            None => match time::parse_iso(text, self.zone.as_ref()) {
                Err(TimeFault::Malformed) => time::parse_number(text, 3),
                found => found,
            },
        };
        found.map_err(|fault| match fault {
            TimeFault::Malformed => {
                Problem::new(reject::WRONG_TYPE, format!("expected {}", self.expected_time()))
            }
            TimeFault::NoZone => {
                Problem::new(reject::WRONG_TYPE, "expected a time with its offset, or a `zone` on the field")
            }
            TimeFault::OutOfRange => {
                Problem::new(reject::OUT_OF_RANGE, "expected a time of the years 1 to 9999")
            }
        })
    }

    fn expected_time(&self) -> &'static str {
        match self.unit {
            Some(TimeUnit::Seconds) => "seconds since 1970",
            Some(TimeUnit::Millis) => "milliseconds since 1970",
            Some(TimeUnit::Micros) => "microseconds since 1970",
            Some(TimeUnit::Nanos) => "nanoseconds since 1970",
            Some(TimeUnit::Iso) => "a time such as 2026-11-23T10:00:00Z",
            None => "a time such as 2026-11-23T10:00:00Z, or milliseconds since 1970",
        }
    }
}

/// An integer token: neither point nor exponent nor plus.
#[inline]
fn int(text: &str) -> Result<i64, Problem> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::new(reject::WRONG_TYPE, "expected a whole number written as one"));
    }
    text.parse().map_err(|_| Problem::new(reject::OUT_OF_RANGE, "expected a whole number of 64 bits"))
}
