//! Whether a batch is traced, decided once, at its source.
//!
//! Who wrote the record decides before the ratio does: a trace is whole or it is not there. Without a word of theirs the
//! offset decides, so that what is read again is decided alike, under the same trace. Deliberately absent: any state.

use super::context::{SpanId, TraceContext, TraceId, Traceparent};
use crate::batch::{Batch, Origin};
use crate::limits::{TRACE_HEADERS_LOOKED_AT_MAX, TRACE_LINKS_MAX};

/// The header that carries a context.
const TRACEPARENT: &str = "traceparent";

/// A batch that is traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sampled {
    pub(super) trace: TraceId,
    /// The span of who wrote the first record with a header; none = the trace begins here.
    pub(super) parent: Option<SpanId>,
    /// Who wrote other records of the batch.
    pub(super) links: Vec<TraceContext>,
}

/// `None` = it is not traced.
pub(super) fn decide(batch: &Batch, topology: &str, ratio: f64) -> Option<Sampled> {
    let mut parents = parents(batch);
    let Some(first) = parents.next() else {
        let trace = own_trace(&batch.origin, topology);
        return is_within(trace, ratio).then_some(Sampled { trace, parent: None, links: Vec::new() });
    };
    if !first.is_sampled {
        return None;
    }
    let mut links = Vec::new();
    for Traceparent { context, .. } in parents {
        if links.len() == TRACE_LINKS_MAX {
            break;
        }
        if context != first.context && !links.contains(&context) {
            links.push(context);
        }
    }
    Some(Sampled { trace: first.context.trace, parent: Some(first.context.span), links })
}

/// The contexts of the batch's records, in order; what is malformed says nothing.
fn parents(batch: &Batch) -> impl Iterator<Item = Traceparent> {
    let records = batch.raw.headers.iter().flat_map(|headers| headers.iter());
    records.take(TRACE_HEADERS_LOOKED_AT_MAX).filter_map(|headers| {
        let named = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(TRACEPARENT));
        named.and_then(|(_, value)| Traceparent::parse(value.as_deref()?))
    })
}

/// The same for the same first offset of the same partition, whoever reads it and whenever.
fn own_trace(origin: &Origin, topology: &str) -> TraceId {
    let half = |seed: u64| {
        let mut hash = seed;
        for text in [topology, &origin.key.source, &origin.key.topic] {
            text.bytes().for_each(|byte| hash = mixed(hash ^ u64::from(byte)));
            hash = mixed(hash ^ 0x100);
        }
        mixed(mixed(hash ^ origin.key.partition as u64) ^ origin.first as u64)
    };
    let id = u128::from(half(0x243f_6a88_85a3_08d3)) << 64 | u128::from(half(0x1319_8a2e_0370_7344));
    TraceId(id.max(1))
}

/// The finalizer of splitmix64: every bit of the number reaches every bit of the result.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

/// As OpenTelemetry's sampler by ratio of the trace id: by its last 56 bits.
fn is_within(trace: TraceId, ratio: f64) -> bool {
    const BITS: u32 = 56;
    let place = (trace.0 & ((1 << BITS) - 1)) as f64 / (1_u64 << BITS) as f64;
    place < ratio
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Headers;
    use crate::testing::raw_batch;
    use std::sync::Arc;

    fn header(trace: u128, span: u64, flags: u8) -> Headers {
        vec![(TRACEPARENT.into(), Some(format!("00-{trace:032x}-{span:016x}-{flags:02x}").into_bytes()))]
    }

    fn with_headers(headers: Vec<Headers>) -> Batch {
        let values = vec!["{}"; headers.len()];
        let mut batch = raw_batch(0, 10, &values);
        batch.raw.headers = Some(Arc::new(headers));
        batch
    }

    #[test]
    fn a_ratio_is_kept_and_decides_alike_when_it_is_read_again() {
        let batches: Vec<_> = (0..20_000).map(|first| raw_batch(0, first, &["{}"])).collect();
        let chosen = |ratio| batches.iter().map(move |batch| decide(batch, "t", ratio).is_some());
        let count = chosen(0.1).filter(|chosen| *chosen).count();
        assert!((1_800..2_200).contains(&count), "{count} of 20000");
        assert!(chosen(0.1).eq(chosen(0.1)));
        assert_eq!(chosen(0.0).filter(|chosen| *chosen).count(), 0);
        assert!(chosen(1.0).all(|chosen| chosen));
        assert_eq!(decide(&batches[7], "t", 1.0), decide(&batches[7], "t", 1.0));
        assert_ne!(decide(&batches[7], "t", 1.0), decide(&batches[7], "u", 1.0));
    }

    #[test]
    fn the_word_of_the_first_header_wins_over_the_ratio() {
        let sampled = with_headers(vec![Vec::new(), header(7, 8, 1), header(9, 10, 0)]);
        let decided = decide(&sampled, "t", 0.0).unwrap();
        assert_eq!((decided.trace, decided.parent), (TraceId(7), Some(SpanId(8))));
        assert_eq!(decided.links, [TraceContext { trace: TraceId(9), span: SpanId(10) }]);
        let unsampled = with_headers(vec![header(7, 8, 0), header(9, 10, 1)]);
        assert_eq!(decide(&unsampled, "t", 1.0), None);
    }

    #[test]
    fn a_malformed_header_says_nothing() {
        let null: Headers = vec![(TRACEPARENT.into(), None)];
        let odd: Headers = vec![(TRACEPARENT.into(), Some(vec![0xff; 4096]))];
        let batch = with_headers(vec![null.clone(), odd.clone()]);
        assert_eq!(decide(&batch, "t", 0.0), None);
        assert_eq!(decide(&batch, "t", 1.0).unwrap().parent, None);
        let later = with_headers(vec![null, odd, header(7, 8, 1)]);
        assert_eq!(decide(&later, "t", 0.0).unwrap().trace, TraceId(7));
    }

    #[test]
    fn links_are_bounded_and_each_is_there_once() {
        let mut headers = vec![header(1, 1, 1); 3];
        headers.extend((0..500).map(|span| header(2, 1 + span % 100, 1)));
        let links = decide(&with_headers(headers), "t", 0.0).unwrap().links;
        assert_eq!(links.len(), TRACE_LINKS_MAX);
        assert!(links.iter().all(|link| links.iter().filter(|known| *known == link).count() == 1));
    }
}
