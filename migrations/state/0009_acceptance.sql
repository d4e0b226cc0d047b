-- A time that is later than all at which this relay has accepted files, so that they only go forward over restarts, too.
CREATE TABLE acceptance (
  id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  before INTEGER NOT NULL -- ms
) STRICT;
