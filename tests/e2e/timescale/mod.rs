//! The TimescaleDB side on its own: claims, fences, writes, letters and migrations, without broker or process.

mod beginning;
mod claims;
mod flights;
mod hosts;
mod letters;
mod refusals;
mod replaces;
mod succession;
mod types;
mod writes;

use crate::harness::world::{Sql, World};
use aqueduct_actors::timescale::draft::draft;
use aqueduct_actors::timescale::migrate::MigrationSet;
use aqueduct_actors::timescale::{Connector, Migrator, Timescale, TimescaleOffsets};
use aqueduct_actors::{Services, timescale_writer};
use aqueduct_engine::batch::{hidden_columns, with_hidden_columns};
use aqueduct_engine::testing::{Harness, Probe, RecordsBuilder};
use aqueduct_engine::{
    Actor, Batch, Claim, ClaimRequest, Claims, Clock, Error, LogRange, OffsetStore, PartitionKey,
};
use aqueduct_topology::model::{Kind, TimescaleConnection, Topology};
use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, TimeUnit};
use std::sync::Arc;

/// A topology with one required writer; `{writer}` is more of its options.
const TOPOLOGY: &str = r#"
topology: unit
connections:
  kafka: { bootstrap: "127.0.0.1:9" }
  timescale: { url: "${TIMESCALE_URL}" }
actors:
  ticks: { kind: kafka_source, topic: md }
  trades:
    kind: normalizer
    from: ticks
    fields:
      ts:     { type: timestamp, path: /t, unit: us }
      symbol: { type: text, path: /s }
      price:  { type: "decimal(18,8)", path: /p }
      qty:    { type: float64, path: /q }
      id:     { type: int64, path: /i }
      buy:    { type: bool, path: /b, optional: true }
      extra:  { type: json, path: /e, optional: true }
  history: { kind: timescale_writer, from: trades, table: m.trades{writer} }
"#;

/// A database of the test's own with the engine's schema, and the topology that writes to it.
pub(super) struct Base {
    world: World,
    topology: Arc<Topology>,
}

impl Base {
    /// With the topology's own table too.
    async fn new() -> Self {
        Self::with_writer("").await
    }

    async fn with_writer(options: &str) -> Self {
        let base = Self::without_table(options).await;
        base.sql_batch(&drafted(&base.topology)).await;
        base
    }

    async fn without_table(options: &str) -> Self {
        let base = Self::empty(options);
        base.migrator().up(&|_| {}).await.expect("the engine's migrations");
        base
    }

    fn empty(options: &str) -> Self {
        let world = World::shared();
        let topology = Arc::new(topology(world.database_url(), options));
        Self { world, topology }
    }

    fn migrator(&self) -> Migrator {
        let files = aqueduct_config::migrations::all();
        let files = files.iter().map(|file| (file.name, file.sql));
        let set = MigrationSet::engine(files).expect("the engine's files");
        let connector = Connector::new(self.connection(), "unit", "migrator", Clock::system());
        Migrator::new(connector.expect("a connection as configured"), vec![set])
    }

    fn connection(&self) -> &TimescaleConnection {
        self.topology.connections.timescale.as_ref().expect("a timescale connection")
    }

    fn timescale(&self, node: &str) -> Timescale {
        Timescale::new(self.connection(), "unit", node, Clock::system()).expect("a connection as configured")
    }

    fn services(&self, node: &str) -> Services {
        Services::new(self.topology.clone(), node.into(), Clock::system(), Claims::default())
            .expect("services")
    }

    /// The actor as its supervisor would build it on `node`.
    fn writer(&self, node: &str) -> Box<dyn Actor> {
        let services = self.services(node);
        let actor = self.topology.actor("history").expect("the writer");
        let Kind::TimescaleWriter(options) = &actor.kind else { panic!("not a writer") };
        timescale_writer::factory(actor, options, &services).expect("a factory")()
    }

    async fn sql_batch(&self, statements: &str) {
        let url = self.world.database_url().to_owned();
        let statements = statements.to_owned();
        blocking(move || Sql::connect(&url).batch(&statements)).await;
    }

    async fn integer(&self, query: &str) -> i64 {
        let url = self.world.database_url().to_owned();
        let query = query.to_owned();
        blocking(move || Sql::connect(&url).integer(&query)).await
    }

    /// The one column of a query, as text.
    async fn texts(&self, query: &str) -> Vec<String> {
        let url = self.world.database_url().to_owned();
        let query = query.to_owned();
        blocking(move || Sql::connect(&url).rows(&query, &[]).iter().map(|row| row.get(0)).collect()).await
    }
}

/// What `migrate new` writes for a topology without migrations.
fn drafted(topology: &Topology) -> String {
    let none = MigrationSet::topology("unit", "nowhere", []).expect("no files");
    draft(topology, &none).expect("a draft").expect("a table is missing").sql
}

/// `Sql` has a runtime of its own, which must not run inside another.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("no panic")
}

fn topology(url: &str, writer: &str) -> Topology {
    let text = TOPOLOGY.replace("{writer}", writer);
    let source = aqueduct_topology::Source::new("unit.yaml", &text);
    let environment = |name: &str| (name == "TIMESCALE_URL").then(|| url.to_owned());
    let (topology, diagnostics) = aqueduct_topology::load(&source, &environment);
    topology.unwrap_or_else(|| panic!("{}", aqueduct_topology::to_text(&source, &diagnostics, false)))
}

/// Runs `test` as an arbiter would: one thread, local tasks.
fn on_arbiter<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

fn key(partition: i32) -> PartitionKey {
    PartitionKey { source: "ticks".into(), topic: "md".into(), partition }
}

fn request(partition: i32, end: i64) -> ClaimRequest {
    ClaimRequest { key: key(partition), log: LogRange { start: 0, end, initial: 0 }, begun: false }
}

/// Claims one partition for `node`.
async fn claim(offsets: &dyn OffsetStore, partition: i32) -> Result<Claim, Error> {
    let claims = offsets.claim(&[request(partition, 1_000_000)]).await?;
    Ok(claims.into_iter().next().expect("one claim a request"))
}

/// A row, by what tells it apart from the others.
#[derive(Clone)]
struct Row {
    price: i128,
    symbol: String,
}

impl Default for Row {
    fn default() -> Self {
        Self { price: 150_000_000, symbol: "A".into() }
    }
}

/// A batch of `rows`, one a message, at `first`, `first + 1`, ..; the id is the offset.
fn batch(partition: i32, epoch: i64, first: i64, rows: &[Row]) -> Batch {
    let records = RecordsBuilder::new(partition, first).of(key(partition)).epoch(epoch);
    let records = (0..rows.len()).fold(records, |records, index| {
        records.value(format!("raw {}", first + index as i64)).header("h", "v")
    });
    let raw = records.build();
    let offsets: Vec<i64> = raw.raw.offsets.values().to_vec();
    let times = offsets.iter().map(|offset| 1_700_000_000_000_000 + offset);
    let prices = Decimal128Array::from_iter_values(rows.iter().map(|row| row.price));
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.symbol))),
        Arc::new(prices.with_precision_and_scale(18, 8).expect("18 digits")),
        Arc::new(Float64Array::from_iter_values(offsets.iter().map(|offset| *offset as f64 / 4.0))),
        Arc::new(Int64Array::from(offsets.clone())),
        Arc::new(BooleanArray::from_iter(
            offsets.iter().map(|offset| (offset % 3 != 0).then_some(offset % 3 == 1)),
        )),
        Arc::new(StringArray::from_iter(
            offsets.iter().map(|offset| (offset % 2 == 0).then(|| format!("[{offset}]"))),
        )),
    ];
    columns.extend(hidden_columns(offsets, vec![0; rows.len()]));
    let schema = with_hidden_columns([
        Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        Field::new("symbol", DataType::Utf8, false),
        Field::new("price", DataType::Decimal128(18, 8), false),
        Field::new("qty", DataType::Float64, false),
        Field::new("id", DataType::Int64, false),
        Field::new("buy", DataType::Boolean, true),
        Field::new("extra", DataType::Utf8, true),
    ]);
    raw.with_rows(RecordBatch::try_new(schema, columns).expect("columns as their schema"))
}

fn plain(partition: i32, epoch: i64, first: i64, count: usize) -> Batch {
    batch(partition, epoch, first, &vec![Row::default(); count])
}

/// Sends what `send` sends to a writer of `node` that holds `claims`, and ends its input.
async fn write(
    base: &Base,
    node: &str,
    claims: &[&Claim],
    batches: Vec<Batch>,
) -> (Harness, Result<(), Error>) {
    let mut harness = Harness::sink("history", true);
    prepare(&harness, claims, batches);
    harness.close_inputs();
    let ended = harness.run(base.writer(node)).await;
    (harness, ended)
}

fn prepare(probe: &Probe, claims: &[&Claim], batches: Vec<Batch>) {
    for claim in claims {
        probe.claims().insert((*claim).clone());
    }
    for batch in batches {
        probe.send(batch);
    }
}

/// Records written, dead-lettered, in flight and unaccounted for, over all claims.
fn fates(probe: &Probe) -> [i64; 4] {
    probe.ledger().rows().iter().fold([0; 4], |sums, row| {
        let counts = [row.written as i64, row.dead_lettered as i64, row.in_flight as i64, row.unaccounted];
        std::array::from_fn(|index| sums[index] + counts[index])
    })
}

fn offsets(base: &Base, node: &str) -> TimescaleOffsets {
    offsets_of(base, node, "history", None)
}

/// A store in which the one sink is called `sink`.
fn offsets_of(base: &Base, node: &str, sink: &str, adopts: Option<&str>) -> TimescaleOffsets {
    let identity = aqueduct_engine::SinkIdentity {
        id: sink.into(),
        adopts: adopts.map(Into::into),
        target: "m.trades".into(),
        required: true,
    };
    let sinks = [("ticks".into(), vec![identity])].into();
    TimescaleOffsets::new(base.timescale(node), "unit".into(), node.into(), sinks)
}

/// Asks again and again until it is so.
///
/// # Panics
/// After half a minute.
async fn until(mut so: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !so().await {
        assert!(std::time::Instant::now() < deadline, "it did not come to pass");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

const STORED: &str = "SELECT next_offset FROM aqueduct.offsets";
const COUNT: &str = "SELECT count(*) FROM m.trades";
