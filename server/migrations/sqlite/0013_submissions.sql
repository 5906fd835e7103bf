-- Copies of returns that reporting units have submitted: frozen as they were drawn, whatever becomes of the ledgers.
CREATE TABLE submissions (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    unit            BLOB NOT NULL REFERENCES units (id),
    return_no       TEXT NOT NULL,
    period          TEXT NOT NULL,
    choices         TEXT NOT NULL,
    date            TEXT NOT NULL,
    seq             INTEGER NOT NULL,
    code            TEXT NOT NULL,
    file            TEXT NOT NULL,
    workbook        BLOB NOT NULL,
    submitted_by    TEXT NOT NULL,
    submitted_at_ms INTEGER NOT NULL,
    state           TEXT NOT NULL,
    reason          TEXT,
    decided_by      TEXT,
    decided_at_ms   INTEGER
) STRICT;
CREATE INDEX submissions_by_unit ON submissions (unit, return_no, period, number);
