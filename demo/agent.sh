#!/bin/sh
# Stands in for the command that runs an agent: `remote run [-D conditions] -- host1,host2` from a relay without a
# link to these hosts, and `agent run [-D conditions]` on a machine that runs its own.
conditions=none
hosts=$(hostname)
while [ $# -gt 0 ]; do
  case "$1" in
    -D) conditions="$2"; shift 2 ;;
    --) hosts="$2"; break ;;
    *) shift ;;
  esac
done
for host in $(printf '%s' "$hosts" | tr ',' ' '); do
  echo "start of the agent on $host (conditions: $conditions)"
  sleep 0.2
  echo "policy applied on $host: 12 compliant, 0 repaired"
done
