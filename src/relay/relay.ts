import { buildApp } from '../api/app.js'
import { POLICY_SERVER } from '../hops/hop.js'
import { startJobs } from '../jobs/periodic-jobs.js'
import { RelayError } from '../values/failures/relay-error.js'
import { settledWithin } from '../values/time/settled-within.js'
import { composeRelay, type RelayParts, type RelayPartsOptions } from './compose-relay.js'
import { connectionsOf } from './listening/descriptor-budget.js'
import { type Listeners, openListeners } from './listening/listeners.js'
import { countServiceListeners, openServiceListeners, type ServiceListeners } from './services/service-listeners.js'

export interface RelayOptions extends RelayPartsOptions {
  /** Resolves once the tree is there; the routes are built meanwhile. */
  readonly treeLoaded: Promise<unknown>
}

export interface Relay {
  readonly addresses: readonly string[]
  reload(): Promise<readonly string[]>
  /** Idempotent. Resolves when nothing runs any more. */
  stop(): Promise<void>
}

/** Starts a relay: storage, features, routes, listeners, jobs. The caller closes the tree, after `stop`. */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const { config, treeLoaded, logger } = options
  const parts = await composeRelay(options)
  const { sharedFiles, remoteRuns } = parts.services
  const app = await buildApp({ logger, services: parts.services, versions: options.versions })
  const membersLoaded = treeLoaded.then(() => parts.membership.recover())
  await Promise.all([membersLoaded, sharedFiles.recover(), remoteRuns.recover(treeLoaded)])
  const { links } = parts
  links.serve((request, response) => app.routing(request, response))
  const ofServices = countServiceListeners(config)
  const connections = connectionsOf({ ...config.general, ofServices }, logger)
  const listeners = await openListeners(app, config, links.acceptor, parts.services, connections, logger)
  const serviceListeners = await openServiceListeners({
    ...parts.services,
    tokens: parts.tokens,
    callers: parts.callerCertificates,
    keys: parts.serviceParts.keys,
    traffic: parts.traffic,
    sealing: parts.serviceParts.sealing,
    connections,
    logger
  })
  const { treeSync } = parts.services
  await parts.serviceParts.own.replace(config.ownServices)
  const { revocationExchange } = parts
  links.dialer?.onChange(({ isConnected }) => {
    if (!isConnected) return
    sharedFiles.hopIsBack(POLICY_SERVER)
    void treeSync?.ask() // never rejects
    void revocationExchange?.look() // neither does this
  })
  links.dialer?.start()
  parts.system.onCertificateRenewal(renewed => {
    listeners.renewCertificate(renewed)
    serviceListeners.renewCertificate(renewed)
  })
  parts.system.onReload(async () => {
    await adaptServices(parts)
    const problems = [await listeners.lookAtSocket(), await serviceListeners.adapt()]
    const found = problems.filter(problem => problem !== undefined)
    return found.length === 0 ? undefined : found.join('; ')
  })
  parts.membership.start()
  sharedFiles.start()
  const jobs = startJobs({
    sharedFiles,
    remoteRuns,
    cleanupFrequency: config.sharedFiles.cleanupFrequency,
    leases: parts.storage.repositories.leases,
    ...(revocationExchange === undefined
      ? {}
      : { revocations: { look: () => revocationExchange.look(), everyMs: confirmEveryMs(config) } }),
    ...(treeSync === undefined ? {} : { treeSync: { ask: () => treeSync.ask(), everyMs: config.tree.refreshMs } }),
    logger
  })
  void treeSync?.ask()
  void revocationExchange?.look()

  let stopped: Promise<void> | undefined
  return {
    addresses: [...listeners.addresses, ...serviceListeners.addresses],
    reload: parts.system.reload,
    stop: () => {
      stopped ??= stop(parts, listeners, serviceListeners, jobs, config.general.stopTimeoutMs)
      return stopped
    }
  }
}

/** Offers the services of the configuration in force. */
async function adaptServices({ services, serviceParts, links }: RelayParts): Promise<void> {
  const { ownServices, links: setting } = services.config()
  const had = serviceParts.own.count > 0
  await serviceParts.own.replace(ownServices)
  serviceParts.below.review()
  // a link that said that there are none is not asked for them
  if (!had && ownServices.length > 0 && !setting.accept) links.dialer?.redial('there are services now')
}

/** The time between two questions whether the list of revocations is the newest: the first one may fail within the grace. */
function confirmEveryMs({ tree, services }: RelayOptions['config']): number {
  return Math.min(tree.refreshMs, services.offlineGraceMs / 3)
}

/**
 * No new requests; those under way, and runs that nobody waits for, may finish within the limit; then streams are
 * ended and processes stopped.
 */
async function stop(
  parts: RelayParts,
  listeners: Listeners,
  serviceListeners: ServiceListeners,
  jobs: { stop(): Promise<void> },
  limitMs: number
): Promise<void> {
  const { sharedFiles, remoteRuns, treeSource, treeSync } = parts.services
  parts.serviceParts.announcer.stop() // relays above choose another way from now on
  const drained = listeners.drain()
  const finished = remoteRuns
    .drain()
    .then(() => parts.links.drain())
    .then(() => drained)
    .then(() => remoteRuns.drain()) // a request under way may still have started a run
  await settledWithin(finished, limitMs)
  parts.stopping.abort(new RelayError('STOPPING', 'the relay is stopping; ask again in a minute'))
  await Promise.all([
    jobs.stop(),
    parts.membership.stop(),
    remoteRuns.stop(),
    sharedFiles.stop(),
    treeSource.stop(),
    treeSync?.stop(),
    parts.revocationExchange?.stop(),
    parts.services.revocations?.stop()
  ])
  await serviceListeners.stop()
  parts.serviceParts.own.close()
  parts.tokens.close()
  await parts.links.stop()
  listeners.cut()
  await drained
  await parts.neighbours.close()
  parts.storage.close()
}
