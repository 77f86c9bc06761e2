-- What operations leave behind for those who ask later: exports and drills.
CREATE TABLE aqueduct.exports (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topology    text        NOT NULL,
    target      text        NOT NULL,
    destination text        NOT NULL,
    from_time   timestamptz NOT NULL,
    to_time     timestamptz NOT NULL,
    rows        bigint      NOT NULL CHECK (rows >= 0),
    checksum    text        NOT NULL,
    manifest    jsonb       NOT NULL DEFAULT '{}',
    node        text        NOT NULL,
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (from_time < to_time)
);

CREATE INDEX exports_target ON aqueduct.exports (topology, target, from_time);

CREATE TABLE aqueduct.drills (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topology    text        NOT NULL,
    drill       text        NOT NULL,
    passed      boolean     NOT NULL,
    report      jsonb       NOT NULL DEFAULT '{}',
    node        text        NOT NULL,
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX drills_drill ON aqueduct.drills (drill, ended_at);
