#!/bin/sh
# Stands in for the command that makes an agent run: called with `remote run [-D conditions] -- host1,host2`.
conditions=none
while [ $# -gt 0 ]; do
  case "$1" in
    -D) conditions="$2"; shift 2 ;;
    --) shift; break ;;
    *) shift ;;
  esac
done
for host in $(printf '%s' "$1" | tr ',' ' '); do
  echo "start of the agent on $host (conditions: $conditions)"
  sleep 0.2
  echo "policy applied on $host: 12 compliant, 0 repaired"
done
