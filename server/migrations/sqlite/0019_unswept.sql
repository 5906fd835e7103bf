-- Whether something was erased and the file of the database has not been written anew since (`unswept` in `meta`). An erasure
-- before this was noted may have been interrupted: it is swept once more.
INSERT INTO meta (key, value) SELECT 'unswept', x'01' WHERE EXISTS (SELECT 1 FROM erased_rows);
