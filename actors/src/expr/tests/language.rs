//! Expressions as data: text, and what it gives for one message.

use crate::expr::{Constant, Name, Names, Scope, Value, compile};
use crate::json::{Document, NONE, Paths, Step, Tape};

const MESSAGE: &str = r#"{
    "e": "trade", "n": 5, "neg": -3, "big": 9007199254740993, "p": "58942.01", "f": 1.5, "tiny": 5.0E-4,
    "yes": true, "no": false, "nothing": null, "empty": "", "quoted": "a\"b", "lone": "\ud800",
    "arr": [10, "x", {"k": "v"}], "obj": {"a": {"b": 1}}, "sym": "market.btcusdt.trade.detail",
    "at": "2023-11-14T22:13:20.5Z", "é": "grün", "bad": "abc"
}"#;

/// `msg`, and the fields `price` (a decimal, 0.10) and `ts` (a time).
#[derive(Default)]
struct Place {
    paths: Paths,
    slots: Vec<Option<u32>>,
}

impl Names for Place {
    fn resolve(&mut self, root: &str, steps: &[Step]) -> Result<Name, String> {
        let (slot, taken) = match root {
            "msg" => (Some(self.paths.slot(steps)), steps.len()),
            "price" => (None, 0),
            "case" => return Ok(Name::Constant(Constant::Text("only".into()))),
            _ => return Err(format!("there is no `{root}` here")),
        };
        self.slots.push(slot);
        Ok(Name::Slot { slot: self.slots.len() as u32 - 1, steps: taken })
    }
}

struct Row<'a> {
    document: &'a Document<'a>,
    found: Vec<u32>,
    slots: &'a [Option<u32>],
}

impl<'a> Scope<'a> for Row<'a> {
    fn value(&self, slot: u32) -> Value<'a> {
        match self.slots[slot as usize] {
            None => Value::Decimal(crate::expr::decimal::Decimal { units: 10, scale: 2 }),
            Some(path) => match self.found[path as usize] {
                NONE => Value::Null,
                index => Value::of(self.document.node(index)),
            },
        }
    }
}

/// The value in words, `fault` where there is none, and whether it is true as a condition.
fn evaluate(text: &str) -> (String, bool) {
    let mut place = Place::default();
    let program = compile(text, &mut place).unwrap_or_else(|error| panic!("{error}"));
    let mut tape = Tape::default();
    tape.scan(MESSAGE).unwrap();
    let document = Document::new(MESSAGE, &tape);
    let mut found = Vec::new();
    place.paths.resolve(document.node(0), &document, &mut found);
    let row = Row { document: &document, found, slots: &place.slots };
    let value = match program.value(&row) {
        Ok(value) => value.describe(),
        Err(_) => "fault".to_owned(),
    };
    (value, program.is_true(&row))
}

#[track_caller]
fn values(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(evaluate(text).0, *expected, "{text}");
    }
}

#[test]
fn a_condition_never_errs() {
    for (text, expected) in [
        (r#"msg.e == "trade""#, true),
        (r#""trade" == msg.e"#, true),
        (r#"msg.e != "trade""#, false),
        (r#"msg.e != "quote""#, true),
        (r#"msg.absent == "x""#, false),
        (r#"msg.absent != "x""#, false),
        (r#"msg.n == "5""#, false),
        (r#"msg.n != "5""#, false),
        (r#"msg.e == 5"#, false),
        ("msg.absent == null", true),
        ("msg.absent != null", false),
        ("msg.nothing == null", true),
        ("null != msg.e", true),
        ("has(msg.e)", true),
        ("has(msg.absent.deep)", false),
        ("!has(msg.absent)", true),
        ("msg.absent.deep[3].x == 1", false),
        ("msg.e.into.a.scalar == null", true),
        ("msg.arr[7] == null", true),
        ("msg.arr[-1] == null", true),
        (r#"msg.arr[2].k == "v""#, true),
        (r#"msg["arr"][1] == "x""#, true),
        ("msg.obj.a.b == 1", true),
        ("msg.obj[0] == null", true),
        ("msg.n > 4 && msg.n <= 5", true),
        ("msg.n > 4.5", true),
        ("msg.f == 1.5", true),
        ("msg.tiny == 0.0005", true),
        ("msg.big == 9007199254740993", true),
        ("msg.big == 9007199254740992", false),
        ("msg.neg < 0", true),
        ("msg.neg == -3", true),
        ("price == 0.1", true),
        ("price > 0", true),
        ("price < msg.f", true),
        ("price == double(0.1)", true),
        ("msg.yes", true),
        ("msg.no", false),
        ("!msg.no", true),
        ("msg.absent", false),
        ("!msg.absent", false),
        ("msg.n", false),
        ("!(msg.absent == 1)", true),
        ("msg.absent || msg.yes", true),
        ("msg.absent && msg.yes", false),
        (r#"double(msg.bad) > 0"#, false),
        (r#"double(msg.bad) > 0 || msg.yes"#, true),
        (r#"msg.yes || double(msg.bad) > 0"#, true),
        (r#"!(double(msg.bad) > 0)"#, false),
        ("1 / 0 == 1", false),
        (r#"msg.sym.startsWith("market.")"#, true),
        (r#"msg.sym.endsWith(".detail")"#, true),
        (r#"msg.sym.contains("btc")"#, true),
        (r#"msg.n.startsWith("5")"#, false),
        (r#"msg.absent.startsWith("")"#, false),
        (r#"!msg.absent.startsWith("a")"#, true),
        (r#"msg.sym.matches("^market\\..*usdt")"#, true),
        (r#"msg.n.matches(".*")"#, false),
        (r#"msg.e in ["quote", "trade"]"#, true),
        ("msg.n in [1, 5.0]", true),
        ("msg.n in [1, 2]", false),
        (r#""a" in msg.obj"#, true),
        (r#""b" in msg.obj"#, false),
        ("10 in msg.arr", true),
        ("msg.absent in [1]", false),
        ("1 in msg.absent", false),
        (r#"msg.quoted == "a\"b""#, true),
        (r#"msg.lone == "x""#, false),
        (r#"msg["é"] == "grün""#, true),
        ("size(msg.arr) == 3", true),
        ("msg.obj == msg.obj", false),
        (r#"timestamp(msg.at) > timestamp("2023-11-14T22:13:20Z")"#, true),
        (r#"timestamp(msg.at) - timestamp("2023-11-14T22:13:20Z") == duration("500ms")"#, true),
        (r#"msg.e == "trade" ? msg.yes : msg.no"#, true),
        (r#"msg.absent ? true : msg.no"#, false),
        (r#"case == "only""#, true),
    ] {
        assert_eq!(evaluate(text).1, expected, "{text}");
    }
}

#[test]
fn values_and_faults() {
    values(&[
        ("msg.n + 1", "6"),
        ("msg.n * 2 - 1", "9"),
        ("7 / 2", "3"),
        ("-7 % 3", "-1"),
        ("9.0 / 2.0", "fault"),
        ("msg.n / 2.0", "fault"),
        ("double(msg.n) / 2.0", "2.5"),
        ("msg.n * 2.0", "10"),
        ("msg.n + msg.absent", "null"),
        ("msg.e + msg.e", "\"tradetrade\""),
        ("msg.e + 1", "fault"),
        ("msg.n / 0", "fault"),
        ("9223372036854775807 + 1", "fault"),
        ("msg.f + 0.25", "1.75"),
        ("price + 0.2", "0.30"),
        ("price - 1", "-0.90"),
        ("price * 2", "fault"),
        ("double(price) * 2", "0.2"),
        ("double(price) * 1e308 * 1e308", "fault"),
        ("decimal(msg.p) + decimal(\"0.000000000000000001\")", "58942.010000000000000001"),
        ("decimal(msg.bad)", "fault"),
        ("decimal(msg.absent)", "null"),
        ("abs(decimal(\"-1.50\"))", "1.5"),
        ("abs(msg.neg)", "3"),
        ("-msg.neg", "3"),
        ("-msg.p", "fault"),
        ("double(\"NaN\")", "fault"),
        ("int(\"12\")", "12"),
        ("int(\"12.5\")", "fault"),
        ("int(msg.f)", "1"),
        ("int(-1.9)", "-1"),
        ("int(1e19)", "fault"),
        ("int(double(-9223372036854774784))", "-9223372036854774784"),
        ("int(double(9223372036854775807))", "fault"),
        ("string(msg.tiny)", "\"5.0E-4\""),
        ("string(msg.big)", "\"9007199254740993\""),
        ("bool(\"true\")", "true"),
        ("bool(\"1\")", "fault"),
        (r#"msg.sym.replace("market.", "").replace(".trade.detail", "")"#, "\"btcusdt\""),
        (r#""aaa".replace("a", "b", 2)"#, "\"bba\""),
        (r#"msg.sym.split(".")[1]"#, "\"btcusdt\""),
        (r#"msg.sym.split(".")[9]"#, "null"),
        (r#"size(msg.sym.split("."))"#, "4"),
        (r#"msg.sym.substring(7, 10)"#, "\"btc\""),
        (r#""grün".substring(3)"#, "\"n\""),
        (r#""abc".substring(2, 1)"#, "fault"),
        (r#""abc".substring(9)"#, "fault"),
        (r#""grün".indexOf("n")"#, "3"),
        (r#""abc".indexOf("x")"#, "-1"),
        (r#""abca".indexOf("a", 1)"#, "3"),
        (r#""abca".lastIndexOf("a")"#, "3"),
        (r#""  x ".trim()"#, "\"x\""),
        (r#""aB".lowerAscii() + "aB".upperAscii()"#, "\"abAB\""),
        (r#"msg.n.trim()"#, "fault"),
        (r#"msg.absent.trim()"#, "null"),
        ("size(\"grün\")", "4"),
        ("size(msg.n)", "fault"),
        ("timestamp(msg.at)", "2023-11-14T22:13:20.500000Z"),
        ("timestamp(1700000000)", "2023-11-14T22:13:20.000000Z"),
        ("timestamp(msg.bad)", "fault"),
        (r#"timestamp(msg.at) + duration("1h30m")"#, "2023-11-14T23:43:20.500000Z"),
        (r#"timestamp("9999-12-31T23:59:59Z") + duration("1s")"#, "fault"),
        (r#"timestamp("0001-01-01T00:00:00Z") - duration("1us")"#, "fault"),
        (r#"timestamp("9999-12-31T23:59:59Z")"#, "9999-12-31T23:59:59.000000Z"),
        (r#"timestamp("9999-12-31T23:59:59Z").getHours()"#, "23"),
        (r#"duration("1.5s")"#, "1.500000s"),
        (r#"duration(msg.e)"#, "fault"),
        (r#"double(msg.neg) < 0 ? "sell" : "buy""#, "\"sell\""),
        ("msg.absent != null ? msg.absent : msg.e", "\"trade\""),
        ("timestamp(msg.at).getFullYear()", "2023"),
        ("timestamp(msg.at).getMonth()", "10"),
        ("timestamp(msg.at).getDate() - timestamp(msg.at).getDayOfMonth()", "1"),
        ("timestamp(msg.at).getDayOfWeek()", "2"),
        ("timestamp(msg.at).getDayOfYear()", "317"),
        ("timestamp(msg.at).getHours() * 100 + timestamp(msg.at).getMinutes()", "2213"),
        (r#"timestamp(msg.at).getHours("Asia/Seoul")"#, "7"),
        (r#"timestamp(msg.at).getHours("-02:30")"#, "19"),
        (r#"timestamp(msg.at).getHours("Nowhere/Land")"#, "fault"),
        ("timestamp(msg.at).getSeconds() * 1000 + timestamp(msg.at).getMilliseconds()", "20500"),
        (r#"duration("1h30m2.25s").getMinutes()"#, "90"),
        (r#"duration("1h30m2.25s").getMilliseconds()"#, "250"),
        (r#"duration("1h").getDate()"#, "fault"),
        ("msg.n.getHours()", "fault"),
        ("msg.absent.getHours()", "null"),
        ("uint(msg.n)", "5"),
        ("uint(msg.neg)", "fault"),
        ("msg.arr[2]", "{\"k\": \"v\"}"),
        ("msg.arr[msg.obj.a.b]", "\"x\""),
    ]);
}

#[test]
fn macros_go_through_lists() {
    for (text, value, truth) in [
        ("msg.arr.exists(x, x == 10)", "true", true),
        ("msg.arr.exists(x, x == 11)", "false", false),
        ("msg.arr.all(x, x != null)", "true", true),
        ("msg.arr.all(x, x == 10)", "false", false),
        ("msg.arr.exists_one(x, x == \"x\")", "true", true),
        ("[1, 1, 2].exists_one(x, x == 1)", "false", false),
        ("msg.arr.exists(x, x.k == \"v\")", "true", true),
        ("msg.obj.exists(name, name == \"a\")", "true", true),
        ("[].all(x, x == 1)", "true", true),
        ("[].exists(x, x == 1)", "false", false),
        ("size(msg.arr.filter(x, x == 10))", "1", false),
        // Of another type is not the same as different.
        ("size(msg.arr.filter(x, x != 10))", "0", false),
        ("[1, 2, 3].map(x, x * 2)[2]", "6", false),
        ("[1, 2, 3].map(x, x > 1, x * msg.n)[0]", "10", false),
        ("size([1, 2].map(x, [1, 2].map(y, x * y))[1])", "2", false),
        ("[1, 2].exists(x, [3, 4].exists(y, x + y == 6))", "true", true),
        ("[[1], [2, 3]].exists(x, x.exists(x, x == 3))", "true", true),
        ("msg.absent.exists(x, true)", "false", false),
        ("msg.absent.all(x, true)", "false", false),
        ("msg.n.all(x, true)", "false", false),
        ("msg.absent.map(x, x)", "null", false),
        ("[0, 1].exists(x, 1 / x == 1)", "true", true),
        ("[0, 1].all(x, 1 / x == 1)", "fault", false),
        ("[0, 2].all(x, 1 / x == 1)", "false", false),
        ("[1, 0].map(x, 1 / x)", "fault", false),
    ] {
        assert_eq!(evaluate(text), (value.to_owned(), truth), "{text}");
    }
}

#[test]
fn loops_within_loops_come_to_an_end() {
    let list = format!("[{}]", vec!["1"; 40].join(", "));
    let nested = format!("{list}.all(a, {list}.all(b, {list}.all(c, {list}.all(d, a == d))))");
    assert_eq!(evaluate(&nested), ("fault".to_owned(), false), "2.56 million steps");
    let nested = format!("{list}.all(a, {list}.all(b, {list}.all(c, a == c)))");
    assert_eq!(evaluate(&nested), ("true".to_owned(), true));
}

#[test]
fn what_cannot_work_is_refused_when_the_topology_is_built() {
    for (text, reason) in [
        ("msg.e ==", "Syntax error"),
        ("foo == 1", "there is no `foo` here"),
        ("msg.e.frobnicate()", "unknown function `frobnicate`"),
        ("startsWith(msg.e, \"x\")", "is written x.startsWith(..)"),
        ("msg.e.abs()", "is written abs(x)"),
        ("abs(1, 2)", "does not take 2 arguments"),
        ("msg.e.substring()", "does not take 0 arguments"),
        ("msg.e.matches(\"(\")", "the pattern `(`"),
        ("msg.e.matches(msg.n)", "a pattern that is written out"),
        ("{\"a\": 1}", "a map literal"),
        ("b\"x\" == msg.e", "bytes literal"),
        ("msg.e < null", "null has no order"),
        ("msg.arr == [1]", "a list cannot be compared"),
        ("timestamp(\"yesterday\") > timestamp(msg.at)", "does not become a timestamp"),
    ] {
        let error = compile(text, &mut Place::default()).expect_err(text);
        assert!(error.reason.contains(reason), "{text}: {error}");
        assert_eq!(error.text, text);
    }
}

#[test]
fn a_condition_says_without_which_values_it_cannot_be_true() {
    for (text, needed) in [
        (r#"msg.a == "x" && msg.b != null"#, vec!["a", "b"]),
        (r#"msg.a.startsWith("x") && msg.b > 1 && msg.c"#, vec!["a", "b", "c"]),
        (r#"msg.a == "x" || msg.b == "y""#, vec![]),
        (r#"!(msg.a == "x") && msg.b == null"#, vec![]),
        (r#"(msg.a == "x" || msg.b == 1) && has(msg.c)"#, vec!["c"]),
    ] {
        let mut place = Place::default();
        let program = compile(text, &mut place).unwrap();
        let path = |slot: u32| place.slots[slot as usize].unwrap();
        let found: Vec<u32> = program.needs().into_iter().map(path).collect();
        let mut wanted = Vec::new();
        for name in needed {
            wanted.push(place.paths.slot(&[Step::Member(name.to_owned())]));
        }
        assert_eq!(found, wanted, "{text}");
    }
}
