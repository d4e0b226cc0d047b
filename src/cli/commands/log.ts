import type { Command } from 'commander'
import { isLevel, type LevelAnswer, type LevelRequest } from '../../process/log-control/control-messages.js'
import { DEFAULT_LEVEL_TTL_MS, MAX_LEVEL_TTL_MS, MIN_LEVEL_TTL_MS } from '../../process/log-control/log-level.js'
import { askForLevel, removeIfStale } from '../../process/log-control/log-socket.js'
import {
  type FoundProcessSocket,
  findProcessSockets,
  RUN_FOLDER_VARIABLE,
  runFolder
} from '../../process/log-control/run-folder.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { LOG_LEVELS, type LogLevel } from '../../values/logging/logger.js'
import { printableLines } from '../../values/text/printable.js'
import { splitTimeSpan } from '../../values/time/time-span.js'
import { CommandError, UsageError } from '../command-error.js'
import { example } from '../options/example.js'
import { readDuration } from '../options/time-option.js'

interface LogCommandOptions {
  readonly level?: string
  readonly ttl?: string
  readonly pid?: string
}

/** The numbers of the levels, as Styra's relay-client prints them (contract, table 1). */
const LEVEL_NUMBERS: Readonly<Record<LogLevel, number>> = { fatal: -1, error: 0, warn: 1, info: 2, debug: 3, trace: 4 }
const LEVEL_LIST = LOG_LEVELS.map(level => `${level} (${LEVEL_NUMBERS[level]})`).join(', ')

/** A process that answered. */
interface FoundProcess {
  readonly socket: FoundProcessSocket
  readonly answer: LevelAnswer
}

/** `treeline log`. */
export function register(program: Command): void {
  program
    .command('log')
    .description('Show the log level of a running relay, agent or client, or change it for a while')
    .option('-l, --level <level>', `log level, one of: ${LEVEL_LIST}`)
    .option('-t, --ttl <duration>', 'time after which the change is reset: 24h at most (default: 10m)')
    .option('--pid <pid>', 'id of the process, where several are running')
    .addHelpText('after', example('treeline log --level debug --ttl 30m'))
    .action(changeLevel)
}

async function changeLevel(options: LogCommandOptions): Promise<void> {
  const request = readRequest(options)
  const { socket } = chosen(await findProcesses(readPid(options.pid)))
  const isChange = request !== undefined
  const answer = await askForLevel(socket.path, request ?? {}).catch((error: unknown) => {
    throw new CommandError(`process ${socket.pid}: ${errorMessage(error)}`, undefined, { cause: error })
  })
  if (isChange) console.log('Configuration has been updated:')
  console.log(`Current log settings:\nLevel: ${answer.level} (${LEVEL_NUMBERS[answer.level]})\nTTL: ${showTtl(answer)}`)
}

/** @returns undefined where nothing is to be changed @throws {UsageError} naming the option and its value */
function readRequest({ level, ttl }: LogCommandOptions): LevelRequest | undefined {
  if (level !== undefined && !isLevel(level)) {
    throw new UsageError(`--level ${JSON.stringify(level.slice(0, 80))}: expected one of: ${LOG_LEVELS.join(', ')}`)
  }
  const ttlMs =
    ttl === undefined ? DEFAULT_LEVEL_TTL_MS : readDuration('--ttl', ttl, MIN_LEVEL_TTL_MS, MAX_LEVEL_TTL_MS)
  return level === undefined && ttl === undefined ? undefined : { level, ttl_ms: ttlMs }
}

function readPid(text: string | undefined): number | undefined {
  if (text === undefined || /^[1-9]\d{0,9}$/.test(text)) return text === undefined ? undefined : Number(text)
  throw new UsageError(`--pid ${JSON.stringify(text.slice(0, 80))}: expected the id of a process`)
}

/**
 * Finds the processes of this user that answer.
 * @param pid of the one that is meant; undefined: all
 * @throws {CommandError} where there is none, with what there is of other users
 */
async function findProcesses(pid: number | undefined): Promise<[FoundProcess, ...FoundProcess[]]> {
  const { folder, sockets } = readSockets()
  const meant = sockets.filter(socket => pid === undefined || socket.pid === pid)
  const own = meant.filter(({ uid }) => uid === process.geteuid?.())
  const found: FoundProcess[] = []
  const silent: string[] = []
  for (const socket of own) {
    try {
      found.push({ socket, answer: await askForLevel(socket.path, {}) })
    } catch (error) {
      const isGone = removeIfStale(socket, error)
      if (!isGone) silent.push(`process ${socket.pid} does not answer: ${errorMessage(error)}`)
    }
  }
  const [first, ...others] = found
  if (first !== undefined) return [first, ...others]
  const foreign = meant.filter(socket => !own.includes(socket)).map(each => `process ${each.pid} of user ${each.uid}`)
  const what =
    pid === undefined
      ? 'no relay, agent or client of this user is running'
      : `no process ${pid} of this user has a socket`
  const hints = [
    ...silent,
    ...(foreign.length === 0 ? [] : [`run this as the user of the process: ${foreign.slice(0, 10).join(', ')}`]),
    `it was looked for in ${folder}; ${RUN_FOLDER_VARIABLE} names another folder`
  ]
  throw new CommandError([what, ...hints].join('\n'))
}

function readSockets(): { folder: string; sockets: FoundProcessSocket[] } {
  let folder = ''
  try {
    folder = runFolder()
  } catch (error) {
    throw new UsageError(errorMessage(error), { cause: error })
  }
  try {
    return { folder, sockets: findProcessSockets(folder) }
  } catch (error) {
    throw new CommandError(`${RUN_FOLDER_VARIABLE}: cannot read ${folder}: ${errorMessage(error)}`, undefined, {
      cause: error
    })
  }
}

/** @throws {UsageError} that lists them, where there are several */
function chosen([first, ...others]: readonly [FoundProcess, ...FoundProcess[]]): FoundProcess {
  if (others.length === 0) return first
  const lines = [first, ...others]
    .sort((one, other) => one.socket.pid - other.socket.pid)
    .map(({ socket, answer }) => `  --pid ${socket.pid}  ${answer.kind} ${answer.name}, level ${answer.level}`)
  throw new UsageError(printableLines(`several processes are running; choose one of them:\n${lines.join('\n')}`))
}

/** Shows a time as in `10m` and `1h30m`; parts of seconds count as a whole one. */
function showTtl({ ttl_ms: ttlMs }: LevelAnswer): string {
  if (ttlMs === undefined) return 'none'
  const parts = splitTimeSpan(Math.ceil(ttlMs / 1_000) * 1_000, ['h', 'm', 's'])
  return parts.length === 0 ? '0s' : parts.map(({ unit, count }) => `${count}${unit}`).join('')
}
