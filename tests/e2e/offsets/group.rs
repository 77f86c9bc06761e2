//! Offsets that the consumer group keeps, of topologies that write no rows: one for all sinks, and no fence.

use super::*;
use rdkafka::consumer::{BaseConsumer, Consumer};

/// Rows into a topic, rejects into another; no database anywhere.
const COPIES: &str = r#"
topology: copies-{topic}
connections: { kafka: { bootstrap: "${KAFKA_BOOTSTRAP}" } }
actors:
  ticks: { kind: kafka_source, topic: "{topic}" }
  trades:
    kind: normalizer
    from: ticks
    fields: { id: { type: int64, path: /id }, p: { type: "decimal(18,8)", path: /p } }
  copy: { kind: kafka_sink, from: trades, topic: "{out}" }
  dead_letter: { kind: dead_letter, topic: "{letters}" }
"#;

struct Copies {
    world: World,
    file: PathBuf,
    out: String,
    ends: BaseConsumer,
}

impl Copies {
    fn new() -> Self {
        Self::of("")
    }

    /// With these further options of the source.
    fn of(options: &str) -> Self {
        let world = World::shared();
        let (out, letters) = (world.stack().fresh_topic(1), world.stack().fresh_topic(1));
        let (out, letters) = (out.expect("a topic"), letters.expect("a topic"));
        let file = world.write_topology(
            &COPIES
                .replace("{out}", &out)
                .replace("{letters}", &letters)
                .replace("\"{topic}\" }", &format!("\"{{topic}}\"{options} }}")),
        );
        let ends = rdkafka::ClientConfig::new()
            .set("bootstrap.servers", world.stack().kafka_bootstrap())
            .create()
            .expect("a consumer");
        Self { world, file, out, ends }
    }

    /// Rows in the topic.
    fn copied(&self) -> u64 {
        self.ends.fetch_watermarks(&self.out, 0, Duration::from_secs(10)).expect("watermarks").1 as u64
    }

    /// Runs a node to the end, and waits until its member has left.
    fn run(&self) {
        run_to_the_end(&self.world, &self.file);
        wait::until("the group to be empty", BOUND, || {
            let stands = self.stands();
            stands.iter().all(|stand| stand["owned"] == false).then_some(())
        });
    }

    fn stands(&self) -> Vec<Value> {
        let stands = json(&self.world, &["offsets", "show", path(&self.file)]);
        stands.as_array().expect("lines").clone()
    }

    fn sum(&self, member: &str) -> i64 {
        self.stands().iter().map(|stand| stand[member].as_i64().expect("a number")).sum()
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        ["offsets", "reset", path(&self.file)].iter().chain(more).copied().collect()
    }

    /// What a reset says that is refused with `code`.
    fn refused(&self, code: i32, more: &[&str]) -> String {
        errors(&command(&self.world, code, &self.arguments(more)))
    }

    fn reset(&self, more: &[&str]) -> Value {
        json(&self.world, &self.arguments(more))
    }
}

/// The sum of a member over what was moved.
fn moved(report: &Value, member: &str) -> i64 {
    let moves = report["moves"].as_array().expect("moves");
    moves.iter().map(|one| one[member].as_i64().expect("a number")).sum()
}

#[test]
fn a_group_is_shown_and_goes_back_and_forward_with_the_same_words() {
    let copies = Copies::new();
    copies.world.send((1..=SENT).map(trade));
    let none = copies.refused(1, &["--to", "latest"]);
    assert!(none.contains("nothing has run yet, so `start` of the source says where it begins"), "{none}");
    assert_eq!(copies.stands().len(), 0, "nothing was told to the group");
    copies.run();
    assert_eq!(copies.copied(), SENT);
    assert_eq!((copies.sum("next_offset"), copies.sum("lag")), (SENT as i64, 0));
    let stands = copies.stands();
    assert_eq!((stands.len(), &stands[0]["sink"]), (PARTITIONS as usize, &"(the group)".into()));

    let back = copies.refused(1, &["--to", "earliest"]);
    assert!(
        back.contains("nothing was changed: 400 records before the stored offsets would be written again"),
        "{back}"
    );
    let dry = copies.reset(&["--to", "earliest", "--write-again", "--dry-run"]);
    assert_eq!((moved(&dry, "again"), &dry["dry_run"]), (SENT as i64, &true.into()), "{dry}");
    assert_eq!(copies.sum("next_offset"), SENT as i64, "a dry run changes nothing");
    let of_one = copies.reset(&["--to", "0", "--partition", "1", "--write-again"]);
    assert_eq!(of_one["moves"].as_array().map(Vec::len), Some(1), "{of_one}");
    let again = moved(&of_one, "again") as u64;
    assert_eq!(copies.sum("lag"), again as i64);
    copies.run();
    assert_eq!(copies.copied(), SENT + again, "as was agreed to");

    copies.world.send((SENT + 1..=SENT + 50).map(trade));
    let forward = copies.refused(1, &["--to", "latest"]);
    assert!(forward.contains("50 records after the stored offsets would never be read"), "{forward}");
    let skipped = copies.reset(&["--to", "latest", "--skip-unread"]);
    assert_eq!(moved(&skipped, "skipped"), 50, "{skipped}");
    copies.run();
    assert_eq!(
        (copies.copied(), copies.sum("lag")),
        (SENT + again, 0),
        "what was passed over is in no topic"
    );

    let time = jiff::Timestamp::from_millisecond(START_MS + 441).expect("a time").to_string();
    let since = copies.reset(&["--to", &time, "--write-again"]);
    assert_eq!(moved(&since, "again"), 10, "{since}");
    copies.run();
    assert_eq!(copies.copied(), SENT + again + 10);
}

#[test]
fn a_group_with_members_is_left_alone_and_has_no_fence() {
    let copies = Copies::new();
    copies.world.send((1..=SENT).map(trade));
    let node = Node::start(&copies.world, &copies.file, "owner", &[]);
    wait::until("every row", BOUND, || (copies.copied() == SENT).then_some(()));
    let owned = copies.refused(1, &["--to", "earliest", "--write-again"]);
    assert!(owned.contains("nothing was changed: the consumer group has members (aqueduct-"), "{owned}");
    for more in [["--fence", "--write-again"], ["--sink", "copy"]] {
        let arguments: Vec<&str> = ["--to", "earliest"].iter().chain(&more).copied().collect();
        let refused = copies.refused(64, &arguments);
        assert!(refused.contains("one for all sinks, and no fence"), "{refused}");
    }
    assert!(copies.stands().iter().all(|stand| stand["owned"] == true), "{:?}", copies.stands());
    node.kill();
    let lingering = copies.refused(1, &["--to", "earliest", "--write-again"]);
    assert!(lingering.contains("one that was killed leaves after its session of 10 s"), "{lingering}");
    wait::until("the group to be empty", BOUND, || {
        let output = copies.world.run(&copies.arguments(&["--to", "earliest", "--write-again"]));
        output.status.success().then_some(())
    });
    copies.run();
    assert_eq!((copies.copied(), copies.sum("lag")), (2 * SENT, 0));
}

/// Its members are not told, so it is the broker that refuses.
#[test]
fn a_group_of_the_newer_protocol_is_left_alone_too() {
    let copies = Copies::of(", group_protocol: consumer");
    copies.world.send((1..=SENT).map(trade));
    let node = Node::start(&copies.world, &copies.file, "owner", &[]);
    wait::until("every row", BOUND, || (copies.copied() == SENT).then_some(()));
    wait::until("offsets told to the group", BOUND, || (copies.stands().len() == 4).then_some(()));
    let owned = copies.refused(1, &["--to", "earliest", "--write-again"]);
    assert!(owned.contains("nothing was changed: the consumer group has members"), "{owned}");
    let note = "a group of this protocol does not tell its members";
    assert!(copies.stands().iter().all(|stand| stand["note"] == note), "{:?}", copies.stands());
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    assert_eq!(copies.sum("lag"), 0);
}
