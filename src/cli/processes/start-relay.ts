import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Config } from '../../config/config.js'
import { loadConfig } from '../../config/config-loader.js'
import { privateFilesOfRelay } from '../../config/private-files.js'
import { storageFolders, writtenFolders } from '../../config/storage-folders.js'
import { createLog } from '../../process/log.js'
import { isStopAsked, leaveStopSignals } from '../../process/signals/stop-signal.js'
import { leaveWorkingFolder } from '../../process/working-folder.js'
import { withheldWarnings } from '../../shared-folder/withheld-files.js'
import { foldersOfRelay } from '../../storage/folders/folder-kinds.js'
import { createTree } from '../../tree/tree-service.js'
import { finishPlacing } from '../../tree-sync/tree-files.js'
import { asDiskFailure } from '../../values/failures/disk-failure.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { isDamage } from '../../values/failures/storage-failure.js'
import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import { printStrictFailure, printVerdict, readOrPrintProblems, refusesStrictAlone } from '../checks/config-problems.js'
import { socketFolders } from '../checks/listening-check.js'
import { foreignFileWarnings } from '../checks/permissions/exposed-files.js'
import { configurationFolder, openFolderWarnings } from '../checks/permissions/open-folders.js'
import { refuseForeignWays } from '../checks/permissions/way-to-folder.js'
import { misplacedFolder } from '../checks/shared-folder-place.js'
import { printDiagnostic } from '../output/diagnostic.js'
import { holdFolders, serveUntilStopped } from './serve-until-stopped.js'
import { findServiceManager } from './service-manager.js'

/** Exit codes (contract, "Configuration"). */
const BAD_CONFIGURATION = 2
const CANNOT_START = 3

export interface ServeOptions {
  /** The directory with `main.conf` and `logging.conf`. */
  readonly config: string
  /** Whether to check the configuration only, print what is wrong, and end. */
  readonly test?: boolean
  /** Whether warnings count as errors, with `test`. */
  readonly strict?: boolean
}

/** Runs a relay until SIGTERM or SIGINT. @returns the exit code */
export async function runServe({ config: directory, test = false, strict = false }: ServeOptions): Promise<number> {
  if (test) leaveStopSignals()
  if (refusesStrictAlone({ test, strict })) return BAD_CONFIGURATION
  const config = readConfig(directory)
  if (config === undefined) return BAD_CONFIGURATION
  if (test) return await testConfig(directory, config, strict)
  leaveWorkingFolder()
  try {
    return await serve(config)
  } catch (error) {
    const named = await startFailure(error, config)
    printDiagnostic(`cannot start: ${errorMessage(named)}`)
    return CANNOT_START
  }
}

/** Damage that shows only when a page is read: of the state, as a damaged tree is made anew. */
async function startFailure(error: unknown, config: Config): Promise<unknown> {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  if (!isDamage(cause) || !(error === cause || error instanceof RelayError)) {
    return asDiskFailure(error, storageFolders(config))
  }
  const { unusable } = await import('../../storage/sqlite-engine/database.js')
  return unusable(join(config.storage.path, 'state.db'), 'state', cause)
}

/** Says what is wrong with a configuration that can be read. @returns the exit code */
async function testConfig(directory: string, config: Config, strict: boolean): Promise<number> {
  const { checkRelayStart } = await import('../checks/start-files-check.js')
  const { problems: found, warnings, notes, checkedFor } = await checkRelayStart(config)
  const misplaced = misplacedFolder(config)
  const problems = misplaced === undefined ? found : [...found, misplaced]
  for (const problem of problems) printDiagnostic(problem)
  for (const warning of warnings) printDiagnostic(`warning: ${warning}`)
  for (const note of notes) printDiagnostic(`note: ${note}`)
  const unusable = await nodesProblems(config)
  for (const problem of unusable) printDiagnostic(`error: ${problem}`)
  if (problems.length > 0) return BAD_CONFIGURATION
  const isNoticed = warnings.length > 0 || unusable.length > 0 || config.notices.some(({ level }) => level !== 'note')
  if (strict && isNoticed) {
    printStrictFailure(directory)
    return BAD_CONFIGURATION
  }
  const hasErrors = unusable.length > 0 || config.notices.some(({ level }) => level === 'error')
  const verdict = hasErrors ? 'can be used; see the errors above' : 'is in order'
  printVerdict(directory, verdict, checkedFor)
  return 0
}

/** The number of nodes named of those that the relay leaves out of the nodes list. */
const MAX_NODES_NAMED = 20

/** Problems of the nodes list and its certificates, unless the files are still to come. */
async function nodesProblems({ general, tree }: Config): Promise<string[]> {
  const { checkNodesFile } = await import('../checks/nodes-file-check.js')
  const { parseNodesList } = await import('../../tree/import/nodes-list.js')
  const { parseCertificates } = await import('../../tree/import/certificates-list.js')
  const { identify } = await import('../../tree/import/import-tree.js')
  const { nodesListFile, nodesCertsFile } = general
  const isAwaited = tree.source === 'policy-server' && !existsSync(nodesListFile)
  const skipped: string[] = []
  const refused = isAwaited
    ? []
    : await checkNodesFile('general.nodes_list_file', nodesListFile, bytes => {
        parseNodesList(bytes.toString('utf8'), nodesListFile, problem => skipped.push(problem))
      })
  const ofList = [...refused, ...skipped.slice(0, MAX_NODES_NAMED)]
  if (!existsSync(nodesCertsFile)) return ofList // no node has a certificate then
  const ofCertificates = await checkNodesFile('general.nodes_certs_file', nodesCertsFile, bytes => {
    let count = 0
    for (const { der, line } of parseCertificates(bytes, nodesCertsFile)) {
      identify(der, line, nodesCertsFile)
      count += 1
    }
    if (count === 0 && bytes.length > 0) throw new Error(`${nodesCertsFile} holds no certificate`)
  })
  return [...ofList, ...ofCertificates]
}

function readConfig(directory: string): Config | undefined {
  return readOrPrintProblems(directory, () => loadConfig(directory))
}

async function serve(config: Config): Promise<number> {
  const { nodeId } = config.general
  const misplaced = misplacedFolder(config)
  if (misplaced !== undefined) throw new Error(misplaced)
  const socket = socketFolders(config.general.socket)
  await refuseForeignWays([...writtenFolders(config), ...socket])
  await refuseForeignWays([{ setting: 'shared_folder.path', path: config.sharedFolder.path }]) // by itself: its owner must not move it
  const held = holdFolders(nodeId, foldersOfRelay(config))
  const { logger, level, lostLines } = await createLog({ level: config.logging.level, base: { node: nodeId } })
  const manager = findServiceManager(logger)
  if (config.tree.source === 'policy-server') finishPlacing(dirname(config.general.nodesListFile))
  const tree = createTree({
    databaseFile: join(config.storage.path, 'topology.db'),
    nodesListFile: config.general.nodesListFile,
    nodesCertsFile: config.general.nodesCertsFile,
    selfId: nodeId,
    listIsToCome: config.tree.source === 'policy-server',
    logger
  })
  try {
    if (!isStopAsked()) {
      const treeLoaded = tree.load()
      // Beside the worker that reads the tree.
      const [{ startRelay }] = await Promise.all([import('../../relay/relay.js'), warnOfConfiguration(config, logger)])
      const relay = await startRelay({
        config,
        tree,
        treeLoaded,
        lostLogLines: lostLines,
        configureLogLevel: wanted => level.configure(wanted),
        logger
      })
      await serveUntilStopped(
        {
          started: { message: 'ready', details: { addresses: relay.addresses, nodes: tree.current().size } },
          reload: async () => {
            await relay.reload().catch((error: unknown) => logger.error({ err: error }, 'cannot reload'))
          },
          stop: () => relay.stop()
        },
        {
          process: { kind: 'relay', name: nodeId, level },
          logger,
          manager,
          stoppingMessage: 'stopping; requests and runs under way may finish',
          failure: () => held.lost
        }
      )
    }
    return held.lost === undefined ? 0 : CANNOT_START
  } finally {
    await tree.close()
    held.release()
  }
}

/** Warns of settings that work and are likely to be a mistake. */
async function warnOfConfiguration(config: Config, logger: Logger): Promise<void> {
  const [{ relayCertificateWarnings }, { relayKeyWarnings }] = await Promise.all([
    import('../checks/certificate-warnings.js'),
    import('../checks/signing-key-warnings.js')
  ])
  for (const problem of await relayCertificateWarnings(config)) logger.warn({ problem }, 'unusable certificate')
  for (const problem of await relayKeyWarnings(config)) logger.warn({ problem }, 'unusable signing key')
  for (const problem of await openFolderWarnings([
    ...writtenFolders(config),
    ...socketFolders(config.general.socket),
    ...configurationFolder(config.directory)
  ])) {
    logger.warn({ problem }, 'other users may write to a folder')
  }
  for (const problem of await foreignFileWarnings(privateFilesOfRelay(config)))
    logger.warn({ problem }, 'another user may change what root runs by')
  for (const problem of withheldWarnings(config)) logger.warn({ problem }, 'shared folder contains files of the relay')
}
