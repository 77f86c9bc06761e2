-- What became of dead letters that were replayed: which sinks have them, how often they failed again, and why.
--
-- A letter is done when `replayed_at` is set, in the transaction of its rows. `attempted_epoch` is the claim of the
-- replay that judged it last: within that claim a letter that failed is not taken for one that was written.
ALTER TABLE aqueduct.dead_letter
    ADD COLUMN extent          text        CHECK (extent IN ('record', 'row', 'several')),
    ADD COLUMN replayed_to     text[]      NOT NULL DEFAULT '{}',
    ADD COLUMN outcome         text        CHECK (outcome IN ('written', 'filtered')),
    ADD COLUMN attempts        integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    ADD COLUMN attempted_at    timestamptz,
    ADD COLUMN attempted_epoch bigint,
    ADD COLUMN again_actor     text,
    ADD COLUMN again_reason    text,
    ADD COLUMN again_detail    text;

-- Those that wait for somebody: counted again and again, so by the index alone.
CREATE INDEX dead_letter_pending ON aqueduct.dead_letter (topology, id) INCLUDE (at, attempts) WHERE replayed_at IS NULL;

COMMENT ON COLUMN aqueduct.dead_letter.extent IS
    'record: no row of it was handed on; row: that of row_index; several: rows that are not named; null: older than this column';
COMMENT ON COLUMN aqueduct.dead_letter.replayed_to IS 'the sinks that have what a replay made of it';
COMMENT ON COLUMN aqueduct.dead_letter.attempts IS 'replays in which it was rejected again';
