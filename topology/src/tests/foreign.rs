//! Words of other programs: each is answered with ours, at the place where its author would write it.

use super::read;
use crate::Code;
use crate::catalog::{
    BACKOFF, CASE, COMMON, CONNECTIONS, EVENT_TIME, EXPECT, FAULT, FIELD, FILE, FLUSH, FOREIGN, KAFKA, KINDS,
    Key, LINK, REDIS, SASL, SEND, SINK_EXPECT, SUPERVISOR, TEST, TIMESCALE, TLS,
};
use std::collections::BTreeSet;

/// What is said of `word` in `file`, where `HERE` stands for it.
fn answer(file: &str, word: &str) -> Option<(Code, String)> {
    let text = file.replace("HERE", word);
    let at = file.find("HERE").expect("a place for the word");
    let (_, diagnostics) = read(&text);
    let finding = diagnostics.into_iter().find(|finding| finding.span.start == at)?;
    Some((finding.code, finding.help.unwrap_or_default()))
}

fn all_answered(file: &str, words: &str) {
    for word in words.split_whitespace() {
        let (code, help) = answer(file, word).unwrap_or_else(|| panic!("`{word}` is let pass in {file}"));
        assert!(matches!(code, Code::ForeignWord | Code::UnknownKind), "`{word}` is {code:?}");
        assert!(help.starts_with("write ") && !help.starts_with("write one of"), "`{word}`: {help}");
    }
}

const REST: &str = "actors:\n  ticks: { kind: kafka_source, topic: t }\n  rows: { kind: normalizer, from: ticks, fields: { ts: { type: timestamp, path: /t } } }\n  sink: { kind: kafka_sink, from: rows, topic: o }\n";

#[test]
fn at_the_top_of_the_file() {
    let file = format!("HERE: {{ a: b }}\ntopology: demo\n{REST}");
    all_answered(
        &file,
        "sources transforms sinks data_dir api enrichment_tables secret schema log_schema timezone proxy acknowledgements",
    );
    all_answered(
        &file,
        "input pipeline output buffer cache_resources rate_limit_resources input_resources output_resources processor_resources metrics tracer logger http shutdown_timeout",
    );
    all_answered(
        &file,
        "agent global_tags inputs outputs processors aggregators secretstores inputs.kafka_consumer outputs.postgresql",
    );
}

#[test]
fn in_an_actor_of_a_kind_of_ours() {
    let source = "topology: demo\nactors:\n  ticks: { kind: kafka_source, topic: t, HERE: x }\n";
    all_answered(
        source,
        "type inputs topics group_id bootstrap_servers auto_offset_reset key_field offset_key librdkafka_options session_timeout_ms commit_interval_ms drain_timeout_ms decoding framing acknowledgements sasl tls",
    );
    all_answered(
        source,
        "label addresses seed_brokers consumer_group client_id rack_id start_from_oldest start_offset checkpoint_limit commit_period multi_header auto_replay_nacks codec processors",
    );
    all_answered(source, "brokers kafka_version data_format offset max_undelivered_messages name_override namepass tagexclude_of json_time_key sasl_username metric_buffer_limit interval".replace("tagexclude_of ", "").as_str());
    let sink = "topology: demo\nactors:\n  db: { kind: timescale_writer, from: x, table: a.b, HERE: x }\n";
    all_answered(sink, "encoding batch buffer request endpoint database compression healthcheck auth");
    all_answered(
        sink,
        "driver dsn columns args_mapping init_statement max_in_flight batching conflict_columns max_retries backoff",
    );
    all_answered(
        sink,
        "metric_batch_size metric_buffer_limit flush_interval flush_jitter connection table_template create_templates tagpass",
    );
    let rows = "topology: demo\nactors:\n  n: { kind: normalizer, from: x, fields: { a: { type: text, path: /a } }, HERE: x }\n";
    all_answered(
        rows,
        "source condition drop_on_abort drop_on_error reroute_dropped route mapping mutation bloblang check switch json_v2 tag_keys fielddrop timestamp_format unnest",
    );
}

#[test]
fn in_an_actor_of_another_programs_shape() {
    for word in ["group_id", "bootstrap_servers", "addresses", "topics", "data_format"] {
        let file = format!("topology: demo\nactors:\n  ticks: {{ type: kafka, {word}: x }}\n");
        let (_, diagnostics) = read(&file);
        let codes: Vec<&str> = diagnostics.iter().map(|finding| finding.code.id()).collect();
        assert_eq!(codes, ["T017", "T017"], "{word}: {diagnostics:?}");
    }
    let (_, diagnostics) =
        read("topology: demo\nactors:\n  ticks: { kafka_franz: { seed_brokers: [a:1] } }\n");
    assert_eq!(diagnostics[0].code, Code::MissingKey);
    assert!(diagnostics[0].help.as_ref().is_some_and(|help| help.contains("`kafka_source`")));
}

#[test]
fn as_a_kind() {
    let file = "topology: demo\nactors:\n  a: { kind: HERE, topic: t }\n";
    all_answered(
        file,
        "kafka file stdin demo_logs remap filter route reduce dedupe lua postgres redis console blackhole",
    );
    all_answered(
        file,
        "kafka_franz redpanda generate sql_insert sql_raw redis_hash mapping bloblang mutation unarchive switch branch cache drop",
    );
    all_answered(
        file,
        "kafka_consumer tail postgresql influxdb_v2 starlark converter parser basicstats mqtt_consumer inputs.kafka_consumer",
    );
}

#[test]
fn in_connections_supervisors_fields_and_tests() {
    let kafka = format!("topology: demo\nconnections: {{ kafka: {{ HERE: x }} }}\n{REST}");
    all_answered(&kafka, "bootstrap_servers brokers addresses seed_brokers security_protocol sasl_mechanism username ca_file_x".replace(" ca_file_x", "").as_str());
    let parts = format!("topology: demo\nconnections: {{ HERE: {{ a: b }} }}\n{REST}");
    all_answered(&parts, "postgres postgresql timescaledb redpanda");
    let field = "topology: demo\nactors:\n  n: { kind: normalizer, from: x, fields: { a: { type: text, path: /a, HERE: x } } }\n";
    all_answered(
        field,
        "kind pointer expression nullable required format timezone values json_path column rename default_value time_format enum",
    );
    let supervisor =
        format!("topology: demo\nsupervisors: {{ a: {{ children: [ticks], HERE: 1 }} }}\n{REST}");
    all_answered(&supervisor, "max_restarts max_seconds actors max_retries window restart_policy");
    let test = format!(
        "topology: demo\n{REST}tests:\n  - {{ name: a, expect: {{ ledger: {{ read: 0 }} }}, HERE: x }}\n"
    );
    all_answered(
        &test,
        "input inputs outputs insert_at target_processors input_batch output_batches no_outputs_from conditions mocks",
    );
}

#[test]
fn as_a_value() {
    for (file, ours) in [
        ("{ kind: kafka_source, topic: t, start: beginning }", "earliest"),
        ("{ kind: kafka_source, topic: t, start: newest }", "latest"),
        ("{ kind: kafka_source, topic: t, restart: always }", "permanent"),
        ("{ kind: kafka_source, topic: t, restart: on-failure }", "transient"),
        ("{ kind: normalizer, from: x, fields: { t: { type: timestamp, path: /t, unit: rfc3339 } } }", "iso"),
        ("{ kind: normalizer, from: x, fields: { t: { type: timestamp, path: /t, unit: unix } } }", "s"),
    ] {
        let (_, diagnostics) = read(&format!("topology: demo\nactors:\n  a: {file}\n"));
        let help = Some(format!("did you mean `{ours}`?"));
        assert!(diagnostics.iter().any(|finding| finding.help == help), "{file}: {diagnostics:?}");
    }
}

#[test]
fn a_file_of_telegraf_is_told_apart() {
    let (_, diagnostics) =
        read("# telegraf\n[agent]\n  interval = \"10s\"\n[[inputs.kafka_consumer]]\n  brokers = [\"a:1\"]\n");
    assert!(diagnostics[0].help.as_ref().is_some_and(|help| help.contains("TOML")), "{diagnostics:?}");
}

/// Our successors are words that are there: what is in backquotes begins with a key, a kind, a command, or a value.
#[test]
fn every_answer_names_a_word_of_ours() {
    let parts: [&[Key]; 22] = [
        FILE,
        CONNECTIONS,
        KAFKA,
        TIMESCALE,
        REDIS,
        TLS,
        SASL,
        SUPERVISOR,
        BACKOFF,
        COMMON,
        LINK,
        FIELD,
        CASE,
        EVENT_TIME,
        FLUSH,
        TEST,
        SEND,
        FAULT,
        EXPECT,
        SINK_EXPECT,
        crate::catalog::RECORD,
        crate::catalog::LETTER,
    ];
    let mut known: BTreeSet<&str> = parts.into_iter().flatten().map(|key| key.name).collect();
    known.extend(KINDS.iter().flat_map(|kind| kind.keys).map(|key| key.name));
    known.extend(KINDS.iter().map(|kind| kind.name));
    known.extend([
        "aqueduct",
        "admin",
        "log",
        "listen",
        "filter",
        "arbiters",
        "node",
        "headers",
        "postgres",
        "metrics",
        "explode",
        "start",
        "password_file",
    ]);
    // Those of a node's settings are tested with the settings.
    for foreign in
        FOREIGN.iter().copied().flatten().filter(|foreign| foreign.place != crate::catalog::Place::Settings)
    {
        for quoted in
            foreign.ours.split('`').skip(1).step_by(2).filter(|quoted| !quoted.starts_with(['$', '/']))
        {
            let word =
                quoted.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').find(|word| !word.is_empty());
            assert!(word.is_some_and(|word| known.contains(word)), "`{}`: `{quoted}`", foreign.word);
        }
    }
}

/// A word that is ours at a place is not foreign there.
#[test]
fn no_word_of_ours_is_foreign_at_the_top() {
    for foreign in FOREIGN.iter().copied().flatten() {
        let own: &[Key] = match foreign.place {
            crate::catalog::Place::File => FILE,
            crate::catalog::Place::Supervisor => SUPERVISOR,
            crate::catalog::Place::Field => FIELD,
            _ => continue,
        };
        assert!(own.iter().all(|key| key.name != foreign.word), "{}", foreign.word);
    }
}
