-- Who joined the tree, at the root of a tree whose source is its members.
CREATE TABLE members (
  id            TEXT    NOT NULL PRIMARY KEY,
  kind          TEXT    NOT NULL CHECK (kind IN ('relay', 'node')),
  policy_server TEXT    NOT NULL,
  hostname      TEXT    NOT NULL,
  -- Where a relay takes connections; null for a node, and for what was not joined but taken over.
  port          INTEGER,
  -- As in the nodes list; empty when there is none.
  key_hash      TEXT    NOT NULL,
  -- SHA-256 of the TLS key's SubjectPublicKeyInfo: only this key gets further certificates. Null as above.
  tls_key_hash  BLOB,
  token_id      TEXT,
  joined_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX members_by_policy_server ON members (policy_server);
CREATE INDEX members_by_hostname ON members (hostname);

-- Not tied to members: what was revoked stays so when its id joins again.
CREATE TABLE member_certificates (
  -- SHA-256 of the DER.
  fingerprint   BLOB    NOT NULL PRIMARY KEY,
  member_id     TEXT    NOT NULL,
  -- Upper-case hex.
  serial        TEXT    NOT NULL,
  der           BLOB    NOT NULL,
  not_before    INTEGER NOT NULL,
  not_after     INTEGER NOT NULL,
  -- Null while it is good.
  revoked_at    INTEGER
) STRICT;

CREATE INDEX member_certificates_by_member ON member_certificates (member_id);
CREATE INDEX member_certificates_by_end ON member_certificates (not_after);

CREATE TABLE join_tokens (
  id            TEXT    NOT NULL PRIMARY KEY,
  -- SHA-256 of the secret, which has 256 random bits.
  secret_hash   BLOB    NOT NULL,
  kind          TEXT    NOT NULL CHECK (kind IN ('relay', 'node')),
  policy_server TEXT    NOT NULL,
  -- The one id that may join with it, even where there is such a member already; null: any new one.
  member_id     TEXT,
  uses_left     INTEGER NOT NULL,
  created_at    INTEGER NOT NULL,
  expires_at    INTEGER NOT NULL,
  revoked_at    INTEGER
) STRICT, WITHOUT ROWID;
