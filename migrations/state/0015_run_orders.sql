-- Which run an order of a caller began, so that the same order given again begins no other one, whatever the clocks say.

CREATE TABLE run_orders (
  order_key   TEXT    NOT NULL PRIMARY KEY, -- a hash of the id of the order and of its caller
  run_id      TEXT    NOT NULL,
  ordered_at  INTEGER NOT NULL              -- ms since 1970
) STRICT, WITHOUT ROWID;

CREATE INDEX run_orders_ordered_at ON run_orders (ordered_at);
