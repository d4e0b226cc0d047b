-- How far the root's clock is believed, so that one that is ahead for a while, also through a restart, makes it forget nothing too early.
CREATE TABLE clock_reading (
  only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
  at       INTEGER NOT NULL, -- ms since 1970
  uptime   INTEGER NOT NULL  -- ms since the machine had started
) STRICT;
