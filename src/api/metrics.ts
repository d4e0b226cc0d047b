import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { RemoteRuns } from '../remote-run/types.js'
import type { SharedFiles } from '../shared-files/types.js'
import type { CurrentTopology } from '../tree/topology.js'
import { RequestMetrics } from './request-metrics.js'

/** Where the features report what they do; shown at `/metrics` (docs/metrics.md lists every name). */
export interface Metrics {
  text(): Promise<string>
  readonly contentType: string
  readonly requests: RequestMetrics
  hopAsked(hop: string, outcome: string, durationMs: number): void
  nodeRan(outcome: string): void
  bytesStored(bytes: number): void
  outboxTried(outcome: string): void
  purged(files: number): void
  /** Gauges that are read when somebody looks. */
  observe(sources: MetricSources): void
}

export interface MetricSources {
  readonly sharedFiles: SharedFiles
  readonly remoteRuns: RemoteRuns
  readonly topology: CurrentTopology
}

const DURATION_BUCKETS_S = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60]

export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const requests = new RequestMetrics()
  const hops = new Histogram({
    name: 'treeline_hop_duration_seconds',
    help: 'Requests to neighbours, until the answer began',
    labelNames: ['hop', 'outcome'] as const,
    buckets: DURATION_BUCKETS_S,
    registers
  })
  const counters = featureCounters(registers)

  return {
    text: async () => (await registry.metrics()) + requests.text(),
    contentType: registry.contentType,
    requests,
    hopAsked: (hop, outcome, durationMs) => hops.labels(hop, outcome).observe(durationMs / 1000),
    nodeRan: outcome => counters.nodes.labels(outcome).inc(),
    bytesStored: bytes => counters.bytes.inc(bytes),
    outboxTried: outcome => counters.outbox.labels(outcome).inc(),
    purged: files => counters.purged.inc(files),
    observe: sources => observe(registers, sources)
  }
}

function featureCounters(registers: Registry[]) {
  return {
    nodes: new Counter({
      name: 'treeline_run_nodes_total',
      help: 'Nodes that a remote run has ended for',
      labelNames: ['outcome'] as const,
      registers
    }),
    bytes: new Counter({ name: 'treeline_shared_file_bytes_total', help: 'Bytes of shared files stored', registers }),
    outbox: new Counter({
      name: 'treeline_outbox_attempts_total',
      help: 'Attempts to pass a waiting file on',
      labelNames: ['outcome'] as const,
      registers
    }),
    purged: new Counter({ name: 'treeline_purged_files_total', help: 'Expired shared files removed', registers })
  }
}

function observe(registers: Registry[], { sharedFiles, remoteRuns, topology }: MetricSources): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      }
    })
  gauge('treeline_shared_files', 'Shared files kept here', () => sharedFiles.status().files)
  gauge('treeline_shared_files_bytes', 'Their size', () => sharedFiles.status().bytes)
  gauge('treeline_outbox_pending', 'Files waiting for a hop', () => sharedFiles.status().outboxPending)
  gauge('treeline_outbox_failed', 'Files that a hop refused', () => sharedFiles.status().outboxFailed)
  gauge('treeline_outbox_bytes', 'Size of all files in the outbox', () => sharedFiles.status().outboxBytes)
  gauge('treeline_runs_running', 'Remote runs under way', () => remoteRuns.status().running)
  gauge('treeline_run_commands_running', 'Commands running', () => remoteRuns.status().commandsRunning)
  gauge('treeline_nodes', 'Nodes in the list', () => topology().size)
}
