-- A batch that was taken back: its file may be imported again.
ALTER TABLE import_batches ADD COLUMN undone_at_ms INTEGER;
