-- How long the machine had run at the last reading, over all its starts (src/process/running-time.ts): records grow old by this.
DROP TABLE clock_readings;
CREATE TABLE running_time (
  reader TEXT    NOT NULL PRIMARY KEY,
  ran    INTEGER NOT NULL, -- ms, in all
  boot   TEXT    NOT NULL, -- the start of the machine
  uptime INTEGER NOT NULL  -- ms since that start
) STRICT, WITHOUT ROWID;

-- How long it had run when a run, or what else it is, was first seen to have ended; null until then.
ALTER TABLE runs ADD COLUMN ended_ran INTEGER;
ALTER TABLE run_orders ADD COLUMN ordered_ran INTEGER;
ALTER TABLE member_certificates ADD COLUMN ended_ran INTEGER;
ALTER TABLE join_tokens ADD COLUMN ended_ran INTEGER;

DROP INDEX runs_ended_at;
CREATE INDEX runs_ended_ran ON runs (ended_ran) WHERE ended_ran IS NOT NULL;
CREATE INDEX runs_ended_unseen ON runs (id) WHERE ended_at IS NOT NULL AND ended_ran IS NULL;
DROP INDEX run_orders_ordered_at;
CREATE INDEX run_orders_ordered_ran ON run_orders (ordered_ran) WHERE ordered_ran IS NOT NULL;
CREATE INDEX run_orders_unseen ON run_orders (order_key) WHERE ordered_ran IS NULL;
CREATE INDEX member_certificates_ended_ran ON member_certificates (ended_ran) WHERE ended_ran IS NOT NULL;
