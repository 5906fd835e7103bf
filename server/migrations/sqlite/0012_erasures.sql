-- The first change of a document's successor, where rows of it were erased: what was before it is kept by hash alone.
ALTER TABLE documents ADD COLUMN root BLOB;
CREATE TABLE erased_rows (
    document INTEGER NOT NULL REFERENCES documents (number),
    ledger   TEXT NOT NULL,
    row      BLOB NOT NULL,
    PRIMARY KEY (document, ledger, row)
) STRICT, WITHOUT ROWID;
