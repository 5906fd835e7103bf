-- Years that were opened from another one, and years that are sealed. A year that is in neither way is not here.
CREATE TABLE periods (
    period        TEXT PRIMARY KEY,
    -- The year that it was opened from, who opened it, and when.
    from_period   TEXT,
    opened_by     TEXT,
    opened_at_ms  INTEGER,
    -- When everything had been carried over; none while that is not finished.
    carried_at_ms INTEGER,
    -- Sealed: by whom, when, at which number of the feed; the register of units and the checkpoint of the audit log as they were
    -- then, which returns of the year go on to name.
    sealed_by     TEXT,
    sealed_at_ms  INTEGER,
    sealed_seq    INTEGER,
    units         TEXT,
    checkpoint    TEXT
) STRICT;
-- The year that a file was imported into: the same file may be wanted in another.
ALTER TABLE import_batches ADD COLUMN period TEXT;
