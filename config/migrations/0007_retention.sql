-- How long rows are kept: the one way in which a node drops old chunks, what forbids it, and evidence of every drop.
--
-- A drop and its line in `aqueduct.retention_log` are one statement, so neither is ever without the other. Three roles keep
-- three concerns apart, and none of them logs in:
--     aqueduct_writer      runs topologies; it drops nothing
--     aqueduct_retention   drops what is past its retention, through `aqueduct.drop_past` alone: of the user whose nodes
--                          have a schedule with `run: retention`
--     aqueduct_compliance  places and releases legal holds, which every drop obeys
CREATE TABLE aqueduct.retention_log (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    who         text        NOT NULL DEFAULT session_user,
    topology    text        NOT NULL,
    node        text        NOT NULL,
    schema_name text        NOT NULL,
    table_name  text        NOT NULL,
    from_time   timestamptz NOT NULL,
    to_time     timestamptz NOT NULL,
    retention   interval    NOT NULL,
    chunks      text[]      NOT NULL CHECK (cardinality(chunks) > 0),
    rows        bigint      NOT NULL CHECK (rows >= 0),
    bytes       bigint      NOT NULL CHECK (bytes >= 0),
    CHECK (from_time < to_time)
);

CREATE INDEX retention_log_table ON aqueduct.retention_log (schema_name, table_name, at);

COMMENT ON TABLE aqueduct.retention_log IS 'what was dropped for being past its retention; nothing here is changed or deleted';
COMMENT ON COLUMN aqueduct.retention_log.who IS 'the user that logged in; nobody may say otherwise';
COMMENT ON COLUMN aqueduct.retention_log.rows IS 'counted before the drop, under the lock of the drop';

CREATE TABLE aqueduct.legal_holds (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schema_name    text,
    table_name     text,
    from_time      timestamptz NOT NULL DEFAULT '-infinity',
    to_time        timestamptz NOT NULL DEFAULT 'infinity',
    reason         text        NOT NULL CHECK (btrim(reason) <> ''),
    held_by        text        NOT NULL DEFAULT session_user,
    since          timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_at    timestamptz,
    released_by    text,
    release_reason text        CHECK (btrim(release_reason) <> ''),
    CHECK (from_time < to_time),
    CHECK ((schema_name IS NULL) = (table_name IS NULL)),
    CHECK ((released_at IS NULL) = (released_by IS NULL) AND (released_at IS NULL) = (release_reason IS NULL))
);

CREATE INDEX legal_holds_standing ON aqueduct.legal_holds (schema_name, table_name) WHERE released_at IS NULL;

COMMENT ON TABLE aqueduct.legal_holds IS 'what must not be dropped; see aqueduct.hold and aqueduct.release_hold';
COMMENT ON COLUMN aqueduct.legal_holds.table_name IS 'null = every table';

-- Evidence stays as it was written, for the owner too. Holds change once: when they are released.
CREATE FUNCTION aqueduct.refuse_change()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'legal_holds' THEN
        IF OLD.released_at IS NULL AND NEW.released_at IS NOT NULL
           AND (NEW.id, NEW.schema_name, NEW.table_name, NEW.from_time, NEW.to_time, NEW.reason, NEW.held_by, NEW.since)
               IS NOT DISTINCT FROM
               (OLD.id, OLD.schema_name, OLD.table_name, OLD.from_time, OLD.to_time, OLD.reason, OLD.held_by, OLD.since)
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% is evidence: what is there is neither changed nor deleted', TG_RELID::regclass
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON aqueduct.retention_log
    FOR EACH ROW EXECUTE FUNCTION aqueduct.refuse_change();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON aqueduct.retention_log
    FOR EACH STATEMENT EXECUTE FUNCTION aqueduct.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON aqueduct.legal_holds
    FOR EACH ROW EXECUTE FUNCTION aqueduct.refuse_change();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON aqueduct.legal_holds
    FOR EACH STATEMENT EXECUTE FUNCTION aqueduct.refuse_change();

-- Places a hold on the rows of a table (`schema.table`; null = every table) within a range of event time, and gives its
-- number. Once it returns, nothing within is dropped: a drop at work is waited for.
CREATE FUNCTION aqueduct.hold(held text, reason text, from_time timestamptz DEFAULT '-infinity', to_time timestamptz DEFAULT 'infinity')
RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '60s'
AS $$
DECLARE
    parts text[];
    number bigint;
BEGIN
    IF held IS NOT NULL THEN
        parts := parse_ident(held);
        IF cardinality(parts) <> 2 OR to_regclass(format('%I.%I', parts[1], parts[2])) IS NULL THEN
            RAISE EXCEPTION 'there is no table %: write schema.table', held USING ERRCODE = 'undefined_table';
        END IF;
    END IF;
    INSERT INTO aqueduct.legal_holds (schema_name, table_name, from_time, to_time, reason)
        VALUES (parts[1], parts[2], hold.from_time, hold.to_time, hold.reason)
        RETURNING id INTO number;
    RETURN number;
END
$$;

-- Releases a hold, once, and says why.
CREATE FUNCTION aqueduct.release_hold(hold bigint, reason text)
RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE aqueduct.legal_holds AS h
        SET released_at = clock_timestamp(), released_by = session_user, release_reason = release_hold.reason
        WHERE h.id = release_hold.hold AND h.released_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no hold % stands: it was released before, or there is none', hold
            USING ERRCODE = 'no_data_found';
    END IF;
END
$$;

-- Drops the oldest slice of a hypertable's time that is past its retention and not held, and gives the line that says so;
-- no line = there is none. One slice a call, so that whoever is cut off in between has dropped what the log says.
--
-- `asked_at` is the caller's own time: what is past is past for the clocks of both, so that one of them cannot empty a table
-- by being wrong. Whoever owns this function must own the hypertable.
CREATE FUNCTION aqueduct.drop_past(
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

-- When schedules ran, and what came of it: whoever takes one over goes on from here.
CREATE TABLE aqueduct.schedule_runs (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topology   text        NOT NULL,
    schedule   text        NOT NULL,
    run        text        NOT NULL,
    node       text        NOT NULL,
    passed     boolean     NOT NULL,
    message    text        NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX schedule_runs_newest ON aqueduct.schedule_runs (topology, schedule, started_at DESC);

DO $roles$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['aqueduct_retention', 'aqueduct_compliance'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION
                -- Another database of this server was migrated at the same time.
                WHEN duplicate_object OR unique_violation THEN NULL;
                WHEN insufficient_privilege THEN
                    RAISE WARNING 'role % does not exist, and % may not create it; once somebody has, run SELECT aqueduct.grant_retention()',
                        wanted, current_user;
            END;
        END IF;
    END LOOP;
END
$roles$;

-- What the roles may do about retention, as far as they exist; may be run again at will. A writer looks, and keeps the
-- record of its schedules.
CREATE FUNCTION aqueduct.grant_retention()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    reads text;
BEGIN
    FOREACH reads IN ARRAY ARRAY['aqueduct_writer', 'aqueduct_reader', 'aqueduct_retention', 'aqueduct_compliance'] LOOP
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = reads) THEN
            EXECUTE format('GRANT USAGE ON SCHEMA aqueduct TO %I', reads);
            EXECUTE format('GRANT SELECT ON aqueduct.migrations, aqueduct.retention_log, aqueduct.legal_holds, '
                           'aqueduct.schedule_runs TO %I', reads);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'aqueduct_writer') THEN
        GRANT INSERT, DELETE ON aqueduct.schedule_runs TO aqueduct_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'aqueduct_retention') THEN
        GRANT EXECUTE ON FUNCTION aqueduct.drop_past(text, text, text, text, interval, timestamptz) TO aqueduct_retention;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'aqueduct_compliance') THEN
        GRANT EXECUTE ON FUNCTION aqueduct.hold(text, text, timestamptz, timestamptz),
                                  aqueduct.release_hold(bigint, text) TO aqueduct_compliance;
    END IF;
END
$$;

REVOKE ALL ON FUNCTION aqueduct.refuse_change(), aqueduct.grant_retention(),
                       aqueduct.hold(text, text, timestamptz, timestamptz), aqueduct.release_hold(bigint, text),
                       aqueduct.drop_past(text, text, text, text, interval, timestamptz) FROM PUBLIC;

-- `aqueduct.grant_roles()` goes on to say all that the roles may do (see 0005): part by part from here on, so that a migration
-- which adds a part need not say the others again.
ALTER FUNCTION aqueduct.grant_roles() RENAME TO grant_delivery;

CREATE FUNCTION aqueduct.grant_roles()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM aqueduct.grant_delivery();
    PERFORM aqueduct.grant_retention();
END
$$;

REVOKE ALL ON FUNCTION aqueduct.grant_roles() FROM PUBLIC;

SELECT aqueduct.grant_roles();
