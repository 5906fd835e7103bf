-- SHA-256 of what a phone drew when a code gave its key back: whoever got no answer asks again with the same.
ALTER TABLE invitations ADD COLUMN nonce_hash BLOB;
