-- The tree below this relay, as imported from the nodes list and the certificates file. All of it is replaced at once.

CREATE TABLE nodes (
  -- the place in the list: rows are only ever written and read in this order
  position INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  hostname TEXT NOT NULL,
  policy_server TEXT NOT NULL,
  -- null while the node has no key
  key_hash TEXT
) STRICT;

CREATE TABLE certificates (
  -- SHA-256 of `der`
  fingerprint BLOB NOT NULL,
  node_id TEXT NOT NULL,
  -- upper-case hex
  serial TEXT NOT NULL,
  der BLOB NOT NULL
) STRICT;

CREATE INDEX certificates_by_node ON certificates (node_id);

-- One row: where the present tree came from. None before the first import.
CREATE TABLE tree_import (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  -- grows by one with every import
  generation INTEGER NOT NULL,
  nodes_list_digest TEXT NOT NULL,
  certificates_digest TEXT NOT NULL,
  imported_at_ms INTEGER NOT NULL,
  node_count INTEGER NOT NULL,
  certificate_count INTEGER NOT NULL,
  -- JSON, an array of texts
  warnings TEXT NOT NULL
) STRICT;

-- The index over the tree as a relay holds it in memory, so that a restart need not build it from 100,000 rows. Written
-- in the same transaction as these; what isn't found here is made from them again.
CREATE TABLE tree_cache (
  -- for which relay and in which form
  key TEXT NOT NULL,
  name TEXT NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (key, name)
) STRICT;
