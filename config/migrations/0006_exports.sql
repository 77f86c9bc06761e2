-- Exports as a record of what left the database: who, what, where to, how far it came. And the role they read with.
--
-- A run is `running` from its first attempt on. Whether anybody works at it is told by a lock of that session, which ends
-- with it, and not by the row: one whose session is gone is taken up by the next command for the same range and place.
ALTER TABLE aqueduct.exports
    ADD COLUMN state        text    NOT NULL DEFAULT 'published'
        CHECK (state IN ('running', 'published', 'failed', 'abandoned')),
    ADD COLUMN late         boolean NOT NULL DEFAULT false,
    ADD COLUMN partition_by text[]  NOT NULL DEFAULT '{day}',
    ADD COLUMN files        bigint  CHECK (files >= 0),
    ADD COLUMN bytes        bigint  CHECK (bytes >= 0),
    ADD COLUMN watermark    jsonb,
    ADD COLUMN attempts     integer NOT NULL DEFAULT 1 CHECK (attempts > 0),
    ADD COLUMN who          text    NOT NULL DEFAULT session_user,
    ADD COLUMN message      text,
    ALTER COLUMN rows       DROP NOT NULL,
    ALTER COLUMN checksum   DROP NOT NULL,
    ALTER COLUMN ended_at   DROP NOT NULL,
    ALTER COLUMN ended_at   DROP DEFAULT,
    ALTER COLUMN started_at SET DEFAULT clock_timestamp();

CREATE INDEX exports_running ON aqueduct.exports (destination, id) WHERE state IN ('running', 'failed');

COMMENT ON COLUMN aqueduct.exports.target IS 'the table';
COMMENT ON COLUMN aqueduct.exports.checksum IS 'SHA-256 of the manifest that was published';
COMMENT ON COLUMN aqueduct.exports.watermark IS 'what was known of rows still to come; null where somebody said that none come';
COMMENT ON COLUMN aqueduct.exports.who IS 'the user that logged in; nobody may say otherwise';
COMMENT ON COLUMN aqueduct.exports.attempts IS 'how often somebody worked at it';

-- The role reads the tables that somebody has granted it, one by one: what may leave the database is a decision.
DO $role$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'aqueduct_export') THEN
        CREATE ROLE aqueduct_export NOLOGIN;
    END IF;
EXCEPTION
    -- Another database of this server was migrated at the same time.
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE WARNING 'role aqueduct_export does not exist, and % may not create it; once somebody has, run SELECT aqueduct.grant_export()',
            current_user;
END
$role$;

-- What the role may do in schema `aqueduct`: look where sinks stand, and keep the record of its runs. May be run again.
CREATE FUNCTION aqueduct.grant_export()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'aqueduct_export') THEN
        GRANT USAGE ON SCHEMA aqueduct TO aqueduct_export;
        GRANT SELECT ON aqueduct.offsets, aqueduct.migrations, aqueduct.exports TO aqueduct_export;
        GRANT INSERT (topology, target, destination, from_time, to_time, state, late, partition_by, watermark, node),
              UPDATE (state, rows, files, bytes, checksum, manifest, watermark, attempts, node, ended_at, message)
            ON aqueduct.exports TO aqueduct_export;
    END IF;
END
$$;

REVOKE ALL ON FUNCTION aqueduct.grant_export() FROM PUBLIC;

SELECT aqueduct.grant_export();
