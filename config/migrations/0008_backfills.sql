-- Backfills: who fills which range of which table again, from where, and how far it came.
--
-- One is `running` from its beginning until it is done or given up. Whether anybody works at it is told by a lock of that
-- session, and not by the row: whoever gives the same command takes it up where its offsets stand. What it has added is
-- counted in the transaction of the rows.
CREATE TABLE aqueduct.backfills (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topology     text        NOT NULL,
    sink         text        NOT NULL,
    target       text        NOT NULL,
    from_time    timestamptz NOT NULL,
    to_time      timestamptz NOT NULL,
    origin       text        NOT NULL,
    mode         text        NOT NULL CHECK (mode IN ('into_empty', 'replace', 'unique', 'looked_up')),
    key          text[]      NOT NULL DEFAULT '{}',
    plan         jsonb       NOT NULL,
    state        text        NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'abandoned')),
    rows_before  bigint      NOT NULL CHECK (rows_before >= 0),
    rows_deleted bigint      NOT NULL DEFAULT 0 CHECK (rows_deleted >= 0),
    rows_added   bigint      NOT NULL DEFAULT 0 CHECK (rows_added >= 0),
    rows_there   bigint      NOT NULL DEFAULT 0 CHECK (rows_there >= 0),
    rows_after   bigint      CHECK (rows_after >= 0),
    attempts     integer     NOT NULL DEFAULT 1 CHECK (attempts > 0),
    who          text        NOT NULL DEFAULT session_user,
    node         text        NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at     timestamptz,
    CHECK (from_time < to_time)
);

CREATE INDEX backfills_running ON aqueduct.backfills (topology, target, id) WHERE state = 'running';

COMMENT ON TABLE aqueduct.backfills IS 'ranges of tables that were filled again: `aqueduct backfill`';
COMMENT ON COLUMN aqueduct.backfills.origin IS 'kafka, or a file with its checksum';
COMMENT ON COLUMN aqueduct.backfills.plan IS 'the offsets that are read, by partition';
COMMENT ON COLUMN aqueduct.backfills.rows_there IS 'rows that the table had already, by the key';
COMMENT ON COLUMN aqueduct.backfills.who IS 'the user that logged in; nobody may say otherwise';

-- Takes the offsets of a backfill away that is done or given up, but not while letters of it wait: by its offsets it is known
-- that nobody will judge their records again. A writer may not delete offsets; it may ask for this.
CREATE FUNCTION aqueduct.forget_backfill(whose text, backfill bigint)
RETURNS integer
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH gone AS (
        DELETE FROM aqueduct.offsets AS o USING aqueduct.backfills AS b
        WHERE b.topology = whose AND b.id = backfill AND b.state <> 'running'
          AND o.topology = b.topology AND starts_with(o.input, 'backfill:' || b.id || ':')
          AND NOT EXISTS (SELECT FROM aqueduct.dead_letter AS l
                          WHERE l.topology = o.topology AND l.source = o.input AND l.replayed_at IS NULL)
        RETURNING 1)
    SELECT count(*)::integer FROM gone
$$;

REVOKE ALL ON FUNCTION aqueduct.forget_backfill(text, bigint) FROM PUBLIC;

-- What the roles may do about backfills, as far as they exist; may be run again at will.
CREATE FUNCTION aqueduct.grant_backfills()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'aqueduct_writer') THEN
        GRANT SELECT,
              INSERT (topology, sink, target, from_time, to_time, origin, mode, key, plan, rows_before, rows_deleted, node),
              UPDATE (state, rows_added, rows_there, rows_after, attempts, node, updated_at, ended_at)
            ON aqueduct.backfills TO aqueduct_writer;
        GRANT EXECUTE ON FUNCTION aqueduct.forget_backfill(text, bigint) TO aqueduct_writer;
    END IF;
END
$$;

REVOKE ALL ON FUNCTION aqueduct.grant_backfills() FROM PUBLIC;

CREATE OR REPLACE FUNCTION aqueduct.grant_roles()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM aqueduct.grant_delivery();
    PERFORM aqueduct.grant_retention();
    PERFORM aqueduct.grant_backfills();
END
$$;

SELECT aqueduct.grant_roles();
