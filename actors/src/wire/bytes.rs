//! A place in the bytes of a message, and what Avro and Protobuf both write there.

use super::{Fault, broken};

/// What is left of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'m> {
    bytes: &'m [u8],
    at: usize,
}

const TOO_EARLY: &str = "the message ends too early";

impl<'m> Cursor<'m> {
    /// At the beginning of `message` without its first `skipped` bytes.
    pub(super) fn new(message: &'m [u8], skipped: usize) -> Self {
        Self { bytes: message, at: skipped.min(message.len()) }
    }

    /// How many bytes of the message lie behind.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The same message, to be read up to `end` only.
    pub(super) fn until(self, end: usize) -> Self {
        Self { bytes: &self.bytes[..end], ..self }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// An unsigned number in groups of seven bits, the lowest first.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Fault> {
        match self.bytes.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Fault> {
        let begins = self.at;
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let Some(byte) = self.bytes.get(self.at).copied() else { return Err(broken(begins, TOO_EARLY)) };
            self.at += 1;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(broken(begins, "a number has more than 64 bits"))
    }

    /// A signed number, zigzag: small ones of either sign are short.
    #[inline]
    pub(super) fn zigzag(&mut self) -> Result<i64, Fault> {
        self.varint().map(unzigzag)
    }

    /// The next `length` bytes.
    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Result<&'m [u8], Fault> {
        let taken = self.bytes[self.at..].get(..length).ok_or(broken(self.at, TOO_EARLY))?;
        self.at += length;
        Ok(taken)
    }

    /// The next bytes, as many as an array of them has.
    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        Ok(self.take(N)?.try_into().expect("invariant: as many bytes as were taken"))
    }
}

/// See [`Cursor::zigzag`].
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// The text of `bytes`, which begin at `at`.
#[inline]
pub(super) fn text(bytes: &[u8], at: usize) -> Result<&str, Fault> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| broken(at, "a text is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_end_where_they_end() {
        let read = |bytes: &[u8]| Cursor::new(bytes, 0).varint().ok();
        assert_eq!(read(&[0x7f]), Some(127));
        assert_eq!(read(&[0xac, 0x02]), Some(300));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), Some(u64::MAX));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]), None);
        assert_eq!(read(&[0x80; 11]), None);
        assert_eq!(read(&[0x80]), None);
        assert_eq!([0, 1, 2, 3, u64::MAX].map(unzigzag), [0, -1, 1, -2, i64::MIN]);
    }

    proptest! {
        #[test]
        fn nothing_is_read_beyond_the_end(bytes in prop::collection::vec(any::<u8>(), 0..24), length in 0..40_usize) {
            let mut cursor = Cursor::new(&bytes, 0);
            let _ = cursor.varint();
            let left = bytes.len() - cursor.at();
            prop_assert_eq!(cursor.take(length).is_ok(), length <= left);
        }
    }
}
