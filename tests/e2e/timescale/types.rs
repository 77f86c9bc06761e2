//! Columns of every type that a field may be written into: what was said is what is read back, or it is a letter.
//!
//! What a value should read back as, PostgreSQL's own input says.

use super::*;

/// Values made up for each type.
const RANDOM: usize = 200;

/// A batch from offset `first` on, whose `column`th column is `values`.
fn with_column(first: i64, column: usize, values: ArrayRef, epoch: i64) -> Batch {
    let plain = plain(0, epoch, first, values.len());
    let mut columns = plain.rows.columns().to_vec();
    columns[column] = values;
    plain.with_rows(RecordBatch::try_new(plain.rows.schema(), columns).expect("the same columns"))
}

/// A table of which one column after the other is given another type.
struct Columns {
    base: Base,
    next: i64,
}

impl Columns {
    async fn new() -> Self {
        Self { base: Base::new().await, next: 0 }
    }

    /// What the server's own `format` makes of `template`.
    async fn format(&self, template: &'static str, values: [&str; 2]) -> String {
        let (url, values) = (self.base.world.database_url().to_owned(), values.map(str::to_owned));
        blocking(move || Sql::connect(&url).format(template, &[&values[0], &values[1]])).await
    }

    /// Writes `values` into the column when it is of type `kind`, and gives what is there then.
    async fn written(&mut self, (place, name): (usize, &str), kind: &str, values: ArrayRef) -> Vec<String> {
        const ALTER: &str =
            "TRUNCATE m.trades; ALTER TABLE m.trades ALTER COLUMN %1$I TYPE %2$s USING NULL::%2$s";
        let alter = self.format(ALTER, [name, kind]).await;
        self.base.sql_batch(&alter).await;
        let claim = claim(&offsets(&self.base, "a"), 0).await.expect("a claim");
        let count = values.len() as i64;
        let batch = with_column(self.next, place, values, claim.epoch);
        self.next += count;
        write(&self.base, "a", &[&claim], vec![batch]).await.1.expect("drained");
        let read = self.format("SELECT %1$I::text FROM m.trades ORDER BY ts", [name, kind]).await;
        self.base.texts(&read).await
    }

    /// What PostgreSQL itself reads `texts` as.
    async fn expected(&self, kind: &str, texts: &[String]) -> Vec<String> {
        const READ: &str = "SELECT t.text::%1$s::text FROM unnest(string_to_array(%2$L, '|')) WITH ORDINALITY AS t(text, at) ORDER BY at";
        let read = self.format(READ, [kind, &texts.join("|")]).await;
        self.base.texts(&read).await
    }
}

const SYMBOL: (usize, &str) = (1, "symbol");
const ID: (usize, &str) = (4, "id");
const QTY: (usize, &str) = (3, "qty");
const EXTRA: (usize, &str) = (6, "extra");

type Made = fn(&mut fastrand::Rng) -> String;

fn hex(random: &mut fastrand::Rng, digits: usize) -> String {
    (0..digits).map(|_| char::from_digit(random.u32(..16), 16).expect("a digit")).collect()
}

#[test]
fn a_text_is_read_as_the_columns_own_type() {
    const TYPES: [(&str, &[&str], Made); 8] = [
        ("uuid", &["00000000-0000-0000-0000-000000000000", "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"], |random| {
            hex(random, 32)
        }),
        ("date", &["0001-01-01", "9999-12-31", "1999-12-31", "2000-02-29"], |random| {
            format!("{:04}-{:02}-{:02}", random.u32(1..=9999), random.u32(1..=12), random.u32(1..=28))
        }),
        ("time", &["00:00:00", "23:59:59.999999"], |random| {
            format!(
                "{:02}:{:02}:{:02}.{:06}",
                random.u32(..24),
                random.u32(..60),
                random.u32(..60),
                random.u32(..1_000_000)
            )
        }),
        ("timestamp", &["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999"], |random| {
            format!(
                "{:04}-{:02}-28T{:02}:00:00.{:06}",
                random.u32(1..=9999),
                random.u32(1..=12),
                random.u32(..24),
                random.u32(..1_000_000)
            )
        }),
        ("interval", &["PT0S", "P9999Y11M", "P1W"], |random| {
            format!(
                "P{}Y{}M{}DT{}H{}M{}.{:06}S",
                random.u32(..9999),
                random.u32(..99),
                random.u32(..9999),
                random.u32(..999),
                random.u32(..99),
                random.u32(..99),
                random.u32(..1_000_000)
            )
        }),
        ("inet", &["0.0.0.0/0", "255.255.255.255", "::", "::1/128"], |random| {
            format!(
                "{}.{}.{}.{}/{}",
                random.u8(..),
                random.u8(..),
                random.u8(..),
                random.u8(..),
                random.u8(..=32)
            )
        }),
        ("cidr", &["0.0.0.0/0", "10.0.0.0/8", "2001:db8::/32"], |random| {
            format!("{}.0.0.0/8", random.u8(..))
        }),
        ("bytea", &["\\x", "\\xDEADbeef"], |random| {
            let digits = 2 * random.usize(..40);
            format!("\\x{}", hex(random, digits))
        }),
    ];
    on_arbiter(async {
        let mut columns = Columns::new().await;
        let mut random = fastrand::Rng::with_seed(11);
        for (kind, extremes, made) in TYPES {
            let mut texts: Vec<String> = extremes.iter().map(ToString::to_string).collect();
            texts.extend((0..RANDOM).map(|_| made(&mut random)));
            let values: ArrayRef = Arc::new(StringArray::from_iter_values(&texts));
            let written = columns.written(SYMBOL, kind, values).await;
            assert_eq!(written, columns.expected(kind, &texts).await, "{kind}");
        }
    });
}

#[test]
fn an_integer_goes_into_a_narrower_column_where_it_has_a_place() {
    on_arbiter(async {
        let mut columns = Columns::new().await;
        for (kind, least, most) in [("smallint", -32_768, 32_767), ("integer", -2_147_483_648, 2_147_483_647)]
        {
            let values = [least, most, 0, most + 1, least - 1, 1];
            let written = columns.written(ID, kind, Arc::new(Int64Array::from(values.to_vec()))).await;
            assert_eq!(written, [least, most, 0, 1].map(|value: i64| value.to_string()), "{kind}");
        }
        let letters = "SELECT DISTINCT reason || ': ' || substring(detail FROM 'column `.*`') FROM aqueduct.dead_letter";
        assert_eq!(columns.base.texts(letters).await, ["numeric_value_out_of_range: column `id`"]);
        assert_eq!(columns.base.integer("SELECT count(*) FROM aqueduct.dead_letter").await, 4);
    });
}

#[test]
fn a_float_goes_into_a_real_where_its_digits_are_kept() {
    on_arbiter(async {
        let mut columns = Columns::new().await;
        let kept = [0.1, -273.15, 1e-45, 3.402_823_5e38, 16_777_216.0, 21.375];
        let unfit = [0.123_456_789, 16_777_217.0, 1e39, 1.0 / 3.0];
        let values = Float64Array::from_iter_values(kept.into_iter().chain(unfit));
        let written = columns.written(QTY, "real", Arc::new(values)).await;
        let texts = kept.map(|value: f64| format!("{value:e}"));
        assert_eq!(written, columns.expected("real", &texts).await);
        let letters = "SELECT count(*) FROM aqueduct.dead_letter WHERE reason = 'numeric_value_out_of_range' AND detail LIKE '%column `qty`%'";
        assert_eq!(columns.base.integer(letters).await, unfit.len() as i64);
    });
}

#[test]
fn a_json_array_goes_into_an_array_column() {
    /// Each value as JSON and as PostgreSQL writes it; then what is unfit.
    const TYPES: [(&str, &[(&str, &str)], &str); 11] = [
        ("boolean[]", &[("[true, false, null]", "{t,f,NULL}")], "[1]"),
        ("smallint[]", &[("[]", "{}"), ("[-32768, 32767]", "{-32768,32767}")], "[32768]"),
        ("integer[]", &[("[2147483647, \"-5\"]", "{2147483647,-5}")], "[1.5]"),
        ("bigint[]", &[("[-9223372036854775808]", "{-9223372036854775808}")], "[[1], 2]"),
        ("integer[]", &[("[[1, 2], [null, 4]]", "{{1,2},{NULL,4}}"), ("[[]]", "{}")], "[[1], [2, 3]]"),
        ("text[]", &[("[[[\"a\"], [\"b\"]]]", "{{{a},{b}}}")], "[[[[[[[\"a\"]]]]]]]"),
        ("real[]", &[("[0.1, 3.4e38, \"1e-45\", 16777216]", "{0.1,3.4e+38,1e-45,16777216}")], "[16777217]"),
        ("double precision[]", &[("[0.1, 1e308, -5e-324]", "{0.1,1e+308,-5e-324}")], "[\"NaN\"]"),
        ("numeric(20,4)[]", &[("[1.5, \"-9999999999.9999\"]", "{1.5000,-9999999999.9999}")], "[0.00001]"),
        (
            "text[]",
            &[("[\"a,b\", \"\\u00e9\\\"\", \"\", null, 12]", "{\"a,b\",\"é\\\"\",\"\",NULL,12}")],
            "{\"a\": 1}",
        ),
        (
            "uuid[]",
            &[("[\"ffffffff-ffff-ffff-ffff-ffffffffffff\"]", "{ffffffff-ffff-ffff-ffff-ffffffffffff}")],
            "[\"x\"]",
        ),
    ];
    on_arbiter(async {
        let mut columns = Columns::new().await;
        for (kind, pairs, unfit) in TYPES {
            let values = pairs.iter().map(|(json, _)| *json).chain([unfit]);
            let written = columns.written(EXTRA, kind, Arc::new(StringArray::from_iter_values(values))).await;
            let expected: Vec<String> = pairs.iter().map(|(_, text)| (*text).to_owned()).collect();
            assert_eq!(written, columns.expected(kind, &expected).await, "{kind}");
        }
        let letters = "SELECT count(*) FROM aqueduct.dead_letter WHERE detail LIKE '%column `extra`%'";
        assert_eq!(columns.base.integer(letters).await, TYPES.len() as i64);
    });
}
