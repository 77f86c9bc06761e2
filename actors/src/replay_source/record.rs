//! From a line to a record: value, key, time, headers, partition.

use crate::base64;
use aqueduct_engine::Headers;
use aqueduct_topology::model::{Pointer, ReplayFormat, ReplaySource, TimeUnit};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// One record.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Recorded<'a> {
    pub(super) key: Option<Cow<'a, [u8]>>,
    /// `None` = tombstone.
    pub(super) value: Option<Cow<'a, [u8]>>,
    /// Microseconds since 1970 UTC.
    pub(super) time_us: Option<i64>,
    pub(super) headers: Headers,
    partition: Option<u32>,
}

impl Recorded<'_> {
    /// The partition: as recorded, else by the key, else in turn.
    pub(super) fn partition(&self, number: i64, partitions: usize) -> usize {
        match (self.partition, &self.key) {
            (Some(partition), _) => partition as usize % partitions,
            (None, Some(key)) => (hash(key) % partitions as u64) as usize,
            (None, None) => number.rem_euclid(partitions as i64) as usize,
        }
    }
}

/// FNV-1a: the same on every machine and in every version.
fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A record on its own: what a line of a recording holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// `None` = tombstone.
    pub value: Option<Vec<u8>>,
    /// Milliseconds since 1970 UTC, as recorded.
    pub time_ms: Option<i64>,
    /// Empty = none.
    pub headers: Headers,
    /// As recorded.
    pub partition: Option<u32>,
}

impl Message {
    /// The message on `line`, as a `replay_source` with these options reads it. What does not read as it should is a
    /// message of its bytes.
    pub fn read(options: &ReplaySource, line: &[u8]) -> Self {
        let recorded = Reading::new(options).record(line, &[]);
        Self {
            key: recorded.key.map(Cow::into_owned),
            value: recorded.value.map(Cow::into_owned),
            time_ms: recorded.time_us.map(|time_us| time_us.div_euclid(1000)),
            headers: recorded.headers,
            partition: recorded.partition,
        }
    }

    /// As the line from which [`Message::read`] makes the same message of an envelope.
    pub fn envelope(&self) -> String {
        let bytes = |bytes: &Option<Vec<u8>>| bytes.as_deref().map_or(Value::Null, bytes_json);
        let mut line = serde_json::Map::new();
        match &self.value {
            Some(value) => line.insert("raw".into(), bytes_json(value)),
            None => line.insert("value".into(), Value::Null),
        };
        if self.key.is_some() {
            line.insert("key".into(), bytes(&self.key));
        }
        if let Some(partition) = self.partition {
            line.insert("partition".into(), partition.into());
        }
        if let Some(time) = self.time_ms.and_then(|time_ms| Timestamp::from_millisecond(time_ms).ok()) {
            line.insert("time".into(), format!("{time:.3}").into());
        }
        if !self.headers.is_empty() {
            let header = |(name, value): &(std::sync::Arc<str>, Option<Vec<u8>>)| serde_json::json!({ "name": &**name, "value": bytes(value) });
            line.insert("headers".into(), self.headers.iter().map(header).collect());
        }
        Value::Object(line).to_string()
    }

    /// Which of so many partitions it goes to as the `number`th: as recorded, else by the key, else in turn.
    pub fn partition(&self, number: i64, partitions: u32) -> u32 {
        let recorded = Recorded {
            key: self.key.as_deref().map(Cow::Borrowed),
            partition: self.partition,
            ..Recorded::default()
        };
        recorded.partition(number, partitions as usize) as u32
    }
}

/// How lines are read.
pub(super) struct Reading<'o> {
    options: &'o ReplaySource,
}

/// A record with what surrounds it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    /// Data, sent as JSON.
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'a RawValue>,
    /// Bytes, sent as they are: text, or `{ base64 }`.
    #[serde(default)]
    raw: Option<Value>,
    #[serde(default)]
    key: Option<Value>,
    #[serde(default)]
    partition: Option<u32>,
    #[serde(default)]
    time: Option<Value>,
    /// Values by name; or a list of `{ name, value }`, where names repeat or their order counts.
    #[serde(default)]
    headers: Option<Value>,
}

/// A `null` that is written is a value, unlike one that is absent.
fn present<'de: 'a, 'a, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&'a RawValue>::deserialize(from).map(Some)
}

impl<'o> Reading<'o> {
    pub(super) fn new(options: &'o ReplaySource) -> Self {
        Self { options }
    }

    /// The record on `line`. What does not read as it should is a record of its bytes.
    pub(super) fn record<'a>(&self, line: &'a [u8], header: &[String]) -> Recorded<'a> {
        let mut recorded = match self.options.format {
            ReplayFormat::Jsonl => plain(Cow::Borrowed(line)),
            ReplayFormat::Csv => plain(Cow::Owned(super::line::to_json(line, header))),
            ReplayFormat::Envelope => Some(line)
                .filter(|line| line.trim_ascii_start().starts_with(b"{"))
                .and_then(|line| serde_json::from_slice::<Envelope<'a>>(line).ok())
                .map_or_else(|| plain(Cow::Borrowed(line)), |envelope| self.unwrap(envelope)),
        };
        self.look_inside(&mut recorded);
        recorded
    }

    fn unwrap<'a>(&self, envelope: Envelope<'a>) -> Recorded<'a> {
        let value = match (envelope.raw, envelope.value) {
            (Some(raw), _) => bytes_of(&raw).map(Cow::Owned),
            // A record without a value is a tombstone, however it is written.
            (None, Some(value)) if value.get() == "null" => None,
            (None, value) => value.map(|value| Cow::Borrowed(value.get().as_bytes())),
        };
        Recorded {
            key: envelope.key.and_then(|key| bytes_of(&key)).map(Cow::Owned),
            value,
            time_us: envelope.time.and_then(|time| time_of(&time, TimeUnit::Millis)),
            headers: envelope.headers.as_ref().map(headers_of).unwrap_or_default(),
            partition: envelope.partition,
        }
    }

    /// Finds time and key in the value, where the file says so.
    fn look_inside(&self, recorded: &mut Recorded<'_>) {
        let (time, key) = (&self.options.time, &self.options.key);
        if time.is_none() && key.is_none() {
            return;
        }
        let Some(Ok(value)) = recorded.value.as_deref().map(serde_json::from_slice::<Value>) else { return };
        let found = |pointer: &Option<Pointer>| pointer.as_ref().and_then(|pointer| find(&value, pointer));
        if let Some(time_us) = found(time).and_then(|time| time_of(time, self.options.time_unit)) {
            recorded.time_us = Some(time_us);
        }
        if let Some(key) = found(key).and_then(text_of) {
            recorded.key = Some(Cow::Owned(key.into_bytes()));
        }
    }
}

fn plain(value: Cow<'_, [u8]>) -> Recorded<'_> {
    Recorded { value: Some(value), ..Recorded::default() }
}

fn headers_of(written: &Value) -> Headers {
    let header = |name: &str, value: &Value| (name.into(), bytes_of(value));
    match written {
        Value::Object(members) => members.iter().map(|(name, value)| header(name, value)).collect(),
        Value::Array(list) => list
            .iter()
            .filter_map(|one| {
                Some(header(one.get("name")?.as_str()?, one.get("value").unwrap_or(&Value::Null)))
            })
            .collect(),
        _ => Headers::new(),
    }
}

/// Text where the bytes are text, else `{ base64 }`.
fn bytes_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => serde_json::json!({ BASE64: base64::encode(bytes) }),
    }
}

/// What `{ base64 }` stands for, else the text of the value; null as nothing.
fn bytes_of(value: &Value) -> Option<Vec<u8>> {
    let packed = value.as_object().filter(|members| members.len() == 1);
    let digits = packed.and_then(|members| members.get(BASE64)?.as_str());
    digits.and_then(base64::decode).or_else(|| text_of(value).map(String::into_bytes))
}

/// The member of an object that holds bytes that are no text.
const BASE64: &str = "base64";

/// A text without its quotes, anything else as JSON, null as nothing.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn find<'v>(value: &'v Value, pointer: &Pointer) -> Option<&'v Value> {
    pointer.tokens.iter().try_fold(value, |value, token| match value {
        Value::Object(members) => members.get(token),
        Value::Array(elements) => elements.get(token.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Microseconds since 1970 UTC. A number is in `unit`; a text is a number in `unit`, or else RFC 3339.
fn time_of(value: &Value, unit: TimeUnit) -> Option<i64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let iso = || text.parse::<Timestamp>().ok().map(|time| time.as_microsecond());
    let per_unit = match unit {
        TimeUnit::Seconds => 1_000_000.0,
        TimeUnit::Millis => 1_000.0,
        TimeUnit::Micros => 1.0,
        TimeUnit::Nanos => 0.001,
        TimeUnit::Iso => return iso(),
    };
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(whole), _) => match unit {
            TimeUnit::Seconds => whole.checked_mul(1_000_000),
            TimeUnit::Millis => whole.checked_mul(1_000),
            TimeUnit::Micros => Some(whole),
            _ => Some(whole.div_euclid(1_000)),
        },
        (Err(_), Ok(fraction)) if fraction.is_finite() => Some((fraction * per_unit) as i64),
        _ => iso(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct_topology::{Span, Spanned};

    fn options(format: ReplayFormat) -> ReplaySource {
        ReplaySource {
            file: Spanned::new("x".into(), Span::default()),
            format,
            topic: "t".into(),
            time: None,
            time_unit: TimeUnit::Millis,
            key: None,
            speed: None,
            partitions: 4,
            repeat: Some(1),
        }
    }

    fn pointer(tokens: &[&str]) -> Option<Pointer> {
        Some(Pointer { tokens: tokens.iter().map(|token| (*token).to_owned()).collect() })
    }

    #[test]
    fn time_and_key_are_found_in_the_value() {
        let mut options = options(ReplayFormat::Jsonl);
        (options.time, options.key) = (pointer(&["data", "0", "T"]), pointer(&["s"]));
        let line = br#"{"s": "A", "data": [{"T": "1723107600123"}]}"#;
        let recorded = Reading::new(&options).record(line, &[]);
        assert_eq!(recorded.key.as_deref(), Some(&b"A"[..]));
        assert_eq!(recorded.time_us, Some(1_723_107_600_123_000));
        assert_eq!(recorded.value.as_deref(), Some(&line[..]), "byte for byte");
    }

    #[test]
    fn a_line_that_is_no_json_is_a_record_of_its_bytes() {
        let mut options = options(ReplayFormat::Envelope);
        options.time = pointer(&["T"]);
        for line in [&b"{broken"[..], b"\xff\xfe", b"[]", br#"{"unknown": 1}"#] {
            let recorded = Reading::new(&options).record(line, &[]);
            assert_eq!((recorded.value.as_deref(), recorded.time_us), (Some(line), None));
        }
    }

    #[test]
    fn envelopes_carry_what_surrounds_a_record() {
        let options = options(ReplayFormat::Envelope);
        let reading = Reading::new(&options);
        let line = br#"{"value": {"a":  1}, "key": "k", "partition": 6, "time": "1970-01-01T00:00:01Z", "headers": {"h": "x", "n": null}}"#;
        let recorded = reading.record(line, &[]);
        assert_eq!(recorded.value.as_deref(), Some(&br#"{"a":  1}"#[..]));
        assert_eq!((recorded.key.as_deref(), recorded.time_us), (Some(&b"k"[..]), Some(1_000_000)));
        assert_eq!(recorded.headers, vec![("h".into(), Some(b"x".to_vec())), ("n".into(), None)]);
        assert_eq!(recorded.partition(0, 4), 2);
        assert_eq!(reading.record(br#"{"value": null}"#, &[]).value, None, "a tombstone");
        assert_eq!(reading.record(br#"{"raw": "{not json"}"#, &[]).value.as_deref(), Some(&b"{not json"[..]));
    }

    #[test]
    fn what_is_written_as_an_envelope_is_read_back() {
        let full = Message {
            key: Some(vec![0xff]),
            value: Some(b"{\"a\":  1}\n".to_vec()),
            time_ms: Some(1_723_107_600_123),
            headers: vec![
                ("h".into(), Some(b"x".to_vec())),
                ("h".into(), Some(vec![0xfe])),
                ("n".into(), None),
            ],
            partition: Some(3),
        };
        let bare = Message { value: Some(vec![0xff, 0x00]), ..Message::default() };
        let tombstone = Message { value: None, ..full.clone() };
        for message in [full, bare, tombstone] {
            let line = message.envelope();
            assert!(!line.contains('\n'), "one line: {line}");
            assert_eq!(Message::read(&options(ReplayFormat::Envelope), line.as_bytes()), message, "{line}");
        }
    }

    #[test]
    fn units_and_notations_of_time() {
        let time = |text: &str, unit| time_of(&serde_json::from_str(text).unwrap(), unit);
        assert_eq!(time("1.5", TimeUnit::Seconds), Some(1_500_000));
        assert_eq!(time("\"1.5\"", TimeUnit::Seconds), Some(1_500_000));
        assert_eq!(time("1500", TimeUnit::Nanos), Some(1));
        assert_eq!(time("\"1970-01-01T00:00:01Z\"", TimeUnit::Iso), Some(1_000_000));
        assert_eq!(time("\"1970-01-01T00:00:01Z\"", TimeUnit::Millis), Some(1_000_000));
        assert_eq!(time("true", TimeUnit::Millis), None);
    }

    #[test]
    fn a_key_stays_with_its_partition_and_the_rest_takes_turns() {
        let recorded =
            |key: Option<&'static [u8]>| Recorded { key: key.map(Cow::Borrowed), ..Recorded::default() };
        assert_eq!(recorded(Some(b"A")).partition(0, 4), recorded(Some(b"A")).partition(7, 4));
        let turns: Vec<usize> = (0..5).map(|number| recorded(None).partition(number, 4)).collect();
        assert_eq!(turns, [0, 1, 2, 3, 0]);
    }
}
