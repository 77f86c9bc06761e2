-- Drafted by `aqueduct migrate new` for topology `plant`: read it, change what should be
-- otherwise, then apply it with `aqueduct migrate up FILE`. Once applied, it must not change.

CREATE SCHEMA IF NOT EXISTS "plant";

-- The rows of actor `store`: its fields, in their order. A field that is neither optional nor filled by a
-- default is NOT NULL. No `IF NOT EXISTS`: a table of that name that is there already should be noticed.
CREATE TABLE "plant"."readings" (
    "ts"     timestamptz      NOT NULL,
    "device" text             NOT NULL,
    "metric" text             NOT NULL,
    "value"  double precision NOT NULL,
    "tags"   jsonb
);

-- A chunk a day: good while the indexes of the newest chunks fit into a quarter of the server's memory; take a
-- shorter interval for more rows. The index on the time, newest first, comes with it.
SELECT create_hypertable('"plant"."readings"', by_range('ts', INTERVAL '1 day'));

-- The business key (`unique`): a row that is there already is not written again. TimescaleDB wants the time among
-- its columns.
CREATE UNIQUE INDEX ON "plant"."readings" ("device", "metric", "ts");

-- For queries such as "the newest of one metric". Each index slows every write, so it is left to you:
-- CREATE INDEX ON "plant"."readings" ("metric", "ts" DESC);

-- What the roles of least privilege need, where they are: a node writes as a member of the first, whoever only
-- looks is one of the second.
DO $grants$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'aqueduct_writer') THEN
        GRANT USAGE ON SCHEMA "plant" TO aqueduct_writer;
        GRANT SELECT, INSERT ON "plant"."readings" TO aqueduct_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'aqueduct_reader') THEN
        GRANT USAGE ON SCHEMA "plant" TO aqueduct_reader;
        GRANT SELECT ON "plant"."readings" TO aqueduct_reader;
    END IF;
END
$grants$;
