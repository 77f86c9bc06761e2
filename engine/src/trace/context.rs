//! Who a batch belongs to in a trace, and the W3C header that says so.
//!
//! Invariant: neither id is ever zero, which both standards call invalid. Deliberately absent: `tracestate`, which is for
//! those who made it.

use std::fmt;

/// Length of a header of version 00; a later version may go on after a dash.
const HEADER_BYTES: usize = 55;

/// One trace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId(pub(super) u128);

/// One span of a trace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SpanId(pub(super) u64);

/// A span that others may be children of, or linked with: what travels with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The span of the actor that handed the batch on.
    pub span: SpanId,
}

/// A `traceparent` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traceparent {
    pub(super) context: TraceContext,
    /// Whether who wrote it records the trace.
    pub(super) is_sampled: bool,
}

impl SpanId {
    /// Any id.
    pub(super) fn any() -> Self {
        Self(fastrand::u64(1..))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Traceparent {
    /// Reads a header as W3C's Trace Context wants it: `00-<32 hex>-<16 hex>-<2 hex>`, lower case. Anything else is none.
    pub(super) fn parse(header: &[u8]) -> Option<Self> {
        let (head, rest) = header.split_at_checked(HEADER_BYTES)?;
        let part = |at: usize, digits: usize| hex(&head[at..at + digits]);
        if [2, 35, 52].iter().any(|at| head[*at] != b'-') {
            return None;
        }
        let (version, trace, span, flags) = (part(0, 2)?, part(3, 32)?, part(36, 16)?, part(53, 2)?);
        let may_go_on = version > 0 && version < 0xff && rest.first() == Some(&b'-');
        let ends_well = rest.is_empty() || may_go_on;
        if version == 0xff || !ends_well || trace == 0 || span == 0 {
            return None;
        }
        let context = TraceContext { trace: TraceId(trace), span: SpanId(u64::try_from(span).ok()?) };
        Some(Self { context, is_sampled: flags & 1 == 1 })
    }
}

/// A number of lower case digits.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LEGAL: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_read_and_written_alike() {
        let read = Traceparent::parse(LEGAL.as_bytes()).unwrap();
        assert!(read.is_sampled);
        assert_eq!(format!("00-{}-{}-01", read.context.trace, read.context.span), LEGAL);
        let unsampled = LEGAL.replace("-01", "-02");
        assert!(!Traceparent::parse(unsampled.as_bytes()).unwrap().is_sampled);
    }

    #[test]
    fn a_later_version_may_say_more() {
        let later = LEGAL.replacen("00-", "01-", 1);
        assert!(Traceparent::parse(later.as_bytes()).is_some());
        assert!(Traceparent::parse(format!("{later}-more").as_bytes()).is_some());
        assert!(Traceparent::parse(format!("{later}more").as_bytes()).is_none());
    }

    #[test]
    fn what_is_malformed_is_none() {
        let zeros = |count| "0".repeat(count);
        let cases = [
            String::new(),
            "00".to_owned(),
            LEGAL[..54].to_owned(),
            format!("{LEGAL}-more"),
            format!("{LEGAL}0"),
            format!(" {LEGAL}"),
            LEGAL.to_uppercase(),
            LEGAL.replacen("00-", "ff-", 1),
            LEGAL.replacen("00-", "0x-", 1),
            LEGAL.replace('-', "_"),
            LEGAL.replace("4bf92f3577b34da6a3ce929d0e0e4736", &zeros(32)),
            LEGAL.replace("00f067aa0ba902b7", &zeros(16)),
            LEGAL.replace("4bf92f35", "4bf92g35"),
            LEGAL.replace("4bf92f35", "+bf92f35"),
            LEGAL.replace("-01", "-é"),
        ];
        for case in cases {
            assert_eq!(Traceparent::parse(case.as_bytes()), None, "{case}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = Traceparent::parse(&bytes);
        }

        #[test]
        fn one_wrong_byte_never_gives_an_invalid_id(at in 0_usize..55, byte in any::<u8>()) {
            let mut bytes = LEGAL.as_bytes().to_vec();
            bytes[at] = byte;
            if let Some(read) = Traceparent::parse(&bytes) {
                prop_assert!(read.context.trace.0 != 0 && read.context.span.0 != 0);
            }
        }
    }
}
