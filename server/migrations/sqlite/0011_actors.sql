-- Whose an actor is: the device that first brought a change of its, nobody's (empty) where the server itself wrote it.
CREATE TABLE actors (
    actor  BLOB PRIMARY KEY,
    device BLOB NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO actors (actor, device)
    SELECT actor, coalesce(device, x'') FROM changes WHERE seq IN (SELECT min(seq) FROM changes GROUP BY actor);
