import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Config } from '../../../src/config/config.js'
import type { Hop, Neighbours } from '../../../src/hops/hop.js'
import { NetworkSet } from '../../../src/network/network-set.js'
import type { RunObserver } from '../../../src/remote-run/progress/run-progress.js'
import type { RunTiming } from '../../../src/remote-run/progress/run-timing.js'
import { createRemoteRuns } from '../../../src/remote-run/remote-runs.js'
import type { RemoteRuns, Run, RunEvent, RunOrder } from '../../../src/remote-run/run-types.js'
import type { Claims } from '../../../src/storage/sqlite/claims.js'
import { createRunRepository } from '../../../src/storage/sqlite/sqlite-runs.js'
import { type Database, openDatabase } from '../../../src/storage/sqlite-engine/database.js'
import { numberNodes } from '../../../src/tree/index/numbered-nodes.js'
import { packTree } from '../../../src/tree/index/packed-tree.js'
import { TopologyIndex } from '../../../src/tree/index/topology-index.js'
import type { Topology, TreeNode } from '../../../src/tree/topology.js'
import { RelayError } from '../../../src/values/failures/relay-error.js'
import { silentLogger } from '../../../src/values/logging/logger.js'

/** Says `hello <hosts>` on stdout and `careful <hosts>` on stderr; a host `fails.*` ends with exit code 3. */
export const GREETER = `#!/bin/sh
for hosts; do :; done
echo "hello $hosts"
echo "careful $hosts" >&2
case "$hosts" in fails*) exit 3 ;; esac
`

/** A nodes list from `id: policy server` pairs; host names are `<id>.example`. */
export function topologyOf(selfId: string, policyServers: Readonly<Record<string, string>>): Topology {
  const nodes: TreeNode[] = Object.entries(policyServers).map(([id, policyServer]) => ({
    id,
    policyServer,
    hostname: `${id}.example`,
    keyHash: undefined
  }))
  return new TopologyIndex(packTree(numberNodes(nodes), selfId), selfId, 1)
}

export interface TestRunsOptions {
  readonly selfId?: string
  /** A function: asked anew each time. */
  readonly topology: Topology | (() => Topology)
  readonly refreshTree?: () => Promise<void>
  /** Text of the program that runs agents. @default GREETER */
  readonly command?: string
  readonly config?: Partial<Config['remoteRun']>
  readonly hops?: readonly Hop[]
  /** Nodes that hold links, as hops; asked anew each time. */
  readonly linked?: (id: string) => Hop | undefined
  readonly shouldHoldLink?: (id: string) => boolean
  readonly onLinked?: (listener: (id: string) => void) => void
  readonly observer?: RunObserver
  readonly timing?: Partial<RunTiming>
  readonly now?: () => number
  readonly uptime?: () => number
  /** The folder of an earlier call, to start again on the same files. */
  readonly folder?: string
  /** The logs of runs are below it. @default the folder */
  readonly storagePath?: string
  /** Holds up what is taken up. */
  readonly treeLoaded?: Promise<unknown>
  /** Its claims on runs. */
  readonly claims?: Claims
}

export interface TestRuns {
  readonly runs: RemoteRuns
  readonly folder: string
  readonly db: Database
  /** Ends them as the end of the relay does; done when the test ends otherwise. */
  readonly close: () => Promise<void>
}

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'treeline-runs-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export function writeCommand(folder: string, text: string, name = 'command'): string {
  const path = join(folder, name)
  writeFileSync(path, text, { mode: 0o755 })
  return path
}

/** Real remote runs: processes, files and database, in a folder of their own. */
export async function startRuns(t: TestContext, options: TestRunsOptions): Promise<TestRuns> {
  const folder = options.folder ?? temporaryFolder(t)
  const { topology: given } = options
  const topology = typeof given === 'function' ? given : () => given
  const db = openDatabase(join(folder, 'state.db'), 'state')
  const runs = createRemoteRuns({
    config: {
      enabled: true,
      command: writeCommand(folder, options.command ?? GREETER),
      useSudo: false,
      batchSize: 1,
      concurrency: 8,
      timeoutMs: 20_000,
      retentionMs: 7 * 86_400_000,
      maxOutputBytes: 1024 * 1024,
      fallbackCommand: true,
      ownArguments: undefined,
      stderr: false,
      allowedNetworks: NetworkSet.none(),
      ...options.config
    },
    storagePath: options.storagePath ?? folder,
    selfId: topology().selfId,
    topology,
    refreshTree: options.refreshTree,
    neighbours: {
      ...neighboursOf(options.hops ?? []),
      linked: options.linked ?? (() => undefined),
      shouldHoldLink: options.shouldHoldLink ?? (() => false),
      onLinked: options.onLinked ?? (() => undefined)
    },
    repository: createRunRepository(db, options.claims),
    logger: silentLogger,
    timing: { killGraceMs: 200, resumeBackoff: { firstMs: 5, maxMs: 20 }, recordDelayMs: 10, ...options.timing },
    ...(options.observer === undefined ? {} : { observer: options.observer }),
    ...(options.now === undefined ? {} : { now: options.now }),
    ...(options.uptime === undefined ? {} : { uptime: options.uptime })
  })
  await runs.recover(options.treeLoaded)
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= runs.stop().then(() => void db.close())
    return closed
  }
  t.after(close)
  return { runs, folder, db, close }
}

function neighboursOf(hops: readonly Hop[]): Neighbours {
  return {
    linked: () => undefined,
    down(id) {
      const hop = hops.find(candidate => candidate.id === id)
      if (hop === undefined) throw new RelayError('UNKNOWN_NODE', `no neighbour ${id}`)
      return hop
    },
    up() {
      throw new RelayError('UNKNOWN_NODE', 'there is none')
    },
    close: () => Promise.resolve()
  }
}

/** An order of a local caller: everything, synchronous, with output, unless told otherwise. */
export function orderOf(order: Partial<RunOrder> = {}): RunOrder {
  return {
    nodes: 'all',
    keepOutput: true,
    asynchronous: false,
    conditions: [],
    runId: undefined,
    origin: {
      caller: { kind: 'local', address: '127.0.0.1' },
      requestId: 'request-1',
      passed: [],
      signal: new AbortController().signal
    },
    ...order
  }
}

export async function allEvents(run: Run, after = 0): Promise<RunEvent[]> {
  const events: RunEvent[] = []
  for await (const event of run.events(after, new AbortController().signal)) events.push(event)
  return events
}

/** Reads events until one fulfils `condition`. */
export async function waitForEvent(run: Run, condition: (event: RunEvent) => boolean): Promise<RunEvent> {
  for await (const event of run.events(0, new AbortController().signal)) {
    if (condition(event)) return event
  }
  throw new Error('the run ended before')
}

/** The final outcome of each node, as the events tell it: `done 0`, `timed_out`, … */
export function outcomesOf(events: readonly RunEvent[]): Record<string, string> {
  const ends = events.filter(event => event.event === 'node' && event.outcome !== 'running')
  return Object.fromEntries(
    ends.map(event => [event.node ?? '', [event.outcome, event.exit_code].filter(part => part !== undefined).join(' ')])
  )
}
