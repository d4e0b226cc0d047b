-- Members that joined before host names had one form: else a machine could join under another spelling of theirs.
-- canonical_host is defined by src/storage/sqlite-engine/database.ts.
UPDATE members SET hostname = canonical_host(hostname, id) WHERE hostname <> canonical_host(hostname, id);
