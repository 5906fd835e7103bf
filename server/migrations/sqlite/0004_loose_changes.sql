-- How many changes stand behind a snapshot is counted where they are read.
ALTER TABLE documents DROP COLUMN loose_changes;
