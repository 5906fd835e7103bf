-- People, what they may do, and how they prove who they are.
CREATE TABLE people (
    id              BLOB PRIMARY KEY,
    -- What they sign in with.
    name            TEXT NOT NULL UNIQUE,
    full_name       TEXT NOT NULL,
    role            TEXT NOT NULL,
    unit            BLOB NOT NULL,
    -- A named handler of restricted data.
    is_handler      INTEGER NOT NULL,
    is_disabled     INTEGER NOT NULL,
    -- argon2id, as a PHC string.
    password        TEXT NOT NULL,
    -- Somebody else knows the password: it has to be changed first.
    must_change     INTEGER NOT NULL,
    -- The secret of one-time codes; asked for once it is confirmed.
    totp            BLOB,
    totp_confirmed  INTEGER NOT NULL DEFAULT 0,
    -- The time step of the last code that was taken: none is taken twice.
    totp_step       INTEGER NOT NULL DEFAULT 0,
    -- Wrong attempts in a row.
    failures        INTEGER NOT NULL DEFAULT 0,
    locked_until_ms INTEGER NOT NULL DEFAULT 0,
    created_at_ms   INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    -- SHA-256 of the cookie.
    token_hash    BLOB PRIMARY KEY,
    person        BLOB NOT NULL REFERENCES people (id),
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_person ON sessions (person);

-- One-time codes by which a device is enrolled.
CREATE TABLE invitations (
    -- SHA-256 of the code.
    code_hash     BLOB PRIMARY KEY,
    person        BLOB NOT NULL REFERENCES people (id),
    -- The device's name in lists.
    device_name   TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    -- The device that it was used for.
    device        BLOB
) STRICT;

-- Who did what. Each line's hash covers the line before it.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at_ms  INTEGER NOT NULL,
    who    TEXT NOT NULL,
    person BLOB,
    device BLOB,
    event  TEXT NOT NULL,
    unit   BLOB,
    -- JSON; no value of a restricted column.
    detail TEXT NOT NULL,
    hash   BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END;
CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END;

-- What a device may do follows from who carries it; those enrolled on the server itself have nobody.
ALTER TABLE devices ADD COLUMN person BLOB REFERENCES people (id);
ALTER TABLE devices ADD COLUMN role TEXT NOT NULL DEFAULT 'field-cadre';
ALTER TABLE devices ADD COLUMN writes TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN is_revoked INTEGER NOT NULL DEFAULT 0;
-- How long the oldest change had waited on it when it was last here.
ALTER TABLE devices ADD COLUMN oldest_unsent_ms INTEGER;
UPDATE devices SET writes = books WHERE access = 'write';
UPDATE devices SET is_revoked = 1 WHERE access = 'revoked';
UPDATE devices SET role = 'office-clerk' WHERE books LIKE '%restricted%';
ALTER TABLE devices DROP COLUMN access;
CREATE INDEX devices_person ON devices (person);
