//! Random rows and expressions that have a type, for the laws that evaluators are held to.

use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, NullArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use proptest::prelude::*;
use std::sync::Arc;

/// One row: whole numbers `i`, `j`, doubles `f`, `g`, decimals `p` of eight and `q` of two digits after the point, texts
/// `s`, `t`, the bool `b`, times `at`, `until`.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) ints: [Option<i64>; 2],
    pub(super) doubles: [Option<f64>; 2],
    pub(super) units: [Option<i128>; 2],
    pub(super) texts: [Option<String>; 2],
    pub(super) bool: Option<bool>,
    pub(super) times: [Option<i64>; 2],
}

#[derive(Clone, Debug)]
pub(super) struct Rows(pub(super) Vec<Row>);

impl Rows {
    /// Up to a little more than two words of rows.
    pub(super) fn any() -> impl Strategy<Value = Self> {
        prop::collection::vec(row(), 0..140).prop_map(Self)
    }

    /// Rows without null, without doubles so large that they add up to infinity, and with times of this century.
    pub(super) fn of_cel() -> impl Strategy<Value = Self> {
        let text = || {
            prop_oneof![prop::sample::select(TEXTS), Just(None)]
                .prop_map(|text| text.unwrap_or("b").to_owned())
        };
        let int = || often(INTS, -10i64..10).prop_map(|int| int.unwrap_or(2));
        let double = || prop_oneof![Just(0.0), Just(-0.0), Just(1e9), -10.0..10.0f64];
        let time = || 946_684_800_000_000i64..1_893_456_000_000_000;
        let row = (int(), int(), double(), double(), text(), text(), any::<bool>(), [time(), time()]);
        let row = row.prop_map(|(i, j, f, g, s, t, b, times)| Row {
            ints: [Some(i), Some(j)],
            doubles: [Some(f), Some(g)],
            units: [None, None],
            texts: [Some(s), Some(t)],
            bool: Some(b),
            times: times.map(Some),
        });
        prop::collection::vec(row, 1..6).prop_map(Self)
    }

    /// Every pair of extremes, in some row.
    pub(super) fn extremes() -> Self {
        let mut random = fastrand::Rng::with_seed(5);
        let mut rows = Vec::new();
        for _ in 0..700 {
            let mut one = |of: usize| random.usize(0..of);
            rows.push(Row {
                ints: [INTS[one(INTS.len())], INTS[one(INTS.len())]],
                doubles: [DOUBLES[one(DOUBLES.len())], DOUBLES[one(DOUBLES.len())]],
                units: [UNITS[one(UNITS.len())], UNITS[one(UNITS.len())]],
                texts: [
                    TEXTS[one(TEXTS.len())].map(str::to_owned),
                    TEXTS[one(TEXTS.len())].map(str::to_owned),
                ],
                bool: [None, Some(true), Some(false)][one(3)],
                times: [TIMES[one(TIMES.len())], TIMES[one(TIMES.len())]],
            });
        }
        Self(rows)
    }

    /// As a normalizer hands them on; the column `nothing` is of a type that expressions see no value in.
    pub(super) fn batch(&self) -> RecordBatch {
        let rows = &self.0;
        let decimals = |which: usize, scale: i8| -> ArrayRef {
            let units: Decimal128Array = rows.iter().map(|row| row.units[which]).collect();
            Arc::new(units.with_data_type(arrow_schema::DataType::Decimal128(38, scale)))
        };
        let ints = |which: usize| -> ArrayRef {
            Arc::new(rows.iter().map(|row| row.ints[which]).collect::<Int64Array>())
        };
        let doubles = |which: usize| -> ArrayRef {
            Arc::new(rows.iter().map(|row| row.doubles[which]).collect::<Float64Array>())
        };
        let texts = |which: usize| -> ArrayRef {
            Arc::new(rows.iter().map(|row| row.texts[which].clone()).collect::<StringArray>())
        };
        let times = |which: usize| -> ArrayRef {
            let times: TimestampMicrosecondArray = rows.iter().map(|row| row.times[which]).collect();
            Arc::new(times.with_timezone("UTC"))
        };
        let columns: [(&str, ArrayRef); 12] = [
            ("i", ints(0)),
            ("j", ints(1)),
            ("f", doubles(0)),
            ("g", doubles(1)),
            ("p", decimals(0, 8)),
            ("q", decimals(1, 2)),
            ("s", texts(0)),
            ("t", texts(1)),
            ("b", Arc::new(rows.iter().map(|row| row.bool).collect::<BooleanArray>())),
            ("at", times(0)),
            ("until", times(1)),
            ("nothing", Arc::new(NullArray::new(rows.len()))),
        ];
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        RecordBatch::try_from_iter_with_nullable(columns).expect("the columns are equally long")
    }
}

const INTS: &[Option<i64>] = &[
    None,
    Some(0),
    Some(1),
    Some(-1),
    Some(5),
    Some(-3),
    Some(1 << 53),
    Some((1 << 53) + 1),
    Some(i64::MAX),
    Some(i64::MIN),
];
const DOUBLES: &[Option<f64>] = &[
    None,
    Some(0.0),
    Some(-0.0),
    Some(0.5),
    Some(1.0),
    Some(-1.5),
    Some(f64::MAX),
    Some(f64::MIN_POSITIVE),
    Some(9_007_199_254_740_993.0),
    Some(f64::NAN),
    Some(f64::INFINITY),
];
const UNITS: &[Option<i128>] = &[
    None,
    Some(0),
    Some(1),
    Some(10),
    Some(-15),
    Some(50_000_000),
    Some(100_000_000),
    Some(5_894_201_000_000),
    Some(99_999_999_999_999_999_999_999_999_999_999_999_999),
    Some(-99_999_999_999_999_999_999_999_999_999_999_999_999),
];
const TEXTS: &[Option<&str>] = &[
    None,
    Some(""),
    Some("a"),
    Some("b"),
    Some("aa"),
    Some(" a "),
    Some("grün"),
    Some("\u{1f40e}"),
    Some("5"),
    Some("true"),
    Some("S001-USD"),
    Some("a longer text"),
];
const TIMES: &[Option<i64>] = &[
    None,
    Some(0),
    Some(-1),
    Some(1_767_225_600_000_000),
    Some(1_767_225_600_000_001),
    Some(i64::MAX),
    Some(i64::MIN),
];

fn often<T: Clone + std::fmt::Debug + 'static>(
    extremes: &'static [Option<T>],
    usual: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Option<T>> {
    prop_oneof![2 => prop::sample::select(extremes), 1 => usual.prop_map(Some)]
}

fn row() -> impl Strategy<Value = Row> {
    let text = || {
        prop_oneof![
            2 => prop::sample::select(TEXTS).prop_map(|text| text.map(str::to_owned)),
            1 => "[a-cü]{0,4}".prop_map(Some)
        ]
    };
    let ints = [often(INTS, -10i64..10), often(INTS, -10i64..10)];
    let doubles = [often(DOUBLES, -10.0..10.0), often(DOUBLES, -10.0..10.0)];
    let units = [often(UNITS, -1000i128..1000), often(UNITS, -1000i128..1000)];
    let times = [often(TIMES, 0i64..1_800_000_000_000_000), often(TIMES, 0i64..1_800_000_000_000_000)];
    (ints, doubles, units, [text(), text()], any::<Option<bool>>(), times).prop_map(
        |(ints, doubles, units, texts, bool, times)| Row { ints, doubles, units, texts, bool, times },
    )
}

/// Which expressions are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Grammar {
    /// All of ours.
    Ours,
    /// Those that mean the same in CEL.
    Cel,
}

fn pick(words: &'static [&'static str]) -> BoxedStrategy<String> {
    prop::sample::select(words).prop_map(str::to_owned).boxed()
}

fn joined(
    side: BoxedStrategy<String>,
    operators: &'static [&'static str],
    other: BoxedStrategy<String>,
) -> BoxedStrategy<String> {
    (side, prop::sample::select(operators), other)
        .prop_map(|(one, operator, other)| format!("({one} {operator} {other})"))
        .boxed()
}

const ORDERS: &[&str] = &["<", "<=", ">", ">=", "==", "!="];

impl Grammar {
    fn is_ours(self) -> bool {
        self == Grammar::Ours
    }

    /// An expression of any type.
    pub(super) fn expression(self) -> BoxedStrategy<String> {
        // Where evaluators go apart is what a side of a condition does when the other one decides.
        let mut any = vec![
            self.condition(3),
            self.condition(3),
            self.condition(3),
            self.int(2),
            self.double(2),
            self.text(2),
            self.time(2),
            self.duration(2),
        ];
        if self.is_ours() {
            any.push(Self::decimal(2));
        }
        prop::strategy::Union::new(any).boxed()
    }

    fn chosen(self, depth: u32, of: BoxedStrategy<String>) -> BoxedStrategy<String> {
        (self.condition(depth), of.clone(), of)
            .prop_map(|(condition, yes, no)| format!("({condition} ? {yes} : {no})"))
            .boxed()
    }

    /// A condition with so many levels below it.
    fn condition(self, depth: u32) -> BoxedStrategy<String> {
        let leaf = pick(&["b", "true", "s.startsWith(\"a\")", "t.matches(\"^a+$\")"]);
        let Some(below) = depth.checked_sub(1) else { return leaf };
        let same = |of: BoxedStrategy<String>| joined(of.clone(), ORDERS, of);
        let mut any = vec![
            leaf,
            same(self.int(below)),
            same(self.double(below)),
            same(self.text(below)),
            same(self.time(below)),
            same(self.duration(below)),
            joined(self.condition(below), &["&&", "||"], self.condition(below)),
            joined(self.condition(below), &["&&", "||"], self.condition(below)),
            joined(self.condition(below), &["&&", "||"], self.may_fail(below)),
            joined(self.may_fail(below), &["&&", "||"], self.condition(below)),
            self.condition(below).prop_map(|of| format!("!({of})")).boxed(),
            (self.int(below), prop::collection::vec(-3i64..6, 0..4))
                .prop_map(|(of, list)| format!("({of} in {list:?})"))
                .boxed(),
            (self.text(below), prop::collection::vec("[a-cü]{0,2}|S00[12]-USD|a longer text", 0..14))
                .prop_map(|(of, list)| format!("({of} in {list:?})"))
                .boxed(),
            (self.text(below), pick(&["startsWith", "endsWith", "contains"]), self.text(0))
                .prop_map(|(of, test, part)| format!("{of}.{test}({part})"))
                .boxed(),
            self.chosen(below, self.condition(below)),
        ];
        if self.is_ours() {
            any.push(self.of_ours_alone(below));
        }
        prop::strategy::Union::new(any).boxed()
    }

    /// A comparison that is a fault of some rows.
    fn may_fail(self, depth: u32) -> BoxedStrategy<String> {
        joined(joined(self.int(depth), &["/", "%", "*"], self.int(depth)), ORDERS, self.int(0))
    }

    /// Conditions on null and on numbers of two types.
    fn of_ours_alone(self, depth: u32) -> BoxedStrategy<String> {
        let number = || prop_oneof![self.int(depth), self.double(depth), Self::decimal(depth)].boxed();
        let literal =
            pick(&["0", "-1", "0.5", "0.125", "1.0", "-1.5", "1e30", "9007199254740993", "0.000000001"]);
        prop_oneof![
            2 => joined(number(), ORDERS, prop_oneof![number(), literal.clone()].boxed()),
            1 => joined(literal, ORDERS, number()),
            1 => prop_oneof![number(), self.text(depth), self.time(depth)].prop_map(|of| format!("({of} != null)")),
            1 => pick(&["i == null", "null != s", "at == null"])
        ]
        .boxed()
    }

    fn int(self, depth: u32) -> BoxedStrategy<String> {
        let leaf = prop_oneof![
            3 => pick(&["i", "j"]),
            1 => pick(&["0", "1", "(-1)", "5", "9223372036854775807", "9007199254740993"])
        ]
        .boxed();
        let Some(below) = depth.checked_sub(1) else { return leaf };
        prop_oneof![
            3 => leaf,
            3 => joined(self.int(below), &["+", "-", "*", "/", "%"], self.int(below)),
            1 => self.int(below).prop_map(|of| format!("(-({of}))")),
            1 => self.text(below).prop_map(|of| format!("size({of})")),
            1 => self.double(below).prop_map(|of| format!("int({of})")),
            1 => self.chosen(below, self.int(below)),
        ]
        .boxed()
    }

    fn double(self, depth: u32) -> BoxedStrategy<String> {
        let leaf = pick(&["f", "g", "double(i)"]);
        let Some(below) = depth.checked_sub(1) else { return leaf };
        let number = if self.is_ours() { Self::decimal(below) } else { self.int(below) };
        let signs: &[&str] = if self.is_ours() { &["+", "-", "*", "/"] } else { &["+", "-", "*"] };
        prop_oneof![
            3 => leaf,
            3 => joined(self.double(below), signs, self.double(below)),
            1 => self.double(below).prop_map(|of| format!("(-({of}))")),
            1 => prop_oneof![self.int(below), number].prop_map(|of| format!("double({of})")),
            1 => self.chosen(below, self.double(below)),
        ]
        .boxed()
    }

    fn decimal(depth: u32) -> BoxedStrategy<String> {
        let leaf = pick(&["p", "q", "decimal(i)"]);
        let Some(below) = depth.checked_sub(1) else { return leaf };
        let other = prop_oneof![
            Self::decimal(below),
            Grammar::Ours.int(below),
            pick(&["1", "0.5", "0.125", "1e30", "9007199254740993"])
        ];
        prop_oneof![
            3 => leaf,
            3 => joined(Self::decimal(below), &["+", "-"], other.boxed()),
            1 => Self::decimal(below).prop_map(|of| format!("abs({of})")),
            1 => Grammar::Ours.chosen(below, Self::decimal(below)),
        ]
        .boxed()
    }

    fn text(self, depth: u32) -> BoxedStrategy<String> {
        let leaf = prop_oneof![2 => pick(&["s", "t"]), 1 => pick(&["\"\"", "\"a\"", "\"grün\""])].boxed();
        let Some(below) = depth.checked_sub(1) else { return leaf };
        let mut any = vec![
            leaf.clone(),
            leaf,
            joined(self.text(below), &["+"], self.text(below)),
            self.chosen(below, self.text(below)),
        ];
        if self.is_ours() {
            any.push(self.text(below).prop_map(|of| format!("({of}).trim()")).boxed());
        }
        prop::strategy::Union::new(any).boxed()
    }

    fn time(self, depth: u32) -> BoxedStrategy<String> {
        let leaf = pick(&["at", "until", "timestamp(\"2026-01-01T00:00:00Z\")"]);
        let Some(below) = depth.checked_sub(1) else { return leaf };
        prop_oneof![
            3 => leaf,
            1 => joined(self.time(below), &["+", "-"], self.duration(below)),
            1 => self.chosen(below, self.time(below)),
        ]
        .boxed()
    }

    fn duration(self, depth: u32) -> BoxedStrategy<String> {
        let leaf = pick(&["(until - at)", "duration(\"1h\")", "duration(\"-5ms\")"]);
        let Some(below) = depth.checked_sub(1) else { return leaf };
        prop_oneof![
            2 => leaf,
            1 => joined(self.time(below), &["-"], self.time(below)),
            1 => joined(self.duration(below), &["+", "-"], self.duration(below)),
        ]
        .boxed()
    }
}
