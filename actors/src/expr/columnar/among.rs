//! Whether a text is one of a list that is written out.
//!
//! A text is compared as a number, its first eight bytes, and by its length; only what is longer than that is looked at
//! whole, and only where both agree.

use arrow_buffer::BooleanBuffer;

/// The list, made ready once.
#[derive(Clone, Debug)]
pub(super) enum Among {
    /// All of one length, and none longer than eight bytes.
    OneLength {
        length: usize,
        heads: Heads,
    },
    Few(Vec<Known>),
    Many(Table),
}

/// First bytes, in a number that the compiler knows; what is left over repeats another one.
#[derive(Clone, Debug)]
pub(super) enum Heads {
    Two([u64; 2]),
    Four([u64; 4]),
    Eight([u64; 8]),
}

#[derive(Clone, Debug)]
pub(super) struct Known {
    head: u64,
    text: Box<[u8]>,
}

/// A hash table that is not full, of the positions of `texts`.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// One more than the position; 0 = empty.
    places: Vec<u32>,
    texts: Vec<Known>,
    shift: u32,
}

/// Up to so many texts are compared one after the other: that costs less than a hash.
const FEW: usize = 8;

impl Among {
    pub(super) fn new(mut texts: Vec<Box<str>>) -> Self {
        texts.sort_unstable();
        texts.dedup();
        let length = texts.first().map_or(usize::MAX, |text| text.len());
        let known = texts.into_iter().map(|text| Known::new(text.into_boxed_bytes()));
        let known: Vec<Known> = known.collect();
        if known.len() > FEW {
            return Among::Many(Table::new(known));
        }
        let same = |known: &Known| known.text.len() == length;
        if length > 8 || !known.iter().all(same) {
            return Among::Few(known);
        }
        let head = |at: usize| known[at % known.len()].head;
        let heads = match known.len() {
            0..=2 => Heads::Two(std::array::from_fn(head)),
            3..=4 => Heads::Four(std::array::from_fn(head)),
            _ => Heads::Eight(std::array::from_fn(head)),
        };
        Among::OneLength { length, heads }
    }

    /// Asks `rows` with a test of a text, which is where it stands among bytes.
    #[inline(always)]
    pub(super) fn found(&self, rows: impl Ask) -> BooleanBuffer {
        match self {
            Among::OneLength { length, heads: Heads::Two(heads) } => one_length(rows, *length, heads),
            Among::OneLength { length, heads: Heads::Four(heads) } => one_length(rows, *length, heads),
            Among::OneLength { length, heads: Heads::Eight(heads) } => one_length(rows, *length, heads),
            Among::Few(texts) => rows.ask(|bytes, start, end| {
                let head = head_at(bytes, start, end);
                texts.iter().any(|known| known.is(head, &bytes[start..end]))
            }),
            Among::Many(table) => rows.ask(|bytes, start, end| table.has(bytes, start, end)),
        }
    }
}

/// Rows that answer a question each.
pub(super) trait Ask {
    /// For which texts `test` holds; it is given all bytes, and where the text begins and ends.
    fn ask(&self, test: impl Fn(&[u8], usize, usize) -> bool) -> BooleanBuffer;
}

#[inline(always)]
fn one_length<const N: usize>(rows: impl Ask, length: usize, heads: &[u64; N]) -> BooleanBuffer {
    let mask = MASKS[length.min(8)];
    rows.ask(|bytes, start, end| {
        // What is longer or shorter is none of them, whatever stands behind it.
        let head = match eight_at(bytes, start) {
            Some(eight) => eight & mask,
            None => near_the_end(&bytes[start..end]),
        };
        let found = heads.iter().fold(false, |found, &known| found | (known == head));
        found & (end - start == length)
    })
}

impl Known {
    fn new(text: Box<[u8]>) -> Self {
        Self { head: head_at(&text, 0, text.len()), text }
    }

    #[inline(always)]
    fn is(&self, head: u64, text: &[u8]) -> bool {
        self.head == head && self.text.len() == text.len() && (text.len() <= 8 || *self.text == *text)
    }
}

impl Table {
    fn new(texts: Vec<Known>) -> Self {
        // At most half full, so that a search ends soon.
        let bits = (texts.len() * 2).next_power_of_two().trailing_zeros();
        let mut table = Self { places: vec![0; 1 << bits], texts, shift: 64 - bits };
        for at in 0..table.texts.len() {
            let Known { head, text } = &table.texts[at];
            let mut place = table.first_place(*head, text, 0, text.len());
            while table.places[place] != 0 {
                place = table.after(place);
            }
            table.places[place] = at as u32 + 1;
        }
        table
    }

    #[inline(always)]
    fn has(&self, bytes: &[u8], start: usize, end: usize) -> bool {
        let head = head_at(bytes, start, end);
        let mut place = self.first_place(head, bytes, start, end);
        while let Some(at) = self.places[place].checked_sub(1) {
            if self.texts[at as usize].is(head, &bytes[start..end]) {
                return true;
            }
            place = self.after(place);
        }
        false
    }

    /// By the first and last eight bytes and the length: names often begin alike.
    #[inline(always)]
    fn first_place(&self, head: u64, bytes: &[u8], start: usize, end: usize) -> usize {
        let length = end - start;
        let tail = if length > 8 { head_at(bytes, end - 8, end) } else { 0 };
        let mixed = (head ^ length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32) ^ tail;
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    #[inline(always)]
    fn after(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }
}

/// The bits of the first so many bytes.
const MASKS: [u64; 9] = {
    let mut masks = [0; 9];
    let mut length = 1;
    while length <= 8 {
        masks[length] = u64::MAX >> (64 - 8 * length);
        length += 1;
    }
    masks
};

/// Eight bytes from `start` on, by one load; `None` where there are fewer.
#[inline(always)]
fn eight_at(bytes: &[u8], start: usize) -> Option<u64> {
    bytes.get(start..)?.first_chunk::<8>().map(|chunk| u64::from_le_bytes(*chunk))
}

/// The first eight of `bytes[start..end]`, with zeros behind a text that has fewer.
#[inline(always)]
fn head_at(bytes: &[u8], start: usize, end: usize) -> u64 {
    match eight_at(bytes, start) {
        Some(eight) => eight & MASKS[(end - start).min(8)],
        None => near_the_end(&bytes[start..end]),
    }
}

#[cold]
fn near_the_end(text: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = text.len().min(8);
    bytes[..length].copy_from_slice(&text[..length]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Texts behind each other, as a column has them.
    struct Texts(Vec<String>);

    impl Ask for Texts {
        fn ask(&self, test: impl Fn(&[u8], usize, usize) -> bool) -> BooleanBuffer {
            let bytes = self.0.concat();
            let mut start = 0;
            let answers = self.0.iter().map(|text| {
                let end = start + text.len();
                let answer = test(bytes.as_bytes(), start, end);
                start = end;
                answer
            });
            answers.collect()
        }
    }

    /// Short ones, of one length, with a zero byte, and ones that differ only in the middle or at the end.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["[ab\0]{0,3}", "[ab]{8}", "[ab]{2}", "prefix-[ab]{2}-suffix", "[ab]{6,20}", "grün[ab]?"]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_text_is_found_exactly_if_it_is_in_the_list(
            list in prop_oneof![prop::collection::vec(text(), 0..40), prop::collection::vec("[ab]{2}", 0..9)],
            mut texts in prop::collection::vec(text(), 0..80),
        ) {
            texts.extend(list.iter().cloned());
            let among = Among::new(list.iter().map(|text| text.as_str().into()).collect());
            let expected: BooleanBuffer = texts.iter().map(|text| list.contains(text)).collect();
            prop_assert_eq!(among.found(Texts(texts.clone())), expected, "{:?} of {:?}", texts, list);
        }
    }
}
