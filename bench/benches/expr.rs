//! What an expression costs: over whole columns, beside the same one row by row, the `cel` crate's interpreter, and a loop
//! written by hand, on the same rows in one run.
//!
//! `cargo bench --workspace --bench expr` prints a table; `-- --json FILE` also keeps the figures.
//! Rows a second of the thread's CPU time, the median of the rounds. Every one must give the same answers. The
//! interpreter is spared what it can be: its program is compiled once, its values are made before, and a row costs it a
//! scope with the names that the expression uses.

use aqueduct_actors::expr::rows::{RowCondition, RowValue};
use aqueduct_bench::clock::cpu_seconds_of;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use serde::Serialize;
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

/// As the product has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rows of one batch, as a normalizer hands them on.
const ROWS: usize = 8192;
const ROUNDS: usize = 7;
/// A measurement goes on for so long.
const ROUND: Duration = Duration::from_millis(50);

/// What an expression gives for a batch, in a form that all have.
#[derive(Debug, PartialEq)]
enum Answer {
    Holds(Vec<bool>),
    Values(Vec<f64>),
}

struct Case {
    name: &'static str,
    ours: &'static str,
    /// The same for the interpreter, which has neither decimals nor columns that are null.
    theirs: &'static str,
    names: &'static [&'static str],
    by_hand: fn(&RecordBatch) -> Answer,
}

/// What one case came to.
#[derive(Serialize)]
struct Figures {
    case: &'static str,
    expression: &'static str,
    rows_per_second: f64,
    rows_per_second_row_by_row: f64,
    rows_per_second_interpreter: f64,
    rows_per_second_by_hand: f64,
    ratio_to_row_by_row: f64,
    ratio_to_interpreter: f64,
    ratio_to_by_hand: f64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let json = arguments
        .iter()
        .position(|argument| argument == "--json")
        .map(|at| arguments.get(at + 1).unwrap_or_else(|| panic!("--json needs the name of a file")).clone());
    let rows = rows();
    println!("rows a second of one core, in millions; medians of {ROUNDS} rounds over {ROWS} rows\n");
    println!(
        "| case | columns | row by row | interpreter | by hand | columns : row by row | : interpreter | : by hand |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let figures: Vec<Figures> = cases().iter().map(|case| measure(case, &rows)).collect();
    if let Some(path) = json {
        let text = serde_json::to_string_pretty(&figures).expect("figures are JSON");
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

/// One way to evaluate a case: what is measured, and what it found.
struct Way<'w> {
    run: Box<dyn Fn() + 'w>,
    answer: Box<dyn Fn() -> Answer + 'w>,
}

fn measure(case: &Case, rows: &RecordBatch) -> Figures {
    let by_hand = || (case.by_hand)(rows);
    let by_hand = Way { run: Box::new(move || drop(black_box(by_hand()))), answer: Box::new(by_hand) };
    let ways = [over_columns(case, rows), row_by_row(case, rows), interpreted(case, rows), by_hand];
    let expected = (ways[3].answer)();
    for (way, name) in ways.iter().zip(["columns", "row by row", "the interpreter"]) {
        let differs = format!("{}: {name} and the loop written by hand differ", case.name);
        assert!((way.answer)() == expected, "{differs}");
    }
    let mut seconds: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        for (way, seconds) in ways.iter().zip(&mut seconds) {
            seconds.push(cpu_seconds_of(ROUND, &way.run));
        }
    }
    let rate = seconds.map(|mut seconds| {
        seconds.sort_unstable_by(f64::total_cmp);
        ROWS as f64 / seconds[ROUNDS / 2]
    });
    let millions = rate.map(|rate| rate / 1e6);
    println!(
        "| {} `{}` | {:.0} | {:.1} | {:.2} | {:.0} | {:.1} | {:.0} | {:.2} |",
        case.name,
        case.ours.replace('|', "\\|"),
        millions[0],
        millions[1],
        millions[2],
        millions[3],
        rate[0] / rate[1],
        rate[0] / rate[2],
        rate[0] / rate[3],
    );
    Figures {
        case: case.name,
        expression: case.ours,
        rows_per_second: rate[0],
        rows_per_second_row_by_row: rate[1],
        rows_per_second_interpreter: rate[2],
        rows_per_second_by_hand: rate[3],
        ratio_to_row_by_row: rate[0] / rate[1],
        ratio_to_interpreter: rate[0] / rate[2],
        ratio_to_by_hand: rate[0] / rate[3],
    }
}

impl Case {
    fn is_condition(&self, rows: &RecordBatch) -> bool {
        matches!((self.by_hand)(rows), Answer::Holds(_))
    }
}

fn over_columns<'w>(case: &Case, rows: &'w RecordBatch) -> Way<'w> {
    let schema = rows.schema();
    if case.is_condition(rows) {
        let condition = Arc::new(RowCondition::compile(case.ours, &schema).expect("it compiles"));
        let same = condition.clone();
        return Way {
            run: Box::new(move || drop(black_box(condition.holds(rows)))),
            answer: Box::new(move || Answer::Holds(same.holds(rows).iter().collect())),
        };
    }
    let value = Arc::new(RowValue::compile(case.ours, &schema).expect("it compiles"));
    let same = value.clone();
    Way {
        run: Box::new(move || drop(black_box(value.values(rows)))),
        answer: Box::new(move || {
            let computed = same.values(rows).expect("its values are of one type");
            Answer::Values(computed.values.as_primitive::<Float64Type>().values().to_vec())
        }),
    }
}

fn row_by_row<'w>(case: &Case, rows: &'w RecordBatch) -> Way<'w> {
    let schema = rows.schema();
    if case.is_condition(rows) {
        let condition = RowCondition::compile(case.ours, &schema).expect("it compiles");
        let holds = Arc::new(move || -> Vec<bool> {
            (0..rows.num_rows()).map(|row| condition.is_true(rows, row)).collect()
        });
        let same = holds.clone();
        return Way {
            run: Box::new(move || drop(black_box(holds()))),
            answer: Box::new(move || Answer::Holds(same())),
        };
    }
    let value = RowValue::compile(case.ours, &schema).expect("it compiles");
    let values = Arc::new(move || -> Vec<f64> {
        let value = |row| value.value(rows, row).ok().and_then(|value| value.to_f64());
        (0..rows.num_rows()).map(|row| value(row).expect("a double in every row")).collect()
    });
    let same = values.clone();
    Way { run: Box::new(move || drop(black_box(values()))), answer: Box::new(move || Answer::Values(same())) }
}

fn interpreted<'w>(case: &Case, rows: &'w RecordBatch) -> Way<'w> {
    let program = cel::Program::compile(case.theirs).expect("it compiles");
    let names = case.names;
    let values: Vec<Vec<cel::Value>> =
        (0..rows.num_rows()).map(|row| names.iter().map(|name| for_cel(rows, name, row)).collect()).collect();
    let each = Arc::new(move || -> Vec<cel::Value> {
        let standard = cel::Context::default();
        let of_row = |values: &Vec<cel::Value>| {
            let mut scope = standard.new_inner_scope();
            for (name, value) in names.iter().zip(values) {
                scope.add_variable_from_value(*name, value.clone());
            }
            program.execute(&scope).expect("the row has a value")
        };
        values.iter().map(of_row).collect()
    });
    let same = each.clone();
    let condition = case.is_condition(rows);
    let answer = move || {
        let found = same();
        if condition {
            return Answer::Holds(
                found.iter().map(|value| matches!(value, cel::Value::Bool(true))).collect(),
            );
        }
        let double = |value: &cel::Value| match value {
            cel::Value::Float(value) => *value,
            other => panic!("expected a double, found {other:?}"),
        };
        Answer::Values(found.iter().map(double).collect())
    };
    Way { run: Box::new(move || drop(black_box(each()))), answer: Box::new(answer) }
}

/// A cell as the interpreter takes it. The name `row` stands for a map that has `note` only where it is not null.
fn for_cel(rows: &RecordBatch, name: &str, row: usize) -> cel::Value {
    if name == "row" {
        let note = rows.column_by_name("note").expect("a column").as_string::<i32>();
        let members = note.is_valid(row).then(|| ("note", note.value(row)));
        return members.into_iter().collect::<HashMap<_, _>>().into();
    }
    let column = rows.column_by_name(name).expect("a column");
    match column.data_type() {
        arrow_schema::DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        arrow_schema::DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        arrow_schema::DataType::Float64 => column.as_primitive::<Float64Type>().value(row).into(),
        arrow_schema::DataType::Decimal128(..) => {
            (column.as_primitive::<Decimal128Type>().value(row) as f64 / 1e8).into()
        }
        _ => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
            let text = format!("timestamp({}) + duration('{}us')", micros / 1_000_000, micros % 1_000_000);
            let program = cel::Program::compile(&text).expect("a time");
            program.execute(&cel::Context::default()).expect("a time")
        }
    }
}

/// Quotes: two doubles, two whole numbers, a decimal, texts, two times, and a text that every third row lacks.
fn rows() -> RecordBatch {
    let mut random = fastrand::Rng::with_seed(3);
    let mut doubles =
        || Float64Array::from_iter_values((0..ROWS).map(|_| (random.f64() * 10_000.0).round() / 100.0));
    let (bid, ask, qty) = (doubles(), doubles(), doubles());
    let mut random = fastrand::Rng::with_seed(4);
    let mut ints = || Int64Array::from_iter_values((0..ROWS).map(|_| random.i64(1..1_000_000)));
    let (first_id, last_id) = (ints(), ints());
    let mut random = fastrand::Rng::with_seed(5);
    let price = Decimal128Array::from_iter_values((0..ROWS).map(|_| random.i128(0..20_000_000_000)));
    let symbol =
        (0..ROWS).map(|_| format!("S{:03}-{}", random.u32(0..20), ["USD", "EUR"][random.usize(0..2)]));
    let symbol = StringArray::from_iter_values(symbol.collect::<Vec<_>>());
    let side = (0..ROWS).map(|_| ["buy", "sell"][random.usize(0..2)]);
    let side = StringArray::from_iter_values(side.collect::<Vec<_>>());
    let note: StringArray = (0..ROWS).map(|row| (row % 3 != 0).then_some("late")).collect();
    let mut times = || {
        let times = (0..ROWS).map(|_| 1_767_225_600_000_000 + random.i64(0..1_000_000));
        TimestampMicrosecondArray::from_iter_values(times.collect::<Vec<_>>()).with_timezone("UTC")
    };
    let (at, until) = (times(), times());
    let columns: [(&str, ArrayRef); 11] = [
        ("bid", Arc::new(bid)),
        ("ask", Arc::new(ask)),
        ("qty", Arc::new(qty)),
        ("first_id", Arc::new(first_id)),
        ("last_id", Arc::new(last_id)),
        ("price", Arc::new(price.with_precision_and_scale(18, 8).expect("18 digits"))),
        ("symbol", Arc::new(symbol)),
        ("side", Arc::new(side)),
        ("note", Arc::new(note)),
        ("at", Arc::new(at)),
        ("until", Arc::new(until)),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

fn doubles<'r>(rows: &'r RecordBatch, name: &str) -> &'r [f64] {
    rows.column_by_name(name).expect("a column").as_primitive::<Float64Type>().values()
}

fn ints<'r>(rows: &'r RecordBatch, name: &str) -> &'r [i64] {
    rows.column_by_name(name).expect("a column").as_primitive::<Int64Type>().values()
}

fn times<'r>(rows: &'r RecordBatch, name: &str) -> &'r [i64] {
    rows.column_by_name(name).expect("a column").as_primitive::<TimestampMicrosecondType>().values()
}

fn texts<'r>(rows: &'r RecordBatch, name: &str) -> &'r StringArray {
    rows.column_by_name(name).expect("a column").as_string::<i32>()
}

fn of_texts(rows: &RecordBatch, name: &str, test: impl Fn(&str) -> bool) -> Answer {
    Answer::Holds(texts(rows, name).iter().flatten().map(test).collect())
}

/// What holds of bid and ask, and of the first and last id.
fn of_both(rows: &RecordBatch, test: impl Fn(bool, bool) -> bool) -> Answer {
    let quotes = doubles(rows, "bid").iter().zip(doubles(rows, "ask"));
    let ids = ints(rows, "first_id").iter().zip(ints(rows, "last_id"));
    Answer::Holds(quotes.zip(ids).map(|((bid, ask), (first, last))| test(bid < ask, first < last)).collect())
}

fn cases() -> Vec<Case> {
    let case = |name, ours, names, by_hand| Case { name, ours, theirs: ours, names, by_hand };
    vec![
        case("two doubles", "bid < ask", &["bid", "ask"], |rows| {
            let pairs = doubles(rows, "bid").iter().zip(doubles(rows, "ask"));
            Answer::Holds(pairs.map(|(bid, ask)| bid < ask).collect())
        }),
        case("two whole numbers", "first_id < last_id", &["first_id", "last_id"], |rows| {
            let pairs = ints(rows, "first_id").iter().zip(ints(rows, "last_id"));
            Answer::Holds(pairs.map(|(first, last)| first < last).collect())
        }),
        case("a decimal and a literal", "price > 100.5", &["price"], |rows| {
            let price = rows.column_by_name("price").expect("a column").as_primitive::<Decimal128Type>();
            Answer::Holds(price.values().iter().map(|&units| units > 10_050_000_000).collect())
        }),
        case("both", "bid < ask && first_id < last_id", &["bid", "ask", "first_id", "last_id"], |rows| {
            of_both(rows, |one, other| one && other)
        }),
        case("either", "bid < ask || first_id < last_id", &["bid", "ask", "first_id", "last_id"], |rows| {
            of_both(rows, |one, other| one || other)
        }),
        case("arithmetic", "bid * qty", &["bid", "qty"], |rows| {
            let pairs = doubles(rows, "bid").iter().zip(doubles(rows, "qty"));
            Answer::Values(pairs.map(|(bid, qty)| bid * qty).collect())
        }),
        case(
            "guarded division",
            "last_id != 7 && first_id / last_id > 1",
            &["first_id", "last_id"],
            |rows| {
                let pairs = ints(rows, "first_id").iter().zip(ints(rows, "last_id"));
                Answer::Holds(pairs.map(|(first, last)| *last != 7 && first / last > 1).collect())
            },
        ),
        case("in a list", r#"symbol in ["S001-USD", "S002-USD", "S003-EUR"]"#, &["symbol"], |rows| {
            of_texts(rows, "symbol", |symbol| ["S001-USD", "S002-USD", "S003-EUR"].contains(&symbol))
        }),
        case("startsWith", r#"symbol.startsWith("S01")"#, &["symbol"], |rows| {
            of_texts(rows, "symbol", |symbol| symbol.starts_with("S01"))
        }),
        case("matches", r#"symbol.matches("^S0[0-9]+-USD$")"#, &["symbol"], |rows| {
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let parts = |symbol: &str| {
                symbol.strip_prefix("S0").and_then(|rest| rest.strip_suffix("-USD")).is_some_and(digits)
            };
            of_texts(rows, "symbol", parts)
        }),
        case("conditional", r#"side == "buy" ? bid : ask"#, &["side", "bid", "ask"], |rows| {
            let sides = texts(rows, "side").iter().flatten();
            let pairs = doubles(rows, "bid").iter().zip(doubles(rows, "ask"));
            Answer::Values(
                sides.zip(pairs).map(|(side, (bid, ask))| if side == "buy" { *bid } else { *ask }).collect(),
            )
        }),
        Case {
            name: "presence",
            ours: "note != null",
            theirs: "has(row.note)",
            names: &["row"],
            by_hand: |rows| Answer::Holds(texts(rows, "note").iter().map(|note| note.is_some()).collect()),
        },
        case("two times", "at < until", &["at", "until"], |rows| {
            let pairs = times(rows, "at").iter().zip(times(rows, "until"));
            Answer::Holds(pairs.map(|(at, until)| at < until).collect())
        }),
        case("size", "size(symbol) == 8", &["symbol"], |rows| {
            of_texts(rows, "symbol", |symbol| symbol.chars().count() == 8)
        }),
    ]
}
