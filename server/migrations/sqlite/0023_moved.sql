-- The number of the last move that has changed what stands below a unit: only devices of such units begin anew.
ALTER TABLE units ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;
UPDATE units SET moved = (SELECT count FROM moves);

-- Codes are looked for whenever a unit gets one, and what stands under a unit whenever that moves.
CREATE INDEX units_code ON units (code);
CREATE INDEX units_parent ON units (parent);
