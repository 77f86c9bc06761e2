//! One CSV record as bytes: fields, quotes, and the JSON object it becomes.

use csv::ByteRecord;
use std::io::Write;

/// Whether a quoted field is still open at the end, so that the record goes on in the next line.
pub(super) fn is_open(line: &[u8]) -> bool {
    memchr::memchr_iter(b'"', line).count() % 2 == 1
}

/// The fields of a record.
pub(super) fn fields(line: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line);
    let mut record = ByteRecord::new();
    match reader.read_byte_record(&mut record) {
        Ok(true) => record.iter().map(<[u8]>::to_vec).collect(),
        _ => Vec::new(),
    }
}

/// The record as a JSON object of texts, named by `header`. A field without a name is called by its place; a name
/// without a field is left out; bytes that are no UTF-8 stay, for a normalizer to reject.
pub(super) fn to_json(line: &[u8], header: &[String]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len() * 2);
    out.push(b'{');
    for (index, field) in fields(line).iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match header.get(index) {
            Some(name) => write_text(name, &mut out),
            None => write!(out, "\"column_{}\"", index + 1).expect("invariant: a vector takes every byte"),
        }
        out.push(b':');
        match std::str::from_utf8(field) {
            Ok(text) => write_text(text, &mut out),
            Err(_) => {
                out.push(b'"');
                out.extend_from_slice(field);
                out.push(b'"');
            }
        }
    }
    out.push(b'}');
    out
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("invariant: a vector takes every byte");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(line: &str, header: &[&str]) -> String {
        let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
        String::from_utf8(to_json(line.as_bytes(), &header)).unwrap()
    }

    #[test]
    fn the_header_names_the_members_and_values_stay_text() {
        assert_eq!(json("1,\"a \"\"b\"\"\",", &["id", "text", "x"]), r#"{"id":"1","text":"a \"b\"","x":""}"#);
    }

    #[test]
    fn more_or_fewer_fields_than_names() {
        assert_eq!(json("1,2,3", &["id"]), r#"{"id":"1","column_2":"2","column_3":"3"}"#);
        assert_eq!(json("1", &["id", "b"]), r#"{"id":"1"}"#);
    }

    #[test]
    fn a_quote_leaves_the_record_open_until_its_partner() {
        assert!(is_open(b"1,\"two\n"));
        assert!(!is_open(b"1,\"two\nlines\"\n"));
        assert!(!is_open(b"1,\"a \"\"b\"\"\"\n"));
    }

    #[test]
    fn bytes_that_are_no_text_are_kept() {
        assert_eq!(to_json(b"\xff", &["a".to_owned()]), b"{\"a\":\"\xff\"}");
    }
}
