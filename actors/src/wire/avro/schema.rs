//! A schema of Avro, as a flat list of types that name each other by number: so a type may lie within itself.

use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};

/// Deepest nesting of a schema's text.
const DEPTH_MAX: usize = 64;
/// Most types of one schema.
const TYPES_MAX: usize = 1 << 14;

/// The number of a type.
pub(super) type TypeId = u32;

/// A schema that parses.
#[derive(Clone, Debug)]
pub struct Schema {
    pub(super) types: Vec<Type>,
    /// The type of a message.
    pub(super) root: TypeId,
}

/// What is wrong with a schema's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaFault(String);

/// One type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Type {
    Null,
    Bool,
    /// `int` and `long`, which are encoded alike.
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Enum(Vec<String>),
    /// Names and types of its fields, in the order in which they are encoded.
    Record(Vec<(String, TypeId)>),
    Array(TypeId),
    Map(TypeId),
    Union(Vec<TypeId>),
    /// A [`Type::Bytes`] or [`Type::Fixed`] that is a whole number, divided by ten to this power.
    Decimal(TypeId, u32),
    /// A count since 1970, of which a second has ten to this power.
    Instant(u32),
    /// Days since 1970.
    Date,
    /// A name whose definition has not been read yet; none is left once the schema parses.
    Pending,
}

impl Schema {
    /// Reads `text`, which may name types of `references`, each a schema that was read before.
    pub fn parse(text: &str, references: &[&str]) -> Result<Self, SchemaFault> {
        let mut reading = Reading { types: Vec::new(), names: HashMap::new() };
        for reference in references {
            reading.document(reference)?;
        }
        let root = reading.document(text)?;
        Ok(Self { types: reading.types, root })
    }

    pub(super) fn at(&self, id: TypeId) -> &Type {
        &self.types[id as usize]
    }
}

impl Display for SchemaFault {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

struct Reading {
    types: Vec<Type>,
    /// By full name.
    names: HashMap<String, TypeId>,
}

fn fault<T>(message: impl Into<String>) -> Result<T, SchemaFault> {
    Err(SchemaFault(message.into()))
}

impl Reading {
    fn document(&mut self, text: &str) -> Result<TypeId, SchemaFault> {
        let value = match serde_json::from_str::<Value>(text) {
            Ok(value) => value,
            // The registry gives a primitive schema as it was registered, with or without its quotes.
            Err(_) if primitive(text.trim()).is_some() => Value::from(text.trim()),
            Err(error) => return fault(format!("the schema is not JSON: {error}")),
        };
        self.of(&value, "", 0)
    }

    fn add(&mut self, one: Type) -> Result<TypeId, SchemaFault> {
        if self.types.len() == TYPES_MAX {
            return fault(format!("the schema has more than {TYPES_MAX} types"));
        }
        self.types.push(one);
        Ok(self.types.len() as TypeId - 1)
    }

    /// The type that `value` says, within `namespace`.
    fn of(&mut self, value: &Value, namespace: &str, depth: usize) -> Result<TypeId, SchemaFault> {
        if depth > DEPTH_MAX {
            return fault(format!("the schema nests more than {DEPTH_MAX} levels"));
        }
        match value {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.of(branch, namespace, depth + 1));
                let branches = branches.collect::<Result<Vec<_>, _>>()?;
                self.add(Type::Union(branches))
            }
            Value::Object(object) => self.complex(object, namespace, depth),
            other => fault(format!("`{other}` is no type")),
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<TypeId, SchemaFault> {
        if let Some(primitive) = primitive(name) {
            return self.add(primitive);
        }
        let full = full_name(name, namespace);
        // What names a type without a namespace may lie in none, though what names it lies in one.
        let known = self.names.get(&full).or_else(|| self.names.get(name));
        known.copied().ok_or_else(|| SchemaFault(format!("there is no type `{name}`")))
    }

    fn complex(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        depth: usize,
    ) -> Result<TypeId, SchemaFault> {
        let kind = match object.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            // `{ "type": { "type": "string" } }` says what it holds.
            Some(inner) => return self.of(inner, namespace, depth + 1),
            None => return fault("a type without `type`"),
        };
        let part =
            |name: &str| object.get(name).ok_or_else(|| SchemaFault(format!("`{kind}` without `{name}`")));
        match kind {
            "record" | "error" | "enum" | "fixed" => self.definition(kind, object, namespace, depth),
            "array" => {
                let items = self.of(part("items")?, namespace, depth + 1)?;
                self.add(Type::Array(items))
            }
            "map" => {
                let values = self.of(part("values")?, namespace, depth + 1)?;
                self.add(Type::Map(values))
            }
            name => {
                let id = self.named(name, namespace)?;
                self.logical(id, object)
            }
        }
    }

    fn definition(
        &mut self,
        kind: &str,
        object: &Map<String, Value>,
        namespace: &str,
        depth: usize,
    ) -> Result<TypeId, SchemaFault> {
        let word = |key: &str| object.get(key).and_then(Value::as_str);
        let Some(name) = word("name") else { return fault(format!("`{kind}` without `name`")) };
        let full = full_name(name, word("namespace").unwrap_or(namespace));
        let own = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
        let id = self.add(Type::Pending)?;
        // A reference may be defined by several of those that a schema names: the first definition is as good as any.
        self.names.entry(full).or_insert(id);
        let found = match kind {
            "enum" => {
                let symbols = object.get("symbols").and_then(Value::as_array);
                let symbol = |symbol: &Value| symbol.as_str().map(str::to_owned);
                let symbols = symbols.and_then(|all| all.iter().map(symbol).collect::<Option<Vec<_>>>());
                Type::Enum(symbols.ok_or_else(|| SchemaFault(format!("enum `{name}` without `symbols`")))?)
            }
            "fixed" => {
                let size =
                    object.get("size").and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
                Type::Fixed(size.ok_or_else(|| SchemaFault(format!("fixed `{name}` without `size`")))?)
            }
            _ => {
                let Some(fields) = object.get("fields").and_then(Value::as_array) else {
                    return fault(format!("record `{name}` without `fields`"));
                };
                Type::Record(self.fields(name, fields, &own, depth)?)
            }
        };
        let is_fixed = matches!(found, Type::Fixed(_));
        self.types[id as usize] = found;
        if is_fixed { self.logical(id, object) } else { Ok(id) }
    }

    fn fields(
        &mut self,
        record: &str,
        fields: &[Value],
        namespace: &str,
        depth: usize,
    ) -> Result<Vec<(String, TypeId)>, SchemaFault> {
        let mut found = Vec::with_capacity(fields.len());
        for field in fields {
            let (Some(name), Some(kind)) = (field.get("name").and_then(Value::as_str), field.get("type"))
            else {
                return fault(format!("a field of `{record}` without `name` or `type`"));
            };
            if found.iter().any(|(known, _)| known == name) {
                return fault(format!("record `{record}` has two fields `{name}`"));
            }
            // A logical type may be said beside the type of a field; where it belongs is within it.
            found.push((name.to_owned(), self.of(kind, namespace, depth + 1)?));
        }
        Ok(found)
    }

    /// What `id` stands for. A logical type that is unknown, or does not fit, is passed over, as the specification has it.
    fn logical(&mut self, id: TypeId, object: &Map<String, Value>) -> Result<TypeId, SchemaFault> {
        let logical = object.get("logicalType").and_then(Value::as_str).unwrap_or_default();
        let found = match (logical, &self.types[id as usize]) {
            ("decimal", Type::Bytes | Type::Fixed(_)) => {
                let scale = object.get("scale").map_or(Some(0), Value::as_u64);
                match scale.and_then(|scale| u32::try_from(scale).ok()).filter(|scale| *scale <= SCALE_MAX) {
                    Some(scale) => Type::Decimal(id, scale),
                    None => return Ok(id),
                }
            }
            ("timestamp-millis" | "local-timestamp-millis", Type::Long) => Type::Instant(3),
            ("timestamp-micros" | "local-timestamp-micros", Type::Long) => Type::Instant(6),
            ("timestamp-nanos" | "local-timestamp-nanos", Type::Long) => Type::Instant(9),
            ("date", Type::Long) => Type::Date,
            _ => return Ok(id),
        };
        self.add(found)
    }
}

/// Digits behind the point that any column could hold.
const SCALE_MAX: u32 = 1000;

fn primitive(name: &str) -> Option<Type> {
    Some(match name {
        "null" => Type::Null,
        "boolean" => Type::Bool,
        "int" | "long" => Type::Long,
        "float" => Type::Float,
        "double" => Type::Double,
        "bytes" => Type::Bytes,
        "string" => Type::Text,
        _ => return None,
    })
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}
