-- What was logged stays as it was said: no row is changed or deleted, by no role. Whole chunks may go when their time is
-- over (`drop_chunks`), which is for retention alone to decide.

CREATE FUNCTION "audit"."refuse_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit.log is append-only: % is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'write a new event that corrects the old one';
END
$$;

CREATE TRIGGER "append_only" BEFORE UPDATE OR DELETE ON "audit"."log"
    FOR EACH ROW EXECUTE FUNCTION "audit"."refuse_change"();
CREATE TRIGGER "append_only_whole" BEFORE TRUNCATE ON "audit"."log"
    FOR EACH STATEMENT EXECUTE FUNCTION "audit"."refuse_change"();

-- What auditors ask for: what somebody did, newest first.
CREATE INDEX ON "audit"."log" ("actor", "at" DESC);
