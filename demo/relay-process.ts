import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** Lines of log kept for whoever asks what went wrong. */
const KEPT_LOG_LINES = 2_000
/** A start that takes longer hangs, also on a slow machine that is busy. */
const READY_WITHIN_MS = 300_000

/** A part of the demo that stays until it is stopped. */
export interface RunningPart {
  /** The newest lines that it wrote, on standard output and error. */
  readonly log: readonly string[]
  /** Resolves when it has ended. */
  stop(): Promise<void>
}

export interface RelayProcess extends RunningPart {
  readonly pid: number
  /** Resolves with the exit code (or signal) once the process has ended. */
  readonly ended: Promise<number | string>
  signal(signal: NodeJS.Signals): void
  /** Resolves with the first line of log, past or to come, that `matches`; rejects when the process ends before. */
  logged(matches: (line: string) => boolean): Promise<string>
}

export interface CommandLine {
  readonly program: string
  readonly args: readonly string[]
}

/** The program as it ships; `npm run build` makes it. Found from the sources (`demo`) and from what is compiled (`dist/demo`). */
const PROGRAM = [new URL('../treeline/main.js', import.meta.url), new URL('../dist/treeline/main.js', import.meta.url)]
  .map(url => fileURLToPath(url))
  .find(file => existsSync(file))

/** The command that starts `treeline` from this checkout: always the bundle, which is what ships. */
export function treelineCommand(args: readonly string[]): CommandLine {
  if (PROGRAM === undefined) throw new Error('dist/treeline/main.js is not there: run `npm run build`')
  return { program: process.execPath, args: [PROGRAM, ...args] }
}

/** Starts `treeline serve` and waits until it is ready. @throws {Error} with its log, when it ends instead */
export async function startRelayProcess(
  configDirectory: string,
  environment: NodeJS.ProcessEnv = {},
  command: 'serve' | 'agent' = 'serve'
): Promise<RelayProcess> {
  const what = `the ${command === 'serve' ? 'relay' : 'agent'} of ${configDirectory}`
  return startProcess([command, '--config', configDirectory], { environment, what, until: '"msg":"ready"' })
}

/** Starts `treeline client` and waits for its link. @throws {Error} with its log, when it ends instead */
export function startClientProcess(options: readonly string[], folder: string): Promise<RelayProcess> {
  return startProcess(['client', ...options], { folder, what: 'the client', until: '"msg":"link opened"' })
}

interface ProcessStart {
  readonly environment?: NodeJS.ProcessEnv
  readonly folder?: string
  /** The name of the process, for errors. */
  readonly what: string
  /** The text of the line of log that says that it has started. */
  readonly until: string
}

async function startProcess(options: readonly string[], { environment, folder, what, until }: ProcessStart) {
  const { program, args } = treelineCommand(options)
  const child = spawn(program, args, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment }
  })
  const started = watch(child)
  const limit = setTimeout(() => child.kill('SIGKILL'), READY_WITHIN_MS)
  try {
    await started.logged(line => line.includes(until))
  } catch (error) {
    throw new Error(`${what} did not start:\n${started.log.join('\n')}`, { cause: error })
  } finally {
    clearTimeout(limit)
  }
  return started
}

function watch(child: ChildProcess): RelayProcess {
  const log: string[] = []
  const waiting = new Set<(line: string | undefined) => void>()
  const keep = (line: string) => {
    log.push(line)
    if (log.length > KEPT_LOG_LINES) log.shift()
    for (const wait of waiting) wait(line)
  }
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on('line', keep)
  }
  const ended = once(child, 'exit').then(([code, signal]): number | string => code ?? signal)
  void ended.then(() => {
    for (const wait of waiting) wait(undefined)
  })
  return {
    pid: child.pid ?? 0,
    log,
    ended,
    signal: signal => {
      child.kill(signal)
    },
    logged: matches => firstLine(log, waiting, matches, () => child.exitCode !== null || child.signalCode !== null),
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    }
  }
}

function firstLine(
  log: readonly string[],
  waiting: Set<(line: string | undefined) => void>,
  matches: (line: string) => boolean,
  hasEnded: () => boolean
): Promise<string> {
  const past = log.find(matches)
  if (past !== undefined) return Promise.resolve(past)
  if (hasEnded()) return Promise.reject(new Error('the relay has ended'))
  return new Promise((resolve, reject) => {
    const wait = (line: string | undefined) => {
      if (line !== undefined && !matches(line)) return
      waiting.delete(wait)
      if (line === undefined) reject(new Error('the relay has ended'))
      else resolve(line)
    }
    waiting.add(wait)
  })
}
