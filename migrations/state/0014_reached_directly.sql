-- A sub-relay that holds no link is asked directly to run its own machine: 'direct', beside 'link' and 'command'.

ALTER TABLE run_nodes ADD COLUMN reached_by TEXT CHECK (reached_by IN ('link', 'direct', 'command'));
UPDATE run_nodes SET reached_by = reached WHERE reached IS NOT NULL;
ALTER TABLE run_nodes DROP COLUMN reached;
ALTER TABLE run_nodes RENAME COLUMN reached_by TO reached;
