//! CSV, Avro and Protobuf on the way from real topics into real tables, with poison in between, while the schema registry
//! goes away and comes back.

use crate::harness::node::Node;
use crate::harness::registry::{AVRO, PROTOBUF, RegistryServer, UNAUTHORIZED};
use crate::harness::topologies::START_MS;
use crate::harness::wait;
use crate::harness::world::World;
use aqueduct_stack::feed::Feed;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(60);

/// `{registry}` is where schemas are.
const FORMATS: &str = r#"
topology: formats-{topic}
connections:
  kafka:     { bootstrap: "${KAFKA_BOOTSTRAP}" }
  timescale: { url: "${TIMESCALE_URL}" }
  registry:  { url: "{registry}" }
actors:
  lines:  { kind: kafka_source, topic: "{topic}" }
  avros:  { kind: kafka_source, topic: "{topic}-avro" }
  protos: { kind: kafka_source, topic: "{topic}-protobuf" }
  from_csv:
    kind: normalizer
    from: lines
    format: csv
    csv: { columns: [ts, symbol, price] }
    fields:
      ts:     { type: timestamp, path: /ts, unit: ms }
      symbol: { type: text, path: /symbol }
      price:  { type: "decimal(18,8)", path: /price }
  from_avro:
    kind: normalizer
    from: avros
    format: avro
    fields:
      ts:     { type: timestamp, path: /ts }
      symbol: { type: text, path: /symbol }
      price:  { type: "decimal(18,8)", path: /price }
  from_protobuf:
    kind: normalizer
    from: protos
    format: protobuf
    fields:
      ts:     { type: timestamp, path: /ts }
      symbol: { type: text, path: /symbol }
      price:  { type: "decimal(18,8)", path: /price }
      side:   { type: text, path: /side, map: { BUY: buy, SELL: sell } }
  csv_rows:      { kind: timescale_writer, from: from_csv, table: market.csv_rows }
  avro_rows:     { kind: timescale_writer, from: from_avro, table: market.avro_rows }
  protobuf_rows: { kind: timescale_writer, from: from_protobuf, table: market.protobuf_rows }
"#;

fn varint(mut value: u64, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

fn zigzag(value: i64, to: &mut Vec<u8>) {
    varint((value << 1 ^ value >> 63) as u64, to);
}

fn header(id: u32) -> Vec<u8> {
    [&[0], id.to_be_bytes().as_slice()].concat()
}

/// The `n`th trade by schema 1, as Confluent's serializer sends it.
fn avro(id: u32, n: i64) -> Vec<u8> {
    let mut message = header(id);
    zigzag(START_MS + n, &mut message);
    zigzag(3, &mut message);
    message.extend(b"BTC");
    // Twelve and a half, in units of 10^-8.
    let price = 1_250_000_000_i64.to_be_bytes();
    zigzag(price.len() as i64, &mut message);
    message.extend(price);
    // No note.
    zigzag(0, &mut message);
    message
}

/// The `n`th trade by schema 3, the second message of its file.
fn protobuf(n: i64) -> Vec<u8> {
    let mut message = header(3);
    zigzag(1, &mut message);
    zigzag(1, &mut message);
    let millis = START_MS + n;
    let mut time = vec![0x08];
    varint((millis / 1000) as u64, &mut time);
    time.push(0x10);
    varint((millis % 1000 * 1_000_000) as u64, &mut time);
    message.push(0x0a);
    varint(time.len() as u64, &mut message);
    message.extend(time);
    message.extend([0x12, 3, b'E', b'T', b'H', 0x19]);
    message.extend(12.5_f64.to_le_bytes());
    message.extend([0x20, 1]);
    message
}

#[test]
fn every_format_reaches_its_table_and_known_schemas_outlive_the_registry() {
    const EACH: i64 = 200;
    let world = World::shared();
    let topics = [world.topic.clone(), format!("{}-avro", world.topic), format!("{}-protobuf", world.topic)];
    for topic in &topics[1..] {
        world.stack().create_topic(topic, 1, &[]).expect("a topic");
    }
    let server = RegistryServer::start(&[AVRO, PROTOBUF]);
    let address = server.address();
    let file = world.write_topology(&FORMATS.replace("{registry}", &server.url()));
    world.migrate(&file);
    let feeds = topics
        .each_ref()
        .map(|topic| Feed::new(&world.stack().kafka_bootstrap(), topic).expect("a producer"));
    let send = |place: usize, message: &[u8]| {
        feeds[place].send(None, Some(message), Some(START_MS)).expect("send");
    };
    // Poison among the good: each alone is refused.
    let round = |from: i64| {
        for n in from..from + EACH {
            send(0, format!("{},SOL,12.5\n{},SOL,12.50\n", START_MS + n, START_MS + n).as_bytes());
            send(1, &avro(1, n));
            send(2, &protobuf(n));
        }
        send(0, format!("{START_MS},SOL\n{START_MS},SOL,1\n").as_bytes());
        send(1, &avro(1, from)[..9]);
        send(1, b"{}");
        send(2, &[&header(3)[..], &[0x80]].concat());
        feeds.iter().for_each(|feed| feed.flush().expect("flush"));
    };
    round(0);
    let node = Node::start(&world, &file, "formats", &[]);
    let sql = world.sql();
    let counts = || {
        const COUNTS: [&str; 3] = [
            "SELECT count(*) FROM market.csv_rows",
            "SELECT count(*) FROM market.avro_rows",
            "SELECT count(*) FROM market.protobuf_rows",
        ];
        COUNTS.map(|count| sql.integer(count))
    };
    let decided = |rows: [i64; 3], letters: i64| {
        wait::until("every message decided", BOUND, || {
            let settled = node.ledger("in_flight") == 0 && node.ledger("dead_lettered") == letters;
            (counts() == rows && settled).then_some(())
        });
    };
    decided([2 * EACH + 1, EACH, EACH], 4);
    let exact: String = sql.rows("SELECT DISTINCT price::text FROM market.avro_rows", &[])[0].get(0);
    assert_eq!(exact, "12.50000000");
    let times = "SELECT count(DISTINCT ts) FROM market.protobuf_rows WHERE symbol = 'ETH' AND side = 'buy'";
    assert_eq!(sql.integer(times), EACH);
    let asked = server.asked().len();

    // The registry goes: what it said is known still.
    drop(server);
    round(EACH);
    decided([4 * EACH + 2, 2 * EACH, 2 * EACH], 8);
    node.await_ready(200, BOUND);

    // A schema that nobody has asked for is waited for, in its order; nothing good is refused.
    send(1, &avro(7, 3 * EACH));
    send(1, &avro(1, 3 * EACH + 1));
    feeds[1].flush().expect("flush");
    let body = node.await_ready(503, BOUND);
    assert!(body.contains("from_avro"), "the answer names the actor: {body}");
    assert_eq!(counts()[1], 2 * EACH, "nothing overtakes what waits");
    let server = RegistryServer::start_at(&address, &[&AVRO.replace("ids/1", "ids/7"), PROTOBUF]);
    decided([4 * EACH + 2, 2 * EACH + 2, 2 * EACH], 8);
    assert!(server.asked().iter().all(|asked| asked.line == "GET /schemas/ids/7"), "{:?}", server.asked());
    assert_eq!(asked, 3, "two schemas and a reference were asked for, once each");

    // One that the registry does not have is the record's fault.
    send(1, &avro(9, 4 * EACH));
    send(1, &avro(1, 4 * EACH + 1));
    feeds[1].flush().expect("flush");
    decided([4 * EACH + 2, 2 * EACH + 3, 2 * EACH], 9);
    let letter = &sql
        .rows("SELECT reason, detail, payload FROM aqueduct.dead_letter ORDER BY id DESC LIMIT 1", &[])[0];
    let (reason, detail, payload): (String, String, Vec<u8>) = (letter.get(0), letter.get(1), letter.get(2));
    assert_eq!(reason, "unknown_schema");
    assert!(detail.contains("schema 9") && detail.contains("Schema not found"), "{detail}");
    assert_eq!(payload, avro(9, 4 * EACH), "the letter has the bytes as they came");
    assert_eq!(node.ledger("unaccounted"), 0);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    for topic in &topics[1..] {
        world.stack().delete_topic(topic).expect("delete the topic");
    }
}

#[test]
fn check_asks_the_registry_too_and_shows_no_password() {
    let world = World::shared();
    for topic in [format!("{}-avro", world.topic), format!("{}-protobuf", world.topic)] {
        world.stack().create_topic(&topic, 1, &[]).expect("a topic");
    }
    let check = |url: &str| {
        let file = world.write_topology(&FORMATS.replace("{registry}", url));
        let output = world.run(&["check", "--connect", file.to_str().expect("a plain path")]);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).expect("text");
        assert!(!said.contains("hunter2"), "{said}");
        said
    };
    let refusing = RegistryServer::start(&[UNAUTHORIZED]);
    let refused = check(&refusing.url().replace("http://", "http://ann:hunter2@"));
    assert!(
        refused.contains("T101") && refused.contains("check user and password in `connections.registry`"),
        "{refused}"
    );
    let address = refusing.address();
    drop(refusing);
    let away = check(&format!("http://{address}"));
    assert!(away.contains("T100") && away.contains("SCHEMA_REGISTRY_URL"), "{away}");
    let answering = RegistryServer::start(&[AVRO]);
    let fine = check(&answering.url());
    assert!(!fine.contains("registry at"), "{fine}");
    for topic in [format!("{}-avro", world.topic), format!("{}-protobuf", world.topic)] {
        world.stack().delete_topic(&topic).expect("delete the topic");
    }
}
