-- Drafted by `aqueduct migrate new` for topology `orders`: read it, change what should be
-- otherwise, then apply it with `aqueduct migrate up FILE`. Once applied, it must not change.

CREATE SCHEMA IF NOT EXISTS "market";

-- The rows of actor `history`: its fields, in their order. A field that is neither optional nor filled by a
-- default is NOT NULL. No `IF NOT EXISTS`: a table of that name that is there already should be noticed.
CREATE TABLE "market"."order_legs" (
    "ts"       timestamptz   NOT NULL,
    "order_id" text          NOT NULL,
    "symbol"   text          NOT NULL,
    "qty"      numeric(18,8) NOT NULL,
    "price"    numeric(18,8)
);

-- A chunk a day: good while the indexes of the newest chunks fit into a quarter of the server's memory; take a
-- shorter interval for more rows. The index on the time, newest first, comes with it.
SELECT create_hypertable('"market"."order_legs"', by_range('ts', INTERVAL '1 day'));

-- For queries such as "the newest of one symbol". Each index slows every write, so it is left to you:
-- CREATE INDEX ON "market"."order_legs" ("symbol", "ts" DESC);

-- What the roles of least privilege need, where they are: a node writes as a member of the first, whoever only
-- looks is one of the second.
DO $grants$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'aqueduct_writer') THEN
        GRANT USAGE ON SCHEMA "market" TO aqueduct_writer;
        GRANT SELECT, INSERT ON "market"."order_legs" TO aqueduct_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'aqueduct_reader') THEN
        GRANT USAGE ON SCHEMA "market" TO aqueduct_reader;
        GRANT SELECT ON "market"."order_legs" TO aqueduct_reader;
    END IF;
END
$grants$;
