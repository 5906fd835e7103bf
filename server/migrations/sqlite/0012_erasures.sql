-- The first change of a document's successor, where rows of it were erased: what was before it is kept by hash alone.
ALTER TABLE documents ADD COLUMN root BLOB;
