-- What a device may do: write, read, or nothing any more (revoked).
ALTER TABLE devices ADD COLUMN access TEXT NOT NULL DEFAULT 'write';
