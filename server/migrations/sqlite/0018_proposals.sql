-- What somebody has written who was not to decide it: not in the documents, until whoever decides accepts it.
CREATE TABLE proposals (
    number         INTEGER PRIMARY KEY AUTOINCREMENT,
    unit           BLOB NOT NULL,
    book           TEXT NOT NULL,
    period         TEXT NOT NULL,
    ledger         TEXT NOT NULL,
    row            BLOB NOT NULL,
    "column"       TEXT NOT NULL,
    -- Values as JSON.
    before         TEXT,
    value          TEXT NOT NULL,
    who            TEXT NOT NULL,
    device         BLOB,
    import         TEXT,
    received_at_ms INTEGER NOT NULL,
    -- waiting, accepted or rejected, and by whom.
    state          TEXT NOT NULL DEFAULT 'waiting',
    decided_by     TEXT,
    decided_at_ms  INTEGER,
    reason         TEXT
) STRICT;
-- The same value for the same cell waits once.
CREATE UNIQUE INDEX proposals_waiting ON proposals (unit, book, period, ledger, row, "column", value)
    WHERE state = 'waiting';
CREATE INDEX proposals_state ON proposals (state, number);

-- For whom a file was sent in: rows of it that wait are judged by that when somebody decides on them.
CREATE TABLE senders (
    digest BLOB PRIMARY KEY,
    actor  TEXT NOT NULL
) STRICT;

-- Who made a step that no device has sent.
ALTER TABLE wrong_steps ADD COLUMN who TEXT;
