import type { Command } from 'commander'
import type { AgentConfig } from '../../config/agent/agent-config.js'
import { isStopAsked, leaveStopSignals } from '../../process/signals/stop-signal.js'
import { leaveWorkingFolder } from '../../process/working-folder.js'
import { asDiskFailure } from '../../values/failures/disk-failure.js'
import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import { printStrictFailure, printVerdict, readOrPrintProblems, refusesStrictAlone } from '../checks/config-problems.js'
import { configurationFolder, openFolderWarnings } from '../checks/permissions/open-folders.js'
import { refuseForeignWays } from '../checks/permissions/way-to-folder.js'
import { STRICT_OPTION, TEST_OPTION } from '../options/check-options.js'
import { example } from '../options/example.js'
import { printDiagnostic } from '../output/diagnostic.js'
import { findServiceManager } from './service-manager.js'

const DEFAULT_DIRECTORY = '/etc/treeline-agent'

/** Exit codes, as those of `serve` (contract, "Configuration"). */
const BAD_CONFIGURATION = 2
const CANNOT_START = 3

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
    .option(...TEST_OPTION)
    .option(...STRICT_OPTION)
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
  leaveWorkingFolder()
  try {
    return await serve(config)
  } catch (error) {
    const named = asDiskFailure(error, [{ setting: 'storage.path', path: config.storage.path, keeper: 'agent' }])
    printDiagnostic(`cannot start: ${errorMessage(named)}`)
    return CANNOT_START
  }
}

async function testConfig(directory: string, config: AgentConfig, strict: boolean): Promise<number> {
  const { checkAgentStart } = await import('../checks/start-files-check.js')
  const { problems, warnings, notes, checkedFor } = await checkAgentStart(config)
  for (const problem of problems) printDiagnostic(problem)
  for (const warning of warnings) printDiagnostic(`warning: ${warning}`)
  for (const note of notes) printDiagnostic(`note: ${note}`)
  if (problems.length > 0) return BAD_CONFIGURATION
  if (strict && (warnings.length > 0 || config.notices.some(({ level }) => level !== 'note'))) {
    printStrictFailure(directory)
    return BAD_CONFIGURATION
  }
  printVerdict(directory, 'is in order', checkedFor)
  return 0
}

async function serve(config: AgentConfig): Promise<number> {
  const [{ startAgent }, { createLog }, { foldersOfAgent }, { holdFolders, serveUntilStopped }] = await Promise.all([
    import('../../agent/agent.js'),
    import('../../process/log.js'),
    import('../../storage/folders/folder-kinds.js'),
    import('./serve-until-stopped.js')
  ])
  await refuseForeignWays([{ setting: 'storage.path', path: config.storage.path }])
  const held = holdFolders(config.nodeId, foldersOfAgent(config))
  try {
    const { logger, level } = await createLog({ level: config.logging.level, base: { node: config.nodeId } })
    await warnOfConfiguration(config, logger)
    const manager = findServiceManager(logger)
    if (!isStopAsked()) {
      const agent = await startAgent({ config, configureLogLevel: wanted => level.configure(wanted), logger })
      await serveUntilStopped(
        {
          started: { message: 'ready', details: { policyServer: config.upstream.host } },
          reload: () => agent.reload(),
          stop: () => agent.stop()
        },
        {
          process: { kind: 'agent', name: config.nodeId, level },
          logger,
          manager,
          stoppingMessage: 'stopping; runs under way may finish',
          failure: () => held.lost
        }
      )
    }
    return held.lost === undefined ? 0 : CANNOT_START
  } finally {
    held.release()
  }
}

/** Warns of settings that work and are likely to be a mistake. */
async function warnOfConfiguration(config: AgentConfig, logger: Logger): Promise<void> {
  const [{ agentCertificateWarnings }, { agentKeyWarnings }, { foreignFileWarnings }, { privateFilesOfAgent }] =
    await Promise.all([
      import('../checks/certificate-warnings.js'),
      import('../checks/signing-key-warnings.js'),
      import('../checks/permissions/exposed-files.js'),
      import('../../config/private-files.js')
    ])
  for (const problem of await agentCertificateWarnings(config)) logger.warn({ problem }, 'unusable certificate')
  for (const problem of await agentKeyWarnings(config)) logger.warn({ problem }, 'unusable signing key')
  const written = [{ setting: 'storage.path', path: config.storage.path }, ...configurationFolder(config.directory)]
  for (const problem of await openFolderWarnings(written)) logger.warn({ problem }, 'other users may write to a folder')
  for (const problem of await foreignFileWarnings(privateFilesOfAgent(config)))
    logger.warn({ problem }, 'another user may change what root runs by')
}

async function readAgentConfig(directory: string): Promise<AgentConfig | undefined> {
  const { loadAgentConfig } = await import('../../config/agent/agent-loader.js')
  return readOrPrintProblems(directory, () => loadAgentConfig(directory))
}
