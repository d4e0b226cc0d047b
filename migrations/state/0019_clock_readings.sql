-- The last reading of each believed clock (src/process/believed-clock.ts).
CREATE TABLE clock_readings (
  reader  TEXT    NOT NULL PRIMARY KEY,
  at      INTEGER NOT NULL, -- ms since 1970
  certain INTEGER NOT NULL, -- ms since 1970; never goes back
  uptime  INTEGER NOT NULL, -- ms since the machine had started
  owed    INTEGER NOT NULL  -- ms that may have passed while the machine was off
) STRICT, WITHOUT ROWID;

INSERT INTO clock_readings (reader, at, certain, uptime, owed)
SELECT 'members', at, at, uptime, 0 FROM clock_reading;
DROP TABLE clock_reading;
