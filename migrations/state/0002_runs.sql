-- Remote runs and what became of each node in them. Output is not here but in <storage>/runs/<id>.ndjson.

CREATE TABLE runs (
  id            TEXT    NOT NULL PRIMARY KEY, -- a ULID: sorts by time
  state         TEXT    NOT NULL CHECK (state IN ('running', 'done', 'cancelled', 'interrupted')),
  asked_by      TEXT    NOT NULL,
  nodes         TEXT    NOT NULL CHECK (nodes IN ('all', 'list')),
  conditions    TEXT    NOT NULL,             -- separated by commas
  keep_output   INTEGER NOT NULL CHECK (keep_output IN (0, 1)),
  asynchronous  INTEGER NOT NULL CHECK (asynchronous IN (0, 1)),
  started_at    INTEGER NOT NULL,
  ended_at      INTEGER,
  counts        TEXT                          -- JSON, once it ended: outcome -> number of nodes
) STRICT, WITHOUT ROWID;

CREATE INDEX runs_unfinished ON runs (id) WHERE state = 'running';
CREATE INDEX runs_ended_at ON runs (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE run_nodes (
  run_id       TEXT NOT NULL REFERENCES runs (id),
  node         TEXT NOT NULL,
  via          TEXT,                          -- the sub-relay it is below; NULL: run by this relay
  outcome      TEXT NOT NULL,
  exit_code    INTEGER,
  started_at   INTEGER,
  duration_ms  INTEGER,
  message      TEXT,
  PRIMARY KEY (run_id, node)
) STRICT, WITHOUT ROWID;
