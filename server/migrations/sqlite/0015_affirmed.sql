-- Cells that an import has found saying what its file says: it has written nothing there, and still stands by them when the
-- import that wrote them is taken back.
CREATE TABLE affirmed (
    batch TEXT NOT NULL REFERENCES import_batches (id),
    document INTEGER NOT NULL REFERENCES documents (number),
    -- Addresses, one a line, packed as all blobs are.
    cells BLOB NOT NULL,
    PRIMARY KEY (batch, document)
) STRICT, WITHOUT ROWID;
CREATE INDEX affirmed_by_document ON affirmed (document);
