import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts } from '../../demo/free-ports.js'
import { makeAgentCertificate } from '../../demo/pki.js'
import { run } from '../support/child.js'
import type { ListedNode } from '../support/generate-nodes-list.js'
import { Relay } from '../support/relay.js'
import { listedNode } from '../support/relay-folder.js'
import { interleave, secondsOf } from '../support/rounds.js'
import type { Measurement, Row, RowContext } from '../support/row.js'

const NODES_EACH = 5
const ROUNDS = 3
const MOST_TIMES = 1.1
const SUB_RELAYS = ['relay-a', 'relay-b']

export const runTwoSubRelays: Row = {
  name: 'run-two-sub-relays',
  what: 'remote run over two sub-relays and local nodes, 2 s each',
  reference: 'the command alone',
  bound: `at most ${MOST_TIMES} times`,
  run: measureRun
}

async function measureRun(context: RowContext): Promise<Measurement> {
  const command = join(context.folder, 'agent')
  await writeFile(command, '#!/bin/sh\nsleep 2\necho done\n')
  await chmod(command, 0o755)
  const root = await startTree(context, command)
  const expected = (SUB_RELAYS.length + 1) * (NODES_EACH + 1)
  const medians = await interleave({
    count: ROUNDS,
    measure: () =>
      secondsOf(async () => {
        const output = await root.post('remote-run/all', { keep_output: 'true', asynchronous: 'false' })
        const ran = output.split('\n').filter(line => line.endsWith('done')).length
        if (ran !== expected) throw new Error(`${ran} of ${expected} nodes ran:\n${output.slice(0, 2_000)}`)
      }),
    reference: () => secondsOf(() => run(command, [])),
    say: context.say
  })
  return { checks: [{ what: 'time', ...medians, unit: 's', bound: { atMost: MOST_TIMES } }] }
}

async function startTree(context: RowContext, command: string): Promise<Relay> {
  const certificates = new Map(
    await Promise.all(
      ['root', ...SUB_RELAYS].map(
        async nodeId => [nodeId, await makeAgentCertificate({ nodeId, hostname: '127.0.0.1' })] as const
      )
    )
  )
  const certificateOf = (id: string) => {
    const certificate = certificates.get(id)
    if (certificate === undefined) throw new Error(`no certificate of ${id}`)
    return certificate
  }
  const ports = await freePorts((SUB_RELAYS.length + 1) * 2)
  const [rootPort = 0, rootHttpsPort = 0, ...others] = ports
  const neighbours: Record<string, number> = {}
  for (const [index, id] of SUB_RELAYS.entries()) {
    const [port = 0, httpsPort = 0] = others.slice(index * 2)
    neighbours[id] = httpsPort
    await Relay.start(
      {
        folder: join(context.folder, id),
        nodeId: id,
        port,
        nodes: nodesOf(id),
        certificates: [certificateOf(id)],
        https: { port: httpsPort, certificate: certificateOf(id) },
        upstream: { port: rootHttpsPort, certificate: certificateOf('root') },
        command
      },
      context.cleanup
    )
  }
  const relays = SUB_RELAYS.map((id): [string, ListedNode] => [id, listedNode('127.0.0.1', 'root')])
  const nodes = Object.assign({}, nodesOf('root'), ...SUB_RELAYS.map(nodesOf), Object.fromEntries(relays))
  return Relay.start(
    {
      folder: join(context.folder, 'root'),
      nodeId: 'root',
      port: rootPort,
      nodes,
      certificates: [...certificates.values()],
      https: { port: rootHttpsPort, certificate: certificateOf('root') },
      neighbours,
      command
    },
    context.cleanup
  )
}

/** The relay itself and the nodes that it manages. */
function nodesOf(relay: string): Record<string, ListedNode> {
  const nodes: Record<string, ListedNode> = { [relay]: listedNode('127.0.0.1', 'root') }
  for (let index = 0; index < NODES_EACH; index += 1) {
    nodes[`${relay}-node-${index}`] = listedNode(`${relay}-node-${index}.example.com`, relay)
  }
  return nodes
}
