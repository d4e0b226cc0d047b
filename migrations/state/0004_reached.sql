-- How a node was reached that its relay ran itself: 'link' or 'command'; NULL below a sub-relay, and before it was tried.

ALTER TABLE run_nodes ADD COLUMN reached TEXT CHECK (reached IN ('link', 'command'));
