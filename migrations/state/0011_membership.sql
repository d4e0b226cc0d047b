-- How often the members have changed: a root whose database is older than the tree that it handed down finds it out by this.
CREATE TABLE membership (
  only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
  changes  INTEGER NOT NULL
) STRICT;

INSERT INTO membership (only_row, changes) VALUES (1, 0);
