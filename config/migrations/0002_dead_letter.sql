-- Records that were rejected, with their bytes as they came.
--
-- The key says that judging a record again stores nothing twice. `row_index` is the row within its message, 0 when the
-- whole message was rejected.
CREATE TABLE aqueduct.dead_letter (
    topology    text        NOT NULL,
    actor       text        NOT NULL,
    source      text        NOT NULL,
    topic       text        NOT NULL,
    partition   integer     NOT NULL,
    "offset"    bigint      NOT NULL,
    row_index   integer     NOT NULL,
    epoch       bigint      NOT NULL,
    class       text        NOT NULL,
    reason      text        NOT NULL,
    detail      text        NOT NULL,
    key         bytea,
    payload     bytea,
    headers     jsonb       NOT NULL DEFAULT '[]',
    record_time timestamptz,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    node        text        NOT NULL,
    id          bigint      GENERATED ALWAYS AS IDENTITY,
    replayed_at timestamptz,
    PRIMARY KEY (topology, actor, topic, partition, "offset", row_index)
);

-- Payloads are read one at a time, by people: store them out of line, as they are.
ALTER TABLE aqueduct.dead_letter ALTER COLUMN payload SET STORAGE EXTERNAL;

CREATE INDEX dead_letter_partition ON aqueduct.dead_letter (topology, source, topic, partition, "offset");
CREATE UNIQUE INDEX dead_letter_id ON aqueduct.dead_letter (id);
CREATE INDEX dead_letter_at ON aqueduct.dead_letter (topology, at);

COMMENT ON TABLE aqueduct.dead_letter IS 'rejected records: list and replay them with `aqueduct dlq`';
COMMENT ON COLUMN aqueduct.dead_letter.headers IS 'array of {name, value}; a value that is no text is {name, base64}';
