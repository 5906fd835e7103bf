-- The Merkle tree over the audit log: each line keeps the nodes that it completes, 32 bytes each, from its own leaf upwards. Lines of
-- a time before get theirs when the database is opened next.
ALTER TABLE audit ADD COLUMN nodes BLOB;

DROP TRIGGER audit_is_not_changed;
CREATE TRIGGER audit_is_not_changed
BEFORE UPDATE OF number, at_ms, who, person, device, event, unit, detail, address, hash ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END;
CREATE TRIGGER audit_tree_is_not_changed BEFORE UPDATE OF nodes ON audit WHEN OLD.nodes IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END;
