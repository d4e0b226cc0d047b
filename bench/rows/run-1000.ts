import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../support/child.js'
import type { ListedNode } from '../support/generate-nodes-list.js'
import { listedNode } from '../support/relay-folder.js'
import { interleave, secondsOf } from '../support/rounds.js'
import type { Measurement, Row, RowContext } from '../support/row.js'
import { startSingleRelay } from '../support/single-relay.js'

const NODES = 1_000
const CONCURRENCY = 64
const ROUNDS = 5
const MOST_TIMES = 1.2

export const run1000: Row = {
  name: 'run-1000',
  what: 'remote run of 1,000 nodes, a 100 ms command, concurrency 64',
  reference: '`xargs -P 64` with the same command',
  bound: `at most ${MOST_TIMES} times`,
  run: measureRun
}

async function measureRun(context: RowContext): Promise<Measurement> {
  const command = join(context.folder, 'agent')
  await writeFile(command, '#!/bin/sh\nexec sleep 0.1\n')
  await chmod(command, 0o755)
  const nodes: Record<string, ListedNode> = {}
  for (let index = 0; index < NODES; index += 1) nodes[`node-${index}`] = listedNode(`n${index}.example.com`, 'root')
  const { relay } = await startSingleRelay(context, { nodes, command })
  const ids = Object.keys(nodes)
  const hostsFile = join(context.folder, 'hosts')
  await writeFile(hostsFile, ids.map(id => `${nodes[id]?.hostname}\n`).join(''))
  const xargs = ['-a', hostsFile, '-n', '1', '-P', String(CONCURRENCY), command, 'remote', 'run', '--']
  const medians = await interleave({
    count: ROUNDS,
    measure: () => secondsOf(() => relay.post('remote-run/nodes', { nodes: ids.join(','), keep_output: 'true' })),
    reference: () => secondsOf(() => run('xargs', xargs)),
    say: context.say
  })
  return { checks: [{ what: 'time', ...medians, unit: 's', bound: { atMost: MOST_TIMES } }] }
}
