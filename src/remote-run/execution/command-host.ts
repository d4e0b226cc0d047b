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

/** How long after its time a helper may still be there, or a stopped command of it, before it is taken for stuck, in ms. */
const STUCK_MS = 5_000

/** The less memory it has, the faster it forks. */
const SMALL_PROCESS = ['--max-semi-space-size=1', '--max-old-space-size=64', '--v8-pool-size=1']

interface Waiting {
  readonly spec: CommandSpec
  /** The helper that has it: a former one may still be on its way out. */
  child?: ChildProcess
  /** The id of its process group, once it runs. */
  pid?: number
  stuckTimer?: NodeJS.Timeout
  readonly end: (end: CommandEnd) => void
}

/** Starts commands through a helper process, which is there while there are commands, and a little longer. */
export class CommandHost {
  readonly #waiting = new Map<number, Waiting>()
  #child: ChildProcess | undefined
  /** The present one, and former ones on their way out. */
  readonly #children = new Set<ChildProcess>()
  #childGone: Promise<void> = Promise.resolve()
  #idleTimer: NodeJS.Timeout | undefined
  #lastId = 0

  /**
   * @param idleMs how long the helper is kept without commands
   * @param stuckMs how long it may be late in ending, or in ending a command, before it is killed
   */
  constructor(
    private readonly idleMs = IDLE_MS,
    private readonly stuckMs = STUCK_MS
  ) {}

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
      stop: () => this.#stop(id),
      pause: () => this.#send({ kind: 'pause', id }),
      resume: () => this.#send({ kind: 'resume', id })
    }
  }

  /** Stops what runs and ends the helper; resolves when it has gone. */
  async close(): Promise<void> {
    clearTimeout(this.#idleTimer)
    if (this.#child?.connected) this.#child.disconnect()
    const graceMs = Math.max(0, ...[...this.#waiting.values()].map(({ spec }) => spec.killGraceMs))
    const stuck = setTimeout(() => {
      for (const child of this.#children) child.kill('SIGKILL')
    }, graceMs + this.stuckMs)
    await this.#childGone
    clearTimeout(stuck)
  }

  /** A helper that does not stop the command in time (it is frozen, say) is killed, and the command with it. */
  #stop(id: number): void {
    this.#send({ kind: 'stop', id })
    const waiting = this.#waiting.get(id)
    if (waiting === undefined || waiting.stuckTimer !== undefined) return
    waiting.stuckTimer = setTimeout(() => waiting.child?.kill('SIGKILL'), waiting.spec.killGraceMs + this.stuckMs)
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
    this.#children.add(child)
    const former = this.#childGone
    this.#childGone = new Promise<void>(resolve => {
      const gone = (reason: string) => {
        if (this.#child === child) this.#child = undefined
        this.#children.delete(child)
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
    if (waiting === undefined) return
    const hasBegun = waiting.pid !== undefined
    this.#end(id, waiting, hasBegun ? { kind: 'lost', reason } : { kind: 'failed', reason })
  }

  #end(id: number, waiting: Waiting, end: CommandEnd): void {
    this.#waiting.delete(id)
    clearTimeout(waiting.stuckTimer)
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
