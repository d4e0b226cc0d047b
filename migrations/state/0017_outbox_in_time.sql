-- Entries of a target in the order in which they are due: whoever looks for the first ones reads no others, of which there may be
-- hundreds of thousands.
CREATE INDEX outbox_in_time ON outbox (state, target, next_attempt_at, id, last_status);
DROP INDEX outbox_by_target;
