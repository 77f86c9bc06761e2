-- What the migrations made, as the catalog described it when they had made it: `aqueduct migrate verify` holds it against
-- what is live. `aqueduct migrate up` notes it in the transaction of each file, and notes what that file changed alone, so
-- that what somebody alters by hand in between stays a difference.
CREATE TABLE aqueduct.schema_snapshot (
    thing      text        NOT NULL,
    object     text        NOT NULL,
    of_table   text,
    definition text        NOT NULL,
    "set"      text        NOT NULL,
    file       text,
    noted_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (thing, object)
);

COMMENT ON TABLE aqueduct.schema_snapshot IS 'what migrations made; see `aqueduct migrate verify`';
COMMENT ON COLUMN aqueduct.schema_snapshot.file IS 'the migration that made it so; null = it was applied before anybody noted it';

-- Who may look at it; may be run again at will.
CREATE FUNCTION aqueduct.grant_schema_snapshot()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    reads text;
BEGIN
    FOREACH reads IN ARRAY ARRAY['aqueduct_writer', 'aqueduct_reader', 'aqueduct_compliance'] LOOP
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = reads) THEN
            EXECUTE format('GRANT SELECT ON aqueduct.schema_snapshot TO %I', reads);
        END IF;
    END LOOP;
END
$$;

REVOKE ALL ON FUNCTION aqueduct.grant_schema_snapshot() FROM PUBLIC;

CREATE OR REPLACE FUNCTION aqueduct.grant_roles()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM aqueduct.grant_delivery();
    PERFORM aqueduct.grant_retention();
    PERFORM aqueduct.grant_backfills();
    PERFORM aqueduct.grant_schema_snapshot();
END
$$;

SELECT aqueduct.grant_roles();
