-- Where the way to a node that was not reached ended, and why; NULL for all others. The hop may be levels below.

ALTER TABLE run_nodes ADD COLUMN unreached_from TEXT;
ALTER TABLE run_nodes ADD COLUMN unreached_to TEXT;
ALTER TABLE run_nodes ADD COLUMN unreached_reason TEXT;
