//! Several bytes of a message looked at together, as one number.
//!
//! What lies past the message's end counts as NUL, which no rule of JSON accepts: a run ends there by itself.

/// A one in each byte.
const ONES: u64 = u64::from_le_bytes([1; 8]);
/// Each byte's highest bit.
const HIGHS: u64 = ONES << 7;

/// The position of the next quote, backslash or control character, at or after `at`.
#[inline(always)]
pub(super) fn skip_plain(bytes: &[u8], mut at: usize) -> usize {
    for _ in 0..2 {
        let Some(word) = word(bytes, at) else { break };
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        // A byte's high bit is set where it is zero (or below 0x20) and was not before; false marks arise only above a true
        // one, where it has borrowed.
        let below = quote.wrapping_sub(ONES) | backslash.wrapping_sub(ONES) | word.wrapping_sub(ONES * 0x20);
        let hits = below & !word & HIGHS;
        // Within the slice: neither sum overflows.
        if hits != 0 {
            return at.wrapping_add((hits.trailing_zeros() / 8) as usize);
        }
        at = at.wrapping_add(8);
    }
    skip_plain_from(bytes, at)
}

/// The position of the next byte that is no digit, at or after `at`.
#[inline(always)]
pub(super) fn skip_digits(bytes: &[u8], at: usize) -> usize {
    match word(bytes, at).or_else(|| word_at_end(bytes, at)).map(others) {
        Some(0) => skip_digits_from(bytes, at + 8),
        Some(hits) => at.wrapping_add((hits.trailing_zeros() / 8) as usize),
        None => skip_digits_from(bytes, at),
    }
}

/// The high bit of each byte that is no digit.
#[inline(always)]
fn others(word: u64) -> u64 {
    let digits = word ^ (ONES * b'0' as u64);
    // The high bit of what is above 9: with 0x76 a number of seven bits reaches it from 10 on, and carries no further.
    ((digits & !HIGHS).wrapping_add(ONES * 0x76) | digits) & HIGHS
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..at.wrapping_add(8))?.first_chunk::<8>()?))
}

/// Fewer than eight bytes, and NUL behind them. Numbers stand there, as their message's last value.
#[inline(always)]
fn word_at_end(bytes: &[u8], at: usize) -> Option<u64> {
    let (rest, last) = (bytes.get(at..)?, bytes.last_chunk::<8>()?);
    (1..8).contains(&rest.len()).then(|| u64::from_le_bytes(*last) >> (8 * (8 - rest.len())))
}

/// Of texts that are longer than a word, or near the message's end.
#[inline(never)]
fn skip_plain_from(bytes: &[u8], at: usize) -> usize {
    let is_hit = |byte: u8| (byte == b'"') | (byte == b'\\') | (byte < 0x20);
    let mut rest = bytes.get(at..).unwrap_or_default();
    while let Some((chunk, after)) = rest.split_first_chunk::<16>() {
        // Written so that the compiler makes a few instructions on vectors of it: no branch, one byte as the other.
        let mut hits = [0; 16];
        for (hit, &byte) in hits.iter_mut().zip(chunk) {
            *hit = if is_hit(byte) { u8::MAX } else { 0 };
        }
        let hits = u128::from_le_bytes(hits);
        if hits != 0 {
            return bytes.len() - rest.len() + (hits.trailing_zeros() / 8) as usize;
        }
        rest = after;
    }
    bytes.len() - rest.len() + rest.iter().position(|&byte| is_hit(byte)).unwrap_or(rest.len())
}

#[inline(never)]
fn skip_digits_from(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    bytes.len() - rest.len() + digits
}

/// The sixteen bytes from `at` on.
#[inline(always)]
pub(super) fn chunk(bytes: &[u8], at: usize) -> u128 {
    match bytes.get(at..at.wrapping_add(16)).and_then(|rest| rest.first_chunk::<16>()) {
        Some(chunk) => u128::from_le_bytes(*chunk),
        None => at_end(bytes, at),
    }
}

/// The bytes from `at` on, fewer than sixteen.
#[inline(never)]
fn at_end(bytes: &[u8], at: usize) -> u128 {
    let rest = bytes.get(at..).unwrap_or_default();
    match bytes.last_chunk::<16>() {
        Some(last) if !rest.is_empty() => u128::from_le_bytes(*last) >> (8 * (16 - rest.len())),
        _ => rest.iter().rev().fold(0, |chunk, &byte| chunk << 8 | u128::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_what_it_is() {
        for byte in 0..=255u8 {
            for (at, length) in (0..40).flat_map(|at| [(at, at + 1), (at, 40)]) {
                let (mut text, mut number) = ([b'x'; 40], [b'7'; 40]);
                (text[at], number[at]) = (byte, byte);
                let (text, number) = (&text[..length], &number[..length]);
                let ends = matches!(byte, b'"' | b'\\' | 0..=0x1f);
                assert_eq!(skip_plain(text, 0), if ends { at } else { length }, "{byte} at {at} of {length}");
                let expected = if byte.is_ascii_digit() { length } else { at };
                assert_eq!(skip_digits(number, 0), expected, "{byte} at {at} of {length}");
            }
        }
    }

    #[test]
    fn any_bytes_are_skipped_as_they_are_one_by_one() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..random.usize(0..48)).map(|_| random.u8(..) & random.u8(..)).collect();
            let at = random.usize(0..=bytes.len());
            let first =
                |is: fn(u8) -> bool| (at..bytes.len()).find(|&at| is(bytes[at])).unwrap_or(bytes.len());
            let plain = first(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            assert_eq!(skip_plain(&bytes, at), plain, "{bytes:?} from {at}");
            assert_eq!(skip_digits(&bytes, at), first(|byte| !byte.is_ascii_digit()), "{bytes:?} from {at}");
        }
    }

    #[test]
    fn past_the_end_there_is_nul() {
        let text: Vec<u8> = (1..=40).collect();
        for length in 0..text.len() {
            for at in (0..length + 20).chain([usize::MAX - 20, usize::MAX - 3, usize::MAX]) {
                let byte = |place: usize| text[..length].get(at.saturating_add(place)).copied().unwrap_or(0);
                let expected: Vec<u8> = (0..16).map(byte).collect();
                assert_eq!(chunk(&text[..length], at).to_le_bytes(), *expected, "{length} from {at}");
            }
        }
    }
}
