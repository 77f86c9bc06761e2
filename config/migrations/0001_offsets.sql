-- Where every sink stands, beside the rows it wrote.
--
-- One row per (topology, sink, input, topic, partition). A claim raises `epoch` and sets `owner`; a writer moves
-- `next_offset` only where both are still its own, in the transaction that holds its rows.
CREATE TABLE aqueduct.offsets (
    topology    text        NOT NULL,
    sink        text        NOT NULL,
    input       text        NOT NULL,
    topic       text        NOT NULL,
    partition   integer     NOT NULL CHECK (partition >= 0),
    epoch       bigint      NOT NULL CHECK (epoch > 0),
    owner       uuid        NOT NULL,
    next_offset bigint      NOT NULL CHECK (next_offset >= 0),
    target      text        NOT NULL,
    required    boolean     NOT NULL,
    snapshot    bytea,
    skipped     bigint      NOT NULL DEFAULT 0,
    node        text        NOT NULL,
    session     text        NOT NULL,
    claimed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topology, sink, input, topic, partition)
)
-- Few rows, updated many times a second: room on the page keeps updates out of the index, and vacuum comes early.
WITH (fillfactor = 20, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

COMMENT ON TABLE aqueduct.offsets IS 'the next offset each sink needs, and who owns the partition';
COMMENT ON COLUMN aqueduct.offsets.input IS 'identity of the source actor';
COMMENT ON COLUMN aqueduct.offsets.target IS 'the table, key or topic this sink feeds; nobody else may';
COMMENT ON COLUMN aqueduct.offsets.skipped IS 'records this sink will never see: gone from the log, or beyond the healing bound';
COMMENT ON COLUMN aqueduct.offsets.session IS 'application_name of the owner''s sessions';

-- Ends sessions a former owner left behind. A session stopped inside COPY holds its locks, and no timeout of the
-- server reaches it; only this does. It reaches sessions of the named applications alone, in this database, of a role
-- the caller is a member of; the definer lends its right to see and to signal them.
CREATE FUNCTION aqueduct.end_sessions(names text[])
RETURNS integer
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT count(*) FILTER (WHERE pg_terminate_backend(a.pid))::integer
    FROM pg_stat_activity AS a
    WHERE a.application_name = ANY (names)
      AND a.application_name LIKE 'aqueduct/%'
      AND a.datname = current_database()
      AND a.pid <> pg_backend_pid()
      AND a.xact_start IS NOT NULL
      AND pg_has_role(session_user, a.usesysid, 'MEMBER')
$$;

REVOKE ALL ON FUNCTION aqueduct.end_sessions(text[]) FROM PUBLIC;
