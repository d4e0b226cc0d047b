import { type ChildProcess, fork } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePorts } from '../../demo/free-ports.js'
import { type CertificateMaterial, makeAgentCertificate } from '../../demo/pki.js'
import { endProcess } from './child.js'
import type { LinkedNodesInput, LinkedNodesReport } from './linked-nodes-program.js'
import { Relay } from './relay.js'
import { listedNode } from './relay-folder.js'
import type { RowContext } from './row.js'

const PROGRAM = fileURLToPath(new URL('./linked-nodes-program.js', import.meta.url))
const GIVE_UP_AFTER_MS = 120_000

export interface LinkedFleet {
  readonly relay: Relay
  readonly count: number
  readonly nodes: LinkedNodes
}

/** A relay and `count` nodes under it, each to hold a link over TLS; none does yet. */
export async function startLinkedFleet(context: RowContext, count: number): Promise<LinkedFleet> {
  const own = await makeAgentCertificate({ nodeId: 'root', hostname: '127.0.0.1' })
  const ids = Array.from({ length: count }, (_, index) => `node-${String(index).padStart(6, '0')}`)
  const [first, ...others] = ids
  const certificates: CertificateMaterial[] = []
  // One key for all: making a key takes longer than what is measured.
  const keyHolder = await makeAgentCertificate({ nodeId: first ?? '', hostname: 'node.example.com' })
  certificates.push(keyHolder)
  for (const nodeId of others) {
    const privateKeyPem = keyHolder.privateKeyPem
    certificates.push(await makeAgentCertificate({ nodeId, hostname: 'node.example.com', privateKeyPem }))
  }
  const [port, httpsPort] = await freePorts(2)
  if (port === undefined || httpsPort === undefined) throw new Error('no ports')
  const relay = await Relay.start(
    {
      folder: join(context.folder, 'root'),
      nodeId: 'root',
      port,
      https: { port: httpsPort, certificate: own },
      nodes: Object.fromEntries(ids.map(id => [id, listedNode(`${id}.example.com`, 'root')])),
      certificates,
      command: '/bin/false' // so that what is not run over its link shows
    },
    context.cleanup
  )
  const nodesFile = join(context.folder, 'nodes.json')
  const listed = ids.map((id, index) => ({ id, certificate: certificates[index]?.certificateDer.toString('base64') }))
  await writeFile(nodesFile, JSON.stringify({ keyPem: keyHolder.privateKeyPem, nodes: listed }))
  const serverCertificateFile = join(context.folder, 'root.pem')
  await writeFile(serverCertificateFile, own.certificatePem)
  const input = { port: httpsPort, serverCertificateFile, serverFingerprint: own.fingerprint, nodesFile }
  const nodes = new LinkedNodes(input)
  context.cleanup.add(() => nodes.stop())
  return { relay, count, nodes }
}

/** The process that holds the links. */
export class LinkedNodes {
  connected = 0
  readonly #child: ChildProcess

  constructor(input: LinkedNodesInput) {
    this.#child = fork(PROGRAM, [JSON.stringify(input)])
    this.#child.on('message', (report: LinkedNodesReport) => {
      this.connected = report.connected
    })
  }

  start(): void {
    this.#child.send('start')
  }

  /** Ends all connections at once, without a word. */
  cut(): void {
    this.#child.send('cut')
  }

  /** Resolves once exactly `count` links stand. @returns how long that took, in s */
  async until(count: number): Promise<number> {
    const startedAt = performance.now()
    while (this.connected !== count) {
      if (performance.now() - startedAt > GIVE_UP_AFTER_MS) {
        throw new Error(`${this.connected} links stand after ${GIVE_UP_AFTER_MS / 1000} s, not ${count}`)
      }
      await new Promise(resolve => this.#child.once('message', resolve))
    }
    return (performance.now() - startedAt) / 1000
  }

  stop(): Promise<void> {
    return endProcess(this.#child, 'SIGKILL')
  }
}
