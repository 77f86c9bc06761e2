//! A finished span, and a batch of them as OTLP's JSON wants it.
//!
//! Its names are in lower camel case, ids are hexadecimal, whole numbers of 64 bits are strings. Deliberately absent:
//! reading it.

use super::context::{SpanId, TraceContext, TraceId};
use crate::batch::Origin;
use serde_json::{Value, json};
use std::sync::Arc;

/// What an actor did with a batch.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) links: Vec<TraceContext>,
    pub(super) actor: Arc<str>,
    pub(super) kind: &'static str,
    /// Where it stands in the graph, in OTLP's numbers.
    pub(super) role: SpanRole,
    pub(super) begun_us: i64,
    pub(super) ended_us: i64,
    pub(super) origin: Origin,
    pub(super) records: usize,
    pub(super) rows: usize,
    pub(super) outcome: Outcome,
    /// Of what class the error was that ended the actor, or with which the step failed.
    pub(super) class: Option<&'static str>,
    /// What it is of the actor's work on the batch; none = all of it.
    pub(super) step: Option<StepPart>,
}

/// A part of the work.
#[derive(Clone, Debug)]
pub(super) struct StepPart {
    pub(super) name: &'static str,
    pub(super) attributes: Vec<(&'static str, Attribute)>,
}

#[derive(Clone, Debug)]
pub(super) enum Attribute {
    Text(Arc<str>),
    Number(i64),
}

/// OTLP's kinds of spans, as far as there are such here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpanRole {
    Internal = 1,
    Consumer = 5,
    /// A sink calls a server.
    Client = 3,
}

/// What became of the batch here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Settled,
    Redelivered,
    Fenced,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Redelivered => "redelivered",
            Self::Fenced => "fenced",
        }
    }
}

/// Who says it.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) node: Arc<str>,
    pub(super) topology: Arc<str>,
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: i64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

impl Span {
    fn to_json(&self, topology: &str, node: &str) -> Value {
        let mut attributes = vec![
            text("topology", topology),
            text("node", node),
            text("actor", &self.actor),
            text("kind", self.kind),
            text("topic", &self.origin.key.topic),
            number("partition", i64::from(self.origin.key.partition)),
            number("first_offset", self.origin.first),
            number("next_offset", self.origin.next),
        ];
        match &self.step {
            Some(step) => attributes.extend(step.attributes.iter().map(|(key, value)| match value {
                Attribute::Text(value) => text(key, value),
                Attribute::Number(value) => number(key, *value),
            })),
            None => attributes.extend([
                number("records", self.records as i64),
                number("rows", self.rows as i64),
                text("outcome", self.outcome.as_str()),
            ]),
        }
        attributes.extend(self.class.map(|class| text("error.type", class)));
        let links = self.links.iter().map(
            |link| json!({ "traceId": link.trace.to_string(), "spanId": link.span.to_string(), "flags": 1 }),
        );
        let mut span = json!({
            "traceId": self.trace.to_string(),
            "spanId": self.id.to_string(),
            "flags": 1,
            "name": format!("{} {}", self.actor, self.step.as_ref().map_or(self.kind, |step| step.name)),
            "kind": self.role as i32,
            "startTimeUnixNano": nanoseconds(self.begun_us),
            "endTimeUnixNano": nanoseconds(self.ended_us.max(self.begun_us)),
            "attributes": attributes,
            "links": links.collect::<Vec<_>>(),
            "status": self.status(),
        });
        if let Some(parent) = self.parent {
            span["parentSpanId"] = parent.to_string().into();
        }
        span
    }

    /// An error where an actor failed with the batch in its hands; a stop or a lost claim is none.
    fn status(&self) -> Value {
        match self.class {
            Some(class) => json!({ "code": 2, "message": class }),
            None => json!({}),
        }
    }
}

fn nanoseconds(us: i64) -> String {
    (i128::from(us.max(0)) * 1000).to_string()
}

/// The body of a request to `/v1/traces`.
pub(super) fn request(resource: &Resource, spans: &[Span]) -> Value {
    let spans: Vec<_> = spans.iter().map(|span| span.to_json(&resource.topology, &resource.node)).collect();
    json!({ "resourceSpans": [{
        "resource": { "attributes": [
            text("service.name", "aqueduct"),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("service.instance.id", &resource.node),
        ] },
        "scopeSpans": [{
            "scope": { "name": "aqueduct", "version": env!("CARGO_PKG_VERSION") },
            "spans": spans,
        }],
    }] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::raw_batch;

    #[test]
    fn a_request_has_the_form_that_otlp_gives_it() {
        let span = Span {
            trace: TraceId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
            id: SpanId(0xb7),
            parent: Some(SpanId(0xa6)),
            links: vec![TraceContext { trace: TraceId(1), span: SpanId(2) }],
            actor: "trades".into(),
            kind: "normalizer",
            role: SpanRole::Internal,
            begun_us: 1_723_161_300_000_001,
            ended_us: 1_723_161_300_000_000,
            origin: raw_batch(3, i64::MAX - 2, &["a"]).origin,
            records: 1,
            rows: 2,
            outcome: Outcome::Redelivered,
            class: Some("bug"),
            step: None,
        };
        let resource = Resource { node: "n1".into(), topology: "md".into() };
        let body = request(&resource, &[span]);
        let whose = &body["resourceSpans"][0]["resource"]["attributes"];
        assert_eq!(whose[0], json!({ "key": "service.name", "value": { "stringValue": "aqueduct" } }));
        assert_eq!(whose[2], json!({ "key": "service.instance.id", "value": { "stringValue": "n1" } }));
        let span = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(
            (&span["spanId"], &span["parentSpanId"]),
            (&json!("00000000000000b7"), &json!("00000000000000a6"))
        );
        assert_eq!((&span["name"], &span["kind"]), (&json!("trades normalizer"), &json!(1)));
        assert_eq!(span["startTimeUnixNano"], "1723161300000001000");
        assert_eq!(
            span["endTimeUnixNano"], span["startTimeUnixNano"],
            "a clock that goes back gives no negative time"
        );
        assert_eq!(span["links"][0]["spanId"], "0000000000000002");
        assert_eq!(span["status"], json!({ "code": 2, "message": "bug" }));
        let attributes = span["attributes"].as_array().unwrap();
        let of = |key: &str| &attributes.iter().find(|one| one["key"] == key).unwrap()["value"];
        assert_eq!(of("first_offset"), &json!({ "intValue": (i64::MAX - 2).to_string() }));
        assert_eq!(of("partition"), &json!({ "intValue": "3" }));
        assert_eq!(of("outcome"), &json!({ "stringValue": "redelivered" }));
        assert_eq!(of("error.type"), &json!({ "stringValue": "bug" }));
    }
}
