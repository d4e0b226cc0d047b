import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { errorMessage } from '../../values/failures/system-error.js'
import type { CommandEnd, CommandSpec } from './command.js'
import type { HostOrder, HostReport } from './host-messages.js'

/** A command that runs, or ran. */
export interface RunningCommand {
  /** Never rejects. */
  readonly ended: Promise<CommandEnd>
  stop(): void
  /** Reads no more output for now, so that the command itself is held up. */
  pause(): void
  resume(): void
}

/** How long a host without commands is kept, in ms. */
const IDLE_MS = 30_000

/** The less memory it has, the faster it forks. */
const SMALL_PROCESS = ['--max-semi-space-size=1', '--max-old-space-size=64', '--v8-pool-size=1']

interface Waiting {
  readonly spec: CommandSpec
  /** The helper that has it: a former one may still be on its way out. */
  child?: ChildProcess
  /** The id of its process group, once it runs. */
  pid?: number
  readonly end: (end: CommandEnd) => void
}

/** Starts commands through a helper process, which is there while there are commands, and a little longer. */
export class CommandHost {
  readonly #waiting = new Map<number, Waiting>()
  #child: ChildProcess | undefined
  #childGone: Promise<void> = Promise.resolve()
  #idleTimer: NodeJS.Timeout | undefined
  #lastId = 0

  /** @param idleMs how long the helper is kept without commands */
  constructor(private readonly idleMs = IDLE_MS) {}

  get commandCount(): number {
    return this.#waiting.size
  }

  start(spec: CommandSpec): RunningCommand {
    clearTimeout(this.#idleTimer)
    this.#lastId += 1
    const id = this.#lastId
    const { file, args, timeoutMs, killGraceMs, onOutput } = spec
    const ended = new Promise<CommandEnd>(resolve => {
      this.#waiting.set(id, { spec, end: resolve })
    })
    this.#giveToHelper(id)
    this.#send({ kind: 'start', id, file, args, timeoutMs, killGraceMs, wantsOutput: onOutput !== undefined })
    return {
      ended,
      stop: () => this.#send({ kind: 'stop', id }),
      pause: () => this.#send({ kind: 'pause', id }),
      resume: () => this.#send({ kind: 'resume', id })
    }
  }

  /** Stops what runs and ends the helper; resolves when it has gone. */
  async close(): Promise<void> {
    clearTimeout(this.#idleTimer)
    if (this.#child?.connected) this.#child.disconnect()
    await this.#childGone
  }

  /** When no process can be started (files or memory used up), that is how the command ended, and no more. */
  #giveToHelper(id: number): void {
    try {
      this.#child ??= this.#startChild()
      const waiting = this.#waiting.get(id)
      if (waiting !== undefined) waiting.child = this.#child
    } catch (error) {
      this.#fail(id, noHelper(error))
    }
  }

  #send(order: HostOrder): void {
    const child = this.#waiting.get(order.id)?.child
    // one that could not be started has no channel, and says why in the next turn
    if (child?.pid === undefined) return
    child.send(order, error => {
      if (error !== null) this.#fail(order.id, error.message)
    })
  }

  #startChild(): ChildProcess {
    const isSource = import.meta.url.endsWith('.ts')
    const main = fileURLToPath(new URL(`./command-host-main.${isSource ? 'ts' : 'js'}`, import.meta.url))
    const child = fork(main, {
      execArgv: [...SMALL_PROCESS, ...(isSource ? ['--import', import.meta.resolve('tsx')] : [])],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      detached: true
    })
    child.on('message', (reports: HostReport[]) => {
      for (const report of reports) this.#take(report)
    })
    const former = this.#childGone
    this.#childGone = new Promise<void>(resolve => {
      const gone = (reason: string) => {
        if (this.#child === child) this.#child = undefined
        for (const [id, waiting] of [...this.#waiting]) {
          if (waiting.child !== child) continue
          killGroup(waiting.pid)
          this.#fail(id, reason)
        }
        resolve()
      }
      child.once('error', error => gone(noHelper(error)))
      child.once('exit', (code, signal) => gone(`the process that starts commands ended (${signal ?? code})`))
    }).then(() => former)
    return child
  }

  #take(report: HostReport): void {
    const waiting = this.#waiting.get(report.id)
    if (waiting === undefined) return
    if (report.kind === 'started') {
      waiting.pid = report.pid
      waiting.spec.onStarted(report.pid)
    }
    if (report.kind === 'output') waiting.spec.onOutput?.(report.stream, report.lines)
    if (report.kind === 'ended') this.#end(report.id, waiting, report.end)
  }

  #fail(id: number, reason: string): void {
    const waiting = this.#waiting.get(id)
    if (waiting !== undefined) this.#end(id, waiting, { kind: 'failed', reason })
  }

  #end(id: number, waiting: Waiting, end: CommandEnd): void {
    this.#waiting.delete(id)
    waiting.end(end)
    if (this.#waiting.size > 0) return
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => {
      const child = this.#child
      this.#child = undefined // a command that comes now gets a new one
      if (child?.connected) child.disconnect()
    }, this.idleMs)
    this.#idleTimer.unref()
  }
}

function noHelper(error: unknown): string {
  const reason = errorMessage(error)
  return `the process that starts commands cannot be started: ${reason}`
}

/** Kills the group that a killed host left behind. */
function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined && pid > 0) process.kill(-pid, 'SIGKILL')
  } catch {
    // it has ended by itself
  }
}
