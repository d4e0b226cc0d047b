import type { Command } from 'commander'
import type { AgentConfig } from '../../config/agent/agent-config.js'
import { onHangup } from '../../process/hangup.js'
import { askStop, isStopAsked, leaveStopSignals, stopAsked } from '../../process/stop-signal.js'
import { asDiskFailure } from '../../values/failures/disk-failure.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { readOrTell, refusesStrictAlone, tell, tellStrict } from '../checks/config-problems.js'
import { openFolderWarnings } from '../checks/open-folders.js'
import { example } from '../options/example.js'
import { findServiceManager } from './service-manager.js'

const DEFAULT_DIRECTORY = '/etc/treeline-agent'

/** Exit codes, as those of `serve` (contract, "Configuration"). */
const BAD_CONFIGURATION = 2
const CANNOT_START = 3

const STORAGE_MODE = 0o700

interface AgentCommandOptions {
  readonly config: string
  readonly test?: boolean
  readonly strict?: boolean
}

/** `treeline agent`. */
export function register(program: Command): void {
  program
    .command('agent')
    .description('Run the agent of a node, until SIGTERM: hold a link to the policy server, and run on request')
    .option('-c, --config <dir>', 'directory of agent.conf and logging.conf', DEFAULT_DIRECTORY)
    .option('-t, --test', 'check the configuration, print each problem, and exit')
    .option('--strict', 'with --test: treat warnings as errors')
    .addHelpText('after', example('treeline agent --config /etc/treeline-agent --test'))
    .action(async (options: AgentCommandOptions) => {
      process.exitCode = await runAgent(options)
    })
}

/** Runs an agent until SIGTERM or SIGINT. @returns the exit code */
async function runAgent({ config: directory, test = false, strict = false }: AgentCommandOptions): Promise<number> {
  if (test) leaveStopSignals()
  if (refusesStrictAlone({ test, strict })) return BAD_CONFIGURATION
  const config = await readAgentConfig(directory)
  if (config === undefined) return BAD_CONFIGURATION
  if (test) return testConfig(directory, config, strict)
  try {
    return await serve(config)
  } catch (error) {
    const named = asDiskFailure(error, [{ setting: 'storage.path', path: config.storage.path }])
    tell(`cannot start: ${errorMessage(named)}`)
    return CANNOT_START
  }
}

async function testConfig(directory: string, config: AgentConfig, strict: boolean): Promise<number> {
  const { checkAgentStart } = await import('../checks/start-files-check.js')
  const { problems, warnings } = await checkAgentStart(config)
  for (const problem of problems) tell(problem)
  for (const warning of warnings) tell(`warning: ${warning}`)
  if (problems.length > 0) return BAD_CONFIGURATION
  if (strict && (warnings.length > 0 || config.notices.some(({ level }) => level !== 'note'))) {
    tellStrict(directory)
    return BAD_CONFIGURATION
  }
  process.stdout.write(`${directory}: the configuration is in order\n`)
  return 0
}

async function serve(config: AgentConfig): Promise<number> {
  const [{ startAgent }, { createLog }, { storageFolder }, { takeFolders }, certificates] = await Promise.all([
    import('../../agent/agent.js'),
    import('../../relay/log.js'),
    import('../../storage/folders/folder-kinds.js'),
    import('../../storage/folders/own-folder.js'),
    import('../checks/certificate-warnings.js')
  ])
  let lost: Error | undefined
  const release = takeFolders(config.nodeId, [storageFolder(config.storage.path, STORAGE_MODE)], error => {
    lost = error
    askStop()
  })
  try {
    const { logger } = await createLog({ level: config.logging.level, base: { node: config.nodeId } })
    const warnings = await certificates.agentCertificateWarnings(config)
    for (const problem of warnings) logger.warn({ problem }, 'unusable certificate')
    const written = [{ setting: 'storage.path', path: config.storage.path }]
    for (const problem of openFolderWarnings(written)) logger.warn({ problem }, 'other users may write to a folder')
    const manager = findServiceManager(logger)
    if (isStopAsked()) return lost === undefined ? 0 : CANNOT_START
    const agent = await startAgent({ config, logger })
    if (!isStopAsked()) {
      logger.info({ policyServer: config.upstream.host }, 'ready')
      await manager.ready()
      onHangup(async () => {
        await manager.reloading()
        await agent.reload()
        await manager.ready()
      })
    }
    const signal = await stopAsked()
    onHangup(async () => undefined)
    void manager.stopping() // never rejects
    if (lost !== undefined)
      logger.error({ reason: lost.message }, 'lock file removed, and another process holds the lock now; stopping')
    logger.info({ signal }, 'stopping; runs under way may finish')
    await agent.stop()
    logger.info({}, 'stopped')
    return lost === undefined ? 0 : CANNOT_START
  } finally {
    release()
  }
}

async function readAgentConfig(directory: string): Promise<AgentConfig | undefined> {
  const { loadAgentConfig } = await import('../../config/agent/agent-loader.js')
  return readOrTell(directory, () => loadAgentConfig(directory))
}
