-- The last reading of each believed clock (src/process/believed-clock.ts).
CREATE TABLE clock_readings (
  reader TEXT    NOT NULL PRIMARY KEY,
  at     INTEGER NOT NULL, -- ms since 1970
  uptime INTEGER NOT NULL  -- ms since the machine had started
) STRICT, WITHOUT ROWID;

INSERT INTO clock_readings (reader, at, uptime) SELECT 'members', at, uptime FROM clock_reading;
DROP TABLE clock_reading;
