//! The brackets of an expression, in pairs: its parser says where an operator is, not how far its operands reach.

use std::ops::Range;

/// The pairs, in the order in which they close. A bracket within a text is none.
pub(super) struct Brackets(Vec<(usize, usize)>);

impl Brackets {
    /// Those of `text`, which parses.
    pub(super) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (mut pairs, mut open, mut at) = (Vec::new(), Vec::new(), 0);
        while at < bytes.len() {
            match bytes[at] {
                b'(' | b'[' | b'{' => open.push(at),
                b')' | b']' | b'}' => pairs.extend(open.pop().map(|start| (start, at))),
                b'"' | b'\'' => at = end_of_text(bytes, at),
                b'/' if bytes.get(at + 1) == Some(&b'/') => {
                    at = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |n| at + n);
                }
                _ => {}
            }
            at += 1;
        }
        Self(pairs)
    }

    /// Just behind the partner of the bracket at `open`.
    pub(super) fn end_of(&self, open: usize) -> Option<usize> {
        self.0.iter().find(|(start, _)| *start == open).map(|(_, end)| end + 1)
    }

    /// `range`, made so large that no bracket in it lacks its partner.
    pub(super) fn balanced(&self, mut range: Range<usize>) -> Range<usize> {
        // A pair closes after those within it, so that one pass outwards is enough.
        for &(open, close) in &self.0 {
            if range.contains(&open) != range.contains(&close) {
                range = range.start.min(open)..range.end.max(close + 1);
            }
        }
        range
    }
}

/// The last byte of the text that begins at `at`.
fn end_of_text(bytes: &[u8], at: usize) -> usize {
    let quote = bytes[at];
    let raw = at > 0 && matches!(bytes[at - 1], b'r' | b'R');
    let long = bytes[at..].starts_with(&[quote; 3]);
    let mut next = if long { at + 3 } else { at + 1 };
    while next < bytes.len() {
        if bytes[next] == b'\\' && !raw {
            next += 2;
            continue;
        }
        if long && bytes[next..].starts_with(&[quote; 3]) {
            return next + 2;
        }
        if !long && bytes[next] == quote {
            return next;
        }
        next += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::Brackets;

    #[test]
    fn pairs_are_found_and_texts_passed_over() {
        let text = r#"f((a + b), [")\""]) // ("#;
        let brackets = Brackets::of(text);
        assert_eq!(brackets.end_of(1), Some(19));
        assert_eq!(&text[brackets.balanced(3..8)], "a + b");
        assert_eq!(&text[brackets.balanced(3..9)], "(a + b)");
        assert_eq!(Brackets::of("'''(''' + r'\\' + (1)").0, [(17, 19)]);
    }
}
