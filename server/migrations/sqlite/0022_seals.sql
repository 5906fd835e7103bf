-- Of what sealed returns were drawn, by the codes that are printed on them. Figures are not kept: they are drawn again.
CREATE TABLE seals (
    code        TEXT PRIMARY KEY,
    drawn       TEXT NOT NULL,
    drawn_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
