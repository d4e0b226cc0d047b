-- What a relay learnt of its neighbours and must still know after a restart.
CREATE TABLE neighbours (
  id         TEXT    NOT NULL PRIMARY KEY,
  -- The value of its treeline-relay header, when it was last seen to change.
  version    TEXT    NOT NULL,
  seen_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
