-- Until when the run waits for nodes that are not connected, in ms since 1970; NULL: it does not.

ALTER TABLE runs ADD COLUMN wait_until INTEGER;
