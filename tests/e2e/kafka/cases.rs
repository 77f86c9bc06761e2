//! What only a real broker shows.

use super::source::{Node, Table, Told, key, produce, until};
use aqueduct_engine::State;
use aqueduct_engine::telemetry::StoredOffset;
use aqueduct_topology::model::{GroupProtocol, Membership};
use futures::future::join;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::sync::Arc;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(30);

/// Two nodes share the topic while it is written; one leaves and comes back; every record is in the table once.
pub async fn nodes_come_and_go(told: Told, partitions: i32) {
    const EACH: usize = 20_000;
    let table = Arc::new(Table::default());
    let total = EACH * partitions as usize;
    let feed = {
        let told = told.clone();
        std::thread::spawn(move || {
            for round in 0..20 {
                for partition in 0..partitions {
                    let first = round * EACH / 20;
                    produce(&told, partition, (first..first + EACH / 20).map(|value| value.to_string()));
                }
            }
        })
    };
    let second = Told { node: "b", ..told.clone() };
    let first = Node::new(&told, &table).run(async |probe| {
        until("the first node has partitions", || !probe.claims().all().is_empty()).await;
        until("all is written", || table.count() >= total).await;
    });
    let others = async {
        until("the first node is at work", || table.count() > total / 20).await;
        for _ in 0..2 {
            let before = table.count();
            let node = Node::new(&second, &table).run(async |probe| {
                until("the second node has partitions", || !probe.claims().all().is_empty()).await;
                until("it goes on", || table.count() > (before + total / 20).min(total - 1)).await;
            });
            node.await;
        }
    };
    join(first, others).await;
    feed.join().expect("the feed ends well");
    for partition in 0..partitions {
        let rows = table.rows(partition);
        let values: Vec<String> =
            rows.iter().map(|(_, value)| String::from_utf8_lossy(value).into()).collect();
        let expected: Vec<String> = (0..EACH).map(|value| value.to_string()).collect();
        assert!(values == expected, "partition {partition} holds {} rows", values.len());
    }
}

/// Ten megabytes, a tombstone, headers, a null key, a time: as they were sent.
pub async fn a_record_arrives_as_it_was_sent(told: Told) {
    let table = Arc::new(Table::default());
    let large = "x".repeat(10 * 1024 * 1024);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &told.bootstrap)
        .set("message.max.bytes", "16000000")
        .create()
        .unwrap();
    let headers = OwnedHeaders::new()
        .insert(Header { key: "h", value: Some("1") })
        .insert(Header::<&str> { key: "h", value: None });
    let sent = [
        BaseRecord::<str, str>::to(&told.topic).key("k").timestamp(1_723_107_600_123).headers(headers),
        BaseRecord::to(&told.topic).payload(large.as_str()),
        BaseRecord::to(&told.topic).key("").payload(""),
    ];
    for record in sent {
        producer.send(record.partition(0)).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(WAIT).unwrap();
    let node = Node::new(&told, &table).run(async |probe| {
        until("three records", || table.count() == 3).await;
        let batches = probe.received();
        let raw: Vec<_> = batches
            .iter()
            .flat_map(|batch| (0..batch.raw.len()).map(|index| batch.raw.slice(index, 1)))
            .collect();
        assert_eq!((raw[0].key(0), raw[0].value(0)), (Some(&b"k"[..]), None));
        assert_eq!(raw[0].time_ms(0), Some(1_723_107_600_123));
        let headers = &raw[0].headers.as_ref().unwrap()[0];
        assert_eq!(*headers, vec![("h".into(), Some(b"1".to_vec())), ("h".into(), None)]);
        assert_eq!((raw[1].key(0), raw[1].value(0)), (None, Some(large.as_bytes())));
        assert_eq!((raw[2].key(0), raw[2].value(0)), (Some(&b""[..]), Some(&b""[..])));
    });
    node.await;
}

/// Committed records come, aborted ones do not, and the offset passes the markers of both.
pub async fn markers_of_transactions_are_passed(told: Told) {
    let table = Arc::new(Table::default());
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &told.bootstrap)
        .set("transactional.id", format!("tx-{}", told.topic))
        .create()
        .unwrap();
    producer.init_transactions(WAIT).unwrap();
    for (value, commit) in [("kept", true), ("aborted", false)] {
        producer.begin_transaction().unwrap();
        let record = BaseRecord::<(), str>::to(&told.topic).partition(0).payload(value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(WAIT).unwrap();
        if commit {
            producer.commit_transaction(WAIT).unwrap();
        } else {
            producer.abort_transaction(WAIT).unwrap();
        }
    }
    let asked = aqueduct_engine::Clock::system().now();
    let stored = StoredOffset { next: 4, epoch: 1, resting: Duration::ZERO, asked };
    let node = Node::new(&told, &table).run(async |probe| {
        until("the end is passed", || table.next(0) == Some(4)).await;
        until("no lag is left", || {
            probe.status().lag().stored(&key(&told, 0).topic, 0, stored);
            probe.status().lag().records() == 0 && probe.status().is_caught_up()
        })
        .await;
    });
    node.await;
    assert_eq!(table.rows(0), [(0, b"kept".to_vec())]);
}

/// The topic is not there yet: the source says how to create it, and goes on when it is.
pub async fn a_missing_topic_is_waited_for(told: Told, create: impl FnOnce()) {
    let table = Arc::new(Table::default());
    let node = Node::new(&told, &table).run(async |probe| {
        until("the source says what is missing", || {
            let state = probe.status().state().0;
            matches!(state, State::Waiting { class: "config", reason } if reason.contains("--create --topic"))
        })
        .await;
        create();
        produce(&told, 0, ["1".to_owned()].into_iter());
        until("the record", || table.count() == 1).await;
        until("running", || probe.status().state().0 == State::Running).await;
    });
    node.await;
}

/// Two members of one name: the older leaves for good and says why; the younger reads.
pub async fn the_older_of_two_members_of_one_name_leaves(told: Told) {
    let table = Arc::new(Table::default());
    produce(&told, 0, (0..10).map(|value| value.to_string()));
    let older = Node::new(&told, &table).run(async |probe| {
        until("the older reads", || table.count() == 10).await;
        until("the older is fenced by its name", || {
            matches!(probe.status().state().0, State::Fenced { reason } if reason.contains("fenced_by_name"))
        })
        .await;
    });
    let younger = async {
        until("the older reads", || table.count() == 10).await;
        let node = Node::new(&told, &table).run(async |_| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            produce(&told, 0, (10..20).map(|value| value.to_string()));
            until("the younger reads", || table.count() == 20).await;
        });
        node.await;
    };
    join(older, younger).await;
}

/// The broker stands still for a while and goes on: nothing is lost.
pub async fn a_broker_that_stands_still_is_waited_for(
    told: Told,
    pause: impl FnOnce(),
    resume: impl FnOnce(),
) {
    let table = Arc::new(Table::default());
    produce(&told, 0, (0..1000).map(|value| value.to_string()));
    let node = Node::new(&told, &table).run(async |probe| {
        until("the first thousand", || table.count() == 1000).await;
        pause();
        until("the source waits", || matches!(probe.status().state().0, State::Waiting { .. })).await;
        resume();
        produce(&told, 0, (1000..2000).map(|value| value.to_string()));
        until("the second thousand", || table.count() == 2000).await;
        until("running", || probe.status().state().0 == State::Running).await;
    });
    node.await;
}

/// Records were deleted under a source that was away: it says so and reads nothing, until somebody has decided.
pub async fn what_the_log_no_longer_has_is_decided_by_somebody(
    told: Told,
    delete_below: impl AsyncFnOnce(i64),
) {
    let table = Arc::new(Table::default());
    produce(&told, 0, (0..100).map(|value| value.to_string()));
    Node::new(&told, &table).run(async |_| until("a hundred", || table.count() == 100).await).await;
    produce(&told, 0, (100..200).map(|value| value.to_string()));
    delete_below(150).await;
    let node = Node::new(&told, &table).run(async |probe| {
        until("the source says what is gone", || waits_for_decision(&probe.status().state().0, "50 records"))
            .await;
        assert_eq!(table.count(), 100);
        table.reset(0, 150);
        until("what is left", || table.count() == 150).await;
        until("running", || probe.status().state().0 == State::Running).await;
    });
    node.await;
    assert_eq!(table.rows(0)[100].0, 150);
    assert_eq!(table.next(0), Some(200));
}

/// The log moves past a source that is held up: what was read before is written, the rest waits for somebody.
pub async fn a_log_that_moves_past_a_reader_is_decided_by_somebody(
    told: Told,
    delete_below: impl AsyncFnOnce(i64),
) {
    const SENT: i64 = 40_000;
    const KEPT_FROM: i64 = 39_900;
    let table = Arc::new(Table::default());
    let padding = "x".repeat(1000);
    produce(&told, 0, (0..SENT).map(|value| format!("{value} {padding}")));
    let node = Node::narrow(&told, &table);
    let mut stood = 0;
    let node = node.run(async |probe| {
        probe.hold_outputs(true);
        until("the links are full", || probe.status().blocked_total() > Duration::from_millis(100)).await;
        // Longer than a full link is waited for: what the client has fetched is thrown away.
        tokio::time::sleep(Duration::from_millis(500)).await;
        delete_below(KEPT_FROM).await;
        probe.hold_outputs(false);
        until("the source says what is gone", || waits_for_decision(&probe.status().state().0, "are gone"))
            .await;
        until("what was read is written", || probe.ledger().rows().iter().all(|row| row.in_flight == 0))
            .await;
        stood = table.next(0).expect("an offset");
        assert_eq!(table.count() as i64, stood, "all that was read is there");
        assert!(stood < KEPT_FROM);
        table.reset(0, KEPT_FROM);
        until("the end", || table.next(0) == Some(SENT)).await;
        until("running", || probe.status().state().0 == State::Running).await;
    });
    node.await;
    let rows = table.rows(0);
    assert_eq!(rows.len() as i64, stood + SENT - KEPT_FROM);
    assert!((KEPT_FROM..SENT).all(|offset| rows.iter().any(|row| row.0 == offset)));
}

fn waits_for_decision(state: &State, what: &str) -> bool {
    matches!(state, State::Waiting { class: "config", reason } if reason.contains(what))
}

/// Every way to take part in a group.
pub const MEMBERS: [(GroupProtocol, Membership); 4] = [
    (GroupProtocol::Classic, Membership::Static),
    (GroupProtocol::Classic, Membership::Dynamic),
    (GroupProtocol::Consumer, Membership::Static),
    (GroupProtocol::Consumer, Membership::Dynamic),
];
