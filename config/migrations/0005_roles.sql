-- Roles of least privilege. They log in nowhere: `GRANT aqueduct_writer TO app` makes the user `app` a node's.
--
-- `aqueduct_writer` runs topologies: it adds rows, moves offsets, keeps and takes back dead letters, and may do no more,
-- so whoever gets hold of its password cannot drop, empty or change a table. `aqueduct_reader` looks.
--
-- Roles belong to the whole server. Who may not create them goes on without, and says so; whoever may can do it later:
--     CREATE ROLE aqueduct_writer NOLOGIN;
--     CREATE ROLE aqueduct_reader NOLOGIN;
-- then, as the owner of the schema: SELECT aqueduct.grant_roles();
DO $roles$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['aqueduct_writer', 'aqueduct_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION
                -- Another database of this server was migrated at the same time.
                WHEN duplicate_object OR unique_violation THEN NULL;
                WHEN insufficient_privilege THEN
                    RAISE WARNING 'role % does not exist, and % may not create it; once somebody has, run SELECT aqueduct.grant_roles()',
                        wanted, current_user;
            END;
        END IF;
    END LOOP;
END
$roles$;

-- What the roles may do in schema `aqueduct`, as far as they exist; may be run again at will. A migration that adds
-- columns or tables to the schema ends with `SELECT aqueduct.grant_roles();`, and replaces it where writers need more.
CREATE FUNCTION aqueduct.grant_roles()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'aqueduct_writer') THEN
        GRANT USAGE ON SCHEMA aqueduct TO aqueduct_writer;
        GRANT SELECT ON aqueduct.migrations TO aqueduct_writer;
        GRANT SELECT, INSERT, UPDATE ON aqueduct.offsets TO aqueduct_writer;
        -- A claim takes back the letters it will judge again; a replay marks those it has brought home.
        GRANT SELECT, INSERT, DELETE,
              UPDATE (extent, replayed_at, replayed_to, outcome, attempts, attempted_at, attempted_epoch,
                      again_actor, again_reason, again_detail)
            ON aqueduct.dead_letter TO aqueduct_writer;
        GRANT EXECUTE ON FUNCTION aqueduct.end_sessions(text[]) TO aqueduct_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'aqueduct_reader') THEN
        GRANT USAGE ON SCHEMA aqueduct TO aqueduct_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA aqueduct TO aqueduct_reader;
    END IF;
END
$$;

REVOKE ALL ON FUNCTION aqueduct.grant_roles() FROM PUBLIC;

SELECT aqueduct.grant_roles();
