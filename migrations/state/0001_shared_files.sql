-- Files that this relay keeps. A row is written before its file is in place: `spool` then names the file in
-- .incoming~ that is to be renamed, and start-up finishes what a crash interrupted.
CREATE TABLE shared_files (
  target      TEXT    NOT NULL,
  source      TEXT    NOT NULL,
  file_id     TEXT    NOT NULL,
  size_bytes  INTEGER NOT NULL,
  algorithm   TEXT    NOT NULL,
  hash        TEXT    NOT NULL, -- lower-case hex
  accepted_at INTEGER NOT NULL, -- ms; when the first relay took it
  stored_at   INTEGER NOT NULL, -- ms
  expires_at  INTEGER NOT NULL, -- ms
  signed_at   INTEGER,          -- ms; of Ed25519 signatures alone, which cover it
  metadata    TEXT    NOT NULL, -- the block as it is stored, without `expires`
  spool       TEXT,
  PRIMARY KEY (target, source, file_id)
) STRICT;

-- Covers the purge, and the totals that are summed up at start.
CREATE INDEX shared_files_by_expiry ON shared_files (expires_at, size_bytes);
CREATE INDEX shared_files_by_source ON shared_files (source);
CREATE INDEX shared_files_in_placing ON shared_files (spool) WHERE spool IS NOT NULL;

-- Files that wait for the next hop; their bytes are in .outbox~/<id>.
CREATE TABLE outbox (
  id              TEXT    NOT NULL PRIMARY KEY, -- a ULID
  target          TEXT    NOT NULL,
  source          TEXT    NOT NULL,
  file_id         TEXT    NOT NULL,
  state           TEXT    NOT NULL CHECK (state IN ('pending', 'failed')),
  size_bytes      INTEGER NOT NULL,
  algorithm       TEXT    NOT NULL,
  hash            TEXT    NOT NULL,
  accepted_at     INTEGER NOT NULL,
  expires_at      INTEGER NOT NULL,
  signed_at       INTEGER,
  metadata        TEXT    NOT NULL,
  key_hash        TEXT    NOT NULL, -- of the source, to be vouched for further down
  passed          TEXT    NOT NULL, -- relays that the file passed, as in the header
  request_id      TEXT    NOT NULL,
  attempts        INTEGER NOT NULL,
  next_attempt_at INTEGER NOT NULL,
  last_status     INTEGER,          -- of the hop's last answer; NULL when it gave none
  last_error      TEXT,
  UNIQUE (target, source, file_id)  -- a newer copy takes the place of an older one
) STRICT;

CREATE INDEX outbox_by_target ON outbox (state, target, next_attempt_at);
CREATE INDEX outbox_by_source ON outbox (source);
CREATE INDEX outbox_by_expiry ON outbox (expires_at, size_bytes);
