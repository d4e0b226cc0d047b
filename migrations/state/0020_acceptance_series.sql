-- The series in which the first relay numbered a file, and the number: they order its files whatever the clocks say.
ALTER TABLE shared_files ADD COLUMN series TEXT;
ALTER TABLE shared_files ADD COLUMN series_number INTEGER;
ALTER TABLE outbox ADD COLUMN series TEXT;
ALTER TABLE outbox ADD COLUMN series_number INTEGER;

-- The number below which this relay has numbered all files, in its own series; from the mark that there was, in ms.
ALTER TABLE acceptance RENAME TO acceptance_before;
CREATE TABLE acceptance (
  id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  series TEXT    NOT NULL,
  before INTEGER NOT NULL
) STRICT;
INSERT INTO acceptance (id, series, before) SELECT 1, lower(hex(randomblob(16))), before FROM acceptance_before;
DROP TABLE acceptance_before;
