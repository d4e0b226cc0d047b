-- Host names that end in a number are none any more: one member with such a name would keep the whole tree from being read.
UPDATE members SET hostname = canonical_host(hostname, id) WHERE hostname <> canonical_host(hostname, id);
