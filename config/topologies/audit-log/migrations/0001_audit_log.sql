-- Drafted by `aqueduct migrate new` for topology `audit-log`: read it, change what should be
-- otherwise, then apply it with `aqueduct migrate up FILE`. Once applied, it must not change.

CREATE SCHEMA IF NOT EXISTS "audit";

-- The rows of actor `log`: its fields, in their order. A field that is neither optional nor filled by a
-- default is NOT NULL. No `IF NOT EXISTS`: a table of that name that is there already should be noticed.
CREATE TABLE "audit"."log" (
    "at"          timestamptz NOT NULL,
    "id"          text        NOT NULL,
    "service"     text,
    "actor_kind"  text        NOT NULL,
    "actor"       text        NOT NULL,
    "action"      text        NOT NULL,
    "target_type" text,
    "target"      text,
    "outcome"     text        NOT NULL,
    "detail"      jsonb
);

-- A chunk a day: good while the indexes of the newest chunks fit into a quarter of the server's memory; take a
-- shorter interval for more rows. The index on the time, newest first, comes with it.
SELECT create_hypertable('"audit"."log"', by_range('at', INTERVAL '1 day'));

-- The business key (`unique`): a row that is there already is not written again. TimescaleDB wants the time among
-- its columns.
CREATE UNIQUE INDEX ON "audit"."log" ("id", "at");

-- For queries such as "the newest of one service". Each index slows every write, so it is left to you:
-- CREATE INDEX ON "audit"."log" ("service", "at" DESC);

-- What the roles of least privilege need, where they are: a node writes as a member of the first, whoever only
-- looks is one of the second.
DO $grants$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'aqueduct_writer') THEN
        GRANT USAGE ON SCHEMA "audit" TO aqueduct_writer;
        GRANT SELECT, INSERT ON "audit"."log" TO aqueduct_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'aqueduct_reader') THEN
        GRANT USAGE ON SCHEMA "audit" TO aqueduct_reader;
        GRANT SELECT ON "audit"."log" TO aqueduct_reader;
    END IF;
END
$grants$;
