-- What people have decided about imported files. A header that somebody has mapped, recognised by its sorted texts.
CREATE TABLE mappings (
    -- The office that said so: the county's word holds for all, a unit's own goes before it there.
    unit          BLOB NOT NULL,
    fingerprint   TEXT NOT NULL,
    ledger        TEXT NOT NULL,
    -- JSON: header and column key, left to right; null where the values are only kept beside the row.
    columns       TEXT NOT NULL,
    who           TEXT NOT NULL,
    decided_at_ms INTEGER NOT NULL,
    PRIMARY KEY (unit, fingerprint)
) STRICT, WITHOUT ROWID;

-- Whether a doubtful row is a record that exists; a record of its own where `same` is null.
CREATE TABLE decisions (
    doubt         BLOB PRIMARY KEY,
    same          BLOB,
    who           TEXT NOT NULL,
    decided_at_ms INTEGER NOT NULL
) STRICT;

-- Rows that wait for such a decision, and the files that hold them until none of theirs waits.
CREATE TABLE doubts (
    id         BLOB PRIMARY KEY,
    batch      TEXT NOT NULL REFERENCES import_batches (id),
    unit       BLOB NOT NULL,
    sheet      TEXT NOT NULL,
    cell       TEXT NOT NULL,
    ledger     TEXT NOT NULL,
    record     TEXT NOT NULL,
    -- JSON: ids and words of the records that it may be.
    candidates TEXT NOT NULL
) STRICT;
CREATE TABLE waiting_files (
    digest BLOB PRIMARY KEY,
    bytes  BLOB NOT NULL
) STRICT;
