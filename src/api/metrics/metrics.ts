import type { LinkAdministration } from '../../links/upper/link-administration.js'
import type { LinkObserver } from '../../links/upper/link-observer.js'
import type { RemoteRuns } from '../../remote-run/run-types.js'
import type { ServiceTraffic } from '../../services/entry/traffic/service-traffic.js'
import type { SharedFiles } from '../../shared-files/file-types.js'
import type { CurrentTopology } from '../../tree/topology.js'
import type { TreeSync } from '../../tree-sync/tree-sync.js'
import { atFirstUse } from '../../values/at-first-use.js'
import { HopMetrics } from './hop-metrics.js'
import { LinkMetrics, linkGauges } from './link-metrics.js'
import { CounterFamily, header } from './prometheus-text.js'
import { RequestMetrics } from './request-metrics.js'
import { type RevocationState, revocationGauges } from './revocation-metrics.js'
import { ServiceMetrics, serviceGauges } from './service-metrics.js'
import { syncedAtGauge, TreeMetrics } from './tree-metrics.js'

/** The metrics to which the features report; shown at `/metrics` (docs/metrics.md lists every name). */
export interface Metrics {
  /** All metrics. Who asks while they are being written for another caller gets the same text. */
  text(): Promise<string>
  readonly contentType: string
  readonly requests: RequestMetrics
  readonly links: LinkObserver
  readonly services: ServiceMetrics
  readonly tree: TreeMetrics
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
  readonly treeSync: TreeSync | undefined
  readonly links: LinkAdministration
  readonly traffic: ServiceTraffic
  /** Lines of the log that could not be written. */
  readonly lostLogLines: () => number
  readonly ownLink: () => { readonly isConnected: boolean } | undefined
  readonly revocationState: () => RevocationState | undefined
}

/** The Prometheus text format. */
const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export function createMetrics(): Metrics {
  const requests = new RequestMetrics()
  const hops = new HopMetrics()
  const links = new LinkMetrics()
  const services = new ServiceMetrics()
  const nodes = new CounterFamily('treeline_run_nodes_total', 'Nodes that a remote run has ended for', 'outcome')
  const bytes = new CounterFamily('treeline_shared_file_bytes_total', 'Bytes of shared files stored')
  const outbox = new CounterFamily('treeline_outbox_attempts_total', 'Attempts to pass a waiting file on', 'outcome')
  const purged = new CounterFamily('treeline_purged_files_total', 'Expired shared files removed')
  const tree = new TreeMetrics()
  let gauges = async () => ''
  const processMetrics = atFirstUse(async () => (await import('./process-metrics.js')).createProcessMetrics())

  let rendering: Promise<string> | undefined

  async function render(): Promise<string> {
    const ofProcess = await (await processMetrics.get()).metrics()
    const ours = [requests, hops, links, services, nodes, bytes, outbox, purged, tree].map(family => family.text())
    return `${[ofProcess.trimEnd(), ...ours, await gauges()].join('\n')}\n`
  }

  return {
    text: () => {
      rendering ??= render().finally(() => {
        rendering = undefined
      })
      return rendering
    },
    contentType: CONTENT_TYPE,
    requests,
    links,
    services,
    tree,
    hopAsked: (hop, outcome, durationMs) => hops.observe(hop, outcome, durationMs),
    nodeRan: outcome => nodes.add(1, outcome),
    bytesStored: count => bytes.add(count),
    outboxTried: outcome => outbox.add(1, outcome),
    purged: files => purged.add(files),
    observe: sources => {
      gauges = () => gaugesText(sources)
    }
  }
}

async function gaugesText({
  sharedFiles,
  remoteRuns,
  topology,
  links,
  traffic,
  lostLogLines,
  ownLink,
  treeSync,
  revocationState
}: MetricSources): Promise<string> {
  const files = await sharedFiles.status()
  const lost = sharedFiles.lost()
  const runs = remoteRuns.status()
  const gauge = (name: string, help: string, value: number) => [...header(name, help, 'gauge'), `${name} ${value}`]
  return [
    gauge('treeline_shared_files', 'Shared files kept here', files.files),
    gauge('treeline_shared_files_bytes', 'Their size', files.bytes),
    gauge('treeline_outbox_pending', 'Files waiting for a hop', files.outboxPending),
    gauge('treeline_outbox_failed', 'Files that a hop refused', files.outboxFailed),
    gauge('treeline_outbox_bytes', 'Size of all files in the outbox', files.outboxBytes),
    gauge('treeline_lost_files', 'Files in lost~, which no record knows', lost.files),
    gauge('treeline_lost_files_bytes', 'Their size', lost.bytes),
    gauge('treeline_runs_running', 'Remote runs under way', runs.running),
    gauge('treeline_run_commands_running', 'Commands running', runs.commandsRunning),
    [
      ...header('treeline_log_lines_lost_total', 'Lines of the log that could not be written', 'counter'),
      `treeline_log_lines_lost_total ${lostLogLines()}`
    ],
    gauge('treeline_nodes', 'Nodes in the list', topology().size),
    // the names that dashboards for existing relays know
    gauge('rudder_relayd_managed_nodes_total', 'Nodes managed by this relay itself', topology().managedCount),
    gauge('rudder_relayd_sub_nodes_total', 'Nodes in the list, as existing relays call them', topology().size),
    syncedAtGauge(treeSync?.status.syncedAtMs),
    revocationGauges(revocationState()),
    linkGauges(links, ownLink()?.isConnected),
    serviceGauges(traffic)
  ]
    .flat()
    .join('\n')
}
