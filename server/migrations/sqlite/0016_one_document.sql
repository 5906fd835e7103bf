-- One document for each unit, book and period. Where there are several already, made while the server had another county's code,
-- all but one are set apart; which of them is the right one follows from its id, and is found out when the database is opened.
ALTER TABLE documents ADD COLUMN is_stray INTEGER NOT NULL DEFAULT 0;
UPDATE documents SET is_stray = 1 WHERE number NOT IN (SELECT min(number) FROM documents GROUP BY unit, book, period);
CREATE UNIQUE INDEX documents_are_one ON documents (unit, book, period) WHERE is_stray = 0;
