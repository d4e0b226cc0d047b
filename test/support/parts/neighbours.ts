import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { CertificateMaterial } from '../../../demo/pki.js'
import type { LinkToUpper } from '../../../src/hops/hop.js'
import { KnownNeighbours } from '../../../src/hops/known-neighbours.js'
import { createNeighbours, type DirectNeighbours, type HopObserver } from '../../../src/hops/neighbours.js'
import type { NeighboursConfig } from '../../../src/hops/peers/peer-files.js'
import type { Revocations } from '../../../src/keys/certificates/revocations.js'
import { createNeighbourRepository } from '../../../src/storage/sqlite/sqlite-neighbours.js'
import { type Database, openDatabase } from '../../../src/storage/sqlite-engine/database.js'
import { numberNodes } from '../../../src/tree/index/numbered-nodes.js'
import { packTree } from '../../../src/tree/index/packed-tree.js'
import { TopologyIndex } from '../../../src/tree/index/topology-index.js'
import type { TreeNode } from '../../../src/tree/topology.js'
import { type Logger, silentLogger } from '../../../src/values/logging/logger.js'
import { removeFolder } from '../machine/remove-folder.js'

export interface TestNeighboursOptions {
  readonly mode?: NeighboursConfig['general']['peerAuthentication']
  /** Certificates known for the sub-relay `relay1`. */
  readonly pins?: readonly CertificateMaterial[]
  readonly ca?: CertificateMaterial
  readonly own?: CertificateMaterial
  readonly port: number
  /** @default '127.0.0.1' */
  readonly host?: string
  /** In the nodes list. @default 'localhost' */
  readonly hostname?: string
  readonly connectTimeoutMs?: number
  readonly httpsIdleTimeoutMs?: number
  readonly observer?: HopObserver
  readonly now?: () => number
  /** Makes this relay one below the policy server at `host:port`. */
  readonly upstream?: {
    readonly user?: string
    readonly password?: string
    readonly certificate?: CertificateMaterial
    readonly nodeId?: string | undefined
  }
  readonly linkUp?: LinkToUpper
  readonly revocations?: Revocations
  /** @default silent */
  readonly logger?: Logger
  /** The folder of an earlier call, to start again on the same database. */
  readonly folder?: string
}

export interface TestNeighbours {
  readonly neighbours: DirectNeighbours
  readonly folder: string
  readonly config: NeighboursConfig
  /** Changes what the nodes list and the certificates file hold. */
  readonly change: (change: { pins?: readonly CertificateMaterial[]; hostname?: string }) => void
  /** Ends them as a stop of the relay does; done at the end of the test otherwise. */
  readonly stop: () => Promise<void>
}

/** The neighbours of a relay `self` with one sub-relay, `relay1`, or of one below a policy server. */
export async function startNeighbours(t: TestContext, options: TestNeighboursOptions): Promise<TestNeighbours> {
  const folder = options.folder ?? (await temporaryFolder(t))
  const selfId = options.upstream === undefined ? 'root' : 'self'
  let pins = options.pins ?? []
  let topology = topologyOf(selfId, options.hostname ?? 'localhost', 1)
  const config = await writeConfig(folder, options)
  const db: Database = openDatabase(join(folder, 'state.db'), 'state')
  const neighbours = await createNeighbours({
    config,
    topology: () => topology,
    certificatesOf: id => (id === 'relay1' ? pins.map(pin => pin.certificateDer) : []),
    known: await KnownNeighbours.load(createNeighbourRepository(db), options.now),
    logger: options.logger ?? silentLogger,
    ...(options.observer === undefined ? {} : { observer: options.observer }),
    ...(options.linkUp === undefined ? {} : { linkUp: () => options.linkUp }),
    ...(options.revocations === undefined ? {} : { revocations: options.revocations }),
    ...(options.now === undefined ? {} : { now: options.now })
  })
  let isStopped = false
  async function stop(): Promise<void> {
    if (isStopped) return
    isStopped = true
    await neighbours.close()
    db.close()
  }
  t.after(stop)
  return {
    neighbours,
    folder,
    config,
    stop,
    change(change) {
      pins = change.pins ?? pins
      if (change.hostname !== undefined) topology = topologyOf(selfId, change.hostname, topology.version + 1)
    }
  }
}

export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-test-'))
  t.after(() => removeFolder(folder))
  return folder
}

function topologyOf(selfId: string, hostname: string, version: number): TopologyIndex {
  const nodes: TreeNode[] = [
    {
      id: selfId,
      hostname: 'self.example.com',
      policyServer: selfId === 'root' ? 'root' : 'above',
      keyHash: undefined
    },
    { id: 'relay1', hostname, policyServer: selfId, keyHash: undefined },
    { id: 'node1', hostname: 'node1.example.com', policyServer: 'relay1', keyHash: undefined }
  ]
  return new TopologyIndex(packTree(numberNodes(nodes.sort((a, b) => (a.id < b.id ? -1 : 1))), selfId), selfId, version)
}

async function writeConfig(folder: string, options: TestNeighboursOptions): Promise<NeighboursConfig> {
  const host = options.host ?? '127.0.0.1'
  const { upstream, ca, own } = options
  return {
    general: {
      nodesCertsFile: join(folder, 'allnodescerts.pem'),
      httpsCertificateFile: own && (await write(folder, 'own.crt', own.certificatePem)),
      httpsKeyFile: own && (await write(folder, 'own.key', own.privateKeyPem)),
      httpsPort: options.port,
      httpsIdleTimeoutMs: options.httpsIdleTimeoutMs ?? 2_000,
      connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
      peerAuthentication: options.mode ?? 'cert_pinning',
      caPath: ca && (await write(folder, 'ca.pem', ca.certificatePem))
    },
    upstream: upstream && {
      host,
      port: options.port,
      nodeId: upstream.nodeId,
      user: upstream.user,
      password: upstream.password,
      serverCertificateFile:
        upstream.certificate && (await write(folder, 'upstream.pem', upstream.certificate.certificatePem))
    },
    neighbours: { addresses: new Map([['relay1', { host, port: options.port }]]) }
  }
}

async function write(folder: string, name: string, text: string): Promise<string> {
  const file = join(folder, name)
  await writeFile(file, text, { mode: 0o600 })
  return file
}
