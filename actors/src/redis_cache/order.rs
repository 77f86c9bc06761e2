//! The order of two values of one key, and its text in Redis.
//!
//! Invariant: the text is digits only, of one width, so that it compares like the order itself, byte by byte and in any
//! collation. Numbers would not do: those of Lua have 53 bits.

/// The width of [`Order::text`]: within the 64 bytes up to which Redis keeps a hash compact.
pub(crate) const TEXT_LENGTH: usize = 20 + 10 + 19 + 10 + 4;

/// Which of two values is newer: by `order_by`, then by where the row came from. Total, so that any order of arrival,
/// any replay and any number of writers end with the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order {
    /// The value of the `order_by` column.
    pub(crate) by: i64,
    /// The partition.
    pub(crate) partition: i32,
    /// The offset of the message.
    pub(crate) offset: i64,
    /// The row within the message.
    pub(crate) row: i32,
    /// Which source, where a cache has several: its place among their names.
    pub(crate) source: u16,
}

impl Order {
    /// Fixed-width digits that compare like the order itself.
    pub(crate) fn text(&self) -> String {
        let by = (self.by as u64) ^ (1 << 63);
        let partition = self.partition.max(0);
        let offset = self.offset.max(0);
        let row = self.row.max(0);
        let source = self.source.min(9999);
        let text = format!("{by:020}{partition:010}{offset:019}{row:010}{source:04}");
        assert_eq!(text.len(), TEXT_LENGTH, "an order has one width");
        text
    }

    /// `by` of what [`Order::text`] gave; `None` for any other text.
    pub(crate) fn by_of(text: &[u8]) -> Option<i64> {
        let digits = std::str::from_utf8(text).ok()?.get(..20)?;
        Some((digits.parse::<u64>().ok()? ^ (1 << 63)) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(by: i64) -> Order {
        Order { by, partition: 0, offset: 0, row: 0, source: 0 }
    }

    proptest! {
        #[test]
        fn text_compares_like_the_number(left in any::<i64>(), right in any::<i64>()) {
            prop_assert_eq!(order(left).text().cmp(&order(right).text()), left.cmp(&right));
        }

        #[test]
        fn text_tells_the_number(by in any::<i64>()) {
            prop_assert_eq!(Order::by_of(order(by).text().as_bytes()), Some(by));
        }

        #[test]
        fn text_compares_like_the_whole_order(
            left in (any::<i8>(), 0..3i32, 0..=i64::MAX, 0..=i32::MAX, 0..3u16),
            right in (any::<i8>(), 0..3i32, 0..=i64::MAX, 0..=i32::MAX, 0..3u16),
        ) {
            let of = |(by, partition, offset, row, source): (i8, i32, i64, i32, u16)| Order {
                by: by.into(), partition, offset, row, source,
            };
            prop_assert_eq!(of(left).text().cmp(&of(right).text()), of(left).cmp(&of(right)));
        }
    }

    #[test]
    fn the_ends_of_the_range_keep_their_width() {
        for by in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert_eq!(order(by).text().len(), TEXT_LENGTH);
        }
        assert!(order(i64::MIN).text() < order(-1).text());
        assert!(order(-1).text() < order(0).text());
        assert!(order(0).text() < order(i64::MAX).text());
    }
}
