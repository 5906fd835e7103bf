-- Which key what is stored of a restricted document is sealed with: its snapshot, its changes, its rows, and what waits beside it. The
-- keys themselves are in a file of their own beside the database. What an earlier version has stored is sealed when the database
-- is opened next.
CREATE TABLE document_keys (
    unit   BLOB NOT NULL,
    book   TEXT NOT NULL,
    period TEXT NOT NULL,
    key    BLOB NOT NULL,
    PRIMARY KEY (unit, book, period)
) STRICT, WITHOUT ROWID;
