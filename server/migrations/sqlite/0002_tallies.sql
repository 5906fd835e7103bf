-- Each unit's own counts for every measure, recomputed in the transaction that changes one of its documents. An indicator over
-- any subtree is a sum over units. `by` is a date where the measure is kept apart by one, else empty; zeros are not kept.
CREATE TABLE tallies (
    measure TEXT NOT NULL,
    period  TEXT NOT NULL,
    unit    BLOB NOT NULL,
    by      TEXT NOT NULL,
    value   INTEGER NOT NULL,
    PRIMARY KEY (measure, period, unit, by)
) STRICT, WITHOUT ROWID;
CREATE INDEX tallies_unit ON tallies (unit, period);
