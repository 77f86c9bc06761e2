//! What Confluent's serializers put before a message: a zero byte, and the id of its schema.

use super::{Fault, broken};

/// How long it is.
pub const HEADER_BYTES: usize = 5;

/// The id of the schema that `message` is written by; the message proper begins at [`HEADER_BYTES`].
#[inline]
pub fn schema_id(message: &[u8]) -> Result<u32, Fault> {
    match message {
        [0, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        [0, ..] => Err(broken(message.len(), "the message ends within the id of its schema")),
        _ => Err(broken(0, "expected a zero byte and the id of a schema")),
    }
}

/// `message` as a serializer that knows its schema as `id` would send it.
pub fn with_schema_id(id: u32, message: &[u8]) -> Vec<u8> {
    [&[0], id.to_be_bytes().as_slice(), message].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_four_bytes_behind_a_zero() {
        assert_eq!(schema_id(&with_schema_id(0x0102_0304, b"x")), Ok(0x0102_0304));
        for broken in [&b""[..], b"{}", &[0, 1, 2, 3], &[1, 0, 0, 0, 1]] {
            assert!(schema_id(broken).is_err(), "{broken:?}");
        }
    }
}
