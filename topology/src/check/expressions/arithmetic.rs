//! What arithmetic gives, kind by kind, as the evaluator does it. No kind = it is a fault each time.

use super::types::Types;

/// The kinds that `left <sign> right` may give, null among them if a side may be null.
pub(super) fn result(sign: &str, left: Types, right: Types) -> Types {
    let mut found = (left | right) & Types::NULL;
    for one in left.present().each() {
        for other in right.present().each() {
            found = found | of(sign, one, other);
        }
    }
    found
}

fn of(sign: &str, left: Types, right: Types) -> Types {
    let adds = matches!(sign, "+" | "-");
    match (sign, left, right) {
        ("+", Types::TEXT, Types::TEXT) => Types::TEXT,
        ("+", Types::TIME, Types::DURATION) | ("+", Types::DURATION, Types::TIME) => Types::TIME,
        ("-", Types::TIME, Types::DURATION) => Types::TIME,
        ("-", Types::TIME, Types::TIME) => Types::DURATION,
        ("+" | "-", Types::DURATION, Types::DURATION) => Types::DURATION,
        _ if !left.meets(Types::NUMBERS) || !right.meets(Types::NUMBERS) => Types::NONE,
        (_, Types::INT, Types::INT) => Types::INT,
        (_, Types::DOUBLE, Types::DECIMAL) | (_, Types::DECIMAL, Types::DOUBLE) => Types::NONE,
        (_, Types::DOUBLE, _) | (_, _, Types::DOUBLE) => Types::DOUBLE,
        // What was written may be whole, and then stays so; else it is exact, and only adds.
        _ => {
            let decimal = if adds { Types::DECIMAL } else { Types::NONE };
            let whole = Types::INT | Types::NUMBER;
            if whole.meets(left) && whole.meets(right) { Types::INT | decimal } else { decimal }
        }
    }
}

/// What `-x` gives.
pub(super) fn negated(of: Types) -> Types {
    let kept = of & (Types::NULL | Types::INT | Types::DOUBLE | Types::DURATION);
    if of.meets(Types::DECIMAL | Types::NUMBER | Types::FRACTION) { kept | Types::DECIMAL } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_combines_and_what_never_does() {
        let cases = [
            ("+", Types::TEXT, Types::TEXT, Types::TEXT),
            ("-", Types::TEXT, Types::INT, Types::NONE),
            ("*", Types::DECIMAL, Types::DECIMAL, Types::NONE),
            ("+", Types::DECIMAL, Types::INT, Types::DECIMAL),
            ("/", Types::DOUBLE, Types::NUMBER, Types::DOUBLE),
            ("*", Types::DOUBLE, Types::DECIMAL, Types::NONE),
            ("*", Types::INT, Types::FRACTION, Types::NONE),
            ("*", Types::NUMBER, Types::INT, Types::INT),
            ("+", Types::NUMBER, Types::NUMBER, Types::INT | Types::DECIMAL),
            ("-", Types::TIME, Types::TIME, Types::DURATION),
            ("+", Types::TIME, Types::TIME, Types::NONE),
            ("+", Types::TEXT | Types::NULL, Types::INT, Types::NULL),
        ];
        for (sign, left, right, expected) in cases {
            assert_eq!(result(sign, left, right), expected, "{} {sign} {}", left.words(), right.words());
        }
    }
}
