import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { NDJSON } from '../../network/header-names.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { type BrokenHop, parseRunEvent } from '../../values/runs/run-event.js'
import { backoffMs } from '../../values/time/backoff.js'
import type { NodeEnd } from '../progress/run-progress.js'
import type { RunScope } from '../run-scope.js'
import { cancelDownstream } from './cancel-downstream.js'
import { forwardTextResponse } from './legacy/legacy-text-response.js'
import { canRetryOrder } from './not-taken.js'
import type { ExecutionContext, RemotePart } from './remote-part.js'
import { ReportedEvents } from './reported-events.js'
import { isNdjson, refusalText, responseChunks, responseLines } from './response-lines.js'
import { StallWatch } from './stall-watch.js'

/** The end of reading an answer: with the run's own end, or before it. */
type Followed =
  | { readonly kind: 'ended'; readonly outcome: string }
  | { readonly kind: 'lost'; readonly reason: string }

/** The part of a run that one sub-relay does. */
export class RemoteExecution {
  readonly #reported: ReportedEvents
  readonly #watch: StallWatch
  #lastSeq = 0
  /** The message for a part that a former process gave away, when nothing more is learned. */
  #lostMessage: string | undefined

  constructor(
    private readonly context: ExecutionContext,
    private readonly scope: RunScope,
    private readonly options: RemotePart
  ) {
    this.#watch = new StallWatch(context, scope, options)
    this.#reported = new ReportedEvents(context, scope, options, this.#watch)
  }

  /** Resolves, and never rejects, when every node of the part has its outcome. */
  run(): Promise<void> {
    return this.#toItsEnd(() => this.#ask())
  }

  /**
   * Resumes a part that was given away before this relay was restarted: asks how it goes on, or ended, and then does
   * as {@link run}.
   * @param lostMessage of its nodes, when nothing more is learned
   */
  resume(lostMessage: string): Promise<void> {
    this.#lostMessage = lostMessage
    return this.#toItsEnd(() => this.#follow({ kind: 'lost', reason: 'it was not there again in time' }))
  }

  async #toItsEnd(work: () => Promise<void>): Promise<void> {
    const { signal } = this.scope
    try {
      await work()
    } catch (error) {
      if (!signal.aborted) await this.#giveUp({ outcome: 'unknown', message: String(error) })
    } finally {
      this.#watch.end()
    }
    if (!signal.aborted || this.scope.suspended.aborted) return
    await cancelDownstream(this.options.hop, this.options.part.runId)
    await this.#endOpen({ outcome: 'cancelled', message: String(signal.reason) })
  }

  async #ask(): Promise<void> {
    const { hop, part, onNotTaken, onAway } = this.options
    const { signal, onStarted } = this.scope
    const { timing } = this.context
    const { asynchronous } = this.scope.order
    if (!hop.dialect.isHeardDuringRuns) this.#watch.tellsTextOnly()
    const answer = await hop.request({
      method: 'POST',
      weight: 'stream',
      path: part.path,
      headers: part.headers,
      body: () => part.body,
      signal,
      // a relay that only speaks text says nothing until all its nodes have ended
      silenceLimitMs: hop.dialect.isHeardDuringRuns ? timing.silenceMs : this.#watch.silenceLimitMs
    })
    if (answer.kind === 'refused') {
      const text = await refusalText(answer.body, signal)
      if (answer.status === 404 && onNotTaken !== undefined) return onNotTaken('refused')
      const message = `${hop.id} refused: ${answer.status} ${text}`.trimEnd()
      return this.#giveUp({ outcome: 'refused', message, unreached: this.#brokenHop(message) })
    }
    if (answer.kind === 'unreachable') {
      const reason = `${hop.id} cannot be reached: ${answer.reason}`
      const { status, sent } = answer
      const mayHaveStarted = sent && status === undefined && hop.dialect.recognizesRunIds
      if (!sent && onNotTaken !== undefined) return onNotTaken('away', answer.reason)
      if (status === 503 && onNotTaken !== undefined) return onNotTaken('busy', answer.reason)
      if (onAway !== undefined && canRetryOrder(answer, hop.dialect)) return onAway(reason, sent)
      if (sent && this.#watch.whyOver !== undefined) return this.#giveUpOver(this.#watch.whyOver)
      const unreached = this.#brokenHop(answer.reason)
      if (!mayHaveStarted) return this.#giveUp({ outcome: 'unreachable', message: reason, unreached })
      if (asynchronous) return this.#follow({ kind: 'lost', reason: answer.reason })
      await cancelDownstream(this.options.hop, this.options.part.runId)
      return this.#giveUp({ outcome: 'unreachable', message: reason, unreached })
    }
    onStarted()
    if (isNdjson(answer.headers)) return this.#follow(await this.#readEvents(answer.body))
    await this.options.onText?.()
    return this.#readText(answer.body)
  }

  /** Takes a lost stream up again where that can be done, until the run below has ended. */
  async #follow(first: Followed): Promise<void> {
    const { hop } = this.options
    const isResumable = this.scope.order.asynchronous || this.#lostMessage !== undefined
    let followed = first
    while (followed.kind === 'lost') {
      const { reason } = followed
      if (this.#watch.whyOver !== undefined) return this.#giveUpOver(this.#watch.whyOver)
      const next = isResumable ? await this.#resume(reason) : undefined
      if (next === undefined) {
        if (!isResumable) await cancelDownstream(this.options.hop, this.options.part.runId)
        if (this.#lostMessage !== undefined)
          return this.#endOpen({ outcome: 'interrupted', message: this.#lostMessage })
        const message = `${hop.id} was lost: ${reason}`
        const unreached = this.#brokenHop(reason)
        const end = (wasRunning: boolean): NodeEnd =>
          wasRunning ? { outcome: 'unknown', message } : { outcome: 'unreachable', message, unreached }
        return this.#giveUp(end, message)
      }
      followed = next
    }
    if (followed.outcome === 'interrupted' || followed.outcome === 'cancelled') {
      return this.#endOpen({ outcome: followed.outcome, message: `the run was ${followed.outcome} at ${hop.id}` })
    }
    return this.#endOpen({ outcome: 'unknown', message: `${hop.id} said nothing of it` })
  }

  /** Gives up a neighbour that is there, but where nothing goes on, or for too long. */
  async #giveUpOver(message: string): Promise<void> {
    const { hop, part } = this.options
    await cancelDownstream(hop, part.runId)
    return this.#giveUp({ outcome: 'timed_out', message })
  }

  /** @returns undefined when it is given up */
  async #resume(reason: string): Promise<Followed | undefined> {
    const { hop, part } = this.options
    const { signal, onStarted } = this.scope
    const { timing } = this.context
    let waitedMs = 0
    for (let failures = 1; waitedMs < timing.resumeLimitMs; failures += 1) {
      const waitMs = backoffMs(failures, timing.resumeBackoff)
      await sleep(waitMs, undefined, { signal })
      waitedMs += waitMs
      const answer = await hop.request({
        method: 'GET',
        weight: 'stream',
        path: `runs/${part.runId}/events?after=${this.#lastSeq}`,
        headers: { accept: NDJSON },
        signal,
        silenceLimitMs: timing.silenceMs
      })
      if (answer.kind === 'refused') {
        answer.body.destroy()
        return undefined // it does not know the run, or no longer
      }
      if (answer.kind === 'answered') {
        onStarted()
        const before = this.#lastSeq
        const followed = await this.#readEvents(answer.body)
        if (followed.kind === 'ended' || this.#lastSeq > before) return followed
      }
    }
    const { node } = this.options
    const { progress } = this.scope
    progress.error(this.#relay, `${hop.id} stays away: ${reason}`, node)
    return undefined
  }

  async #readEvents(body: Readable): Promise<Followed> {
    const { signal, progress } = this.scope
    const { timing } = this.context
    this.#watch.tellsEvents() // at the first contact, a Treeline relay has the dialect of an existing one
    let ended: Followed | undefined
    let endedAtMs = 0
    const check = () => {
      const isOver = ended === undefined ? this.#watch.whyOver !== undefined : isPast(endedAtMs + timing.silenceMs)
      if (isOver) throw new Error('it goes on for too long')
    }
    try {
      for await (const line of responseLines(responseChunks(body, timing.silenceMs, signal, check))) {
        if (ended !== undefined) continue // to leave before the end of the answer would be to cancel it
        const event = parseRunEvent(line)
        if (event === undefined) return { kind: 'lost', reason: 'it sent what is not an event' }
        if (event.event === 'end') {
          ended = { kind: 'ended', outcome: event.outcome ?? 'done' }
          endedAtMs = performance.now()
        } else if (event.event !== 'alive' && event.seq > this.#lastSeq) {
          this.#lastSeq = event.seq
          this.#reported.take(event)
          await progress.ready()
        }
      }
    } catch (error) {
      if (ended !== undefined) return ended
      signal.throwIfAborted()
      return { kind: 'lost', reason: errorMessage(error) }
    }
    if (ended !== undefined) return ended
    signal.throwIfAborted()
    return { kind: 'lost', reason: 'its answer broke off' }
  }

  /** An existing relay: its lines are passed on, and what became of each node nobody knows. */
  async #readText(body: Readable): Promise<void> {
    const { hop } = this.options
    const { progress, signal } = this.scope
    this.#watch.tellsTextOnly()
    const check = () => {
      if (this.#watch.whyOver !== undefined) throw new Error(this.#watch.whyOver)
    }
    const lost = await forwardTextResponse(body, { signal, progress, check }, this.#watch.silenceLimitMs, data => {
      this.#reported.takeText(data)
    })
    signal.throwIfAborted()
    if (lost !== undefined && this.#watch.whyOver !== undefined) return this.#giveUpOver(this.#watch.whyOver)
    if (lost !== undefined) return this.#giveUp({ outcome: 'unknown', message: `${hop.id} was lost: ${lost}` })
    return this.#endOpen({ outcome: 'unknown', message: `behind ${hop.id}, which only tells output` })
  }

  /** Says it once about the relay, and ends what is open. */
  async #giveUp(end: NodeEnd | ((wasRunning: boolean) => NodeEnd), message?: string): Promise<void> {
    const { hop, node } = this.options
    const { progress } = this.scope
    // of a node its outcome says all there is
    if (node === undefined) progress.error(hop.id, message ?? (typeof end === 'function' ? '' : (end.message ?? '')))
    await this.#endOpen(end)
  }

  #endOpen(end: NodeEnd | ((wasRunning: boolean) => NodeEnd)): Promise<void> {
    const { part } = this.options
    const { progress } = this.scope
    return progress.endOpen(part.nodes, this.#relay, end)
  }

  /** The relay that reports failures on the way to the hop. */
  get #relay(): string {
    const { hop, node } = this.options
    const { selfId } = this.context
    return node === undefined ? hop.id : selfId
  }

  #brokenHop(reason: string): BrokenHop {
    return { from: this.context.selfId, to: this.options.hop.id, reason }
  }
}

function isPast(atMs: number): boolean {
  return performance.now() > atMs
}
