//! The types of the topology language beside PostgreSQL's.

use aqueduct_topology::model::FieldType;

/// The column type a field needs.
pub fn sql_type(field: FieldType) -> String {
    match field {
        FieldType::Text => "text".into(),
        FieldType::Int64 => "bigint".into(),
        FieldType::Float64 => "double precision".into(),
        FieldType::Decimal { precision, scale } => format!("numeric({precision},{scale})"),
        FieldType::Bool => "boolean".into(),
        FieldType::Timestamp => "timestamptz".into(),
        FieldType::Json => "jsonb".into(),
    }
}
