-- Wrong attempts in a row, by what was tried and the network that it came from: whoever guesses shuts nobody else out. Names that
-- nobody has are counted like those that somebody has.
CREATE TABLE attempts (
    -- SHA-256 of what was tried: what is typed for a name may be a password.
    subject         BLOB NOT NULL,
    -- Empty for attempts of those who have signed in.
    network         TEXT NOT NULL,
    failures        INTEGER NOT NULL,
    locked_until_ms INTEGER NOT NULL,
    last_ms         INTEGER NOT NULL,
    -- When somebody was let in from here; null, if nobody was.
    let_in_ms       INTEGER,
    PRIMARY KEY (subject, network)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_by_time ON attempts (last_ms);
ALTER TABLE people DROP COLUMN failures;
ALTER TABLE people DROP COLUMN locked_until_ms;
-- What is stored of the password before the one of now, which is not chosen again.
ALTER TABLE people ADD COLUMN last_password TEXT;

-- Where it was done from; null on the server's own command line, and in lines of a time when it was not noted.
ALTER TABLE audit ADD COLUMN address TEXT;

-- Who has invited a device, and whether the person whose it is has said so.
ALTER TABLE invitations ADD COLUMN invited_by TEXT;
ALTER TABLE invitations ADD COLUMN inviter BLOB;
ALTER TABLE devices ADD COLUMN invited_by TEXT;
ALTER TABLE devices ADD COLUMN is_unconfirmed INTEGER NOT NULL DEFAULT 0;

CREATE INDEX attachments_by_device ON attachments (device);
CREATE INDEX attachments_by_time ON attachments (received_at_ms);
