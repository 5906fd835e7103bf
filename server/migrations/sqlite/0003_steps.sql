-- Steps of a workflow that were not allowed when they came in. The work is kept; a supervisor looks at it.
CREATE TABLE wrong_steps (
    number         INTEGER PRIMARY KEY,
    document       INTEGER NOT NULL REFERENCES documents (number),
    ledger         TEXT NOT NULL,
    row            BLOB NOT NULL,
    "column"       TEXT NOT NULL,
    before         TEXT,
    after          TEXT NOT NULL,
    fault          TEXT NOT NULL,
    device         BLOB NOT NULL,
    received_at_ms INTEGER NOT NULL
) STRICT;
