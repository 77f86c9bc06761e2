//! Arrays of PostgreSQL from fields that carry JSON.
//!
//! The format: dimensions, whether an element is NULL, the elements' type, each dimension's length and lower bound, then
//! the elements, each with its length. PostgreSQL's arrays are boxes: arrays within an array are as long as their first.

use super::encode::Unfit;
use super::parsed::{Scalar, put_text};
use serde_json::value::RawValue;

/// `MAXDIM` of PostgreSQL.
const DIMENSIONS_MAX: usize = 6;

/// Appends the JSON array `text` as an array of that type, its length first.
pub(super) fn put(out: &mut Vec<u8>, text: &str, element: Element) -> Result<(), Box<Unfit>> {
    let (lengths, elements) = flattened(text)?;
    let begins = out.len();
    out.extend_from_slice(&[0; 4]);
    let nulls = i32::from(elements.iter().any(|element| element.get() == "null"));
    for word in [lengths.len() as i32, nulls, element.oid as i32] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    for length in &lengths {
        for word in [*length as i32, 1] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
    for (index, value) in elements.iter().enumerate() {
        put_element(out, value.get(), element.scalar).map_err(|unfit| {
            Box::new(Unfit { message: format!("element {}: {}", index + 1, unfit.message), ..*unfit })
        })?;
    }
    let length = (out.len() - begins - 4) as i32;
    out[begins..begins + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// The type of the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// How they are read.
    pub scalar: Scalar,
    /// What the catalog calls it.
    pub oid: u32,
}

/// How long each dimension is, and all scalars, row by row. An array without any has no dimension.
fn flattened(text: &str) -> Result<(Vec<usize>, Vec<&RawValue>), Box<Unfit>> {
    let array = |text| serde_json::from_str::<Vec<&RawValue>>(text);
    let mut elements = array(text).map_err(|_| unfit("the value is no JSON array".to_owned()))?;
    let mut lengths = vec![elements.len()];
    while elements.first().is_some_and(|first| is_array(first)) {
        if lengths.len() == DIMENSIONS_MAX {
            return Err(unfit(format!("more than {DIMENSIONS_MAX} dimensions")));
        }
        let rows = elements.iter().map(|row| array(row.get()));
        let rows = rows.collect::<Result<Vec<_>, _>>();
        let rows = rows.map_err(|_| unfit("arrays and scalars beside each other".to_owned()))?;
        let length = rows[0].len();
        if let Some(other) = rows.iter().position(|row| row.len() != length) {
            let (at, found) = (other + 1, rows[other].len());
            return Err(unfit(format!("array {at} within it is {found} long, the first {length}")));
        }
        lengths.push(length);
        elements = rows.concat();
    }
    if elements.is_empty() {
        lengths.clear();
    }
    Ok((lengths, elements))
}

fn is_array(value: &RawValue) -> bool {
    value.get().starts_with('[')
}

fn put_element(out: &mut Vec<u8>, token: &str, scalar: Scalar) -> Result<(), Box<Unfit>> {
    match token.as_bytes().first() {
        Some(b'n') => {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            Ok(())
        }
        Some(b'"') => {
            let text: String = serde_json::from_str(token).map_err(|error| unfit(error.to_string()))?;
            put_text(out, &text, scalar)
        }
        Some(b'[' | b'{') => Err(unfit("it is no scalar".to_owned())),
        _ => put_text(out, token, scalar),
    }
}

fn unfit(message: String) -> Box<Unfit> {
    Box::new(Unfit { reason: "invalid_text_representation", message })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INT2: Element = Element { scalar: Scalar::Int2, oid: 21 };

    #[test]
    fn bytes_are_postgresqls_own() {
        // `SELECT array_send('{1,NULL}'::int2[])` of PostgreSQL 17.
        let mut out = Vec::new();
        put(&mut out, "[1, null]", INT2).unwrap();
        let sent: String = out[4..].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(sent, "0000000100000001000000150000000200000001000000020001ffffffff");
        assert_eq!(i32::from_be_bytes(out[..4].try_into().unwrap()) as usize, out.len() - 4);
        out.clear();
        put(&mut out, "[]", INT2).unwrap();
        assert_eq!(out, [0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 21]);
        let empty = std::mem::take(&mut out);
        put(&mut out, "[[], []]", INT2).unwrap();
        assert_eq!(out, empty, "an array without elements has no dimension");
    }

    #[test]
    fn an_unfit_element_is_named() {
        for (text, part) in [
            ("[1, 40000]", "element 2"),
            ("[[1, 2], [3, 40000]]", "element 4"),
            ("[1, [2]]", "no scalar"),
            ("[[1], 2]", "arrays and scalars"),
            ("[[1, 2], [3]]", "array 2 within it is 1 long, the first 2"),
            ("[[[[[[[1]]]]]]]", "more than 6 dimensions"),
            ("{}", "no JSON array"),
        ] {
            let unfit = put(&mut Vec::new(), text, INT2).unwrap_err();
            assert!(unfit.message.contains(part), "{}", unfit.message);
        }
    }
}
