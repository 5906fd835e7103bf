-- The whole feed up to here in eight bytes: the hash of the change chained to what came before. Two feeds that have the same
-- at one number are the same up to it; a single change may stand at the same number in two different ones.
ALTER TABLE changes ADD COLUMN chain INTEGER NOT NULL DEFAULT 0;

-- How often units have moved in the tree: the scopes of devices change with it.
CREATE TABLE moves (count INTEGER NOT NULL) STRICT;
INSERT INTO moves (count) VALUES (0);

-- Changes that were not taken into their documents and may hold somebody's work: a supervisor admits or rejects them.
CREATE TABLE quarantine (
    hash           BLOB PRIMARY KEY,
    unit           BLOB NOT NULL,
    book           TEXT NOT NULL,
    period         TEXT NOT NULL,
    device         BLOB NOT NULL,
    code           TEXT NOT NULL,
    sentence       TEXT NOT NULL,
    received_at_ms INTEGER NOT NULL,
    bytes          BLOB NOT NULL,
    -- waiting, admitted or rejected, and by whom.
    state          TEXT NOT NULL,
    decided_by     TEXT,
    decided_at_ms  INTEGER
) STRICT;
CREATE INDEX quarantine_device ON quarantine (device);
