import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Readable } from 'node:stream'
import { errorCode } from '../../values/failures/system-error.js'
import { LineSplitter } from './line-splitter.js'

export type OutputStream = 'stdout' | 'stderr'

export interface CommandSpec {
  readonly file: string
  readonly args: readonly string[]
  readonly timeoutMs: number
  /** The time between SIGTERM and SIGKILL. */
  readonly killGraceMs: number
  /** Whole lines of one stream. Undefined: nobody wants the output, and no pipe is made for it. */
  readonly onOutput: ((stream: OutputStream, lines: string) => void) | undefined
  /** @param pid of the leader of its process group */
  readonly onStarted: (pid: number) => void
}

/**
 * The end of a command. `stopped`: by {@link Command.stop}. `failed`: it never ran, with the reason in a line for
 * users. `lost`: it ran, and nobody knows how it ended, since the process that had started it is gone.
 */
export type CommandEnd =
  | { readonly kind: 'exited'; readonly exitCode: number; readonly signal: NodeJS.Signals | null }
  | { readonly kind: 'timed_out' }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'lost'; readonly reason: string }

/** How long output is waited for once the process itself has gone: what it left in the background may hold the pipes. */
const LATE_OUTPUT_MS = 2_000

/** The environment variables that a command inherits; no others are passed on. */
const INHERITED = ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ', 'TMPDIR']

/** The usual way to say in an exit code that a signal ended a process: 128 and the signal's number. */
const SIGNAL_EXIT_CODE_BASE = 128

/** The command line that runs the agents of `hostnames`. */
export type CommandLine = (
  config: { readonly command: string; readonly useSudo: boolean },
  conditions: readonly string[],
  hostnames: readonly string[]
) => { readonly file: string; readonly args: string[] }

/** The arguments that make `command` run the agents of `hostnames` (contract, "Remote run"). */
export const commandLine: CommandLine = (config, conditions, hostnames) => {
  const options = conditions.length === 0 ? [] : ['-D', conditions.join(',')]
  const args = ['remote', 'run', ...options, '--', hostnames.join(',')]
  return config.useSudo ? { file: 'sudo', args: [config.command, ...args] } : { file: config.command, args }
}

/** `<command> <first…> [-D c1,c2]`: on the machine itself, which node it is needs no saying. */
export function ownCommandLine(first: () => readonly string[]): CommandLine {
  return ({ command, useSudo }, conditions) => {
    const args = conditions.length === 0 ? [...first()] : [...first(), '-D', conditions.join(',')]
    return useSudo ? { file: 'sudo', args: ['-n', command, ...args] } : { file: command, args }
  }
}

/** A command in a process group of its own, started at once, without a shell. */
export class Command {
  /** Never rejects. */
  readonly ended: Promise<CommandEnd>
  readonly #child: ChildProcess | undefined
  readonly #spec: CommandSpec
  #stopping: 'timed_out' | 'stopped' | undefined
  #killTimer: NodeJS.Timeout | undefined
  #abandon: () => void = () => undefined

  constructor(spec: CommandSpec) {
    this.#spec = spec
    try {
      this.#child = start(spec)
      this.ended = this.#watch(this.#child)
    } catch (error) {
      this.ended = Promise.resolve({ kind: 'failed', reason: startFailure(spec.file, error) })
    }
  }

  /** Ends the whole process group: SIGTERM, and SIGKILL after the grace. */
  stop(): void {
    this.#end('stopped')
  }

  /** Reads no more output for now, so that the command itself is held up. */
  pause(): void {
    for (const stream of this.#streams()) stream.pause()
  }

  resume(): void {
    for (const stream of this.#streams()) stream.resume()
  }

  #streams(): Readable[] {
    return [this.#child?.stdout, this.#child?.stderr].filter(stream => stream != null)
  }

  #end(why: 'timed_out' | 'stopped'): void {
    if (this.#stopping !== undefined) return
    this.#stopping = why
    signalGroup(this.#child, 'SIGTERM')
    this.#killTimer = setTimeout(() => this.#kill(), this.#spec.killGraceMs)
  }

  #kill(): void {
    if (signalGroup(this.#child, 'SIGKILL')) return
    // a process of another user can't be killed: go on without it, or a stop of the relay would wait for it
    for (const stream of this.#streams()) stream.destroy()
    this.#child?.unref()
    this.#abandon()
  }

  #watch(child: ChildProcess): Promise<CommandEnd> {
    const spec = this.#spec
    const deadline = setTimeout(() => this.#end('timed_out'), spec.timeoutMs)
    const { onOutput } = spec
    if (onOutput !== undefined) {
      splitLines(child.stdout, lines => onOutput('stdout', lines))
      splitLines(child.stderr, lines => onOutput('stderr', lines))
    }
    return new Promise(resolve => {
      let latePipes: NodeJS.Timeout | undefined
      const finish = (end: CommandEnd) => {
        clearTimeout(deadline)
        clearTimeout(this.#killTimer)
        clearTimeout(latePipes)
        resolve(end)
      }
      this.#abandon = () => finish(this.#outcome(null, null))
      child.once('spawn', () => spec.onStarted(child.pid ?? 0))
      child.once('error', error => {
        if (child.pid === undefined) finish({ kind: 'failed', reason: startFailure(spec.file, error) })
      })
      child.once('exit', () => {
        clearTimeout(deadline)
        // the leader has gone; whoever it left in the group after a stop goes too
        if (this.#stopping !== undefined) signalGroup(child, 'SIGKILL')
        latePipes = setTimeout(() => {
          for (const stream of this.#streams()) stream.destroy()
        }, LATE_OUTPUT_MS)
      })
      child.once('close', (code, signal) => finish(this.#outcome(code, signal)))
    })
  }

  #outcome(code: number | null, signal: NodeJS.Signals | null): CommandEnd {
    if (this.#stopping !== undefined) return { kind: this.#stopping }
    return { kind: 'exited', exitCode: code ?? SIGNAL_EXIT_CODE_BASE + signalNumber(signal), signal }
  }
}

function start(spec: CommandSpec): ChildProcess {
  const output = spec.onOutput === undefined ? 'ignore' : 'pipe'
  return spawn(spec.file, spec.args, {
    stdio: ['ignore', output, output],
    detached: true,
    env: inheritedEnvironment()
  })
}

let environment: NodeJS.ProcessEnv | undefined

function inheritedEnvironment(): NodeJS.ProcessEnv {
  environment ??= Object.fromEntries(
    INHERITED.flatMap(name => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))
  )
  return environment
}

function splitLines(stream: Readable | null, onLines: (lines: string) => void): void {
  if (stream === null) return
  const splitter = new LineSplitter()
  stream.on('data', (chunk: Buffer) => {
    const lines = splitter.push(chunk)
    if (lines !== '') onLines(lines)
  })
  stream.once('error', () => undefined) // a broken pipe ends the output, and `close` follows
  stream.once('close', () => {
    const rest = splitter.end()
    if (rest !== '') onLines(rest)
  })
}

/** @returns whether anything could be signalled */
function signalGroup(child: ChildProcess | undefined, signal: NodeJS.Signals): boolean {
  if (child?.pid === undefined) return false
  try {
    return process.kill(-child.pid, signal)
  } catch {
    return false // ESRCH: nobody is left; EPERM: it runs as another user (sudo) and ends by itself
  }
}

function startFailure(file: string, error: unknown): string {
  const code = errorCode(error) ?? String(error)
  const hints: Record<string, string> = {
    ENOENT: `there is no such command; check ${file === 'sudo' ? 'use_sudo' : 'the setting of command'}`,
    EACCES: 'it may not be executed; check its permissions and use_sudo',
    EAGAIN: 'too many processes; lower concurrency',
    EMFILE: 'too many open files; lower concurrency'
  }
  return `cannot start ${file}: ${hints[code] ?? code}`
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : constants.signals[signal]
}
