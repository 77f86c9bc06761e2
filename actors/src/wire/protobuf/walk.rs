//! The walk over one message: its fields are noted as they come, then written in the order of their numbers.

use super::plan::{Count, Field, Meaning, Plan, Shape, ShapeId, Value};
use crate::base64;
use crate::json::{DEPTH_MAX, Draft};
use crate::wire::bytes::{Cursor, text, unzigzag};
use crate::wire::decimal::{units, write_decimal};
use crate::wire::{Fault, FaultKind, broken, time};

impl Plan {
    /// Writes to `draft` what is wanted of `message`, whose first `skipped` bytes are none of Protobuf's.
    pub fn decode(&self, message: &[u8], skipped: usize, draft: &mut Draft) -> Result<(), Fault> {
        draft.clear();
        let mut walk = Walk { plan: self, noted: Vec::new(), draft };
        walk.message(self.root, &message[skipped.min(message.len())..], skipped, 0)
    }
}

/// What was seen of a field.
#[derive(Clone, Copy, Debug, Default)]
enum Seen {
    #[default]
    Nothing,
    Varint(u64),
    Four([u8; 4]),
    Eight([u8; 8]),
    /// Bytes of the message, from where to where.
    Bytes(usize, usize),
    /// Something, to be looked for once more: elements of a list, or parts of one message.
    Several,
}

struct Walk<'p, 'd> {
    plan: &'p Plan,
    /// Of every message that is open, what was seen of its fields.
    noted: Vec<Seen>,
    draft: &'d mut Draft,
}

/// How a value is encoded.
mod wire_type {
    pub(super) const VARINT: u8 = 0;
    pub(super) const EIGHT: u8 = 1;
    pub(super) const BYTES: u8 = 2;
    pub(super) const GROUP: u8 = 3;
    pub(super) const GROUP_END: u8 = 4;
    pub(super) const FOUR: u8 = 5;
}

impl<'p> Walk<'p, '_> {
    /// Writes the message of `shape` that `bytes` hold, which begin at `base` of the whole.
    fn message(&mut self, shape: ShapeId, bytes: &[u8], base: usize, depth: usize) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return Err(Fault { at: base, kind: FaultKind::TooDeep });
        }
        let plan: &'p Plan = self.plan;
        let shape = &plan.shapes[shape as usize];
        let first = self.noted.len();
        self.noted.resize(first + shape.fields.len(), Seen::Nothing);
        self.note(shape, first, bytes).map_err(|fault| fault.behind(base))?;
        match shape.meaning {
            Meaning::Object => {
                self.draft.begin_object().map_err(|kind| Fault { at: base, kind })?;
                for (place, field) in shape.fields.iter().enumerate() {
                    self.field(field, self.noted[first + place], (bytes, base), depth)?;
                }
                self.draft.end();
            }
            meaning => self.meant(meaning, shape, first, (bytes, base), depth)?,
        }
        self.noted.truncate(first);
        self.draft.check_size().map_err(|kind| Fault { at: base, kind })
    }

    /// Goes over `bytes` once and notes what there is of each field.
    fn note(&mut self, shape: &Shape, first: usize, bytes: &[u8]) -> Result<(), Fault> {
        let mut cursor = Cursor::new(bytes, 0);
        let mut expected = 0;
        while !cursor.is_at_end() {
            let (number, kind) = key(&mut cursor)?;
            let found = match shape.fields.get(expected) {
                // Fields mostly come in the order of their numbers.
                Some(field) if field.number == number => Some(expected),
                _ => shape.fields.binary_search_by_key(&number, |field| field.number).ok(),
            };
            let value = value(&mut cursor, number, kind)?;
            let Some(place) = found else { continue };
            expected = place + 1;
            let field = &shape.fields[place];
            let Count::Once { oneof, .. } = &field.count else {
                self.noted[first + place] = Seen::Several;
                continue;
            };
            if !field.value.is_encoded_as(kind) {
                // As every reader of Protobuf: a field of another encoding is an unknown one.
                continue;
            }
            if oneof.is_some() {
                self.take_place(shape, first, place, *oneof);
            }
            let seen = &mut self.noted[first + place];
            let is_part =
                !matches!(seen, Seen::Nothing) && matches!(field.value, Value::Message(_) | Value::Group(_));
            *seen = if is_part { Seen::Several } else { value };
        }
        Ok(())
    }

    /// Of a `oneof` only the field that came last is there.
    fn take_place(&mut self, shape: &Shape, first: usize, place: usize, of: Option<usize>) {
        for (other, field) in shape.fields.iter().enumerate() {
            if other != place && matches!(&field.count, Count::Once { oneof, .. } if *oneof == of) {
                self.noted[first + other] = Seen::Nothing;
            }
        }
    }

    fn field(
        &mut self,
        field: &Field,
        seen: Seen,
        (bytes, base): (&[u8], usize),
        depth: usize,
    ) -> Result<(), Fault> {
        let Some(name) = &field.name else { return Ok(()) };
        match &field.count {
            Count::Once { implicit, .. } => match seen {
                Seen::Nothing if *implicit => {
                    self.draft.name(name);
                    self.default(&field.value);
                    Ok(())
                }
                Seen::Nothing => Ok(()),
                Seen::Several => {
                    self.draft.name(name);
                    let (parts, whole) = (field.number, &field.value);
                    let merged = parts_of(bytes, parts)?;
                    self.value(whole, Seen::Bytes(0, merged.len()), (&merged, base), depth)
                }
                seen => {
                    self.draft.name(name);
                    self.value(&field.value, seen, (bytes, base), depth)
                }
            },
            Count::List(elements) => {
                self.draft.name(name);
                self.draft.begin_array().map_err(|kind| Fault { at: base, kind })?;
                if matches!(seen, Seen::Several) {
                    self.list(field, elements.as_deref(), (bytes, base), depth)?;
                }
                self.draft.end();
                Ok(())
            }
            Count::Map(key, keys) => {
                self.draft.name(name);
                self.draft.begin_object().map_err(|kind| Fault { at: base, kind })?;
                if matches!(seen, Seen::Several) {
                    self.map(field, (key, keys.as_deref()), (bytes, base), depth)?;
                }
                self.draft.end();
                Ok(())
            }
        }
    }

    fn list(
        &mut self,
        field: &Field,
        elements: Option<&[bool]>,
        (bytes, base): (&[u8], usize),
        depth: usize,
    ) -> Result<(), Fault> {
        let mut index = 0;
        let mut element = |walk: &mut Self, seen: Seen| {
            match elements.map(|elements| elements.get(index).copied()) {
                None | Some(Some(true)) => walk.value(&field.value, seen, (bytes, base), depth)?,
                // It keeps the place of those behind it.
                Some(Some(false)) => walk.draft.null(),
                Some(None) => {}
            }
            index += 1;
            walk.draft.check_size().map_err(|kind| Fault { at: base, kind })
        };
        let packed = field.value.packed();
        each(bytes, field.number, |kind, seen| match (packed, seen) {
            (Some(packed), Seen::Bytes(from, to)) => {
                let mut cursor = Cursor::new(bytes, from).until(to);
                while !cursor.is_at_end() {
                    let seen =
                        value(&mut cursor, field.number, packed).map_err(|fault| fault.behind(base))?;
                    element(self, seen)?;
                }
                Ok(())
            }
            _ if field.value.is_encoded_as(kind) => element(self, seen),
            _ => Ok(()),
        })
    }

    fn map(
        &mut self,
        field: &Field,
        (key_value, keys): (&Value, Option<&[Box<str>]>),
        (bytes, base): (&[u8], usize),
        depth: usize,
    ) -> Result<(), Fault> {
        each(bytes, field.number, |_, seen| {
            let Seen::Bytes(from, to) = seen else { return Ok(()) };
            let (mut name, mut held) = (Seen::Nothing, Seen::Nothing);
            let mut cursor = Cursor::new(bytes, from).until(to);
            while !cursor.is_at_end() {
                let read = key(&mut cursor)
                    .and_then(|(number, kind)| Ok((number, kind, value(&mut cursor, number, kind)?)));
                match read.map_err(|fault| fault.behind(base))? {
                    (1, kind, seen) if key_value.is_encoded_as(kind) => name = seen,
                    (2, kind, seen) if field.value.is_encoded_as(kind) => held = seen,
                    _ => {}
                }
            }
            let name = key_text(key_value, name, (bytes, base))?;
            if keys.is_some_and(|keys| keys.iter().all(|key| **key != *name)) {
                return Ok(());
            }
            self.draft.name_of(&name);
            match held {
                Seen::Nothing => self.default(&field.value),
                held => self.value(&field.value, held, (bytes, base), depth)?,
            }
            self.draft.check_size().map_err(|kind| Fault { at: base, kind })
        })
    }

    fn value(
        &mut self,
        value: &Value,
        seen: Seen,
        (bytes, base): (&[u8], usize),
        depth: usize,
    ) -> Result<(), Fault> {
        match (value, seen) {
            (Value::Int32, Seen::Varint(raw)) => self.draft.int(i64::from(raw as i32)),
            (Value::Int64, Seen::Varint(raw)) => self.draft.int(raw as i64),
            (Value::Uint32, Seen::Varint(raw)) => self.draft.unsigned(u64::from(raw as u32)),
            (Value::Uint64, Seen::Varint(raw)) => self.draft.unsigned(raw),
            (Value::Sint32, Seen::Varint(raw)) => {
                self.draft.int(i64::from(unzigzag(u64::from(raw as u32)) as i32))
            }
            (Value::Sint64, Seen::Varint(raw)) => self.draft.int(unzigzag(raw)),
            (Value::Bool, Seen::Varint(raw)) => self.draft.bool(raw != 0),
            (Value::Enum(words), Seen::Varint(raw)) => {
                match words.iter().find(|(number, _)| *number == raw as i32) {
                    Some((_, word)) => self.draft.string(word),
                    None => self.draft.int(i64::from(raw as i32)),
                }
            }
            (Value::Fixed32, Seen::Four(raw)) => self.draft.unsigned(u64::from(u32::from_le_bytes(raw))),
            (Value::Sfixed32, Seen::Four(raw)) => self.draft.int(i64::from(i32::from_le_bytes(raw))),
            (Value::Float, Seen::Four(raw)) => self.draft.float(f32::from_le_bytes(raw)),
            (Value::Fixed64, Seen::Eight(raw)) => self.draft.unsigned(u64::from_le_bytes(raw)),
            (Value::Sfixed64, Seen::Eight(raw)) => self.draft.int(i64::from_le_bytes(raw)),
            (Value::Double, Seen::Eight(raw)) => self.draft.float(f64::from_le_bytes(raw)),
            (Value::Text, Seen::Bytes(from, to)) => self.draft.string(text(&bytes[from..to], base + from)?),
            (Value::Bytes, Seen::Bytes(from, to)) => {
                self.draft.plain(|text| text.push_str(&base64::encode(&bytes[from..to])));
            }
            (Value::Message(shape) | Value::Group(shape), Seen::Bytes(from, to)) => {
                return self.message(*shape, &bytes[from..to], base + from, depth + 1);
            }
            (value, seen) => unreachable!("invariant: {value:?} is not encoded as {seen:?}"),
        }
        Ok(())
    }

    fn default(&mut self, value: &Value) {
        match value {
            Value::Bool => self.draft.bool(false),
            Value::Text | Value::Bytes => self.draft.string(""),
            Value::Enum(words) => match words.iter().find(|(number, _)| *number == 0) {
                Some((_, word)) => self.draft.string(word),
                None => self.draft.int(0),
            },
            Value::Message(_) | Value::Group(_) => self.draft.null(),
            _ => self.draft.int(0),
        }
    }

    /// A message that stands for a value.
    fn meant(
        &mut self,
        meaning: Meaning,
        shape: &Shape,
        first: usize,
        (bytes, base): (&[u8], usize),
        depth: usize,
    ) -> Result<(), Fault> {
        let seen = |number: u32| {
            let place = shape.fields.iter().position(|field| field.number == number);
            place.map_or(Seen::Nothing, |place| self.noted[first + place])
        };
        let number = |number: u32| if let Seen::Varint(raw) = seen(number) { raw } else { 0 };
        match meaning {
            Meaning::Object => unreachable!("invariant: an object is written field by field"),
            Meaning::Instant => {
                let (seconds, nanos) = (number(1) as i64, number(2) as i32);
                let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
                let nanos = nanos.ok_or(broken(base, "a Timestamp has more than a second of nanoseconds"))?;
                time::write_instant(self.draft, seconds, nanos, 9);
            }
            Meaning::Duration => {
                let (seconds, nanos) = (number(1) as i64, number(2) as i32);
                let units = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
                self.draft.number(|text| write_decimal(text, units, 9));
            }
            Meaning::Wrapper => {
                let Some(field) = shape.fields.first() else {
                    unreachable!("invariant: a wrapper has a field")
                };
                match self.noted[first] {
                    Seen::Nothing => self.default(&field.value),
                    seen => self.value(&field.value, seen, (bytes, base), depth)?,
                }
            }
            Meaning::Decimal => {
                let digits = match seen(1) {
                    Seen::Bytes(from, to) => &bytes[from..to],
                    _ => &[],
                };
                let units = units(digits).ok_or(broken(base, "a decimal has more than 128 bits"))?;
                let scale = u32::try_from(number(3) as i32).ok().filter(|scale| *scale <= SCALE_MAX);
                let scale = scale.ok_or(broken(base, "a decimal has a scale that is none"))?;
                self.draft.number(|text| write_decimal(text, units, scale));
            }
        }
        Ok(())
    }
}

/// Digits behind the point that any column could hold.
const SCALE_MAX: u32 = 1000;

impl Value {
    /// How elements of it stand one behind the other; `None` = each alone.
    fn packed(&self) -> Option<u8> {
        match self {
            Value::Text | Value::Bytes | Value::Message(_) | Value::Group(_) => None,
            value => Some(value.wire_type()),
        }
    }

    fn is_encoded_as(&self, kind: u8) -> bool {
        self.wire_type() == kind
    }

    fn wire_type(&self) -> u8 {
        match self {
            Value::Double | Value::Fixed64 | Value::Sfixed64 => wire_type::EIGHT,
            Value::Float | Value::Fixed32 | Value::Sfixed32 => wire_type::FOUR,
            Value::Text | Value::Bytes | Value::Message(_) => wire_type::BYTES,
            Value::Group(_) => wire_type::GROUP,
            _ => wire_type::VARINT,
        }
    }
}

/// The number of the next field, and how it is encoded.
#[inline]
fn key(cursor: &mut Cursor<'_>) -> Result<(u32, u8), Fault> {
    let at = cursor.at();
    let key = cursor.varint()?;
    match u32::try_from(key >> 3) {
        Ok(number @ 1..=0x1fff_ffff) => Ok((number, (key & 7) as u8)),
        _ => Err(broken(at, "a field has a number that is none")),
    }
}

/// The value of field `number`, whatever it means.
#[inline]
fn value(cursor: &mut Cursor<'_>, number: u32, kind: u8) -> Result<Seen, Fault> {
    Ok(match kind {
        wire_type::VARINT => Seen::Varint(cursor.varint()?),
        wire_type::EIGHT => Seen::Eight(cursor.array()?),
        wire_type::FOUR => Seen::Four(cursor.array()?),
        wire_type::BYTES => {
            let at = cursor.at();
            let length =
                usize::try_from(cursor.varint()?).map_err(|_| broken(at, "a length of more than memory"))?;
            let from = cursor.at();
            cursor.take(length)?;
            Seen::Bytes(from, from + length)
        }
        wire_type::GROUP => {
            let from = cursor.at();
            let to = group(cursor, number)?;
            Seen::Bytes(from, to)
        }
        _ => return Err(broken(cursor.at(), "a field is encoded in a way that there is not")),
    })
}

/// Passes over a group; gives where what is in it ends. What is open is kept here, so depth never becomes call depth.
fn group(cursor: &mut Cursor<'_>, number: u32) -> Result<usize, Fault> {
    let mut open = vec![number];
    loop {
        let at = cursor.at();
        let (number, kind) = key(cursor)?;
        match kind {
            wire_type::GROUP if open.len() < DEPTH_MAX => open.push(number),
            wire_type::GROUP => return Err(Fault { at, kind: FaultKind::TooDeep }),
            wire_type::GROUP_END if open.pop() != Some(number) => {
                return Err(broken(at, "a group ends that is not open"));
            }
            wire_type::GROUP_END if open.is_empty() => return Ok(at),
            wire_type::GROUP_END => {}
            kind => _ = value(cursor, number, kind)?,
        }
    }
}

/// Every value of field `number` in `bytes`, which were gone over before.
fn each(
    bytes: &[u8],
    number: u32,
    mut found: impl FnMut(u8, Seen) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut cursor = Cursor::new(bytes, 0);
    while !cursor.is_at_end() {
        let (of, kind) = key(&mut cursor)?;
        let value = value(&mut cursor, of, kind)?;
        if of == number {
            found(kind, value)?;
        }
    }
    Ok(())
}

/// A message that came in parts is what its parts are, one behind the other.
fn parts_of(bytes: &[u8], number: u32) -> Result<Vec<u8>, Fault> {
    let mut whole = Vec::new();
    each(bytes, number, |_, seen| {
        if let Seen::Bytes(from, to) = seen {
            whole.extend_from_slice(&bytes[from..to]);
        }
        Ok(())
    })?;
    Ok(whole)
}

/// The key of a map's entry, as text.
fn key_text(key: &Value, seen: Seen, (bytes, base): (&[u8], usize)) -> Result<String, Fault> {
    Ok(match (key, seen) {
        (Value::Text, Seen::Bytes(from, to)) => text(&bytes[from..to], base + from)?.to_owned(),
        (Value::Text, _) => String::new(),
        (Value::Bool, Seen::Varint(raw)) => (raw != 0).to_string(),
        (Value::Bool, _) => false.to_string(),
        (Value::Int32, Seen::Varint(raw)) => (raw as i32).to_string(),
        (Value::Int64, Seen::Varint(raw)) => (raw as i64).to_string(),
        (Value::Uint32, Seen::Varint(raw)) => (raw as u32).to_string(),
        (Value::Uint64, Seen::Varint(raw)) => raw.to_string(),
        (Value::Sint32, Seen::Varint(raw)) => (unzigzag(u64::from(raw as u32)) as i32).to_string(),
        (Value::Sint64, Seen::Varint(raw)) => unzigzag(raw).to_string(),
        (Value::Fixed32, Seen::Four(raw)) => u32::from_le_bytes(raw).to_string(),
        (Value::Sfixed32, Seen::Four(raw)) => i32::from_le_bytes(raw).to_string(),
        (Value::Fixed64, Seen::Eight(raw)) => u64::from_le_bytes(raw).to_string(),
        (Value::Sfixed64, Seen::Eight(raw)) => i64::from_le_bytes(raw).to_string(),
        _ => 0.to_string(),
    })
}
