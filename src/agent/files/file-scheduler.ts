import { type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { AgentConfig, ReceiveConfig } from '../../config/agent/agent-config.js'
import type { LinkToUpper } from '../../hops/hop.js'
import type { Revocations } from '../../keys/certificates/revocations.js'
import type { RelayClient } from '../../relay-client/relay-client.js'
import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import { settledWithin } from '../../values/time/settled-within.js'
import { FileProblems } from './file-problems.js'
import type { FilePublisher } from './file-publisher.js'
import type { Receiver } from './file-receiver.js'
import { FileTimers } from './file-timers.js'
import { type TransferStep, TransferWatch } from './transfer-watch.js'

export interface FileSchedulerOptions {
  readonly config: AgentConfig
  readonly link: LinkToUpper
  readonly revocations: Revocations
  readonly logger: Logger
  /** How long no byte has come or gone when a transfer is broken off at the next link. @default 10,000 */
  readonly stalledMs?: number
  /** The same while the policy server owes an answer, for which it may have to pass the whole file on. @default 300,000 */
  readonly answerMs?: number
  /** How long other files wait for the command of a received one. @default 10,000 */
  readonly turnMs?: number
}

/** The time between two looks at the files to receive and to share, when no notice comes. */
const LOOK_EVERY_MS = 10 * 60_000
const POLL_EVERY_MS = 60_000

const HUNG = 'the transfer hung, and was broken off after the link opened again'

/** The time that a stop waits longer for work that was told to end. */
const LAST_WAIT_MS = 2_000

/** The tools of the work, loaded only where files are configured: they bring the HTTP client along. */
interface Tools {
  readonly receiver: Receiver
  readonly publisher: FilePublisher
  readonly connect: () => Promise<RelayClient>
}

/** Does what is to be done about files, one at a time: receives those it is told of, shares those that changed. */
export class FileScheduler {
  readonly #wanted = new Set<string>()
  readonly #timers = new FileTimers()
  readonly #watchers: FSWatcher[] = []
  #tools: Promise<Tools> | undefined
  #loadedReceiver: Receiver | undefined
  #loadedPublisher: FilePublisher | undefined
  #working: Promise<void> | undefined
  #client: RelayClient | undefined
  #isStopped = false
  /** Aborted once the time to stop is over: ends the reading of a file. */
  readonly #overdue = new AbortController()
  readonly #transfer: TransferWatch
  #awaitedAnswer: NodeJS.Timeout | undefined
  readonly #problems: FileProblems

  constructor(private readonly options: FileSchedulerOptions) {
    this.#problems = new FileProblems(options.logger)
    this.#transfer = new TransferWatch(options.stalledMs, options.answerMs)
  }

  /** The first few files that cannot be received or shared now, and why. */
  get problems(): string[] {
    return this.#problems.shown
  }

  /** Begins to watch, and to look now and then. */
  start(): void {
    const { receive, share } = this.options.config
    if (receive.length > 0) this.#timers.every('receive', LOOK_EVERY_MS, () => this.look())
    if (share.length === 0) return
    this.#wantShares()
    this.#timers.every('share', POLL_EVERY_MS, () => this.#wantShares())
    for (const folder of new Set(share.map(({ path }) => dirname(path)))) this.#watch(folder)
  }

  /** Looks for a file that is to be received; without a name, for all of them. */
  look(source?: string, fileId?: string): void {
    for (const [index, entry] of this.options.config.receive.entries()) {
      const isMeant = (source ?? entry.source) === entry.source && (fileId ?? entry.fileId) === entry.fileId
      if (isMeant) this.#want(`receive ${index}`)
    }
  }

  /**
   * Looks at all files, once a link has opened. Files to receive may have come while there was none. The policy server may
   * lack files to share: it may be another one, have lost them, or have refused a recipient that it did not know yet. A
   * transfer that hangs is broken off: its connection may have died with the former link.
   */
  lookAtAll(): void {
    this.#breakOffStalled()
    this.#wantAll()
  }

  /** Starts again with the changed configuration. Work under way comes to its end. */
  restart(): void {
    if (this.#isStopped) return
    this.#forget()
    this.start()
    this.#wantAll()
  }

  /**
   * Stops. Work under way may end within `agent.stop_timeout`; then its transfer or its reading is broken off, to begin
   * anew at the next start.
   */
  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#awaitedAnswer)
    this.#forget()
    const commands = this.#loadedReceiver?.stop()
    const working = Promise.all([this.#working, commands])
    if (await settledWithin(working, this.options.config.agent.stopTimeoutMs)) return
    this.#overdue.abort(new Error('the agent is stopping'))
    await this.#client?.close()
    if (await settledWithin(working, LAST_WAIT_MS)) return
    this.options.logger.warn({}, 'stopping while a file is still being read or written')
  }

  #forget(): void {
    this.#wanted.clear()
    this.#problems.clear()
    this.#timers.endAll()
    for (const watcher of this.#watchers.splice(0)) watcher.close()
  }

  #want(what: string): void {
    if (this.#isStopped) return
    this.#wanted.add(what)
    this.#timers.endRetry(what) // it is tried now
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined
      const next = this.#wanted.values().next().value
      if (next !== undefined) this.#want(next)
    })
  }

  #wantAll(): void {
    this.look()
    this.#loadedPublisher?.askAgain()
    this.#wantShares()
  }

  #wantShares(): void {
    for (const index of this.options.config.share.keys()) this.#want(`share ${index}`)
  }

  #breakOffStalled(): void {
    clearTimeout(this.#awaitedAnswer)
    const client = this.#client
    const { restMs, awaited } = this.#transfer
    if (client === undefined || awaited === undefined) return
    if (restMs <= 0) {
      this.#client = undefined
      void client.close() // what it had under way fails, and is tried again
    } else if (awaited === 'answer') {
      // the link may stay open from now on, and only an opening has anybody look
      this.#awaitedAnswer = setTimeout(() => {
        if (this.#client === client && this.#transfer.awaited === 'answer') this.#breakOffStalled()
      }, restMs).unref()
    }
  }

  async #work(): Promise<void> {
    try {
      this.#tools ??= this.#load().catch((error: unknown) => {
        this.#tools = undefined // what stood in the way may be gone at the next try
        throw error
      })
      const tools = await this.#tools
      const client = await tools.connect()
      this.#client = client
      this.#problems.begun()
      try {
        for (const what of this.#wanted) {
          if (this.#client !== client) break // it was broken off: the rest goes on with the next one
          this.#wanted.delete(what)
          await this.#do(what, tools, client)
        }
      } finally {
        this.#client = undefined
        await client.close()
      }
    } catch (err) {
      this.#problems.allFailed(err)
      const missed = [...this.#wanted]
      this.#wanted.clear()
      for (const what of missed) this.#retry(what)
    }
  }

  async #do(what: string, { receiver, publisher }: Tools, client: RelayClient): Promise<void> {
    const { config, link } = this.options
    const [kind, index = ''] = what.split(' ')
    const onStep = (step: TransferStep) => this.#transfer.begin(step)
    onStep('local')
    const hadNoLink = link.isAwaited // it may open while the policy server, which does not know us yet, refuses
    try {
      const received = kind === 'receive' ? config.receive[Number(index)] : undefined
      const shared = kind === 'share' ? config.share[Number(index)] : undefined
      if (received !== undefined) await receiver.receive(client, received, onStep)
      if (shared !== undefined) await publisher.share(client, shared, onStep)
      const running = received === undefined ? undefined : receiver.commandOf(received)
      if (running === undefined) this.#problems.succeeded(`agent.${kind}[${index}]`)
      else this.#problems.waits(`agent.${kind}[${index}]`, running)
    } catch (error) {
      if (this.#isStopped) return
      const failure = this.#client === client ? error : HUNG
      // The policy server may know this node by its link alone: it is tried again as soon as that is open.
      this.#problems.failed(`agent.${kind}[${index}]`, failure, hadNoLink || link.isAwaited)
      this.#retry(what)
    }
  }

  async #load(): Promise<Tools> {
    const { config, link, revocations, logger, turnMs } = this.options
    const [{ FileState }, { Receiver }, { FilePublisher }, { connectPolicyServer }] = await Promise.all([
      import('./file-state.js'),
      import('./file-receiver.js'),
      import('./file-publisher.js'),
      import('../policy-server-client.js')
    ])
    const state = await FileState.open(config.storage.path)
    const { signal } = this.#overdue
    const onLateEnd = ({ source, fileId }: ReceiveConfig) => this.look(source, fileId) // a newer one may have come
    const receiver = new Receiver({ config, state, logger, signal, turnMs, onLateEnd })
    this.#loadedReceiver = receiver
    const publisher = new FilePublisher({ config, state, logger, signal })
    this.#loadedPublisher = publisher
    return {
      receiver,
      publisher,
      connect: () => connectPolicyServer(config, link, revocations)
    }
  }

  /** The folder, since a file that is replaced is another one to the system. */
  #watch(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => this.#changed(folder, name))
      watcher.on('error', () => watcher.close())
      this.#watchers.push(watcher)
    } catch (error) {
      const reason = errorMessage(error)
      this.options.logger.warn({ folder, reason }, 'cannot watch folder; checking it once a minute')
    }
  }

  /** @param name of the file in the folder; null: the system did not say */
  #changed(folder: string, name: string | null): void {
    for (const [index, { path }] of this.options.config.share.entries()) {
      if (dirname(path) !== folder || (name !== null && basename(path) !== name)) continue
      const what = `share ${index}`
      if (!this.#isStopped) this.#timers.settle(what, () => this.#want(what))
    }
  }

  #retry(what: string): void {
    if (!this.#isStopped && !this.#wanted.has(what)) this.#timers.retry(what, () => this.#want(what))
  }
}
