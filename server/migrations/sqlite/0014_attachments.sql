-- Photos of records, named by their content. A record's document says which are its own; what is received so far grows
-- until it is whole.
CREATE TABLE attachments (
    unit           BLOB NOT NULL REFERENCES units (id),
    hash           BLOB NOT NULL,
    size           INTEGER NOT NULL,
    bytes          BLOB NOT NULL,
    device         BLOB,
    received_at_ms INTEGER NOT NULL,
    PRIMARY KEY (unit, hash)
) STRICT;
