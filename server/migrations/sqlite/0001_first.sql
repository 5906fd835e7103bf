-- Times are milliseconds since 1970 (`_ms`). Ids are 16 bytes. Large blobs carry a one-byte codec in front (store/blob.rs).

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

CREATE TABLE units (
    id         BLOB PRIMARY KEY,
    parent     BLOB,
    level      TEXT NOT NULL,
    code       TEXT,
    name       TEXT NOT NULL,
    short_name TEXT,
    sort_order INTEGER NOT NULL,
    -- Ids from the county down, in hex, each closed by a slash: a subtree is a range.
    path       TEXT NOT NULL
) STRICT;
CREATE INDEX units_path ON units (path);

CREATE TABLE documents (
    number        INTEGER PRIMARY KEY,
    id            BLOB NOT NULL UNIQUE,
    unit          BLOB NOT NULL,
    book          TEXT NOT NULL,
    period        TEXT NOT NULL,
    -- 32-byte hashes, sorted, one after the other.
    heads         BLOB NOT NULL,
    -- The last change of this document in the feed.
    seq           INTEGER NOT NULL,
    -- Changes behind the snapshot.
    loose_changes INTEGER NOT NULL
) STRICT;
CREATE INDEX documents_unit ON documents (unit, book, period);

-- The feed. `seq` is given by the one writer inside its transaction, so that commit order is seq order.
CREATE TABLE changes (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    document       INTEGER NOT NULL REFERENCES documents (number),
    hash           BLOB NOT NULL UNIQUE,
    actor          BLOB NOT NULL,
    device         BLOB,
    received_at_ms INTEGER NOT NULL,
    -- NULL once the change is only kept inside the snapshot; who and when stay.
    bytes          BLOB
) STRICT;
CREATE INDEX changes_document ON changes (document, seq);

CREATE TABLE snapshots (
    document INTEGER PRIMARY KEY REFERENCES documents (number),
    upto_seq INTEGER NOT NULL,
    bytes    BLOB NOT NULL
) STRICT;

-- The projection that returns read.
CREATE TABLE rows (
    ledger    TEXT NOT NULL,
    document  INTEGER NOT NULL REFERENCES documents (number),
    row       BLOB NOT NULL,
    cells     TEXT NOT NULL,
    conflicts TEXT,
    removed   INTEGER NOT NULL,
    PRIMARY KEY (ledger, document, row)
) STRICT, WITHOUT ROWID;
CREATE INDEX rows_conflicts ON rows (ledger) WHERE conflicts IS NOT NULL;

CREATE TABLE devices (
    id           BLOB PRIMARY KEY,
    name         TEXT NOT NULL,
    owner        TEXT NOT NULL,
    token_hash   BLOB NOT NULL UNIQUE,
    unit         BLOB NOT NULL,
    books        TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    last_seen_ms INTEGER,
    clock_ahead_ms INTEGER
) STRICT;

CREATE TABLE import_batches (
    id             TEXT PRIMARY KEY,
    file           TEXT NOT NULL,
    digest         BLOB NOT NULL,
    started_at_ms  INTEGER NOT NULL,
    finished_at_ms INTEGER,
    counts         TEXT
) STRICT;
