-- The public keys that follow from a device's token: whose bundles are taken, and to whom answers are encrypted.
ALTER TABLE devices ADD COLUMN signing_key BLOB;
ALTER TABLE devices ADD COLUMN keys TEXT;
CREATE UNIQUE INDEX devices_signing_key ON devices (signing_key);
