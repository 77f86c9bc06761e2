//! Messages of CSV: each line a row, the cells found by name or place.

use super::{batch, check, normalizer, outcome};

const NAMED: &str = "\
format: csv
csv: { columns: [ts, symbol, price, note] }
fields:
  ts:     { type: timestamp, path: /ts, unit: ms }
  symbol: { type: text, path: /symbol }
  price:  { type: \"decimal(18,8)\", path: /price }
  note:   { type: text, path: /note, optional: true }
require: { price_positive: price > 0 }
";

#[test]
fn each_line_is_a_row_and_each_fault_its_own() {
    check(
        NAMED,
        &[
            "1700000000000,BTC,12.5,\r\n1700000000001,ETH,-1,x\n1700000000002,SOL,abc,x\n1700000000003,XRP,1,\"a, b\"\n",
            "1700000000004,ADA,2",
            "",
            "1700000000005,DOT,3,\"never closed\n1700000000006,LTC,4,",
        ],
        &[
            "0.0: 2023-11-14T22:13:20.000000Z | BTC | 12.50000000 | NULL",
            "0.3: 2023-11-14T22:13:20.003000Z | XRP | 1.00000000 | a, b",
        ],
        &["0.1 price_positive", "0.2 wrong_type", "1.0 not_csv", "2.0 empty", "3.0 not_csv"],
    );
}

#[test]
fn a_reject_names_the_line_where_there_are_several() {
    let found = outcome(&normalizer(NAMED), &batch(&["1700000000000,A,1,\n1700000000000,B,x,\n", "1,B"]));
    assert_eq!(
        found.details,
        [
            "line 2: field `price`: expected a decimal, found \"x\"",
            "at byte 3: the line has fewer cells than there are columns",
        ]
    );
}

#[test]
fn conditions_and_cases_see_a_line_as_they_see_a_message() {
    let options = "\
format: csv
csv: { columns: [kind, symbol, price], delimiter: tab, quote: none }
fields:
  symbol: { type: text, path: /symbol }
  price:  { type: float64, expr: \"double(msg.price) * 2.0\" }
  venue:  { type: text, expr: case }
cases:
  - { name: trade, when: 'msg.kind == \"t\"' }
  - { name: quote, when: 'msg.kind == \"q\"', select: 'msg.symbol != \"X\"' }
";
    check(
        options,
        &["t\tA\t1.5\nq\tX\t1\nz\tB\t2\nq\tC\t\"\n", "z\tA\t1"],
        &["0.0: A | 3 | trade"],
        &["0.1 expression"],
    );
}

#[test]
fn without_names_cells_are_counted() {
    let options =
        "format: csv\nfields: { a: { type: text, path: /1 }, n: { type: int64, expr: 'msg.size()' } }";
    check(options, &["x,y,z\n,w", "x"], &["0.0: y | 3", "0.1: w | 2"], &["1.0 missing_field"]);
}
