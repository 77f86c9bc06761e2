//! What the type check says of expressions, and where it points.

use super::read;
use crate::{Code, Severity, Source, SourceMap, to_text};

/// A normalizer whose row has a field of each type, with `part` added to it.
fn file(part: &str) -> String {
    format!(
        "topology: demo
actors:
  ticks: {{ kind: kafka_source, topic: t }}
  rows:
    kind: normalizer
    from: ticks
    explode: /items
{part}
    fields:
      ts: {{ type: timestamp, path: /T }}
      symbol: {{ type: text, path: /s }}
      note: {{ type: text, path: /n, optional: true }}
      count: {{ type: int64, path: /c }}
      ratio: {{ type: float64, path: /r }}
      price: {{ type: \"decimal(18,8)\", path: /p }}
      live: {{ type: bool, path: /l }}
      rest: {{ type: json, path: /x }}
  sink: {{ kind: kafka_sink, from: rows, topic: o }}
"
    )
}

/// The codes found and the characters each points at.
fn found(text: &str) -> Vec<(Severity, &'static str, String)> {
    let (_, diagnostics) = read(text);
    let shown = |diagnostic: &crate::Diagnostic| {
        (
            diagnostic.severity,
            diagnostic.code.id(),
            text[diagnostic.span.start..diagnostic.span.end].to_owned(),
        )
    };
    diagnostics.iter().map(shown).collect()
}

fn one(part: &str) -> (Severity, &'static str, String) {
    let text = file(part);
    let mut found = found(&text);
    let (_, diagnostics) = read(&text);
    assert_eq!(
        found.len(),
        1,
        "{part}: {}",
        to_text(&Source::new("t.yaml", text.as_str()), &diagnostics, false)
    );
    found.remove(0)
}

#[test]
fn what_never_works_is_refused_at_its_characters() {
    for (expression, code, place) in [
        // Arithmetic.
        (r#"(symbol - 1) > 0"#, "T067", "symbol - 1"),
        (r#"price * price > 0"#, "T067", "price * price"),
        (r#"price / 2 > 0"#, "T067", "price / 2"),
        (r#"ratio + price > 0"#, "T067", "ratio + price"),
        (r#"count * 1.5 > 0"#, "T067", "count * 1.5"),
        (r#"ts + 5 > ts"#, "T067", "ts + 5"),
        (r#"ts + ts > ts"#, "T067", "ts + ts"),
        (r#"note + 1 > 0"#, "T067", "note + 1"),
        (r#"-symbol == "x""#, "T067", "-symbol"),
        (r#"count / 0 > 1"#, "T067", "count / 0"),
        (r#"(null + 1) > 0"#, "T067", "null + 1"),
        // Functions.
        (r#"price.startsWith("1")"#, "T067", "price"),
        (r#"msg.a.startsWith(1)"#, "T067", "1"),
        (r#"abs(symbol) > 0"#, "T067", "symbol"),
        (r#"size(count) > 0"#, "T067", "count"),
        (r#"timestamp(ratio) > ts"#, "T067", "ratio"),
        (r#"timestamp("yesterday") < ts"#, "T067", r#""yesterday""#),
        (r#"ts - duration("1d") < ts"#, "T067", r#""1d""#),
        (r#"int("1.5") == count"#, "T067", r#""1.5""#),
        (r#"trim(symbol) == "a""#, "T066", "trim"),
        (r#"price.abs() > 0"#, "T066", "abs"),
        (r#"symbol.replace("a") == "b""#, "T066", "replace"),
        (r#"symbol.matches("(")"#, "T066", r#""(""#),
        (r#"symbol.matches(topic)"#, "T066", "topic"),
        (r#"msg.items.exists(item)"#, "T066", "exists"),
        (r#"nope(symbol)"#, "T062", "nope"),
        (r#"note.starts_with("a")"#, "T062", "starts_with"),
        // Steps.
        (r#"symbol.base == "A""#, "T067", "symbol"),
        (r#"rest.a == 1"#, "T067", "rest"),
        (r#"has(count.a)"#, "T067", "count"),
        (r#"count.all(x, x > 0)"#, "T067", "count"),
        (r#"msg.a[live] == 1"#, "T067", "live"),
        // Comparisons.
        (r#"price > "0""#, "T077", r#"price > "0""#),
        (r#"symbol == 5"#, "T077", "symbol == 5"),
        (r#"msg.T > ts"#, "T077", "msg.T > ts"),
        (r#"live == "true""#, "T077", r#"live == "true""#),
        (r#"(ts - record_time) > 5"#, "T077", "(ts - record_time) > 5"),
        (r#"symbol in ["a", 1] && count in ["1"]"#, "T077", r#"count in ["1"]"#),
        (r#""a" in symbol"#, "T077", r#""a" in symbol"#),
        (r#"symbol in []"#, "T077", "symbol in []"),
        // Conditions.
        ("symbol", "T069", "symbol"),
        ("live && count", "T069", "count"),
        ("!symbol", "T069", "symbol"),
        (r#"count ? live : live"#, "T069", "count"),
        ("msg.items.exists(x, x.price + 1)", "T069", "x.price + 1"),
        ("1 + 2", "T069", "1 + 2"),
        // What is not there.
        (r#"headers.size() > 0"#, "T078", "headers"),
        (r#"headers[0] == "a""#, "T078", "headers"),
        (r#"[1] == [2]"#, "T078", "[1] == [2]"),
        (r#"price > null"#, "T078", "price > null"),
        (r#"msg.?a == 1"#, "T060", "."),
        (r#"symbol == "é" +* 1"#, "T060", "*"),
        (r#"{"a": 1}.a == 1"#, "T078", r#"{"a": 1}"#),
        (r#"18446744073709551615u == count"#, "T078", "18446744073709551615u"),
    ] {
        for (style, part) in [
            ("block", format!("    select: |\n      {expression}")),
            ("folded", format!("    select: >-\n      true &&\n      {expression}")),
            ("single", format!("    select: 'true && ({})'", expression.replace('\'', "''"))),
            (
                "double",
                format!(
                    "    select: \"true && ({})\"",
                    expression.replace('\\', "\\\\").replace('"', "\\\"")
                ),
            ),
        ] {
            let (severity, id, shown) = one(&part);
            let shown = if style == "double" { shown.replace("\\\"", "\"") } else { shown };
            assert_eq!(
                (severity, id, shown.as_str()),
                (Severity::Error, code, place),
                "{style}: {expression}"
            );
        }
    }
}

#[test]
fn what_may_work_is_let_pass() {
    for expression in [
        r#"msg.a == 1 && msg.a != "x" && msg.b.c[0] > msg.d"#,
        r#"price > 0 && price + 1.5 >= count && ratio * 2 > price"#,
        r#"double(price) * double(price) / 2.0 > 0"#,
        r#"count * 2.0 == 4 && count % 2 == 0 && -count < 1.5"#,
        r#"note != null && note + "x" == "ax" && note.size() > 0"#,
        r#"ts - record_time < duration("5s") && ts > timestamp("2026-01-01T00:00:00Z")"#,
        r#"timestamp(msg.T) > ts && timestamp(count) > ts"#,
        r#"item.x in [1, "a", null] && item_key in ["a", 1] && "k" in msg"#,
        r#"symbol.split("-").exists(part, part == "USD") && symbol.split("-")[0] == "A""#,
        r#"msg.list.all(x, x > 0) && msg.list.map(x, x * 2).filter(y, y > 1).size() == 2"#,
        r#"msg.list.exists_one(x, has(x.price) && x.price > 0)"#,
        r#"headers["type"] == "trade" && key != null && topic.startsWith("md.") && partition in [0, 1]"#,
        r#"record_time != null && record_time.getHours("Asia/Seoul") < 9 && duration("5s").getSeconds() == 5"#,
        r#"symbol.matches("^[A-Z]+$") && matches(symbol, "x|y") && case == """#,
        r#"live ? msg.flag : !live"#,
        r#"bool(msg.flag) || live"#,
        r#"int(ts) > 0 && string(ts) == "x" && decimal(symbol) > price"#,
        r#"msg.a + msg.b > 1 && msg.a * msg.b > 1 && msg.a + "x" == "y""#,
        r#"abs(price) > 0 && size([1, 2]) == 2 && size(msg.list) > 1"#,
        "price > 0 // a word",
    ] {
        let text = file(&format!("    select: |\n      {expression}"));
        let (_, diagnostics) = read(&text);
        assert!(
            diagnostics.is_empty(),
            "{expression}: {}",
            to_text(&Source::new("t.yaml", text.as_str()), &diagnostics, false)
        );
    }
}

#[test]
fn what_is_always_there_need_not_be_asked_for() {
    let (severity, code, place) = one("    require: { there: symbol != null }");
    assert_eq!((severity, code, place.as_str()), (Severity::Warning, "T077", "symbol != null"));
}

/// A field of `kind` from `expr`, behind the others.
fn field(kind: &str, expr: &str) -> String {
    file("").replace("  sink:", &format!("      own: {{ type: {kind}, expr: '{expr}' }}\n  sink:"))
}

#[test]
fn an_expression_that_never_gives_its_fields_type_is_refused() {
    for (kind, expr, place) in [
        ("int64", "ratio", "ratio"),
        ("int64", "ts", "ts"),
        ("int64", "live", "live"),
        ("int64", "1.5", "1.5"),
        ("int64", "\"abc\"", "\"abc\""),
        ("int64", "count > 1 ? count : ratio", "ratio"),
        ("int64", "count > 1 ? count : \"many\"", "\"many\""),
        ("bool", "symbol", "symbol"),
        ("bool", "count", "count"),
        ("timestamp", "ratio", "ratio"),
        ("timestamp", "ts - ts", "ts - ts"),
        ("timestamp", "live", "live"),
        ("text", "symbol.split(\"-\")", "symbol.split(\"-\")"),
        ("text", "ts - ts", "ts - ts"),
        ("json", "ratio", "ratio"),
        ("json", "ts", "ts"),
        ("\"decimal(4,2)\"", "12345", "12345"),
        ("\"decimal(4,2)\"", "ts", "ts"),
        ("float64", "live", "live"),
        ("text", "null", "null"),
        ("text, map: { a: b }", "symbol.split(\"-\")", "symbol.split(\"-\")"),
    ] {
        let text = field(kind, expr);
        let found = found(&text);
        let found: Vec<_> = found.iter().map(|(_, code, place)| (*code, place.as_str())).collect();
        assert_eq!(found, [("T068", place)], "{kind}: {expr}");
    }
}

#[test]
fn an_expression_that_may_give_its_fields_type_is_let_pass() {
    for (kind, expr) in [
        ("int64", "int(ratio)"),
        ("int64", "symbol"),
        ("int64", "price"),
        ("int64", "live ? 1 : 0"),
        ("int64", "live ? count : null"),
        ("int64", "2.0"),
        ("bool", "msg.flag"),
        ("bool", "true"),
        ("timestamp", "count"),
        ("timestamp", "symbol"),
        ("timestamp", "record_time"),
        ("text", "ts"),
        ("text", "count"),
        ("text", "symbol.split(\"-\")[0]"),
        ("json", "msg.part"),
        ("json", "symbol"),
        ("float64", "price"),
        ("\"decimal(18,8)\"", "ratio"),
        ("text, optional: true", "null"),
        ("text, default: a", "null"),
        ("int64, map: { a: 1 }", "symbol"),
        ("bool, map: { \"1\": \"true\" }", "count"),
    ] {
        let text = field(kind, expr);
        assert_eq!(found(&text), [], "{kind}: {expr}");
    }
}

#[test]
fn a_place_is_found_behind_characters_of_several_bytes_and_over_lines() {
    let text = file("    select: >\n      symbol == \"é€😀\" &&\n      price >\n        \"0\"");
    let (_, diagnostics) = read(&text);
    assert_eq!(diagnostics.len(), 1);
    let map = SourceMap::new(&text);
    let (start, end) = (map.position(diagnostics[0].span.start), map.position(diagnostics[0].span.end));
    assert_eq!((start.line, start.column, end.line, end.column), (10, 7, 11, 12), "{diagnostics:?}");
    assert_eq!(diagnostics[0].code, Code::KnownOutcome);
}

#[test]
fn a_cache_compares_columns() {
    let cache = "  cache: { kind: redis_cache, from: rows, key: \"k:{symbol}\", value: [price], order_by: ts, delete_when: CONDITION }\n";
    let with = |condition: &str| {
        let text = file("") + &cache.replace("CONDITION", condition);
        found(&text).into_iter().map(|(_, code, place)| (code, place)).collect::<Vec<_>>()
    };
    assert_eq!(with("price == 0"), []);
    assert_eq!(with("'price == \"0\"'"), [("T077", "price == \"0\"".to_owned())]);
    assert_eq!(with("price"), [("T069", "price".to_owned())]);
    assert_eq!(with("msg.qty == 0"), [("T061", "msg".to_owned())]);
}

#[test]
fn no_word_of_the_environment_is_shown() {
    let env = |name: &str| match name {
        "HIDDEN" => Some("hunter2.hunter3(hunter4) == hunter5('hunter6')".to_owned()),
        other => super::env(other),
    };
    for expression in ["${HIDDEN}", "symbol.matches('(${HIDDEN}')", "int('${HIDDEN}') > 1"] {
        let source = Source::new("t.yaml", file(&format!("    select: \"{expression}\"")));
        let (_, diagnostics) = crate::load(&source, &env);
        assert!(!diagnostics.is_empty());
        assert!(!format!("{diagnostics:?}").contains("hunter"), "{diagnostics:?}");
    }
}
