import type { SystemControl, SystemStatus } from '../api/services.js'
import { type Config, ConfigError } from '../config/config.js'
import { reloadConfig } from '../config/config-loader.js'
import { writtenFolders } from '../config/storage-folders.js'
import type { DirectNeighbours } from '../hops/neighbours.js'
import { readPeerFiles } from '../hops/peers/peer-files.js'
import type { RecordStorage } from '../storage/repositories/repositories.js'
import type { Tree } from '../tree/tree-service.js'
import type { TreeSyncStatus } from '../tree-sync/tree-sync.js'
import { errorMessage } from '../values/failures/system-error.js'
import type { Logger, LogLevel } from '../values/logging/logger.js'
import { createTurns } from '../values/time/in-turn.js'
import { isoTime } from '../values/time/iso-time.js'
import type { ConfigInForce } from './config-in-force.js'
import { DiskWatch } from './disk-watch.js'
import { changesThatNeedRestart } from './live-settings.js'
import type { CertificateBook } from './membership/certificate-book.js'

export interface SystemControlOptions {
  readonly inForce: ConfigInForce
  readonly tree: Tree
  readonly certificates: CertificateBook
  readonly neighbours: DirectNeighbours
  readonly storage: Pick<RecordStorage, 'problem'>
  /** Undefined unless the tree is the policy server's. */
  readonly treeSync: { readonly status: TreeSyncStatus } | undefined
  /** Takes the level of `logging.conf`. */
  readonly configureLogLevel: (level: LogLevel) => void
  readonly logger: Logger
}

export interface RelaySystemControl extends SystemControl {
  onCertificateRenewal(renew: (config: Config) => void): void
  /** Calls `look` with each reload. @param look returns what is wrong, and does not reject */
  onReload(look: () => Promise<string | undefined>): void
  /** Shows in the status of the nodes why the tree is not what it should be. @param problem undefined while there is none */
  showTreeProblem(problem: () => string | undefined): void
  /** Takes another address of the policy server for that of the configuration. */
  moveUpstream(address: { readonly host: string; readonly port: number }): Promise<void>
  /** Reads this relay's certificate, and its policy server's, again, and nothing else. */
  certificatesChanged(): Promise<void>
}

/** Reloading, and what `system/status` says. */
export function createSystemControl(options: SystemControlOptions): RelaySystemControl {
  const { inForce, tree, certificates, neighbours, storage, treeSync, configureLogLevel, logger } = options
  const disks = new DiskWatch(writtenFolders(inForce.get()))
  /**
   * The problem that the last reload found beyond the configuration's own files, or the settings that wait for a
   * restart.
   */
  let reloadProblem: string | undefined
  let treeProblem: () => string | undefined = () => undefined
  let renewCertificate: (config: Config) => void = () => undefined
  let lookAgain: () => Promise<string | undefined> = async () => undefined
  // of two that read files and put them in force at once, the one that read the older ones could end last
  const inTurn = createTurns()
  certificates.readPolicyServer(inForce.get().upstream?.serverCertificateFile)

  /** A broken configuration changes nothing: the relay goes on with the one it has. */
  async function reloadConfiguration(): Promise<string | undefined> {
    let forget: () => void = () => undefined
    try {
      const former = inForce.get()
      const read = await reloadConfig(former.directory)
      const waiting = changesThatNeedRestart(former, read)
      await readPeerFiles(read) // what it finds wrong, it finds before anything has changed
      forget = certificates.readPolicyServer(read.upstream?.serverCertificateFile)
      renewCertificate(read)
      forget = () => undefined
      await neighbours.reload(read)
      configureLogLevel(read.logging.level)
      inForce.replace(read)
      reloadProblem = undefined
      if (waiting.length > 0) {
        logger.warn({ settings: waiting }, 'settings changed; restart to apply them')
        reloadProblem = `in force only after a restart: ${waiting.join(', ')}`
      }
      return undefined
    } catch (error) {
      forget()
      const problem = errorMessage(error)
      // what its files say is looked at again for each status
      reloadProblem = error instanceof ConfigError ? undefined : problem
      return problem
    }
  }

  async function reload(): Promise<readonly string[]> {
    const configuration = await inTurn(reloadConfiguration)
    const report = await tree.reload()
    const problems = [configuration, report.details, await lookAgain()].filter(problem => problem !== undefined)
    if (problems.length === 0) logger.info({ nodes: tree.current().size }, 'reloaded')
    else logger.error({ problems }, 'reloaded in part; the other parts stay as they were')
    return problems
  }

  async function unreadiness(): Promise<string | undefined> {
    if (tree.current().version === 0) return 'there is no tree yet'
    // in this order: a disk that hangs is found without being waited for, which a write to the database would be
    const problem = (await disks.problem()) ?? storage.problem()
    return problem === undefined
      ? undefined
      : 'a disk is full, or a folder or database of the relay cannot be used: system/status says which'
  }

  async function status(): Promise<SystemStatus> {
    const nodes = tree.status()
    return {
      configuration: part((await fileProblem(inForce.get().directory)) ?? reloadProblem),
      database: part(storage.problem()),
      storage: part(await disks.problem()),
      nodes: {
        ...part(nodes.details ?? treeProblem()),
        count: nodes.nodeCount,
        certificates: nodes.certificateCount,
        ...syncPart(treeSync?.status)
      }
    }
  }

  return {
    reload,
    status,
    unreadiness,
    moveUpstream: address =>
      inTurn(async () => {
        const config = inForce.get()
        if (config.upstream === undefined) return
        inForce.replace({ ...config, upstream: { ...config.upstream, ...address } })
        await neighbours.reload(inForce.get())
      }),
    certificatesChanged: () =>
      inTurn(async () => {
        const config = inForce.get()
        certificates.readPolicyServer(config.upstream?.serverCertificateFile)
        renewCertificate(config)
        await neighbours.reload(config)
      }),
    showTreeProblem: problem => {
      treeProblem = problem
    },
    onCertificateRenewal: renew => {
      renewCertificate = renew
    },
    onReload: look => {
      lookAgain = look
    }
  }
}

function part(problem: string | undefined): { status: 'success' | 'error'; details?: string } {
  return problem === undefined ? { status: 'success' } : { status: 'error', details: problem }
}

/** The state of the sync; a relay that is cut off reports no error: its last tree stays. How old it is shows. */
function syncPart(sync: TreeSyncStatus | undefined): Pick<SystemStatus['nodes'], 'sync'> {
  if (sync === undefined) return {}
  const { version, syncedAtMs, syncedAtUptimeMs, problem } = sync
  return {
    sync: {
      ...(version === undefined ? {} : { version }),
      ...(syncedAtMs === undefined ? {} : { synced_at: isoTime(syncedAtMs) }),
      ...(syncedAtUptimeMs === undefined
        ? {}
        : { age_seconds: Math.floor((performance.now() - syncedAtUptimeMs) / 1_000) }),
      ...(problem === undefined ? {} : { problem })
    }
  }
}

/** The problem of the configuration as it is on disk now, whichever is in force. */
async function fileProblem(directory: string): Promise<string | undefined> {
  try {
    return errorNotices(await reloadConfig(directory))
  } catch (error) {
    return errorMessage(error)
  }
}

function errorNotices(config: Config): string | undefined {
  const errors = config.notices.filter(notice => notice.level === 'error').map(notice => notice.text)
  return errors.length === 0 ? undefined : errors.join('\n')
}
