//! How much of the primary's log a standby has not received.

use anyhow::{Context, Result};
use aqueduct_stack::Reader;

const WRITTEN: &str = "SELECT pg_current_wal_lsn()::text";
const RECEIVED: &str = "SELECT pg_last_wal_receive_lsn()::text";

/// Bytes that `standby` has not received of what `primary` has written.
pub(super) fn bytes(primary: &Reader, standby: &Reader) -> Result<u64> {
    // In this order: what is written between the two questions makes the standby look no worse.
    let (written, received) = (position(primary, WRITTEN)?, position(standby, RECEIVED)?);
    Ok(written.saturating_sub(received))
}

fn position(reader: &Reader, query: &'static str) -> Result<u64> {
    let text = reader.text(query)?.unwrap_or_default();
    parse(&text).with_context(|| format!("`{text}` is no position in a write-ahead log"))
}

/// A position as PostgreSQL writes it: two halves of 32 bits, hexadecimal.
fn parse(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    let half = |digits| u32::from_str_radix(digits, 16).ok().map(u64::from);
    Some(half(high)? << 32 | half(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_two_halves() {
        assert_eq!(parse("0/16B3748"), Some(0x016B_3748));
        assert_eq!(parse("1/0"), Some(1 << 32));
        assert!(parse("").is_none() && parse("1").is_none() && parse("1/x").is_none());
    }
}
