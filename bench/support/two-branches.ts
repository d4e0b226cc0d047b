import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePorts } from '../../demo/free-ports.js'
import { makeAgentCertificate } from '../../demo/pki.js'
import { Relay } from './relay.js'
import { listedNode } from './relay-folder.js'
import type { RowContext } from './row.js'
import { makeSigner, type Signer } from './sign.js'

const READY_WITHIN_MS = 30_000

export interface TwoBranches {
  readonly root: Relay
  /** The root connects to this one, and it to the root; `target-direct` and `source-direct` are its nodes. */
  readonly direct: Relay
  /** This one holds a link to the root; neither uses another way. `target-linked` and `source-linked` are its nodes. */
  readonly linked: Relay
  readonly signer: Signer
}

/**
 * A root with two relays below it, one reached by direct HTTPS and one by its link, with TLS and pinned certificates.
 * `source` is a node of the root.
 */
export async function startTwoBranches(context: RowContext, command = '/bin/true'): Promise<TwoBranches> {
  const signer = makeSigner()
  const certificateOf = (nodeId: string) => makeAgentCertificate({ nodeId, hostname: '127.0.0.1' })
  const [own, directs, linkeds] = await Promise.all(['root', 'direct', 'linked'].map(certificateOf))
  const [rootPort, directPort, linkedPort, rootHttps, directHttps] = await freePorts(5)
  if (own === undefined || directs === undefined || linkeds === undefined) throw new Error('no certificates')
  if (rootPort === undefined || directPort === undefined || linkedPort === undefined) throw new Error('no ports')
  if (rootHttps === undefined || directHttps === undefined) throw new Error('no ports')
  const source = { source: listedNode('source.example.com', 'root', signer.keyHash) }
  const branch = (id: string) => ({
    [id]: listedNode('127.0.0.1', 'root'),
    [`target-${id}`]: listedNode(`target-${id}.example.com`, id),
    [`source-${id}`]: listedNode(`source-${id}.example.com`, id, signer.keyHash)
  })
  const root = await Relay.start(
    {
      folder: join(context.folder, 'root'),
      nodeId: 'root',
      port: rootPort,
      nodes: { root: listedNode('127.0.0.1', 'root'), ...source, ...branch('direct'), ...branch('linked') },
      certificates: [own, directs, linkeds],
      https: { port: rootHttps, certificate: own },
      neighbours: { direct: directHttps, linked: 9 }, // nothing listens there: it has to be the link
      command
    },
    context.cleanup
  )
  const below = (nodeId: string, port: number) => ({
    folder: join(context.folder, nodeId),
    nodeId,
    port,
    nodes: { ...branch(nodeId) },
    certificates: [own],
    upstream: { port: rootHttps, certificate: own },
    command
  })
  const direct = await Relay.start(
    { ...below('direct', directPort), https: { port: directHttps, certificate: directs } },
    context.cleanup
  )
  const linked = await Relay.start(
    { ...below('linked', linkedPort), https: { port: 0, certificate: linkeds }, dials: true },
    context.cleanup
  )
  await untilReached(root)
  return { root, direct, linked, signer }
}

/** Until an order for the linked relay's node is carried out. */
async function untilReached(root: Relay): Promise<void> {
  const end = performance.now() + READY_WITHIN_MS
  while (performance.now() < end) {
    const text = await root.post('remote-run/nodes/target-linked', { keep_output: 'true' }).catch(String)
    if (!text.includes('error') && !text.includes('Error')) return
    await delay(50)
  }
  throw new Error('the linked relay was not reached')
}
