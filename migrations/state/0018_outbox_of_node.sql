-- Entries of a node, as source or target, in the order of their ids: a page of them is read without the others.
CREATE INDEX outbox_of_source ON outbox (source, id, state);
CREATE INDEX outbox_of_target ON outbox (target, id);
DROP INDEX outbox_by_source;
