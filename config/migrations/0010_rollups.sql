-- Roll-ups: tables of aggregates, and how far each of them is. A step of one and its row here are one transaction, so no
-- bucket is made from rows that were read at another time than `done_to` says.
CREATE TABLE aqueduct.rollups (
    topology      text        NOT NULL,
    schedule      text        NOT NULL,
    source_schema text        NOT NULL,
    source_table  text        NOT NULL,
    target        text        NOT NULL,
    form          text        NOT NULL,
    lateness      interval    NOT NULL CHECK (lateness >= interval '0'),
    done_to       timestamptz,
    node          text        NOT NULL,
    since         timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topology, schedule)
);

CREATE INDEX rollups_source ON aqueduct.rollups (source_schema, source_table);

COMMENT ON TABLE aqueduct.rollups IS 'how far tables of aggregates are; nothing that they still have to read is dropped';
COMMENT ON COLUMN aqueduct.rollups.form IS 'what is made of what; another form begins anew';
COMMENT ON COLUMN aqueduct.rollups.done_to IS 'rows before this event time are in the target; null = none yet';

-- Drops the oldest slice of a hypertable's time that is past its retention and not held, and gives the line that says so;
-- no line = there is none. One slice a call, so that whoever is cut off in between has dropped what the log says.
--
-- `asked_at` is the caller's own time: what is past is past for the clocks of both, so that one of them cannot empty a table
-- by being wrong. What a roll-up still has to read, or to read again for late rows, stays. Whoever owns this function must own
-- the hypertable.
CREATE OR REPLACE FUNCTION aqueduct.drop_past(
    topology text, node text, of_schema text, of_table text, retention interval, asked_at timestamptz
)
RETURNS SETOF aqueduct.retention_log
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $$
DECLARE
    home name;
    target regclass;
    divided_by record;
    slice record;
    line aqueduct.retention_log;
    chunk text;
    counted bigint;
    dropped bigint;
BEGIN
    IF retention IS NULL OR retention < interval '1 second' THEN
        RAISE EXCEPTION 'a retention is a second at least' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    target := to_regclass(format('%I.%I', of_schema, of_table));
    IF target IS NULL THEN
        RAISE EXCEPTION 'there is no table %.%', of_schema, of_table USING ERRCODE = 'undefined_table';
    END IF;
    SELECT n.nspname INTO home
        FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb';
    IF home IS NULL THEN
        RAISE EXCEPTION 'the database has no TimescaleDB' USING ERRCODE = 'feature_not_supported';
    END IF;
    SELECT d.column_name, d.column_type INTO divided_by
        FROM timescaledb_information.dimensions AS d
        WHERE d.hypertable_schema = of_schema AND d.hypertable_name = of_table AND d.dimension_number = 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION '%.% is no hypertable, so it has no chunks to drop', of_schema, of_table
            USING ERRCODE = 'wrong_object_type';
    END IF;
    IF divided_by.column_type <> 'timestamptz'::regtype THEN
        RAISE EXCEPTION '%.% is divided by %, which is % and not timestamptz', of_schema, of_table,
            divided_by.column_name, divided_by.column_type USING ERRCODE = 'wrong_object_type';
    END IF;

    -- A hold that is being placed is waited for, and one that comes later waits for us.
    LOCK TABLE aqueduct.legal_holds IN SHARE MODE;
    SELECT c.range_start AS from_time, c.range_end AS to_time,
           array_agg(format('%I.%I', c.chunk_schema, c.chunk_name) ORDER BY c.chunk_name) AS chunks
        INTO slice
        FROM timescaledb_information.chunks AS c
        WHERE c.hypertable_schema = of_schema AND c.hypertable_name = of_table
          AND c.range_end <= least(asked_at, clock_timestamp()) - retention
          AND NOT EXISTS (
              SELECT FROM aqueduct.rollups AS r
              WHERE r.source_schema = of_schema AND r.source_table = of_table
                AND c.range_end > coalesce(r.done_to, '-infinity') - r.lateness)
          AND NOT EXISTS (
              SELECT FROM aqueduct.legal_holds AS h
              WHERE h.released_at IS NULL AND h.from_time < c.range_end AND h.to_time > c.range_start
                AND (h.table_name IS NULL OR (h.schema_name = of_schema AND h.table_name = of_table)))
        GROUP BY 1, 2 ORDER BY 1 LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    line.rows := 0;
    line.bytes := 0;
    FOREACH chunk IN ARRAY slice.chunks LOOP
        -- From here on nobody adds a row that would go uncounted.
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', chunk);
        EXECUTE format('SELECT count(*) FROM %s', chunk) INTO counted;
        line.rows := line.rows + counted;
        line.bytes := line.bytes + pg_total_relation_size(chunk::regclass);
    END LOOP;
    EXECUTE format('SELECT count(*) FROM %I.drop_chunks($1, older_than => $2, newer_than => $3)', home)
        INTO dropped USING target, slice.to_time, slice.from_time;
    IF dropped <> cardinality(slice.chunks) THEN
        RAISE EXCEPTION '% chunks of %.% were to be dropped, and % were', cardinality(slice.chunks), of_schema, of_table,
            dropped USING ERRCODE = 'internal_error';
    END IF;
    INSERT INTO aqueduct.retention_log
            (topology, node, schema_name, table_name, from_time, to_time, retention, chunks, rows, bytes)
        VALUES (drop_past.topology, drop_past.node, of_schema, of_table, slice.from_time, slice.to_time,
                drop_past.retention, slice.chunks, line.rows, line.bytes)
        RETURNING * INTO line;
    RETURN NEXT line;
END
$$;

-- What the roles may do about roll-ups and scheduled exports, as far as they exist; may be run again at will.
CREATE FUNCTION aqueduct.grant_rollups()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'aqueduct_writer') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON aqueduct.rollups TO aqueduct_writer;
        GRANT SELECT ON aqueduct.exports TO aqueduct_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'aqueduct_reader') THEN
        GRANT SELECT ON aqueduct.rollups TO aqueduct_reader;
    END IF;
END
$$;

REVOKE ALL ON FUNCTION aqueduct.grant_rollups() FROM PUBLIC;

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
    PERFORM aqueduct.grant_rollups();
END
$$;

SELECT aqueduct.grant_roles();
