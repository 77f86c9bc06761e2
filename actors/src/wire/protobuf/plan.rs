//! Which fields of a message are written.

use super::schema::Schema;
use crate::json::Name;
use crate::wire::Wanted;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use std::collections::HashMap;
use std::sync::Arc;

/// The number of a shape.
pub(super) type ShapeId = u32;

/// The walk of one topology over the messages of one type.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) shapes: Vec<Shape>,
    pub(super) root: ShapeId,
}

/// What is written of the messages of one type.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    /// By number.
    pub(super) fields: Vec<Field>,
    pub(super) meaning: Meaning,
}

/// What a message stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Meaning {
    /// An object of its fields.
    #[default]
    Object,
    /// `google.protobuf.Timestamp`: fields are the seconds and the nanoseconds.
    Instant,
    /// `google.protobuf.Duration`: the same.
    Duration,
    /// A value that may be absent: the only field.
    Wrapper,
    /// `confluent.type.Decimal`: the number's bytes, its precision, its scale.
    Decimal,
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    /// `None` = nobody asks for it: it is here because it takes the place of others of its `oneof`.
    pub(super) name: Option<Name>,
    pub(super) value: Value,
    pub(super) count: Count,
}

/// How often a field may be there.
#[derive(Clone, Debug)]
pub(super) enum Count {
    /// Once; what comes later wins.
    Once {
        /// Whether one that is not there is its default.
        implicit: bool,
        /// Of several of the same number, only the last is there.
        oneof: Option<usize>,
    },
    /// Any number of times: of these elements, or all.
    List(Option<Box<[bool]>>),
    /// Entries of key and value: of these keys, or all. The value is the field's.
    Map(Box<Value>, Option<Box<[Box<str>]>>),
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    Text,
    Bytes,
    Enum(Arc<[(i32, Box<str>)]>),
    Message(ShapeId),
    /// The same between two marks.
    Group(ShapeId),
}

/// Most elements that are asked for one by one.
const ELEMENTS_MAX: usize = 1 << 12;

impl Plan {
    /// The walk over the message of `schema` that `indexes` lead to, writing what is `wanted`; `None` = there is none.
    pub fn new(schema: &Schema, indexes: &[u32], wanted: &Wanted) -> Option<Self> {
        let message = schema.message(indexes)?;
        let mut making = Making::default();
        let root = making.shape(&message, wanted);
        Some(Self { shapes: making.shapes, root })
    }
}

#[derive(Default)]
struct Making {
    shapes: Vec<Shape>,
    /// Shapes of messages of which all is wanted: a message may lie within itself.
    whole: HashMap<String, ShapeId>,
}

impl Making {
    fn shape(&mut self, message: &MessageDescriptor, wanted: &Wanted) -> ShapeId {
        let is_whole = *wanted == Wanted::everything();
        if let Some(known) = self.whole.get(message.full_name()).filter(|_| is_whole) {
            return *known;
        }
        let id = self.shapes.len() as ShapeId;
        self.shapes.push(Shape::default());
        if is_whole {
            self.whole.insert(message.full_name().to_owned(), id);
        }
        let meaning = if is_whole { meaning(message.full_name()) } else { Meaning::Object };
        let mut fields: Vec<Field> =
            message.fields().filter_map(|field| self.field(message, &field, wanted)).collect();
        fields.sort_unstable_by_key(|field| field.number);
        self.shapes[id as usize] = Shape { fields, meaning };
        id
    }

    fn field(
        &mut self,
        message: &MessageDescriptor,
        field: &FieldDescriptor,
        wanted: &Wanted,
    ) -> Option<Field> {
        let number = field.number();
        let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
        let Some(own) = wanted.member(field.name()) else {
            let oneof = oneof?;
            if oneof.fields().all(|other| wanted.member(other.name()).is_none()) {
                return None;
            }
            let count = Count::Once { implicit: false, oneof: place(message, oneof.name()) };
            let value = self.value(field, &Wanted::default());
            return Some(Field { number, name: None, value, count });
        };
        let (count, inner) = if field.is_map() {
            return Some(self.map(field, &own));
        } else if field.is_list() {
            match own.each() {
                Some(each) => (Count::List(None), if own.is_even() { each } else { Wanted::everything() }),
                None => {
                    let end = own.elements().last().map_or(0, |last| *last as usize + 1).min(ELEMENTS_MAX);
                    let elements: Vec<_> = (0..end).map(|index| own.element(index as u32)).collect();
                    let mut all = Wanted::default();
                    elements.iter().flatten().for_each(|element| all.merge(element));
                    (Count::List(Some(elements.iter().map(Option::is_some).collect())), all)
                }
            }
        } else {
            let oneof = oneof.and_then(|oneof| place(message, oneof.name()));
            (Count::Once { implicit: !field.supports_presence(), oneof }, own)
        };
        let value = self.value(field, &inner);
        Some(Field { number, name: Some(Name::new(field.name())), value, count })
    }

    fn map(&mut self, field: &FieldDescriptor, wanted: &Wanted) -> Field {
        let Kind::Message(entry) = field.kind() else {
            unreachable!("invariant: a map's entries are messages")
        };
        let (keys, inner) = match wanted.each() {
            Some(each) => (None, if wanted.is_even() { each } else { Wanted::everything() }),
            None => {
                let mut all = Wanted::default();
                let names = wanted.members();
                names.iter().filter_map(|name| wanted.member(name)).for_each(|member| all.merge(&member));
                (Some(names.into_iter().map(String::into_boxed_str).collect()), all)
            }
        };
        let key = self.value(&entry.map_entry_key_field(), &Wanted::everything());
        let value = self.value(&entry.map_entry_value_field(), &inner);
        let (number, name) = (field.number(), Some(Name::new(field.name())));
        Field { number, name, value, count: Count::Map(Box::new(key), keys) }
    }

    fn value(&mut self, field: &FieldDescriptor, wanted: &Wanted) -> Value {
        match field.kind() {
            Kind::Double => Value::Double,
            Kind::Float => Value::Float,
            Kind::Int32 => Value::Int32,
            Kind::Int64 => Value::Int64,
            Kind::Uint32 => Value::Uint32,
            Kind::Uint64 => Value::Uint64,
            Kind::Sint32 => Value::Sint32,
            Kind::Sint64 => Value::Sint64,
            Kind::Fixed32 => Value::Fixed32,
            Kind::Fixed64 => Value::Fixed64,
            Kind::Sfixed32 => Value::Sfixed32,
            Kind::Sfixed64 => Value::Sfixed64,
            Kind::Bool => Value::Bool,
            Kind::String => Value::Text,
            Kind::Bytes => Value::Bytes,
            Kind::Enum(words) => {
                Value::Enum(words.values().map(|word| (word.number(), word.name().into())).collect())
            }
            Kind::Message(message) => {
                let shape = self.shape(&message, wanted);
                if field.is_group() { Value::Group(shape) } else { Value::Message(shape) }
            }
        }
    }
}

fn place(message: &MessageDescriptor, oneof: &str) -> Option<usize> {
    message.oneofs().position(|known| known.name() == oneof)
}

fn meaning(full_name: &str) -> Meaning {
    match full_name {
        "google.protobuf.Timestamp" => Meaning::Instant,
        "google.protobuf.Duration" => Meaning::Duration,
        "google.protobuf.DoubleValue"
        | "google.protobuf.FloatValue"
        | "google.protobuf.Int64Value"
        | "google.protobuf.UInt64Value"
        | "google.protobuf.Int32Value"
        | "google.protobuf.UInt32Value"
        | "google.protobuf.BoolValue"
        | "google.protobuf.StringValue"
        | "google.protobuf.BytesValue" => Meaning::Wrapper,
        "confluent.type.Decimal" => Meaning::Decimal,
        _ => Meaning::Object,
    }
}
