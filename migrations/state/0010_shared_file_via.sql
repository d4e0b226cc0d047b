-- Where a kept file lies: the relays between this one and its target, '/' between them. Empty for a node of this relay;
-- else it is kept on behalf of the first of them, and lies where the agent of that relay fetches it.
ALTER TABLE shared_files ADD COLUMN via TEXT NOT NULL DEFAULT '';

CREATE INDEX shared_files_on_behalf ON shared_files (via) WHERE via <> '';
