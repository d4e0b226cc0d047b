import { type ChildProcess, spawn } from 'node:child_process'
import { openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { endProcess } from './child.js'
import type { Cleanup } from './cleanup.js'
import { residentMib } from './memory.js'
import { type RelaySetup, writeRelayFolder } from './relay-folder.js'

/** `dist/treeline/main.js`, seen from `dist/bench/support`. */
const MAIN = fileURLToPath(new URL('../../treeline/main.js', import.meta.url))
const POLL_EVERY_MS = 2
const READY_WITHIN_MS = 60_000
/** The time after which Node and SQLite have ended what they still do after the start. */
const SETTLE_MS = 1_000
const API = '/rudder/relay-api/1'

/** A real relay, in a process of its own. */
export class Relay {
  readonly pid: number

  private constructor(
    readonly setup: RelaySetup,
    readonly child: ChildProcess,
    /** From the start of the process to its first answer. */
    readonly readyMs: number
  ) {
    if (child.pid === undefined) throw new Error('the relay has no process id')
    this.pid = child.pid
  }

  /** Writes the configuration, starts the relay, and waits until it answers. `cleanup` stops it. */
  static async start(setup: RelaySetup, cleanup: Cleanup): Promise<Relay> {
    await writeRelayFolder(setup)
    return Relay.startAgain(setup, cleanup)
  }

  /** Does the same as {@link Relay.start}, with the folder as it is. */
  static async startAgain(setup: RelaySetup, cleanup: Cleanup): Promise<Relay> {
    const logFile = join(setup.folder, 'relay.log')
    const log = openSync(logFile, 'a')
    const startedAt = performance.now()
    const child = spawn(process.execPath, [MAIN, 'serve', '--config', setup.folder], { stdio: ['ignore', log, log] })
    cleanup.add(() => endProcess(child))
    await untilAnswers(child, setup.port, logFile)
    return new Relay(setup, child, performance.now() - startedAt)
  }

  stop(): Promise<void> {
    return endProcess(this.child)
  }

  /** Resident memory once it has come to rest, in MiB. */
  async idleMib(): Promise<number> {
    await delay(SETTLE_MS)
    return residentMib(this.pid)
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.setup.port}${this.path(path)}`
  }

  path(path: string): string {
    return `${API}/${path}`
  }

  /** @returns the body @throws {Error} for a status of 400 or more */
  async post(path: string, form: Readonly<Record<string, string>> = {}): Promise<string> {
    const response = await fetch(this.url(path), { method: 'POST', body: new URLSearchParams(form) })
    const text = await response.text()
    if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${text}`)
    return text
  }

  /** All metrics now. Each call begins a new period for those that are the most of a period. */
  async metrics(): Promise<Metrics> {
    const response = await fetch(`http://127.0.0.1:${this.setup.port}/metrics`)
    return new Metrics(await response.text())
  }
}

/** Metrics as they stood at one moment. */
export class Metrics {
  readonly #lines: readonly string[]

  constructor(text: string) {
    this.#lines = text.split('\n')
  }

  /** A metric's value, added up over its labels; 0 when there is none of that name (yet). */
  sum(name: string): number {
    return this.#lines
      .filter(line => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }

  /** The longest that the event loop was held up in this period, in ms. */
  eventLoopDelayMs(): number {
    const name = 'nodejs_eventloop_lag_max_seconds'
    if (!this.#lines.some(line => line.startsWith(name))) throw new Error('the relay does not measure its event loop')
    return this.sum(name) * 1000
  }
}

async function untilAnswers(child: ChildProcess, port: number, logFile: string): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`the relay ended:\n${readFileSync(logFile, 'utf8').slice(-3_000)}`)
    if (await answers(port)) return
    await delay(POLL_EVERY_MS)
  }
  throw new Error(`the relay does not answer:\n${readFileSync(logFile, 'utf8').slice(-3_000)}`)
}

async function answers(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/uuid`)).ok
  } catch {
    return false
  }
}
